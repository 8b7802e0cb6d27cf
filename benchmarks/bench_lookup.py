"""embedding and its backward, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("lookup"), ids=str)
def bench_lookup(run, row, peer):
    run(row, peer)
