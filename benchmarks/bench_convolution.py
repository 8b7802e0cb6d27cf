"""convolutions and their gradients, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("convolution"), ids=str)
def bench_convolution(run, row, peer):
    run(row, peer)
