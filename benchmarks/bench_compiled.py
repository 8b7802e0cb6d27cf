"""Compiled networks, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("compiled"), ids=str)
def bench_compiled(run, row, peer):
    run(row, peer)
