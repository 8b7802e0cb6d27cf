r"""Functions on vectors that only activations need, each for the range of arguments that occurs.

Like those of `simd.math` they are polynomials after a range reduction, compiled without fast-math. The
polynomials of the normal distribution minimise the largest absolute error of the result in units of float32's rounding
(2⁻²⁴); that of the logarithm interpolates at Chebyshev nodes.
"""

import math

from kernels import simd
from kernels._jit import jit
from kernels._plain import only_compiled
from kernels.simd.bits import power_of_two
from kernels.simd.math import (
    EXP_32,
    EXP_64,
    LN2_HIGH_32,
    LN2_HIGH_64,
    LN2_LOW_32,
    LN2_LOW_64,
    LOG2_E,
    _for_vectors,
    polynomial,
)
from kernels.simd.vector import round_even

SQRT_HALF = math.sqrt(0.5)
DENSITY_AT_0 = 1 / math.sqrt(2 * math.pi)

# log(1 + x) / x on [0, 1], relative error 9e-10 and 2e-18
LOG1P_32 = (
    0.0019866965936534607,
    -0.013187826565578387,
    0.041006573693958392,
    -0.081880409235828432,
    0.12377995867871511,
    -0.16087623009295731,
    0.19885820285008451,
    -0.24986496459409927,
    0.33332497543526519,
    -0.49999979491391229,
    0.99999999915568227,
)
LOG1P_64 = (
    -1.6020216725538193e-5,
    0.00019330794553431146,
    -0.0011093809681700343,
    0.004047809893467512,
    -0.01061469636358553,
    0.021511022653356974,
    -0.035530525401441245,
    0.05007742395391704,
    -0.062887546707831463,
    0.073290152555349544,
    -0.08207163680437429,
    0.090555675155907331,
    -0.099921278217600168,
    0.11109740896460193,
    -0.12499817769513954,
    0.1428569630956731,
    -0.16666665403691092,
    0.19999999940349815,
    -0.24999999998264811,
    0.33333333333306461,
    -0.49999999999999834,
    1.0,
)

# log2 Φ(-x): 0.13 units of error in Φ. From 6 on, where Φ(-x) < 1e-9, it only has to decrease.
NORMAL_TAIL_32 = (
    -2.7720211336955815e-06,
    3.8620424688300355e-05,
    -0.00018254613847578047,
    -0.00014587347122869745,
    0.007075475790414645,
    -0.0525050311181331,
    -0.45920490666611835,
    -1.151105723543594,
    -0.9999999782830467,
)
# From here on Φ(-x) is taken as 0: the polynomial is -127 here, and erf in float64 is 1.
LAST_32, LAST_64 = 9.98, 39.0
# 2**f on [-1/2, 1/2], relative error 3e-9
POWER_32 = (
    0.00015461444698569129,
    0.0013400428177615838,
    0.0096180566785246381,
    0.055503272266703021,
    0.24022650922288758,
    0.6931472067028326,
    1.0,
)
# The derivative Φ(-x) - x φ(x), divided by the tail that the two polynomials above give: 0.1 units of error in the
# derivative, fitted so that it stays accurate where it tends to 0: relative error 2e-6 up to x = 4, 4e-5 up to 5.
GELU_DERIVATIVE_32 = (
    -2.0087053162822497e-06,
    3.133546265288094e-05,
    -0.00021554878227218537,
    0.0008678675890029233,
    -0.0020984188084151897,
    0.0010504363782350172,
    0.018573997203860555,
    -0.1088036533185609,
    -0.6366573989880062,
    -0.797881859672323,
    0.999999983486191,
)

# erfc(x) exp(x**2) (1 + 2 x) in u = (x - 3) / (x + 3) on [1/2, 10.1] and [1/2, 27.3], relative error 4e-9 and 2e-18.
# From there on erfc is 0.
ERFC_32 = (
    -0.0005421525888460399,
    0.0018252134306764995,
    0.00239982915704806,
    -0.023756820656651682,
    0.0683360583056514,
    -0.11927503033453725,
    0.12964278552055597,
    -0.047562229691103665,
    -0.13562105087191592,
    1.2530080575952898,
)
ERFC_64 = (
    -4.479678454351181e-09,
    -1.0575426587499e-08,
    3.4689211985167694e-08,
    9.854743608024783e-08,
    -1.3490982649662046e-07,
    -6.143735294631944e-07,
    3.5312279890170237e-07,
    3.471449406239056e-06,
    -7.302517936799855e-07,
    -2.010031084397341e-05,
    4.949229719923908e-06,
    0.00012509931163980702,
    -0.00010515977124704049,
    -0.0007798322690762081,
    0.0018886903577394962,
    0.00252939181611822,
    -0.02377051491863058,
    0.06830802734395484,
    -0.11927366341530837,
    0.1296451587027618,
    -0.04756229435345074,
    -0.1356211061245812,
    1.2530080582697296,
)


@jit(inline=True)
def quotient(x, divisor):
    """x / divisor for a scalar divisor whose reciprocal may be too large for float32."""
    lift = 2.0**64 if abs(divisor) < 2.0**-64 else 1.0
    return x * lift * (1.0 / (divisor * lift))


def expm1_negative(x):
    """exp(x) - 1 for x <= 40, accurate for small x, too; for larger x the result is arbitrary."""
    raise only_compiled("expm1_negative")


def _make_expm1(ln2_high, ln2_low, coefficients):
    def expm1_lanes(x):
        # exp(x) - 1 = 2**n (exp(r) - 1) + (2**n - 1); below -40 it rounds to -1
        x = simd.select(x < -40.0, -40.0, x)
        n = round_even(x * LOG2_E)
        r = simd.fma(n, -ln2_low, simd.fma(n, -ln2_high, x))
        scale = power_of_two(n)
        return simd.fma(scale, simd.fma(polynomial(r, coefficients) * r, r, r), scale - 1.0)

    return expm1_lanes


_for_vectors(expm1_negative, _make_expm1(LN2_HIGH_32, LN2_LOW_32, EXP_32), _make_expm1(LN2_HIGH_64, LN2_LOW_64, EXP_64))


def log1p_unit(x):
    """log(1 + x) for 0 <= x <= 1."""
    raise only_compiled("log1p_unit")


def _log1p_unit_32(x):
    return polynomial(x, LOG1P_32) * x


def _log1p_unit_64(x):
    return polynomial(x, LOG1P_64) * x


_for_vectors(log1p_unit, _log1p_unit_32, _log1p_unit_64)


@jit(inline=True, fastmath=False)
def _normal_tail_32(x):
    """Φ(-x) for 0 <= x <= LAST_32."""
    exponent = polynomial(x, NORMAL_TAIL_32)
    n = round_even(exponent)
    return polynomial(exponent - n, POWER_32) * power_of_two(n)  # n = -127 gives the factor 0


@jit(inline=True, fastmath=False)
def _normal_tail_64(x):
    return 0.5 - 0.5 * simd.erf(x * SQRT_HALF)


def gelu_deficit(x):
    """x Φ(-x) for x >= 0: max(x, 0) - gelu(x)."""
    raise only_compiled("gelu_deficit")


def _gelu_deficit_32(x):
    x = simd.select(x > LAST_32, LAST_32, x)
    return x * _normal_tail_32(x)


def _gelu_deficit_64(x):
    x = simd.select(x > LAST_64, LAST_64, x)
    return x * _normal_tail_64(x)


_for_vectors(gelu_deficit, _gelu_deficit_32, _gelu_deficit_64)


def gelu_derivative(x):
    """Φ(-x) - x φ(x) for x >= 0, the derivative of gelu at -x; at x it is 1 minus that."""
    raise only_compiled("gelu_derivative")


def _gelu_derivative_32(x):
    x = simd.select(x > LAST_32, LAST_32, x)
    return _normal_tail_32(x) * polynomial(x, GELU_DERIVATIVE_32)


def _gelu_derivative_64(x):
    x = simd.select(x > LAST_64, LAST_64, x)
    return _normal_tail_64(x) - x * (simd.exp(-0.5 * x * x) * DENSITY_AT_0)


_for_vectors(gelu_derivative, _gelu_derivative_32, _gelu_derivative_64)


def expm1(x):
    """exp(x) - 1 of each lane, accurate for small x. Maximum error 2.0 ULP."""
    raise only_compiled("expm1")


def _expm1_lanes(x):
    return simd.select(x > 40.0, simd.exp(x), expm1_negative(simd.select(x > 40.0, 40.0, x)))  # the 1 rounds away


_for_vectors(expm1, _expm1_lanes, _expm1_lanes)


def erfc(x):
    """1 - erf(x) of each lane, accurate where that is small. Maximum error 4.2 ULP."""
    raise only_compiled("erfc")


def _make_erfc(last, coefficients):
    def erfc_lanes(x):
        y = simd.absolute(x)
        y = simd.select(y > last, last, y)
        square = y * y
        lost = simd.fma(y, y, -square)  # what rounding the square dropped: exp(-y**2) = exp(-square) (1 - lost)
        tail = simd.exp(-square) * (polynomial((y - 3.0) / (y + 3.0), coefficients) / simd.fma(y, 2.0, 1.0))
        tail = simd.fma(-lost, tail, tail)
        return simd.select(y < 0.5, 1.0 - simd.erf(x), simd.select(x < 0.0, 2.0 - tail, tail))

    return erfc_lanes


_for_vectors(erfc, _make_erfc(10.1, ERFC_32), _make_erfc(27.3, ERFC_64))
