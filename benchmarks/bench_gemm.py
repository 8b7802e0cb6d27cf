"""matmul, its backward and its ladder, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("gemm"), ids=str)
def bench_gemm(run, row, peer):
    run(row, peer)
