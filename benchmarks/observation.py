"""What observing costs: ``python -m benchmarks.observation`` times LeNet-5's training step without and with it.

Not a row of the board: there a round may be one step, and of the observed steps only every tenth does more than return.
A round here is ten steps of each side, in processor time of this thread, one round after the other in turns.
"""

import argparse
import itertools
import statistics
import time

import numpy as np

import kernels
import nn
from benchmarks.cases import networks
from benchmarks.cases.training import LEARNING_RATE, LENET_BATCH, images

EVERY = 10  # observe's default
LIMIT = 1.10  # most that an observed step may take, compared with one that is not


def training_step():
    """A LeNet-5 with its optimiser, and a function that takes one step."""
    nn.manual_seed(0)
    model = networks.lenet5(nn)
    optimizer = nn.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    criterion = nn.CrossEntropyLoss()
    x, target = map(nn.tensor, images(LENET_BATCH, 1, 28, 28))

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, optimizer, step


def seconds(step, count):
    """Processor time of `count` steps."""
    start = time.thread_time()
    for _ in itertools.repeat(None, count):
        step()
    return time.thread_time() - start


def ratios(rounds, **options):
    """How many times as long an observed step takes, round by round; `options` of `nn.observe`."""
    _, _, plain = training_step()
    model, optimizer, observed = training_step()
    found = []
    with nn.observe(model, optimizer, **{"every": EVERY} | options):
        for step in (plain, observed):
            seconds(step, EVERY)
        for turn in range(rounds):
            order = (plain, observed) if turn % 2 else (observed, plain)
            times = {step: seconds(step, EVERY) for step in order}
            found.append(times[observed] / times[plain])
    return found


def main():
    parser = argparse.ArgumentParser("python -m benchmarks.observation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="of ten steps for each side (default: 300)")
    rounds = parser.parse_args().rounds
    kernels.set_num_threads(1)  # the time of this thread is then all of it
    failed = False
    for name, options in (
        ("defaults", {}),
        ("with a histogram", {"histogram": 64}),
        ("with quantiles", {"quantiles": (0.05, 0.5, 0.95)}),
        ("every step", {"every": 1}),
    ):
        found = ratios(rounds, **options)
        low, high = np.percentile(found, [25, 75])
        median = statistics.median(found)
        print(f"{name:24} {median:.3f} times a step that is not observed (quartiles {low:.3f}, {high:.3f})", flush=True)
        failed |= not options and median > LIMIT
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
