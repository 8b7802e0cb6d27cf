"""Published networks, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("models"), ids=str)
def bench_models(run, row, peer):
    run(row, peer)
