"""Sorting, selection and search, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("sorting"), ids=str)
def bench_sorting(run, row, peer):
    run(row, peer)
