"""PyTorch's tables: ``torch.testing._internal`` is private, so this is the only file that imports it."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that PyTorch's test helpers import
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import FunctionInput, ModuleErrorEnum, ModuleInput, module_db
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db
    from torch.testing._internal.common_utils import noncontiguous_like
    from torch.testing._internal.opinfo.core import SampleInput

__all__ = [
    "FunctionInput",
    "ModuleErrorEnum",
    "ModuleInput",
    "OptimizerErrorEnum",
    "SampleInput",
    "module_db",
    "noncontiguous_like",
    "op_db",
    "optim_db",
]
