r"""One step of a recurrent network, on weights as they lie.

For a single step packed weights would cost more than they bring: every weight is used only once a sequence. One
sequence meets them as dot products, which read each weight where it stands; several go through `gemm`, which packs what
it is about to use. Threads share the hidden units, each computing all gates of its own.
"""

import numpy as np
from numba import boolean, int64, prange

from kernels import _threads
from kernels._jit import Compiled, jit
from kernels._threads import arrive, enter, leave
from kernels.gemm.ladder import PARALLEL_WORK, gemm
from kernels.gemm.micro import NV
from kernels.gemm.vector import dot_products
from kernels.recurrent.forward import CONTINUE, ONE, ZERO, copy_rows, strips_of
from kernels.recurrent.gates import GRU, LSTM, activate
from kernels.simd import allocate, flat, lane_count, release

NO, YES = np.bool_(False), np.bool_(True)  # plain values to Numba, which compiles a callee anew for each literal


@jit(merge=True)
def _add_product(x, B, K, weight, row, units, z, to, ldz):
    """``z[b, u] += x[b] · weight[row + u]`` for `units` rows of the weight."""
    if B == 1:
        dot_products(x, ZERO, weight, row * K, K, z, to, units, K)
    else:
        gemm(x, ZERO, K, ONE, weight, row * K, ONE, K, z, ZERO, CONTINUE, z, to, ldz, B, units, K, NO, YES)


@jit
def step(
    share, shares, kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep
):  # fmt: skip
    """The hidden units that fall to share number `share` of `shares`: x (B, I), h and c (B, H) to out, c_out and gates.

    A bias of size 0 counts as zeros, and c is of the LSTM alone.
    """
    B, inputs, H = x.shape[0], x.shape[1], out.shape[1]
    count, blocks = (4, 4) if kind == LSTM else (3, 4) if kind == GRU else (1, 1)
    unit, strips = NV * lane_count(out), strips_of(H, out)
    first, last = share * strips // shares * unit, min((share + 1) * strips // shares * unit, H)
    units = last - first
    if units <= 0:
        return
    X, Y, W, V = flat(x), flat(h), flat(weight_ih), flat(weight_hh)
    ldz = blocks * units
    z = allocate(out, B * ldz)
    for gate in range(count):
        to = gate * units
        from_h = 3 * units if kind == GRU and gate == 2 else to  # the candidate's two parts stay apart
        row = gate * H + first
        for b in range(B):
            for j in range(units):
                z[from_h + b * ldz + j] = 0
                z[to + b * ldz + j] = bias_ih[row + j] if bias_ih.size else 0
            if bias_hh.size:
                for j in range(units):
                    z[from_h + b * ldz + j] += bias_hh[row + j]
        _add_product(X, B, inputs, W, row, units, z, to, ldz)
        _add_product(Y, B, H, V, row, units, z, from_h, ldz)
    if kind == LSTM:
        copy_rows(flat(c), first, H, B, units, flat(c_out), first, H)
    activate(
        kind, B, first, last, z, -first, ldz, units, Y, H, flat(c_out), ZERO, flat(out), ZERO, H, flat(gates), ZERO,
        flat(c_out), ZERO, H, keep,
    )  # fmt: skip
    release(z)


@jit(parallel=True)
def _step_in_parallel(
    threads, kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep
):  # fmt: skip
    before, home = enter(threads)
    for share in prange(threads):
        arrive(home)
        step(np.int64(share), threads, kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep)
    leave(before)


def _types(kind):
    matrix, vector = kind[:, ::1], kind[::1]
    return (
        int64, matrix, matrix, matrix, matrix, matrix, vector, vector, matrix, matrix, matrix, boolean,
    )  # fmt: skip


_compiled = Compiled(step, lambda kind: (int64, int64, *_types(kind)))
_compiled_parallel = Compiled(_step_in_parallel, lambda kind: (int64, *_types(kind)))


def run(kind, x, *arrays_and_keep):
    """`step` on as many threads as it is worth; arguments as its own from `kind` on."""
    weight_ih, weight_hh = arrays_and_keep[2:4]
    if len(x) * (weight_ih.size + weight_hh.size) < PARALLEL_WORK or _threads._count == 1:
        _compiled[x.dtype](0, 1, kind, x, *arrays_and_keep)
    else:
        _compiled_parallel[x.dtype](_threads._count, kind, x, *arrays_and_keep)
