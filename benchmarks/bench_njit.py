"""Small kernels in jitted loops, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("njit"), ids=str)
def bench_njit(run, row, peer):
    run(row, peer)
