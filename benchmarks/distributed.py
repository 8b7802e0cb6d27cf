"""Data-parallel training: what is measured on this machine, and a model of what is not here.

    mpiexec -bind-to core -n 2 python -m benchmarks.distributed   # two ranks, which divide the cores and each batch
    NUMBA_NUM_THREADS=2 python -m benchmarks.distributed          # one process; also with 1
    python -m benchmarks.distributed --model                      # the tables of the model

The model: N ranks, of S bytes of gradients in buckets of sizes s. A ring's all-reduce of a bucket takes

    c(s) = 2 (N - 1) (a + s / (N w))

with a latency `a` of a message and a bandwidth `w` of a link. The backward pass of t_b seconds yields gradients at a
constant rate of bytes, so bucket k is full at r_k = t_f + t_b (s_1 + ... + s_k) / S. Messages follow each other:
e_k = max(e_(k-1), r_k) + c(s_k) where the network moves them by itself; where the cores do (shared memory), nothing is
hidden and the sum of all c is added. A step ends at max(t_f + t_b, e_K) + t_u, with t_u of the optimiser.
"""

import sys
from contextlib import nullcontext
from itertools import accumulate
from time import perf_counter

import numpy as np

import kernels
import nn
from benchmarks.cases import networks
from nn import distributed
from nn import functional as F

SECONDS = 4  # for each network
SYMBOLS, CONTEXT = 103, 128
MIB = 2**20
NETWORKS = ("mlp", "lenet5", "gpt")
# Name -> bytes of gradients, seconds of forward, backward and update. The first three were measured on one thread of an
# AMD EPYC (znver5); the last is assumed: 8 texts of 1024 tokens at 2 TFLOP/s, 6 FLOPs a weight and token.
MODELLED = {
    "MLP 784-256-128-10, 64 images": (0.94e6, 0.184e-3, 0.220e-3, 0.095e-3),
    "LeNet-5, 64 images": (0.25e6, 0.951e-3, 1.215e-3, 0.084e-3),
    "GPT of 4 layers, 16 texts": (3.29e6, 23.8e-3, 45.5e-3, 0.4e-3),
    "GPT-2 (124 M weights), assumed": (498e6, 1.0, 2.0, 0.05),
}
TARGETS = {  # name -> (seconds of latency, bytes a second, whether the network moves messages by itself)
    "Ethernet, 10 Gbit/s": (30e-6, 1.25e9, True),
    "Ethernet, 100 Gbit/s": (10e-6, 12.5e9, True),
    "InfiniBand, 200 Gbit/s": (2e-6, 25e9, True),
}


def task(name, rank, size):
    """The network, and this rank's part of a batch of 64 images or 16 texts."""
    rng = np.random.default_rng(0)
    if name == "gpt":
        ids = rng.integers(0, SYMBOLS, (16, CONTEXT + 1))[rank::size]
        return networks.gpt(nn), nn.tensor(ids[:, :-1].copy()), nn.tensor(ids[:, 1:].ravel())
    x = rng.random((64, 784) if name == "mlp" else (64, 1, 28, 28), dtype=np.float32)
    return getattr(networks, name)(nn), nn.tensor(x[rank::size]), nn.tensor(rng.integers(0, 10, 64)[rank::size])


def times(steps, seconds, rank, size):
    """Milliseconds of each of several ways to make a step, of the slowest rank: the lower quartile of rounds in turn.

    A round is as many calls as take 20 ms.
    """

    def round_of(step, calls):
        if size > 1:
            distributed.barrier()
        start = perf_counter()
        for _ in range(calls):
            step()
        taken = nn.tensor([perf_counter() - start])
        if size > 1:
            distributed.all_reduce(taken, distributed.ReduceOp.MAX)
        return taken.item() / calls

    calls = [max(1, int(0.02 / max(round_of(step, 5), round_of(step, 5)))) for step in steps]
    found = [[] for _ in steps]
    rounds = max(5, int(seconds / (0.02 * len(steps))))
    for _ in range(rounds):
        for each, step, n in zip(found, steps, calls, strict=True):
            each.append(1000 * round_of(step, n))
    return [np.quantile(each, 0.25) for each in found]


def measure_network(name, rank, size):
    model, x, y = task(name, rank, size)
    wrapped = nn.parallel.DistributedDataParallel(model) if size > 1 else model
    unsynchronised = wrapped.no_sync if size > 1 else nullcontext
    optimizer = nn.optim.Adam(model.parameters())

    def forward():
        return F.cross_entropy(wrapped(x), y)

    def gradients():
        optimizer.zero_grad()
        forward().backward()

    def step():
        gradients()
        optimizer.step()

    def alone(function):
        def call():
            with unsynchronised():
                function()

        return call

    full, own, f, fb = times((step, *map(alone, (step, forward, gradients))), SECONDS, rank, size)
    if rank == 0:
        print(
            f"{name:7} {sum(p.array.nbytes for p in model.parameters()) / 1e6:6.2f} MB  step {full:8.3f} ms, "
            f"without averaging {own:8.3f} (forward {f:.3f}, backward {fb - f:.3f}, update {own - fb:.3f})"
        )


def measure_all_reduce(rank):
    """Microseconds of an all-reduce, by size."""
    for size in (4, 2**12, 2**16, 2**18, 2**20, 2**22, 2**24, 25 * MIB):
        t = nn.zeros(size // 4)
        (taken,) = times((lambda t=t: distributed.all_reduce(t),), 0.3, rank, 2)
        if rank == 0:
            print(f"all-reduce of {size:9} bytes: {1000 * taken:9.1f} us")


def bucket_bytes(total, cap=25 * MIB, first=MIB):
    """The sizes of the buckets of `total` bytes of gradients, as they are by default."""
    sizes = [min(first, total)]
    while sum(sizes) < total:
        sizes.append(min(cap, total - sum(sizes)))
    return sizes


def step_seconds(ranks, sizes, forward, backward, update, link):
    """Seconds of a step by the model in this file's docstring."""
    latency, bandwidth, by_itself = link
    costs = [2 * (ranks - 1) * (latency + s / (ranks * bandwidth)) for s in sizes]
    if not by_itself:
        return forward + backward + sum(costs) + update
    end = 0.0
    for sent, cost in zip(accumulate(sizes), costs, strict=True):
        end = max(end, forward + backward * sent / sum(sizes)) + cost
    return max(forward + backward, end) + update


def print_model(counts=(2, 4, 8, 16, 64)):
    """The share of N times the speed that N ranks reach, each with the batch of one, as tables in Markdown."""
    for name, (total, *seconds) in MODELLED.items():
        print(f"\n{name}: {total / 1e6:.1f} MB of gradients, {1e3 * sum(seconds):.3g} ms a step\n")
        print(f"| network | {' | '.join(f'{n} ranks' for n in counts)} |\n| :--- |{' ---: |' * len(counts)}")
        for target, link in TARGETS.items():
            shares = [sum(seconds) / step_seconds(n, bucket_bytes(total), *seconds, link) for n in counts]
            print(f"| {target} | {' | '.join(f'{share:.0%}' for share in shares)} |")


def main():
    distributed.init_process_group()
    rank, size = distributed.get_rank(), distributed.get_world_size()
    if rank == 0:
        kernels.show_config()
        print(f"{size} ranks of {kernels.get_num_threads()} threads")
    for name in NETWORKS:
        measure_network(name, rank, size)
    if size > 1:
        measure_all_reduce(rank)


if __name__ == "__main__":
    print_model() if "--model" in sys.argv else main()
