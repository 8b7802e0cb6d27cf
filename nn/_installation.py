"""Imported first: says what is wrong where `kernels` is another distribution's, whose import may fail by itself."""

from importlib.util import find_spec
from pathlib import Path

MARK = b'__distribution__ = "innerloop"'


def place(name):
    """Where ``import name`` would find a package: its file, or its folders, or None; and whether it is innerloop's."""
    spec = find_spec(name)
    if spec is None or not spec.has_location:
        return spec and list(spec.submodule_search_locations or ()), False
    path = Path(spec.origin)
    return path, path.is_file() and MARK in path.read_bytes()


def require(name, by):
    """Raise ImportError where the package `name`, which `by` needs, is not innerloop's."""
    found, ours = place(name)
    if not ours:
        raise ImportError(
            f"{by}: needs innerloop's package {name}, but `import {name}` finds {found}, of another distribution or "
            f"folder of that name. If that is in {Path(__file__).parents[1]}, it was installed over innerloop's: "
            f"pip uninstall {name}, then install innerloop again, or keep the two in different environments. If not, "
            "it comes first on sys.path: rename it, or run from another folder"
        )


require("kernels", by="nn")
