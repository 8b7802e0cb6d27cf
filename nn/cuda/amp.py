"""Mixed precision on a GPU, ``torch.cuda.amp``: there is none, so that nothing is cast and nothing is scaled."""

import nn.amp

__all__ = ["GradScaler", "autocast"]


class autocast(nn.amp.autocast):
    """Context manager and decorator that changes nothing, as in PyTorch without a GPU."""

    def __init__(self, enabled=True, dtype=None, cache_enabled=True):
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(nn.amp.GradScaler):
    """A scaler that is not enabled: its `step` calls the optimiser's."""

    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
