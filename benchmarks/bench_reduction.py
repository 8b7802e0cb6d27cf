"""Reductions, softmax and log-softmax, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("reduction"), ids=str)
def bench_reduction(run, row, peer):
    run(row, peer)
