"""Imported first: says what is wrong where `kernels` is another distribution's."""

from pathlib import Path

import kernels

if getattr(kernels, "__distribution__", None) != "innerloop":
    found = getattr(kernels, "__file__", None) or list(getattr(kernels, "__path__", ()))
    ours = Path(__file__).parent.with_name("kernels")
    raise ImportError(
        f"nn: needs innerloop's package kernels, but `import kernels` finds {found}, of another distribution or folder "
        f"of that name. If that is in {ours.parent}, it was installed over innerloop's: pip uninstall kernels, then "
        "install innerloop again, or keep the two in different environments. If not, it comes first on sys.path: "
        "rename it, or run from another folder"
    )
