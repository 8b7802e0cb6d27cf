r"""The feed-forward part of a transformer: two linear layers with an activation, or a gate, between them.

.. math::
    z = x W_1^\top + b_1, \qquad h = f(z), \qquad y = h W_2^\top + b_2
    \qquad x: M \times K,\; W_1: H \times K,\; W_2: N \times H

With "swiglu" [1]_, :math:`W_1` has 2 H rows, those of the gate and then those of the value, and
:math:`h = \text{silu}(z_{gate}) \cdot z_{value}`.

2 M H (K + N) FLOPs. H is four times K as a rule, so h is larger than x and y together. It is computed and used in
blocks of BLOCK_ROWS rows, in memory that stays in the caches; z is stored as a whole only where a backward follows.

    for each block of rows:       z, h       K or N
        z = x W₁ᵀ + b₁          ┌──────┐    ┌──┐
        h = f(z)                │ here │    │  │  x, y
        y = h W₂ᵀ + b₂          ├──────┤    ├──┤
                                   ⋮          ⋮
Backward, by the same blocks, with h recomputed from z, which costs less than saving it:

.. math::
    dh = dy\, W_2, \quad dW_2 = dy^\top h, \quad dz = f'(z)\, dh, \quad dW_1 = dz^\top x, \quad dx = dz\, W_1

.. [1] N. Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
"""

import math

import numpy as np

from kernels import _checks, _elementwise
from kernels._jit import jit
from kernels.activation.formulas import BACKWARD_FORMULAS, FORMULAS
from kernels.activation.smooth import silu_lanes
from kernels.affine import linear
from kernels.gemm.driver import NO_BIAS, product
from kernels.gemm.micro import ADD, BIAS, MR, STORE
from kernels.reduction import sum as sum_over

# Rows of a block, at most. Each block packs the weights again, which is negligible from about 300 rows on.
BLOCK_ROWS = 36 * MR
ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu", "swiglu")


@jit(inline=True)
def _product_lanes(a, b):
    return a * b


@jit(inline=True)
def _gated_lanes(gate, value):
    return silu_lanes(gate) * value


_activate = {name: _elementwise.unary(FORMULAS[name]) for name in ACTIVATIONS[:-1]}
_derivative = {name: _elementwise.binary(BACKWARD_FORMULAS[name]) for name in ACTIVATIONS[:-1]}
_gate, _multiply = _elementwise.binary(_gated_lanes), _elementwise.binary(_product_lanes)


@jit
def _hidden_naive(kind, z, value):
    """One element of h, `kind` being the activation's place in ACTIVATIONS."""
    if kind == 0:
        return max(z, 0.0)
    if kind == 1:
        return 0.5 * z * (1 + math.erf(z / math.sqrt(2.0)))
    if kind == 2:
        return 0.5 * z * (1 + math.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))
    return z / (1 + math.exp(-z)) * (value if kind == 4 else 1.0)


@jit
def _naive(x, weight1, bias1, weight2, bias2, kind, out):
    M, K = x.shape
    N, H = weight2.shape
    hidden = np.empty(H, x.dtype)
    for i in range(M):
        for h in range(H):
            gate, value = bias1[h], bias1[H + h] if kind == 4 else bias1[h]
            for p in range(K):
                gate += x[i, p] * weight1[h, p]
                value += x[i, p] * weight1[H + h, p] if kind == 4 else 0
            hidden[h] = _hidden_naive(kind, gate, value)
        for j in range(N):
            out[i, j] = bias2[j]
            for h in range(H):
                out[i, j] += hidden[h] * weight2[j, h]


def feed_forward_naive(x, weight1, bias1, weight2, bias2, activation, out):
    """The definition, a row at a time."""
    _naive(x, weight1, bias1, weight2, bias2, ACTIVATIONS.index(activation), out)


def feed_forward_steps(x, weight1, bias1, weight2, bias2, activation, out):
    """Adds the loops of `linear`, with all of z and h in memory."""
    if activation == "swiglu":
        gate, value = np.split(linear(x, weight1, bias1), 2, axis=1)
        gate, value = np.ascontiguousarray(gate), np.ascontiguousarray(value)
        _elementwise.run(_gate, gate, value, gate)
    else:
        gate = linear(x, weight1, bias1, activation)
    linear(gate, weight2, bias2, out=out)


def feed_forward_blocks(x, weight1, bias1, weight2, bias2, activation, out):
    """Adds blocks of rows, and with them a bound on the memory."""
    _forward(x, weight1, bias1, weight2, bias2, activation, None, out)


VARIANTS = {
    "feed_forward": {"naive": feed_forward_naive, "two steps": feed_forward_steps, "blocks": feed_forward_blocks}
}


# --- blocks of rows --------------------------------------------------------------------------------------------------


def _blocks(M):
    """Ranges of rows, about equally long."""
    rows = -(-M // max(-(-M // BLOCK_ROWS), 1))
    return [slice(first, min(first + rows, M)) for first in range(0, M, rows)] if M else []


def _affine(x, weight, bias, out):
    product(x, weight.T, bias, BIAS if bias.size else STORE, out)


def _forward(x, weight1, bias1, weight2, bias2, activation, preactivation, out):
    """All arrays 2-D but for the biases (size 0: none) and `preactivation`, (parts, M, H) or None."""
    H, parts, blocks = weight2.shape[1], 1 + (activation == "swiglu"), _blocks(len(x))
    rows_max = blocks[0].stop if blocks else 0
    scratch = np.empty((parts if preactivation is None else 1, rows_max, H), x.dtype)
    for rows in blocks:
        count = rows.stop - rows.start
        z = scratch[:, :count] if preactivation is None else preactivation[:, rows]
        hidden = scratch[0, :count]
        for part in range(parts):
            units = slice(part * H, (part + 1) * H)
            _affine(x[rows], weight1[units], bias1[units], z[part])
        if parts == 2:
            _elementwise.run(_gate, z[0], z[1], hidden)
        else:
            _elementwise.run(_activate[activation], z[0], hidden)
        _affine(hidden, weight2, bias2, out[rows])


def _hidden_and_dz(activation, z, dz, hidden):
    """Write h, and dz, (parts, rows, H), in place of dh, which is in its first part."""
    if activation != "swiglu":
        (z,), (dz,) = z, dz
        _elementwise.run(_activate[activation], z, hidden)
        _elementwise.run(_derivative[activation], dz, z, dz)
        return
    (gate, value), (dgate, dvalue) = z, dz
    _elementwise.run(_activate["silu"], gate, hidden)
    _elementwise.run(_multiply, dgate, hidden, dvalue)
    _elementwise.run(_multiply, hidden, value, hidden)
    _elementwise.run(_multiply, dgate, value, dgate)
    _elementwise.run(_derivative["silu"], dgate, gate, dgate)


def _backward(dy, x, weight1, weight2, preactivation, activation, gradients):
    """Write dx, dweight1, dbias1, dweight2 and dbias2, of which each may be None."""
    dx, dweight1, dbias1, dweight2, dbias2 = gradients
    H, parts, blocks, none = weight2.shape[1], len(preactivation), _blocks(len(x)), NO_BIAS[x.dtype]
    rows_max = blocks[0].stop if blocks else 0
    scratch = np.empty((parts + 1, rows_max, H), x.dtype)
    for gradient in gradients[1:]:
        if gradient is not None and not blocks:
            gradient[...] = 0
    for rows in blocks:
        mode, count = ADD if rows.start else STORE, rows.stop - rows.start
        hidden, dz = scratch[0, :count], scratch[1:, :count]
        product(dy[rows], weight2, none, STORE, dz[0])
        _hidden_and_dz(activation, preactivation[:, rows], dz, hidden)
        if dweight2 is not None:
            product(dy[rows].T, hidden, none, mode, dweight2)
        if dbias2 is not None:
            np.add(sum_over(dy[rows], 0), dbias2 if rows.start else 0, out=dbias2)
        for part in range(parts):
            units = slice(part * H, (part + 1) * H)
            if dweight1 is not None:
                product(dz[part].T, x[rows], none, mode, dweight1[units])
            if dbias1 is not None:
                np.add(sum_over(dz[part], 0), dbias1[units] if rows.start else 0, out=dbias1[units])
            if dx is not None:
                product(dz[part], weight1[units], none, ADD if part else STORE, dx[rows])


# --- public functions ------------------------------------------------------------------------------------------------


def _checked(operation, x, weight1, weight2, activation):
    """Validate and return x, weight1 and weight2."""
    _checks.choice(operation, "activation", activation, ACTIVATIONS)
    x, weight1, weight2 = (
        _checks.floats(operation, name, array) for name, array in (("x", x), ("weight1", weight1), ("weight2", weight2))
    )
    _checks.same_dtype(operation, x=x, weight1=weight1, weight2=weight2)
    for name, weight in (("weight1", weight1), ("weight2", weight2)):
        if weight.ndim != 2:
            raise ValueError(f"{operation}: {name} must have 2 dimensions, got shape {weight.shape}")
    if not x.ndim or x.shape[-1] != weight1.shape[1]:
        raise ValueError(f"{operation}: inner dimensions differ: x is {x.shape}, weight1 is {weight1.shape}")
    parts = 1 + (activation == "swiglu")
    if weight1.shape[0] != parts * weight2.shape[1]:
        raise ValueError(
            f'{operation}: with "{activation}" weight1 must have {parts} x {weight2.shape[1]} rows for weight2 '
            f"{weight2.shape}, got {weight1.shape}"
        )
    return x, weight1, weight2


def _saved_shape(x, weight2, activation):
    """Shape of the pre-activations; with "swiglu" the gate's come first, then the value's."""
    shape = (*x.shape[:-1], weight2.shape[1])
    return (2, *shape) if activation == "swiglu" else shape


def feed_forward(x, weight1, bias1, weight2, bias2, activation="gelu", *, out=None, preactivation=None):
    """``f(x @ weight1.T + bias1) @ weight2.T + bias2``, the hidden layer a block of rows at a time.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(..., K)``.
    weight1, bias1 : array
        Shapes ``(H, K)`` and ``(H,)``; with "swiglu" ``(2 H, K)`` and ``(2 H,)``, the gate's first. The bias may be
        None.
    weight2, bias2 : array
        Shapes ``(N, H)`` and ``(N,)``; the bias may be None.
    activation : {"gelu", "gelu_tanh", "relu", "silu", "swiglu"}
        The function f; "gelu" is the exact (erf) form, "swiglu" is ``silu(gate) * value``.
    out, preactivation : array, optional
        C-contiguous: receive the result, ``(..., N)``, and what f is applied to, for the backward: ``(..., H)``, with
        "swiglu" ``(2, ..., H)``.

    Returns
    -------
    array
        Shape ``(..., N)``.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        Inner dimensions that differ, a bias that does not have one element for each row of its weight, an unknown
        activation, an unsuitable `out` or `preactivation`.

    Reference
    ---------
    A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import feed_forward
    >>> feed_forward(np.array([[1.0, -1.0]]), np.eye(2), None, np.ones((1, 2)), np.array([0.5]), "relu")
    array([[1.5]])
    """
    name = "feed_forward"
    x, weight1, weight2 = _checked(name, x, weight1, weight2, activation)
    biases = {}
    for key, bias, weight in (("bias1", bias1, weight1), ("bias2", bias2, weight2)):
        biases[key] = NO_BIAS[x.dtype]
        if bias is not None:
            biases[key] = bias = _checks.floats(name, key, bias)
            _checks.same_dtype(name, x=x, **{key: bias})
            if bias.shape != weight.shape[:1]:
                raise ValueError(f"{name}: {key} must have shape {weight.shape[:1]}, got {bias.shape}")
    inputs = {"x": x, "weight1": weight1, "weight2": weight2} | biases
    if out is not None:
        _checks.no_overlap(name, _checks.output(name, out, (*x.shape[:-1], len(weight2)), x.dtype), **inputs)
    out = _checks.output(name, out, (*x.shape[:-1], len(weight2)), x.dtype)
    M, H = math.prod(x.shape[:-1]), weight2.shape[1]
    saved = None
    if preactivation is not None:
        shape = _saved_shape(x, weight2, activation)
        saved = _checks.output(name, preactivation, shape, x.dtype, "preactivation")
        _checks.no_overlap(name, saved, **inputs)
        if np.may_share_memory(out, saved):
            raise ValueError(f"{name}: out overlaps preactivation")
        saved = saved.reshape(1 + (activation == "swiglu"), M, H)
    rows, flat_out = x.reshape(M, x.shape[-1]), out.reshape(M, len(weight2))
    _forward(rows, weight1, biases["bias1"], weight2, biases["bias2"], activation, saved, flat_out)
    return out


def feed_forward_backward(
    dy, x, weight1, weight2, preactivation, activation="gelu", *, needs=(True, True, True, True, True)
):
    """Gradients of `feed_forward`.

    Parameters
    ----------
    dy : array
        Gradient of the result, shape ``(..., N)``.
    x, weight1, weight2, activation
        The forward's arguments.
    preactivation : array
        What the forward put there.
    needs : tuple of bool
        Which of the gradients are wanted.

    Returns
    -------
    dx, dweight1, dbias1, dweight2, dbias2 : array or None

    Raises
    ------
    TypeError, ValueError
        As `feed_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import feed_forward, feed_forward_backward
    >>> x, w1, b1, w2, b2 = (np.ones(shape) for shape in ((4, 3), (8, 3), 8, (2, 8), 2))
    >>> pre = np.empty((4, 8))
    >>> y = feed_forward(x, w1, b1, w2, b2, "relu", preactivation=pre)
    >>> [g.shape for g in feed_forward_backward(np.ones_like(y), x, w1, w2, pre, "relu")]
    [(4, 3), (8, 3), (8,), (2, 8), (2,)]
    """
    name = "feed_forward_backward"
    x, weight1, weight2 = _checked(name, x, weight1, weight2, activation)
    expected = {"dy": (*x.shape[:-1], len(weight2)), "preactivation": _saved_shape(x, weight2, activation)}
    given = {"dy": dy, "preactivation": preactivation}
    for key, shape in expected.items():
        given[key] = _checks.floats(name, key, given[key])
        _checks.same_dtype(name, x=x, **{key: given[key]})
        if given[key].shape != shape:
            raise ValueError(f"{name}: {key} must have shape {shape}, got {given[key].shape}")
    M, K, (N, H) = math.prod(x.shape[:-1]), x.shape[-1], weight2.shape
    shapes = (M, K), weight1.shape, weight1.shape[:1], weight2.shape, (N,)
    gradients = [_checks.new(shape, x.dtype) if need else None for shape, need in zip(shapes, needs, strict=True)]
    saved = given["preactivation"].reshape(1 + (activation == "swiglu"), M, H)
    _backward(given["dy"].reshape(M, N), x.reshape(M, K), weight1, weight2, saved, activation, gradients)
    if needs[0]:
        gradients[0] = gradients[0].reshape(x.shape)
    return tuple(gradients)
