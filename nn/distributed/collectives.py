"""Operations that all processes of the group call together, in the same order."""

from enum import Enum

import numpy as np

from nn.distributed.group import joined
from nn.tensor import Tensor


class ReduceOp(Enum):
    """What `all_reduce` and `reduce` do with the tensors of the processes, element by element."""

    SUM = "SUM"
    AVG = "AVG"
    PRODUCT = "PROD"
    MIN = "MIN"
    MAX = "MAX"


class Work:
    """An operation that was started, as ``async_op=True`` returns it; its tensors must not be used before `wait`."""

    def __init__(self, request, finish):
        self._request, self._finish = request, finish

    def is_completed(self):
        """Whether the messages have arrived; `wait` is needed nevertheless."""
        return self._request.Test()

    def wait(self, timeout=None):
        """Wait for the messages and store the result; returns True. `timeout` is not used."""
        self._request.Wait()
        if self._finish is not None:
            self._finish()
            self._finish = None
        return True


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """Overwrite the tensor of every process with the sum, or another reduction, of all of them: the same bits in each.

    Parameters
    ----------
    tensor : Tensor
        Of one shape and dtype in all processes.
    op : ReduceOp, default SUM
    group : None
        All processes.
    async_op : bool, default False
        Return at once, with a `Work` to wait for.

    Returns
    -------
    Work or None

    Raises
    ------
    TypeError
        `tensor` is not a Tensor, or of bools; the average of integers.
    ValueError
        There is no process group.
    """
    mine = joined("all_reduce", group)
    array = _reducible("all_reduce", tensor, op)
    request = mine.comm.Iallreduce(mine.mpi.IN_PLACE, array, _operation(mine, op))
    return _completed(Work(request, lambda: _store_reduced(tensor, array, op, mine.size)), async_op)


def reduce(tensor, dst=None, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """As `all_reduce`, but only process `dst` gets the result.

    Parameters
    ----------
    tensor, op, group, async_op
        As for `all_reduce`.
    dst, group_dst : int
        The rank that gets the result: one of the two must be given, and means the same.
    """
    mine, root = joined("reduce", group), _root("reduce", "dst", dst, group_dst)
    array = _reducible("reduce", tensor, op)
    source, target = (mine.mpi.IN_PLACE, array) if mine.rank == root else (array, None)
    request = mine.comm.Ireduce(source, target, _operation(mine, op), root)
    finish = (lambda: _store_reduced(tensor, array, op, mine.size)) if mine.rank == root else None
    return _completed(Work(request, finish), async_op)


def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Overwrite the tensor of every process with that of process `src`.

    Parameters
    ----------
    tensor : Tensor
        Of one shape and dtype in all processes.
    src, group_src : int
        The rank that has the values: one of the two must be given, and means the same.
    group, async_op
        As for `all_reduce`, whose errors it has, too.
    """
    mine, root = joined("broadcast", group), _root("broadcast", "src", src, group_src)
    array = _contiguous("broadcast", tensor)
    request = mine.comm.Ibcast(array, root)
    return _completed(Work(request, lambda: _store(tensor, array)), async_op)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Overwrite the tensors of a list with those of the processes, in the order of the ranks.

    Parameters
    ----------
    tensor_list : list of Tensor
        One for each process, of the shape and dtype of `tensor`.
    tensor : Tensor
    group, async_op
        As for `all_reduce`, whose errors it has, too.
    """
    mine, array = joined("all_gather", group), _contiguous("all_gather", tensor)
    if len(tensor_list) != mine.size:
        raise ValueError(f"all_gather: tensor_list must have {mine.size} tensors, one each, got {len(tensor_list)}")
    for i, each in enumerate(tensor_list):
        if each.shape != tensor.shape or each.dtype != tensor.dtype:
            raise ValueError(
                f"all_gather: tensor_list[{i}] must be as tensor, {tensor.shape} of {tensor.dtype}, "
                f"got {each.shape} of {each.dtype}"
            )
    gathered = np.empty((mine.size, *array.shape), array.dtype)
    request = mine.comm.Iallgather(array, gathered)

    def finish():
        for each, values in zip(tensor_list, gathered, strict=True):
            _store(each, values)

    return _completed(Work(request, finish), async_op)


def barrier(group=None, async_op=False, device_ids=None, timeout=None):
    """Wait until all processes have called it; `device_ids` and `timeout` are not used."""
    return _completed(Work(joined("barrier", group).comm.Ibarrier(), None), async_op)


def _completed(work, async_op):
    """The work, or None after waiting for it."""
    if async_op:
        return work
    work.wait()


def _contiguous(function, tensor):
    """The array of a tensor, or a contiguous copy."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{function}: tensor must be a Tensor, got {type(tensor).__name__}")
    return np.require(tensor.array, requirements="CW")


def _reducible(function, tensor, op):
    array = _contiguous(function, tensor)
    if array.dtype.kind not in ("f" if op is ReduceOp.AVG else "fiu"):
        raise TypeError(f"{function}: {op} needs {'floats' if op is ReduceOp.AVG else 'numbers'}, got {array.dtype}")
    return array


def _operation(group, op):
    return group.mpi.SUM if op is ReduceOp.AVG else getattr(group.mpi, op.value)


def _root(function, name, rank, same):
    rank = same if rank is None else rank
    size = joined(function).size
    if rank is None or not 0 <= rank < size:
        raise ValueError(f"{function}: {name} must be a rank from 0 to {size - 1}, got {rank}")
    return rank


def _store_reduced(tensor, array, op, size):
    if op is ReduceOp.AVG:
        array /= size
    _store(tensor, array)


def _store(tensor, array):
    if tensor.array is not array:
        tensor.array[...] = array
    tensor.mark_changed()
