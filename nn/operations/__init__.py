"""The operations of `nn.Tensor`: free functions in one form, compute the result and `record` its backward."""

from nn.operations import (
    aliases,
    arithmetic,
    comparison,
    conversion,
    counting,
    creation,
    creation_like,
    deviations,
    elementwise,
    elementwise_functions,
    elementwise_rounding,
    elementwise_several,
    extremes,
    joining,
    layout,
    lookup,
    matrices,
    norms,
    orders,
    products,
    reductions,
    repeating,
    scans,
    scattering,
    shapes,
    sorting,
    strides,
)
from nn.operations.aliases import *
from nn.operations.arithmetic import *
from nn.operations.comparison import *
from nn.operations.conversion import *
from nn.operations.counting import *
from nn.operations.creation import *
from nn.operations.creation_like import *
from nn.operations.deviations import *
from nn.operations.einsum import einsum
from nn.operations.elementwise import *
from nn.operations.elementwise_functions import *
from nn.operations.elementwise_rounding import *
from nn.operations.elementwise_several import *
from nn.operations.extremes import *
from nn.operations.joining import *
from nn.operations.layout import *
from nn.operations.lookup import *
from nn.operations.matrices import *
from nn.operations.norms import *
from nn.operations.orders import *
from nn.operations.products import *
from nn.operations.reductions import *
from nn.operations.repeating import *
from nn.operations.scans import *
from nn.operations.scattering import *
from nn.operations.shapes import *
from nn.operations.sorting import *
from nn.operations.strides import *

__all__ = ["einsum"]
__all__ += aliases.__all__
__all__ += arithmetic.__all__
__all__ += comparison.__all__
__all__ += conversion.__all__
__all__ += counting.__all__
__all__ += creation.__all__
__all__ += creation_like.__all__
__all__ += deviations.__all__
__all__ += elementwise.__all__
__all__ += elementwise_functions.__all__
__all__ += elementwise_rounding.__all__
__all__ += elementwise_several.__all__
__all__ += extremes.__all__
__all__ += joining.__all__
__all__ += layout.__all__
__all__ += lookup.__all__
__all__ += matrices.__all__
__all__ += norms.__all__
__all__ += orders.__all__
__all__ += products.__all__
__all__ += reductions.__all__
__all__ += repeating.__all__
__all__ += scans.__all__
__all__ += scattering.__all__
__all__ += shapes.__all__
__all__ += sorting.__all__
__all__ += strides.__all__
