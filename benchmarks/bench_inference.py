"""Whole networks without gradients, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("inference"), ids=str)
def bench_inference(run, row, peer):
    run(row, peer)
