"""linear + bias + activation and its backward, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("affine"), ids=str)
def bench_affine(run, row, peer):
    run(row, peer)
