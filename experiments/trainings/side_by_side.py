"""Our `nn` and PyTorch on the same task: the same initial weights, the same batches, the same lines of code."""

from statistics import median
from time import perf_counter

import numpy as np

import kernels
import nn
from nn import plot


class Contender:
    """The network, optimiser and batches of one library; the step is the same text for both."""

    def __init__(self, network, optimizer, cross_entropy, batches, label_smoothing):
        self.network, self.optimizer, self.cross_entropy, self.batches = network, optimizer, cross_entropy, batches
        self.label_smoothing = label_smoothing
        self.count = 0

    def step(self):
        """Train on the next batch, around and around, and return the loss."""
        x, target = self.batches[self.count % len(self.batches)]
        self.count += 1
        self.optimizer.zero_grad()
        value = self.cross_entropy(self.network(x), target, label_smoothing=self.label_smoothing)
        value.backward()
        self.optimizer.step()
        return value.item()

    def timed_steps(self, n):
        """Seconds that each of the next n steps takes."""
        marks = [perf_counter()]
        for _ in range(n):
            self.step()
            marks.append(perf_counter())
        return np.diff(marks).tolist()


def contenders(build, optimizer, batches, label_smoothing, double):
    """(ours, PyTorch's): the same initial weights, the same batches."""
    import torch

    name, options = optimizer
    network, twin = build(nn), build(torch.nn)
    if double:
        network, twin = network.double(), twin.double()
        batches = [(nn.Tensor(x.data.astype(np.float64)), target) for x, target in batches]
    twin.load_state_dict({key: torch.tensor(np.array(value.data)) for key, value in network.state_dict().items()})
    twin_batches = [(torch.tensor(x.data), torch.tensor(target.data)) for x, target in batches]
    ours, theirs = (
        getattr(library.optim, name)(model.parameters(), **options) for library, model in ((nn, network), (torch, twin))
    )
    return (
        Contender(network, ours, nn.functional.cross_entropy, batches, label_smoothing),
        Contender(twin, theirs, torch.nn.functional.cross_entropy, twin_batches, label_smoothing),
    )


def compare(build, optimizer, batches, threads, *, steps, rounds, turn=10, label_smoothing=0.0, double=False):
    """Train both for some steps and compare the losses, then take the time of further steps, in turns.

    Parameters
    ----------
    build : callable
        library -> network, for `nn` and ``torch.nn``.
    optimizer : (str, dict)
        Its name and its arguments, in both libraries.
    batches : list of (input, target)
    threads : int
        Of both libraries.
    steps : int
        How many losses are compared.
    rounds, turn : int
        How many turns each library is timed, and how many steps a turn has.
    label_smoothing : float
    double : bool
        Whether the losses are compared in float64; the times are those of float32.

    Returns
    -------
    dict
        ``ours`` and ``torch``: the losses; ``difference``: the largest relative one; ``ours_seconds`` and
        ``torch_seconds``: the medians per step.
    """
    import torch

    kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    ours, theirs = contenders(build, optimizer, batches, label_smoothing, double)
    losses = [(ours.step(), theirs.step()) for _ in range(steps)]
    if double:
        ours, theirs = contenders(build, optimizer, batches, label_smoothing, double=False)
        ours.timed_steps(3), theirs.timed_steps(3)  # which were not called in this precision yet
    # Starting one library's threads can change the other's number: assert after both have run.
    assert kernels.get_num_threads() == torch.get_num_threads() == threads
    ours_times, torch_times = [], []
    for _ in range(rounds):
        ours_times += ours.timed_steps(turn)
        torch_times += theirs.timed_steps(turn)
    assert kernels.get_num_threads() == torch.get_num_threads() == threads
    return {
        "ours": [a for a, _ in losses],
        "torch": [b for _, b in losses],
        "difference": max(abs(a - b) / abs(b) for a, b in losses),
        "ours_seconds": median(ours_times),
        "torch_seconds": median(torch_times),
    }


def report(result, tolerance, batch_size, threads):
    """Print what `compare` found."""
    verdict = "equal" if result["difference"] <= tolerance else "NOT equal"
    print(f"losses of the first {len(result['ours'])} steps, ours and PyTorch's: {verdict} within {tolerance:g}")
    print(f"  largest relative difference {result['difference']:.1e}")
    ours, theirs = result["ours_seconds"], result["torch_seconds"]
    print(f"median time per step, batch {batch_size}, {threads} thread{'s' if threads > 1 else ''} each:")
    print(f"  innerloop {ours * 1e3:7.3f} ms")
    print(f"  PyTorch   {theirs * 1e3:7.3f} ms  ({theirs / ours:.2f} times ours)")


def draw_comparison(results, threads, path):
    """The same losses, and the time for them: one row for each name and result."""
    canvas, grid = plot.figure(10, 4 * len(results), len(results), 2, width_ratios=(2, 1), squeeze=False)
    for (left, right), (name, result) in zip(grid, results.items(), strict=True):
        steps = np.arange(1, len(result["ours"]) + 1)
        same = f"Same weights, same batches: equal within {result['difference']:.0e}"
        losses = {"PyTorch": result["torch"], "innerloop": result["ours"]}
        title = f"{name}. {same}" if name else same
        plot.curves(losses, steps, ax=left, colours=(plot.GREY, plot.BLUE), xlabel="step", ylabel="loss", title=title)
        left.lines[0].set_linewidth(6)
        left.set_xticks(steps[4::5])
        with plot.style():
            left.legend(loc="best")
        times = {"innerloop": result["ours_seconds"] * 1e3, "PyTorch": result["torch_seconds"] * 1e3}
        title = f"{threads} thread{'s' if threads > 1 else ''}"
        colours, unit = {"PyTorch": plot.GREY}, "median time per step (ms)"
        plot.bars(times, ax=right, fmt="{:.2f} ms", colours=colours, xlabel=unit, title=title)
    canvas.savefig(path)
