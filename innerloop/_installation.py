"""Imported first: says which of `nn` and `kernels` is another distribution's, whose import may fail by itself."""

from importlib.util import find_spec
from pathlib import Path

MARK = b'__distribution__ = "innerloop"'

for _name in ("kernels", "nn"):
    _spec = find_spec(_name)
    _found = _spec and (_spec.origin if _spec.has_location else list(_spec.submodule_search_locations or ()))
    if not isinstance(_found, str) or MARK not in Path(_found).read_bytes():
        raise ImportError(
            f"innerloop: `import {_name}` finds {_found}, which is another distribution's or folder's: pip uninstall "
            f"{_name}, then install innerloop again, or keep the two in different environments"
        )
