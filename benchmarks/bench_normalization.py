"""Batch, layer, RMS and group norm and their backwards, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("normalization"), ids=str)
def bench_normalization(run, row, peer):
    run(row, peer)
