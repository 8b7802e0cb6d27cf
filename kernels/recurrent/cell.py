r"""One step of a recurrent network, on weights as they lie.

For a single step packed weights would cost more than they bring: every weight is used only once a sequence. One
sequence meets them as dot products, which read each weight where it stands; several go through `gemm`, which packs what
it is about to use. Threads share the hidden units, each computing all gates of its own.
"""

import numpy as np
from numba import boolean, int64

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.gemm.micro import NV
from kernels.gemm.offsets import dot_products, gemm
from kernels.recurrent.forward import CONTINUE, ONE, ZERO, copy_rows, strips_of
from kernels.recurrent.gates import GRU, LSTM, activate, gates_and_blocks
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
    thread, stop, threads, kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep
):  # fmt: skip
    """The hidden units of the threads from `thread` to `stop` - 1 of `threads`: x (B, I), h and c (B, H) to out,
    c_out and gates.

    A bias of size 0 counts as zeros, and c is of the LSTM alone.
    """
    B, inputs, H = x.shape[0], x.shape[1], out.shape[1]
    count, blocks = gates_and_blocks(kind)
    unit, strips = NV * lane_count(out), strips_of(H, out)
    first, last = thread * strips // threads * unit, min(stop * strips // threads * unit, H)
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


@jit
def _step_parallel(kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep, threads):
    arguments = threads, kind, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, out, c_out, gates, keep
    parallel_for(step, threads, ONE, threads, arguments)


_compiled = Compiled(
    _step_parallel,
    lambda kind: (int64, *(kind[:, ::1],) * 5, *(kind[::1],) * 2, *(kind[:, ::1],) * 3, boolean, int64),
)


def run(kind, x, *arguments):
    """`step` on as many threads as it is worth; arguments as its own from `kind` on."""
    weight_ih, weight_hh = arguments[2:4]
    threads = threads_for(multiply_adds=len(x) * (weight_ih.size + weight_hh.size))
    _compiled[x.dtype](kind, x, *arguments, threads)
