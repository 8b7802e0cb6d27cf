"""The second names that PyTorch has for some operations."""

from nn.operations import (
    arithmetic,
    comparison,
    elementwise,
    elementwise_functions,
    elementwise_rounding,
)
from nn.operations.elementwise_several import atan2

__all__ = ["absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "clip", "divide"]
__all__ += ["fix", "greater", "greater_equal", "less", "less_equal", "multiply", "negative", "not_equal", "subtract"]

absolute, negative = arithmetic.abs, arithmetic.neg
subtract, multiply, divide = arithmetic.sub, arithmetic.mul, arithmetic.div
clip, fix = elementwise.clamp, elementwise_rounding.trunc
arcsin, arccos, arctan = elementwise_functions.asin, elementwise_functions.acos, elementwise_functions.atan
arcsinh, arccosh, arctanh = elementwise_functions.asinh, elementwise_functions.acosh, elementwise_functions.atanh
greater, greater_equal = comparison.gt, comparison.ge
less, less_equal, not_equal = comparison.lt, comparison.le, comparison.ne
arctan2 = atan2
