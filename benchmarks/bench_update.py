"""Optimiser steps over 100 tensors, one benchmark for each peer."""

import pytest

from benchmarks.cases import pairs


@pytest.mark.parametrize(("row", "peer"), pairs("update"), ids=str)
def bench_update(run, row, peer):
    run(row, peer)
