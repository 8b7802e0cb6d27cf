"""Attention, forward and with its backward, decoding, and the ladder, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("attention"), ids=str)
def bench_attention(run, row, peer):
    run(row, peer)
