"""Whether another distribution has overwritten a package of this one.

Hugging Face's `kernels` and PyPI's `nn` install folders of the same names as ours. pip neither refuses that nor says
so: the files of one lie over those of the other.
"""

import warnings
from pathlib import Path

MARK = b'__distribution__ = "innerloop"'


def warn_of_overwritten(own_file, name="nn"):
    """Warn where the package `name` beside that of `own_file` is not ours: one small file is read, nothing imported."""
    other = Path(own_file).parent.with_name(name) / "__init__.py"
    try:
        ours = MARK in other.read_bytes()
    except OSError:  # not installed as files, or left out: nothing has been written over it
        return
    if not ours:
        warnings.warn(
            f"kernels: {other} is not innerloop's: another distribution named {name!r} has been installed over it, so "
            f"`import {name}` has none of innerloop's layers. pip uninstall {name}, then install innerloop again, or "
            "keep the two in different environments",
            stacklevel=3,
        )
