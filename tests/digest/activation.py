"""Cases of `kernels.activation`."""

import numpy as np

from tests.checking import LAYOUTS

# Function -> its parameters.
ELEMENTWISE = {
    "relu": (), "leaky_relu": (0.2,), "elu": (0.5,), "selu": (), "celu": (1.5,), "gelu": (), "silu": (), "mish": (),
    "sigmoid": (), "tanh": (), "exp": (), "softplus": (2.0, 3.0), "hardtanh": (-2.0, 0.5), "hardswish": (),
    "hardsigmoid": (), "logsigmoid": (), "erf": (), "erfc": (), "expm1": (), "log1p": (), "rsqrt": (), "lgamma": (),
    "digamma": (),
}  # fmt: skip
OF_RESULT = ("relu", "sigmoid", "tanh", "exp", "expm1", "rsqrt")  # their backward takes y instead of x


def elementwise(run, name, parameters, shape, layout=None):
    x = run.normal(*shape) * run.dtype.type(3)
    _elementwise(run, name, parameters, LAYOUTS[layout](x) if layout else x)


def specials(run, name, parameters):
    """Values of every magnitude, infinities and NaN included."""
    powers = np.ldexp(1.0, np.arange(-160, 150)).astype(run.dtype)
    x = np.concatenate([powers, -powers, [0.0, -0.0, np.inf, -np.inf, np.nan]], dtype=run.dtype)
    _elementwise(run, name, parameters, x)


def _elementwise(run, name, parameters, x):
    y = run.call(name, x, *parameters)
    run.call(name, x, *parameters, out=np.zeros_like(y))
    run.call(f"{name}_backward", run.normal(*y.shape), y if name in OF_RESULT else x, *parameters)


def prelu(run, shape, weights):
    x, weight = run.normal(*shape), run.normal(weights)
    y = run.call("prelu", x, weight, out=np.zeros_like(x))
    run.call("prelu", x, weight)
    run.call("prelu_backward", run.normal(*y.shape), x, weight)


def glu(run, shape, dim):
    x = run.normal(*shape)
    y = run.call("glu", x, dim)
    run.call("glu", x, dim, out=np.zeros_like(y))
    run.call("glu_backward", run.normal(*y.shape), x, dim)


def ladder(run, name, parameters):
    for size in (5, 16, 33, 1000):
        run.rungs("activation", name, run.normal(size), run.zeros(size), *parameters)


def ladder_of_prelu(run, size):
    run.rungs("activation", "prelu", run.normal(2, 3, size), run.normal(3), run.zeros(2, 3, size))


def ladder_of_glu(run, size):
    run.rungs("activation", "glu", run.normal(3, 2, size), run.zeros(3, size))


SHAPES = ((), (1,), (0, 3), (24,), (4, 37), (200, 301))
CASES = [
    *((elementwise, name, parameters, shape) for name, parameters in ELEMENTWISE.items() for shape in SHAPES),
    *((specials, name, parameters) for name, parameters in ELEMENTWISE.items()),
    *((elementwise, name, (), (20, 30), layout) for name in ("relu", "tanh") for layout in ("fortran", "strided")),
    *((elementwise, "gelu", ("tanh",), shape) for shape in SHAPES),
    (specials, "gelu", ("tanh",)),
    *((prelu, shape, 1) for shape in SHAPES[3:]),
    *((prelu, shape, shape[1]) for shape in ((5, 37), (2, 3, 33), (8, 16, 30, 31))),
    *((glu, shape, dim) for shape in ((24,), (6, 8), (4, 10, 34), (64, 24, 48)) for dim in range(len(shape))),
    *((ladder, name, parameters) for name, parameters in ELEMENTWISE.items()),
    (ladder, "gelu_tanh", ()),
    *((function, size) for function in (ladder_of_prelu, ladder_of_glu) for size in (5, 33, 100)),
]
