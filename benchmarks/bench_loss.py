"""The losses and their backward, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("loss"), ids=str)
def bench_loss(run, row, peer):
    run(row, peer)
