"""Whole training steps, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("training"), ids=str)
def bench_training(run, row, peer):
    run(row, peer)
