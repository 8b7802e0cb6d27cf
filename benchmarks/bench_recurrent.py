"""Recurrent layers and cells, forward and training, and the LSTM's ladder, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("recurrent"), ids=str)
def bench_recurrent(run, row, peer):
    run(row, peer)
