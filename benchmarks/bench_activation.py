"""The activations and their backward, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("activation"), ids=str)
def bench_activation(run, row, peer):
    run(row, peer)
