"""Layers that only arrange elements anew."""

from nn.module import Module


class Flatten(Module):
    """Merge dimensions into one; by default all but the first, the batch.

    Parameters
    ----------
    start_dim, end_dim : int, default 1 and -1
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
