"""Scans and their backwards, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("scan"), ids=str)
def bench_scan(run, row, peer):
    run(row, peer)
