"""The one jit configuration: fast-math set, and an on-disk cache that cannot go stale.

Numba's own cache looks only at the file of the outermost function: after an edit of `simd/tile.py` a stale `matmul`
would keep running. Here the cache folder's name is a digest of every source file of this package, of the versions
of Numba and LLVM, and of the vector width, so an edit anywhere simply starts a new folder. Numba's index inside the
folder adds the signature and the CPU's name and features.

The folder lies in the user's cache directory; where that is not writable, in the temporary directory; where that
is not either, nothing is cached. `NUMBA_CACHE_DIR` is not consulted: it belongs to the user's own functions.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType

import llvmlite
import numba
from llvmlite.binding import Linkage
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps

from kernels import _threads, machine
from kernels._plain import DISABLED

# contract: a*b + c may become one fma. reassoc: sums may be reordered, so that they vectorise. nsz: -0.0 may become
# 0.0. arcp: x/c may become x*(1/c). Never nnan or ninf: NaN and -inf must behave as IEEE 754 says.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}

_ENTRIES = "njit"  # how the names of their files begin
_MAX_FOLDERS = 6  # older digests are deleted when a new one is made


@functools.cache
def source_digest() -> str:
    """Digest of everything compiled code depends on, apart from signature and CPU.

    No loop depends on the entries (see `_njit`); the digest of their files is part of their own keys.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.parent.name != "reference" and not path.name.startswith(_ENTRIES):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    for fact in (numba.__version__, llvmlite.__version__, sys.version, str(machine.vector_bytes())):
        digest.update(fact.encode())
    return digest.hexdigest()[:20]


@functools.cache
def _entries_digest() -> str:
    """Digest of all entries' files, which call helpers of each other."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob(f"{_ENTRIES}*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir())


@functools.cache
def cache_folder() -> str | None:
    """Folder of this version's compiled kernels, or None where no folder can be written."""
    user = os.getuid() if hasattr(os, "getuid") else None
    for base, name in ((_user_cache_folder, "innerloop"), (_temporary_folder, f"innerloop-{user}")):
        with contextlib.suppress(OSError, RuntimeError):  # no such folder, no right to write there, no home directory
            folder = base() / name / source_digest()
            fresh = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if user is not None and {folder.stat().st_uid, folder.parent.stat().st_uid} != {user}:
                continue  # what lies there will be unpickled: it must be this user's own
            tempfile.TemporaryFile(dir=folder).close()
            if fresh:
                _delete_old_folders(folder.parent)
            return str(folder)
    return None


def _delete_old_folders(parent: Path):
    with contextlib.suppress(OSError):
        folders = sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for folder in folders[:-_MAX_FOLDERS]:
            shutil.rmtree(folder, ignore_errors=True)


class _Locator(_CacheLocator):
    def __init__(self, py_func):
        self._py_file = py_func.__code__.co_filename  # Numba names it when a function cannot be cached
        self._line = py_func.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func, py_file):
        return cls(py_func)

    def get_cache_path(self):
        return cache_folder()

    def get_source_stamp(self):
        return source_digest()

    def get_disambiguator(self):
        return str(self._line)


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = (_Locator,)


def _rebuild(cls, *parts, rebuild=CompileResult._rebuild.__func__):
    """What has to be done before code is loaded (starting threads, finding the addresses of `_njit`) has to reach the
    cached code of callers, too, which Numba links with a copy; it forgets it for a callee that it has loaded itself."""
    with _threads.keeping_openmp_count():
        loaded = rebuild(cls, *parts)
    loaded.library._reload_init.update(loaded.reload_init)
    return loaded


CompileResult._rebuild = classmethod(_rebuild)  # also for functions of users that call ours


class _EntryFiles:
    """One file an entry, named by a digest of its key and replaced as a whole: writers cannot tear or mix entries.

    (Numba's index gives entries running numbers, which two processes filling the cache at once can swap.)
    """

    def __init__(self, folder: str, base: str):
        self._folder, self._base = Path(folder), base

    def _path(self, key) -> Path:
        return self._folder / f"{self._base}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.nbc"

    def load(self, key):
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, payload = data[:32], data[32:]
        if hashlib.sha256(payload).digest() != digest:  # truncated or damaged: drop it and compile again
            path.unlink(missing_ok=True)
            return None
        return pickle.loads(payload)

    def save(self, key, data):
        payload = dumps(data)
        path = self._path(key)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=path.name, delete=False) as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(file.name, path)

    def flush(self):
        for path in self._folder.glob(f"{self._base}.*"):
            path.unlink(missing_ok=True)


class _Cache(FunctionCache):
    _impl_class = _CacheImpl

    def __init__(self, py_func, options):
        super().__init__(py_func)
        self._options = options
        self._cache_file = _EntryFiles(self.cache_path, self._impl.filename_base)

    def load_overload(self, sig, target_context):
        # Whatever is wrong with the folder, the function can still be compiled.
        with contextlib.suppress(OSError):
            return super().load_overload(sig, target_context)

    def save_overload(self, sig, data):
        # A full disk or a folder that vanished must not break a call that has already compiled.
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)

    def _index_key(self, sig, codegen):
        # The folder's digest stands for the source. (Numba would pickle a closure's cells, and a dispatcher's pickle
        # differs from process to process.) Code for the workqueue layer holds a lock.
        key = sig, codegen.magic_tuple(), self._options, _closure_key(self._py_func)
        path = Path(self._py_func.__code__.co_filename)
        return (*key, _entries_digest()) if path.name.startswith(_ENTRIES) else key


def _closure_key(function) -> tuple:
    """What tells closures of the same source apart: the functions and the values they captured."""
    function = getattr(function, "py_func", getattr(function, "_defn", function))  # of a dispatcher, of an intrinsic
    if not callable(function):
        return (repr(function),)
    code = getattr(function, "__code__", None)  # without one, it is a type or a built-in function
    body = _code_key(code) if code else ()
    cells = getattr(function, "__closure__", None) or ()
    # co_qualname: the function's own may have been changed by `_apart`
    name = getattr(function, "__module__", None), code.co_qualname if code else getattr(function, "__qualname__", "")
    return (*name, *body, *(_closure_key(cell.cell_contents) for cell in cells))


def _code_key(code) -> tuple:
    """What tells code apart, the same in every process: a comprehension is a constant whose `repr` holds an address
    (until Python 3.12), and the order of a set of strings depends on their hashes."""
    return (code.co_firstlineno, code.co_code, code.co_names, *map(_constant_key, code.co_consts))


def _constant_key(constant):
    if isinstance(constant, CodeType):
        return _code_key(constant)
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant)


class _Library(JITCodeLibrary):
    """A library whose machine code calls its own copies of the functions it was linked with.

    Numba links a function with copies of all it calls and optimises them once more, so copies of one function differ,
    and with our fast-math set they may round differently. Numba makes them weak symbols, and of those a process uses
    the copy it met first: a result's bits would depend on what had been compiled or loaded before. Here the copies are
    local to the library, except in the IR that callers are linked with.
    """

    def _finalize_final_module(self):
        self._copies = [each.name for each in self.get_defined_functions() if each.linkage == Linkage.linkonce_odr]
        for name in self._copies:
            self._final_module.get_function(name).linkage = Linkage.internal
        super()._finalize_final_module()

    def _get_module_for_linking(self):
        if self._shared_module is None:
            super()._get_module_for_linking()
            for name in self._copies:
                self._shared_module.get_function(name).linkage = Linkage.linkonce_odr
        return self._shared_module


class _Compiler(Compiler):
    def compile_extra(self, func):
        self.state.library = _Library(self.state.targetctx.codegen(), func.__qualname__)
        self.state.library.enable_object_caching()
        with _threads.keeping_openmp_count():
            return super().compile_extra(func)


def jit(function=None, *, fastmath=True, parallel=False, inline=False, merge=False, naive=None):
    """Compile `function` on first call: no GIL, IEEE division, the project's fast-math set, cached on disk.

    ``fastmath=False`` is for code whose rounding must stay as written (error-compensated polynomials);
    ``inline=True`` tells LLVM to merge the function into its callers, which are jitted; called from Python, it runs as
    Python. ``merge=True`` lets Numba do so before it compiles them: for thin layers over large functions, since a layer
    compiled on its own optimises all below it once more. Nothing is compiled at import. Under ``NUMBA_DISABLE_JIT`` the
    function itself is returned, or `naive`, its definition with the same arguments.
    """
    if function is None:
        return functools.partial(jit, fastmath=fastmath, parallel=parallel, inline=inline, merge=merge, naive=naive)
    if DISABLED:
        return naive or function
    dispatcher = _Planned.__new__(_Planned)
    object.__setattr__(dispatcher, "_plan", (function, fastmath, parallel, inline, merge))
    return dispatcher


class _Planned(CPUDispatcher):
    """A dispatcher before its first use, at which it becomes what `numba.njit` makes.

    Numba takes about 0.1 ms to make one and half of that to free it; this package has over a thousand, and a program
    uses a few of them. The object stays the same, so whoever holds it (a closure, another module) need not know;
    after its first use nothing is left of this class.
    """

    def __getattribute__(self, name):
        _make(self)
        return object.__getattribute__(self, name)

    def __call__(self, *arguments, **keywords):
        _make(self)
        return self(*arguments, **keywords)


_Planned.__name__ = CPUDispatcher.__name__  # Numba writes it into the name of the dispatcher's type
_making = threading.RLock()


def _make(dispatcher):
    """Turn a planned dispatcher into Numba's, unless this has happened or this thread is doing it already."""
    with _making:
        plan = object.__getattribute__(dispatcher, "__dict__").pop("_plan", None)
        if plan is None:
            return
        function, fastmath, parallel, inline, merge = plan
        _apart(function)
        like = _prototype(fastmath, parallel, inline, merge)
        CPUDispatcher.__init__(dispatcher, function, dict(like.locals), dict(like.targetoptions), _Compiler)
        if inline:  # there is no wrapper that Numba could call
            dispatcher._insert = lambda *overload: None
            dispatcher._compile_for_args = lambda *arguments, **options: function
        # Only this package's own functions: the digest covers no other sources.
        if cache_folder() is not None and Path(function.__code__.co_filename).is_relative_to(Path(__file__).parent):
            dispatcher._cache = _Cache(function, (fastmath, parallel, inline, _threads.only_workqueue))
        dispatcher.__class__ = CPUDispatcher


def _apart(function):
    """Give a closure a name that no other closure of its source has.

    Machine code is linked by symbols, and Numba makes a closure's of its name and a number that starts again in each
    process. Two closures of one source, cached by two processes, could have the same symbol; a third process would load
    both, and call one in place of the other.
    """
    if function.__closure__:
        digest = hashlib.sha256(repr(_closure_key(function)).encode()).hexdigest()[:16]
        function.__qualname__ = f"{function.__code__.co_qualname}_{digest}"


@functools.cache
def _prototype(fastmath, parallel, inline, merge):
    """Any function's dispatcher of these options: made by Numba's own decorator."""
    return numba.njit(
        fastmath=FASTMATH if fastmath else False,
        parallel=parallel,
        forceinline=inline,
        inline="always" if merge else "never",
        nogil=True,
        error_model="numpy",
        no_cpython_wrapper=inline,  # a wrapper takes as long to compile as a small function
        no_cfunc_wrapper=True,
    )(lambda: None)


class Compiled(dict):
    """From each dtype to the machine code of `function` for arguments of the types ``types(dtype)``.

    Numba searches for it at each call, which takes about as long as a loop over 1,000 elements; here it is found once.
    It takes arrays of any layout where the type's is "A", and what it is given is not checked.
    """

    __slots__ = ("function", "types")

    def __init__(self, function, types):
        self.function, self.types = function, types

    def __missing__(self, dtype):
        if DISABLED:
            return self.function
        compiled = self[dtype] = self.function.compile(self.types(numba.from_dtype(dtype)))
        return compiled
