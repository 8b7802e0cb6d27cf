"""The wrapper that keeps the models of all processes equal."""

from contextlib import contextmanager
from itertools import groupby

import numpy as np

from nn.distributed.group import joined
from nn.distributed.reducer import Reducer
from nn.grad_mode import is_grad_enabled
from nn.module import Module
from nn.parameter import is_uninitialized

BUCKET_CAP_MB = 25  # PyTorch's
FIRST_BUCKET_BYTES = 2**20  # so that the first message starts early; PyTorch's, too


class DistributedDataParallel(Module):
    """A module whose gradients are averages over all processes, each with its own part of the batch.

    With equal parts and losses that are means, training is that of one process on the whole batch, up to rounding; and
    bitwise reproducible for one number of processes. Parameters and buffers are broadcast from rank 0 at construction,
    after which equal gradients keep the parameters equal, whatever optimiser.

    The gradients are averaged while ``backward()`` runs: parameters are put together in buckets, from the last
    registered to the first, and the all-reduce of a bucket starts when the last of its gradients is complete.
    ``backward()`` returns when all averages are in ``grad``. Hooks of parameters get the averages. `nn.autograd.grad`,
    and `backward` with `inputs`, compute the gradients of this process alone.

    Batch normalisation uses the statistics of each process's own part of the batch.

    Parameters
    ----------
    module : Module
        Made in the same way in all processes. Its parameters are named ``module.…``: checkpoints are of ``.module``.
    broadcast_buffers : bool, default True
        Broadcast the buffers (running means, say) from rank 0 before each forward, so that all processes must call it.
    init_sync : bool, default True
        Whether parameters and buffers are broadcast at construction.
    process_group : None
        All processes.
    bucket_cap_mb : float, optional
        A bucket is closed when it has this many MiB: 25 by default, but 1 for the first.
    find_unused_parameters : bool, default False
        Whether a loss may depend on some of the parameters only, maybe on others in each process. Those that it does
        not depend on contribute zeros; where that is so in all processes, ``grad`` stays as it was.
    static_graph : bool, default False
        As `find_unused_parameters`.
    device_ids, output_device, dim, check_reduction, gradient_as_bucket_view
        Have no effect.

    Raises
    ------
    ValueError
        There is no process group, or `bucket_cap_mb` is not positive.
    RuntimeError
        No parameter requires a gradient; a lazy parameter has no shape yet; the parameters of the processes differ.
        In ``backward()``: a parameter that the loss does not depend on, without `find_unused_parameters`; or
        `create_graph`.
    """

    def __init__(
        self,
        module,
        device_ids=None,
        output_device=None,
        dim=0,
        broadcast_buffers=True,
        init_sync=True,
        process_group=None,
        bucket_cap_mb=None,
        find_unused_parameters=False,
        check_reduction=False,
        gradient_as_bucket_view=False,
        static_graph=False,
    ):
        super().__init__()
        self._group = joined("DistributedDataParallel", process_group)
        self.module, self.device_ids, self.dim = module, [], dim
        self.broadcast_buffers, self.require_backward_grad_sync = broadcast_buffers, True
        self.find_unused_parameters = find_unused_parameters or static_graph
        if bucket_cap_mb is not None and not bucket_cap_mb > 0:
            raise ValueError(f"DistributedDataParallel: bucket_cap_mb must be positive, got {bucket_cap_mb}")
        named = list(module.named_parameters())
        if lazy := [name for name, p in named if is_uninitialized(p)]:
            raise RuntimeError(f"DistributedDataParallel: the shapes of {lazy} are not known yet; call the module once")
        trained = {name: p for name, p in named if p.requires_grad}
        if not trained:
            raise RuntimeError("DistributedDataParallel: no parameter of the module requires a gradient")
        self._require_equal(trained)
        cap = int((BUCKET_CAP_MB if bucket_cap_mb is None else bucket_cap_mb) * 2**20)
        first = min(cap, FIRST_BUCKET_BYTES) if bucket_cap_mb is None else cap
        self._reducer = Reducer(self._group, trained, (first, cap), self.find_unused_parameters)
        if init_sync:
            self._broadcast([*module.parameters(), *module.buffers()])

    def forward(self, *inputs, **kwargs):
        if is_grad_enabled():
            self._reducer.expect(self.require_backward_grad_sync)
        if self.broadcast_buffers and self.require_backward_grad_sync:
            self._broadcast(list(self.module.buffers()))
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self):
        """Context manager: forward passes within it have gradients of this process alone, which accumulate in ``grad``.

        The first backward of a forward outside averages their sum.

        Examples
        --------
        Four small batches in the place of one, and one all-reduce::

            with model.no_sync():
                for x, target in batches[:3]:
                    loss(model(x), target).backward()
            loss(model(batches[3][0]), batches[3][1]).backward()
        """
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    def __getstate__(self):
        raise TypeError("DistributedDataParallel: cannot be copied or pickled; copy or save its .module")

    def _require_equal(self, parameters):
        """RuntimeError, in every process, if the names, shapes or dtypes differ between processes."""
        mine = [(name, p.shape, p.dtype.str) for name, p in parameters.items()]
        for rank, theirs in enumerate(self._group.comm.allgather(mine)):
            if theirs != mine:
                first = next((a, b) for a, b in zip([*mine, None], [*theirs, None], strict=False) if a != b)
                raise RuntimeError(
                    f"DistributedDataParallel: the parameters of rank {self._group.rank} and rank {rank} differ: "
                    f"{first[0]} and {first[1]}"
                )

    def _broadcast(self, tensors):
        """Overwrite tensors with those of rank 0: all of one dtype in one message."""
        for _, same in groupby(sorted(tensors, key=_dtype), key=_dtype):
            same = list(same)
            values = np.concatenate([t.array.ravel() for t in same])
            self._group.comm.Bcast(values)
            if self._group.rank != 0:
                ends = np.cumsum([t.array.size for t in same])
                for t, end in zip(same, ends, strict=True):
                    t.array[...] = values[end - t.array.size : end].reshape(t.shape)
                    t.mark_changed()


def _dtype(tensor):
    return tensor.dtype.str
