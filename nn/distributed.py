"""What programs ask of ``torch.distributed``: there is one process, and no group of them.

`is_available` and `is_initialized` are False, so that programs that ask run on their own; what needs other processes
raises RuntimeError.
"""

__all__ = [
    *("all_gather", "all_reduce", "barrier", "broadcast", "destroy_process_group", "get_rank", "get_world_size"),
    *("init_process_group", "is_available", "is_initialized", "reduce"),
]


def is_available():
    """Whether several processes can train one model: False."""
    return False


def is_initialized():
    """Whether there is a group of processes: False."""
    return False


def _absent(name):
    def function(*args, **kwargs):
        raise RuntimeError(f"{name}: there is one process here; torch.distributed.is_available() is False")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "RuntimeError: there is one process."
    return function


init_process_group = _absent("init_process_group")
destroy_process_group = _absent("destroy_process_group")
get_rank = _absent("get_rank")
get_world_size = _absent("get_world_size")
barrier = _absent("barrier")
all_reduce = _absent("all_reduce")
all_gather = _absent("all_gather")
broadcast = _absent("broadcast")
reduce = _absent("reduce")
