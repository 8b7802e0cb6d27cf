"""Pooling and its backward, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("pooling"), ids=str)
def bench_pooling(run, row, peer):
    run(row, peer)
