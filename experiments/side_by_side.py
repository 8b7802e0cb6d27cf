"""Our `nn` and PyTorch on the same task: the same initial weights, the same batches, the same lines of code."""

import itertools
from statistics import median
from time import perf_counter

import numpy as np

import kernels
import nn
from nn import plot

STEPS = 20  # whose losses are compared
TOLERANCE = {False: 1e-4, True: 1e-9}  # of the losses, relative: in float32 and in float64


def cross_entropy(functional, output, target):
    """The loss where no other is given."""
    return functional.cross_entropy(output, target)


def trainer(network, optimizer, functional, loss, batches):
    """A function that trains a network on the next batch, around and around, and returns the loss."""
    turns = itertools.cycle(batches)

    def step():
        x, target = next(turns)
        optimizer.zero_grad()
        value = loss(functional, network(x), target)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def trainers(build, optimizer, batches, loss, double):
    """(ours, PyTorch's): steps of training from the same initial weights, on the same batches."""
    import torch

    name, options = optimizer
    network, twin = build(nn), build(torch.nn)
    if double:
        network, twin = network.double(), twin.double()
        batches = [tuple(t.double() if t.dtype == np.float32 else t for t in pair) for pair in batches]
    twin.load_state_dict({key: torch.tensor(np.array(value.array)) for key, value in network.state_dict().items()})
    twin_batches = [(torch.tensor(x.array), torch.tensor(target.array)) for x, target in batches]
    ours, theirs = (
        getattr(library.optim, name)(model.parameters(), **options) for library, model in ((nn, network), (torch, twin))
    )
    return (
        trainer(network, ours, nn.functional, loss, batches),
        trainer(twin, theirs, torch.nn.functional, loss, twin_batches),
    )


def timed(step, n):
    """Seconds that each of the next n steps takes."""
    marks = [perf_counter()]
    for _ in range(n):
        step()
        marks.append(perf_counter())
    return np.diff(marks).tolist()


def compare(
    build, optimizer, batches, threads=None, *, steps=STEPS, rounds=3, turn=10, loss=cross_entropy, double=False
):
    """Train a network in both libraries for some steps and compare the losses, then time further steps, in turns.

    Parameters
    ----------
    build : callable
        library -> network, for `nn` and ``torch.nn``.
    optimizer : (str, dict)
        Its name and its arguments, in both libraries.
    batches : list of (input, target)
        Tensors of `nn`.
    threads : int, optional
        Of both libraries; without it, what `kernels` uses now.
    steps : int
        How many losses are compared.
    rounds, turn : int
        How many turns each library is timed, and how many steps a turn has.
    loss : callable
        (functional, output, target) -> scalar, for `nn.functional` and ``torch.nn.functional``.
    double : bool
        Whether the losses are compared in float64; the times are those of float32.

    Returns
    -------
    dict
        As `duel`.
    """
    fair = trainers(build, optimizer, batches, loss, double)
    fast = trainers(build, optimizer, batches, loss, double=False) if double else None
    return duel(*fair, threads, steps=steps, rounds=rounds, turn=turn, tolerance=TOLERANCE[double], timing=fast)


def duel(ours, theirs, threads=None, *, tolerance, steps=STEPS, rounds=3, turn=10, timing=None):
    """Compare the losses of two functions that each do one step of the same work, then time them, in turns.

    Parameters
    ----------
    ours, theirs : callable
        () -> float: one step, and its loss.
    threads : int, optional
        Of both libraries; without it, what `kernels` uses now.
    tolerance : float
        The largest relative difference of losses that counts as equal.
    steps, rounds, turn : int
        As in `compare`; without rounds, nothing is timed.
    timing : (callable, callable), optional
        What is timed instead.

    Returns
    -------
    dict
        ``ours`` and ``torch``: the losses; ``difference``: the largest relative one, ``tolerance`` and ``steps``;
        ``ours_seconds`` and ``torch_seconds``: the medians per step, or None.
    """
    import torch

    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    losses = [(ours(), theirs()) for _ in range(steps)]
    result = {
        "ours": [a for a, _ in losses],
        "torch": [b for _, b in losses],
        "difference": max(abs(a - b) / abs(b) for a, b in losses),
        "tolerance": tolerance,
        "steps": steps,
        "ours_seconds": None,
        "torch_seconds": None,
    }
    if rounds:
        if timing:
            ours, theirs = timing
            timed(ours, 3), timed(theirs, 3)  # which were not called in this precision yet
        # Starting one library's threads can change the other's number: assert after both have run.
        assert kernels.get_num_threads() == torch.get_num_threads() == threads
        ours_times, torch_times = [], []
        for _ in range(rounds):
            ours_times += timed(ours, turn)
            torch_times += timed(theirs, turn)
        assert kernels.get_num_threads() == torch.get_num_threads() == threads
        result |= {"ours_seconds": median(ours_times), "torch_seconds": median(torch_times)}
    return result


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
