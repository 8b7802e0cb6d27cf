"""The functions of `micro`, `pack`, `driver` and `vector` on flat offsets, for callers that do not hold views yet."""

from kernels._jit import jit
from kernels.gemm import driver, micro, pack, vector
from kernels.simd import flat, shifted, strided


@jit(inline=True)
def at(x, i, row_stride, column_stride):
    return strided(shifted(flat(x), i), row_stride, column_stride)


@jit(inline=True)
def micro_kernel(rows, a, ia, ra, ca, b, ib, rb, K, c, ic, ldc, columns, bias, jb, mode, totals):
    epilogue = micro.Epilogue(mode, at(bias, jb, 0, 1))
    micro.micro_kernel(rows, at(a, ia, ra, ca), at(b, ib, rb, 1), K, at(c, ic, ldc, 1), columns, epilogue, flat(totals))


@jit(inline=True)
def pack_panel(x, ix, across, along, present, width, depth, panel, start):
    pack.pack_panel(at(x, ix, across, along), present, width, depth, shifted(flat(panel), start))


@jit(inline=True)
def pack_strips(b, ib, rb, cb, columns, depth, strips):
    pack.pack_b(at(b, ib, rb, cb), columns, depth, flat(strips))


@jit(inline=True)
def gemm(a, ia, ra, ca, b, ib, rb, cb, bias, jb, mode, c, ic, ldc, M, N, K, pack_a, pack_b):
    shape, epilogue = driver.Shape(M, N, K), micro.Epilogue(mode, at(bias, jb, 0, 1))
    packing = driver.Packing(pack_a, pack_b)
    driver.gemm(at(a, ia, ra, ca), at(b, ib, rb, cb), at(c, ic, ldc, 1), shape, epilogue, packing)


@jit(inline=True)
def dot_products(x, ix, b, ib, cb, c, ic, N, K):
    vector.dot_products(at(x, ix, 0, 1), at(b, ib, cb, 1), at(c, ic, 0, 1), N, K)
