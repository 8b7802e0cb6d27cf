"""The group of processes: those that ``mpiexec`` started together, each with a rank."""

import os
import sys
from importlib.util import find_spec

import kernels

INSTALL = "pip install mpi4py mpich"
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # set by the mpiexec of MPICH, of Open MPI


class Group:
    """The processes that train together.

    Attributes
    ----------
    mpi : module
        ``mpi4py.MPI``.
    comm : Comm
        A communicator of our own: what the program sends on another one cannot be mistaken for ours.
    rank, size : int
        The number of this process, from 0 on, and that of all.
    """

    def __init__(self, mpi):
        self.mpi, self.comm = mpi, mpi.COMM_WORLD.Dup()
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self._excepthook = None

    def abort_on_exceptions(self):
        """Let an uncaught exception end all processes: the others would wait for this one for ever."""
        self._excepthook = sys.excepthook
        sys.excepthook = self._report_and_abort

    def leave(self):
        """Undo `abort_on_exceptions`, and free the communicator."""
        if sys.excepthook == self._report_and_abort:
            sys.excepthook = self._excepthook
        self.comm.Free()

    def _report_and_abort(self, kind, value, traceback):
        print(f"nn.distributed: rank {self.rank} of {self.size} ends all ranks, with this error:", file=sys.stderr)
        self._excepthook(kind, value, traceback)
        sys.stdout.flush()
        sys.stderr.flush()
        self.comm.Abort(1)


_group = None  # the one that was joined


def joined(function, group=None):
    """The group that was joined; ValueError if there is none, or `function` was given another one."""
    if group is not None:
        raise ValueError(f"{function}: group must be None, all processes; there are no other groups, got {group}")
    if _group is None:
        raise ValueError(f"{function}: there is no process group; call nn.distributed.init_process_group() first")
    return _group


def is_available():
    """Whether mpi4py is installed, so that several processes can train one model."""
    return find_spec("mpi4py") is not None


def is_initialized():
    """Whether this process has joined a group: whether `init_process_group` was called."""
    return _group is not None


def init_process_group(
    backend=None,
    init_method=None,
    timeout=None,
    world_size=-1,
    rank=-1,
    store=None,
    group_name="",
    pg_options=None,
    device_id=None,
):
    """Join the processes that ``mpiexec`` started; alone, without mpiexec, a group of one.

    From then on an uncaught exception in one process ends all of them, with its traceback (`MPI_Abort`). The cores of a
    machine are divided among its processes, unless `NUMBA_NUM_THREADS` is set or they are bound to cores of their own.

    Parameters
    ----------
    backend : str, optional
        "mpi", the only one.
    init_method : str, optional
        "env://": the processes find each other by what mpiexec has put into their environment.
    world_size, rank : int, optional
        If given, what mpiexec has decided.
    timeout, store, group_name, pg_options, device_id
        For PyTorch's signature: not used; an operation waits for ever.

    Raises
    ------
    ImportError
        mpi4py, or the MPI library that it loads, is not installed.
    RuntimeError
        mpiexec is of another MPI than the library that mpi4py has loaded.
    ValueError
        There is a group already; or an argument has another value than those above.
    """
    global _group
    if _group is not None:
        raise ValueError("init_process_group: this process has joined a group already")
    if backend not in (None, "mpi"):
        raise ValueError(f"init_process_group: backend must be 'mpi', got {backend!r}")
    if init_method not in (None, "env://"):
        raise ValueError(f"init_process_group: init_method must be 'env://', got {init_method!r}: mpiexec does that")
    group = Group(_mpi())
    for name in SIZES:
        if group.size == 1 and int(os.environ.get(name, 1)) > 1:
            raise RuntimeError(
                f"init_process_group: mpiexec started {os.environ[name]} processes, but the MPI library of mpi4py sees "
                f"one: they are of different MPIs. The library is {group.mpi.Get_library_version().split(',')[0]!r}; "
                "use its own mpiexec"
            )
    for name, given, true in (("world_size", world_size, group.size), ("rank", rank, group.rank)):
        if given not in (-1, true):
            raise ValueError(f"init_process_group: {name} is {true}, as mpiexec has decided, got {given}")
    if group.size > 1:
        group.abort_on_exceptions()
        _divide_cores(group)
    _group = group


def _mpi():
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(f"nn.distributed needs mpi4py and an MPI library: {INSTALL}") from error
    except RuntimeError as error:  # mpi4py's, where there is no library
        raise ImportError("nn.distributed: mpi4py finds no MPI library: pip install mpich") from error
    return MPI


def _divide_cores(group):
    """Use a fair part of the cores that this process shares with others of its machine."""
    machine = group.comm.Split_type(group.mpi.COMM_TYPE_SHARED)
    mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count()))
    sharing = sum(bool(set(mine) & set(others)) for others in machine.allgather(mine))
    machine.Free()
    if "NUMBA_NUM_THREADS" not in os.environ:
        part = max(1, kernels.machine.cores() // sharing)
        kernels.set_num_threads(min(kernels.get_num_threads(), part))


def destroy_process_group(group=None):
    """Leave the group; uncaught exceptions end this process alone again."""
    global _group
    joined("destroy_process_group", group).leave()
    _group = None


def get_backend(group=None):
    """The name of the backend: "mpi"."""
    joined("get_backend", group)
    return "mpi"


def get_rank(group=None):
    """The number of this process, from 0 on."""
    return joined("get_rank", group).rank


def get_world_size(group=None):
    """The number of processes."""
    return joined("get_world_size", group).size
