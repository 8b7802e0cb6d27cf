"""The feed-forward part of a transformer, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("mlp"), ids=str)
def bench_mlp(run, row, peer):
    run(row, peer)
