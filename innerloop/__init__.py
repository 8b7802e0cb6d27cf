"""innerloop's packages under one name: ``innerloop.kernels`` and ``innerloop.nn`` are the modules `kernels` and `nn`.

`kernels` and `nn` are short, and other distributions have packages of these names; whichever was installed last is
found. ``import innerloop`` says so where it has happened.

>>> import innerloop, kernels
>>> innerloop.kernels is kernels
True
"""

from innerloop import _installation as _installation  # isort: split

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

import kernels
import nn
from kernels import __version__


class _Aliases(MetaPathFinder, Loader):
    """``innerloop.nn.functional`` and the like are the modules `nn.functional` themselves, not second copies."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.startswith(("innerloop.kernels.", "innerloop.nn.")) else None

    def create_module(self, spec):
        module = importlib.import_module(spec.name.removeprefix("innerloop."))
        spec.loader_state = module.__spec__  # the machinery is about to replace it
        return module

    def exec_module(self, module):
        module.__spec__ = module.__spec__.loader_state


sys.meta_path.insert(0, _Aliases())  # before the finders that would search the folders of `nn`
sys.modules |= {"innerloop.kernels": kernels, "innerloop.nn": nn}

__all__ = ["kernels", "nn"]
