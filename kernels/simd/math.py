r"""exp, log, tanh, sigmoid and erf on vectors, for both dtypes.

Each reduces its argument to a small interval by exact steps (Cody and Waite [1]_: a constant split in two parts, the
first short enough that its products are exact), evaluates a polynomial there by Horner's rule, and undoes the
reduction. The polynomials interpolate at Chebyshev nodes, in 60-digit arithmetic; their own error lies well below
half a unit in the last place (ULP), so what remains is rounding. The stated maximum errors are measured by
`tests/test_simd.py` over the whole range. These functions are compiled without fast-math: their rounding steps must
stay in the order written.

.. [1] W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980.
"""

from numba import types
from numba.extending import overload

from kernels._plain import intrinsic, only_compiled
from kernels.simd.bits import exponent, mantissa, power_of_two, times_power_of_two
from kernels.simd.emit import Vector, emit_fma, emit_splat
from kernels.simd.vector import absolute, copysign, fma, round_even, select

LOG2_E = 1.4426950408889634
SQRT_2 = 1.4142135623730951
INFINITY = float("inf")
NAN = float("nan")

# ln 2 = high + low; high has enough trailing zeros that n * high is exact for every exponent n
LN2_HIGH_32, LN2_LOW_32 = 0.693359375, -0.00021219444005469058
LN2_HIGH_64, LN2_LOW_64 = 0.6931471803691238, 1.9082149292705877e-10

# (exp(r) - 1 - r) / r**2 on [-ln 2 / 2, ln 2 / 2], highest power first; relative error of exp 1e-8 and 2e-19
EXP_32 = (
    0.0013926176119935579,
    0.0083631730745137109,
    0.041666554662050534,
    0.16666577025597988,
    0.5,
)
EXP_64 = (
    2.0914679376583935e-9,
    2.5105206373957011e-8,
    2.7557273661348636e-7,
    2.7557255425746434e-6,
    2.4801587325533364e-5,
    0.00019841269874800492,
    0.0013888888888883752,
    0.0083333333333261409,
    0.04166666666666667,
    0.16666666666666671,
    0.5,
)

# log(m) = 2 artanh(s), s = (m - 1) / (m + 1): the series 2/3, 2/5, 2/7 ... in s**2 <= 0.0295
LOG_32 = (2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3)
LOG_64 = (2 / 23, 2 / 21, 2 / 19, 2 / 17, 2 / 15, 2 / 13, 2 / 11, 2 / 9, 2 / 7, 2 / 5, 2 / 3)

# erf(x) / x - 1 in x**2 on [0, 1]
ERF_32 = (
    7.8758750626854883e-5,
    -0.00080168642871658695,
    0.005189087423433974,
    -0.026854212010626412,
    0.11283594715160218,
    -0.37612626666720331,
    0.12837916584835095,
)
ERF_64 = (
    -7.7958988270021422e-10,
    1.3720064546777686e-8,
    -1.6208483801871706e-7,
    1.6447424703317362e-6,
    -1.492473690741966e-5,
    0.00012055294904839708,
    -0.00085483259753896921,
    0.0052239776071164227,
    -0.02686617064323777,
    0.11283791670945006,
    -0.3761263890318354,
    0.12837916709551257,
)
# -log(erfc(x)) on [1, 4]: beyond 4 erf is 1 in float32
ERFC_32 = (
    -1.6371514145936436e-6,
    4.6058042689189779e-5,
    -0.00059680562566077971,
    0.0047595962932662646,
    -0.026421136005663897,
    0.11008008294882025,
    0.63182605155916301,
    1.130233434841994,
    -0.00032013804967769884,
)
# erfc(x) exp(x**2) (1 + 2x) in u = (x - 3) / (x + 3) on [1, 6]: beyond 6 erf is 1 in float64
ERFC_64 = (
    2.2849825479470049e-6,
    -1.0474106479832424e-6,
    -1.9724332775436145e-5,
    5.1110199446532373e-6,
    0.00012505121417501348,
    -0.00010518763242323468,
    -0.00077982945174830834,
    0.0018886926936596247,
    0.0025293917508951618,
    -0.023770515019766627,
    0.068308027343906444,
    -0.1192736634131923,
    0.129645158702778,
    -0.047562294353467642,
    -0.13562110612458127,
    1.2530080582697297,
)


@intrinsic
def polynomial(typingctx, x, coefficients):
    """``coefficients[0] * x**n + ... + coefficients[n]`` by Horner's rule, one fused multiply-add a coefficient."""

    def lower(context, builder, signature, arguments):
        value, constants = arguments

        def coefficient(index):
            constant = builder.extract_value(constants, index)
            return emit_splat(builder, x, context.cast(builder, constant, types.float64, x.dtype))

        total = coefficient(0)
        for index in range(1, len(coefficients)):
            total = emit_fma(builder, x, total, value, coefficient(index))
        return total

    return x(x, coefficients), lower


def _for_vectors(function, single, double):
    """Let jitted code call `function` on vectors: `single` or `double` by dtype, without fast-math, inlined."""

    @overload(function, jit_options={"fastmath": False, "forceinline": True})
    def choose(x):
        if isinstance(x, Vector):
            return single if x.dtype == types.float32 else double


def exp(x):
    """e to the power of each lane. exp(-inf) = 0, exp(inf) = inf, NaN stays NaN. Maximum error 1.0 ULP."""
    raise only_compiled("exp")


def _make_exp(lowest, highest, ln2_high, ln2_low, coefficients):
    coefficients = (*coefficients, 1.0, 1.0)  # exp(r) itself

    def exp_lanes(x):
        x = select(x < lowest, lowest, x)  # below: 0; a NaN stays
        x = select(x > highest, highest, x)  # above: inf
        n = round_even(x * LOG2_E)
        r = fma(n, -ln2_low, fma(n, -ln2_high, x))
        return times_power_of_two(polynomial(r, coefficients), n)

    return exp_lanes


_for_vectors(
    exp,
    _make_exp(-105.0, 89.0, LN2_HIGH_32, LN2_LOW_32, EXP_32),
    _make_exp(-746.0, 710.0, LN2_HIGH_64, LN2_LOW_64, EXP_64),
)


def tanh(x):
    """Hyperbolic tangent of each lane, odd to the sign of zero. Maximum error 2.6 ULP."""
    raise only_compiled("tanh")


def _make_tanh(saturated, ln2_high, ln2_low, coefficients):
    def tanh_lanes(x):
        # tanh(x) = t / (t + 2), t = exp(2 |x|) - 1 = 2**n (exp(r) - 1) + (2**n - 1): no cancellation near zero
        y = absolute(x)
        y = select(y > saturated, saturated, y) * 2.0
        n = round_even(y * LOG2_E)
        r = fma(n, -ln2_low, fma(n, -ln2_high, y))
        scale = power_of_two(n)
        t = fma(scale, fma(polynomial(r, coefficients) * r, r, r), scale - 1.0)
        return copysign(t / (t + 2.0), x)

    return tanh_lanes


_for_vectors(tanh, _make_tanh(10.0, LN2_HIGH_32, LN2_LOW_32, EXP_32), _make_tanh(20.0, LN2_HIGH_64, LN2_LOW_64, EXP_64))


def sigmoid(x):
    """1 / (1 + exp(-x)) of each lane, accurate into the denormals on the negative side. Maximum error 2.4 ULP."""
    raise only_compiled("sigmoid")


def _sigmoid_lanes(x):
    e = exp(-absolute(x))  # never overflows
    numerator = select(x < 0.0, e, 1.0)
    return numerator / (e + 1.0)


_for_vectors(sigmoid, _sigmoid_lanes, _sigmoid_lanes)


def log(x):
    """Natural logarithm of each lane. log(0) = -inf, log(inf) = inf, NaN for negative lanes. Maximum error 0.9 ULP."""
    raise only_compiled("log")


def _make_log(least_normal, lift, ln2_high, ln2_low, coefficients):
    factor = 2.0**lift

    def log_lanes(x):
        tiny = x < least_normal
        y = select(tiny, x * factor, x)  # a denormal lifted to a normal number
        m = mantissa(y)
        upper = m > SQRT_2
        m = select(upper, m * 0.5, m)  # into [sqrt(1/2), sqrt(2)]: the logarithm is small on both sides of 1
        e = exponent(y)
        e = select(upper, e + 1.0, e)
        e = select(tiny, e - lift, e)
        # log(1 + f) = f - (f**2/2 - s (f**2/2 + z series(z))): the small terms are summed before the large ones
        f = m - 1.0
        s = f / (f + 2.0)
        z = s * s
        square = f * f * 0.5
        small = fma(s, fma(polynomial(z, coefficients), z, square), e * ln2_low)
        result = fma(e, ln2_high, f - (square - small))
        result = select(x == INFINITY, x, result)
        result = select(x == 0.0, -INFINITY, result)
        return select(x >= 0.0, result, NAN)

    return log_lanes


_for_vectors(
    log,
    _make_log(1.1754943508222875e-38, 23.0, LN2_HIGH_32, LN2_LOW_32, LOG_32),
    _make_log(2.2250738585072014e-308, 52.0, LN2_HIGH_64, LN2_LOW_64, LOG_64),
)


def log1p(x):
    """log(1 + x) of each lane, accurate for small x (x > -1; -inf at -1). Maximum error 1.5 ULP."""
    raise only_compiled("log1p")


def _log1p_lanes(x):
    u = x + 1.0
    lost = x - (u - 1.0)  # what rounding 1 + x dropped, to first order
    result = log(u) + lost / u
    result = select(u == 1.0, x, result)
    return select(u == INFINITY, u, select(u == 0.0, -INFINITY, result))


_for_vectors(log1p, _log1p_lanes, _log1p_lanes)


def erf(x):
    """Error function of each lane, odd. Maximum error 1.2 ULP."""
    raise only_compiled("erf")


def _erf_lanes_32(x):
    y = absolute(x)
    near = fma(polynomial(x * x, ERF_32), x, x)
    t = select(y > 4.0, 4.0, y)  # erf(4) rounds to 1
    far = copysign(1.0 - exp(-polynomial(t, ERFC_32)), x)
    return select(y < 1.0, near, far)


def _erf_lanes_64(x):
    y = absolute(x)
    near = fma(polynomial(x * x, ERF_64), x, x)
    t = select(y > 6.0, 6.0, y)  # erf(6) rounds to 1
    u = (t - 3.0) / (t + 3.0)
    far = copysign(1.0 - exp(-t * t) * polynomial(u, ERFC_64) / fma(t, 2.0, 1.0), x)
    return select(y < 1.0, near, far)


_for_vectors(erf, _erf_lanes_32, _erf_lanes_64)
