"""A network learns to read: 784-256-128-10 on 4,000 handwritten digits, tested on 1,000 others, beside PyTorch.

Trains with SGD (Nesterov momentum, cosine schedule, label smoothing), draws the loss curves, the confusion matrix and
the worst mistakes into ``experiments/figures/``, then gives PyTorch the same initial weights and batches: the losses of
the first 20 steps must agree within 1e-4, and the time per step is measured side by side at the same number of threads.

    python -m experiments.handwriting [--threads N] [--epochs N] [--seed N]
"""

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import kernels
import nn
from nn.data import DataLoader, mnist_subset
from nn.training import accuracy, fit

FIGURES = Path(__file__).parent / "figures"
BATCH_SIZE = 64
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}
LABEL_SMOOTHING = 0.1
EPOCHS = 20
STEPS = 20  # whose losses must equal PyTorch's
TOLERANCE = 1e-4
ROUNDS = 30  # of ten timed steps of each library

INK, BLUE, ORANGE, GREY = "#22223b", "#2a6f97", "#e07a5f", "#b8bfc6"


def build(library):
    """The network, from `nn` or from `torch.nn`."""
    return library.Sequential(
        library.Flatten(),
        library.Linear(784, 256),
        library.ReLU(),
        library.Linear(256, 128),
        library.ReLU(),
        library.Linear(128, 10),
    )


def loss(output, target):
    """What is minimised: cross-entropy with smoothed labels."""
    return nn.functional.cross_entropy(output, target, label_smoothing=LABEL_SMOOTHING)


def train(seed, epochs):
    """Train from scratch.

    Returns
    -------
    (network, history, test)
        The trained network, what `nn.training.fit` reports, and the test set.
    """
    training_set, test = mnist_subset()
    nn.manual_seed(seed)
    network = build(nn)
    optimizer = nn.optim.SGD(network.parameters(), **SGD)
    history = fit(
        network,
        DataLoader(training_set, BATCH_SIZE, shuffle=True, drop_last=True),
        optimizer,
        loss,
        epochs=epochs,
        validation=DataLoader(test, len(test)),
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
    )
    return network, history, test


class Contender:
    """The network, optimiser and batches of one library; the step is the same text for both."""

    def __init__(self, network, optimizer, cross_entropy, batches):
        self.network, self.optimizer, self.cross_entropy, self.batches = network, optimizer, cross_entropy, batches
        self.count = 0

    def step(self):
        """Train on the next batch, around and around, and return the loss."""
        x, target = self.batches[self.count % len(self.batches)]
        self.count += 1
        self.optimizer.zero_grad()
        value = self.cross_entropy(self.network(x), target, label_smoothing=LABEL_SMOOTHING)
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


def contenders(seed):
    """(ours, PyTorch's): the same initial weights, the same batches."""
    import torch

    training_set, _ = mnist_subset()
    nn.manual_seed(seed)
    network, twin = build(nn), build(torch.nn)
    batches = list(DataLoader(training_set, BATCH_SIZE, shuffle=True, drop_last=True))
    twin.load_state_dict({name: torch.tensor(np.array(weight.data)) for name, weight in network.state_dict().items()})
    twin_batches = [(torch.tensor(x.data), torch.tensor(target.data)) for x, target in batches]
    return (
        Contender(network, nn.optim.SGD(network.parameters(), **SGD), nn.functional.cross_entropy, batches),
        Contender(twin, torch.optim.SGD(twin.parameters(), **SGD), torch.nn.functional.cross_entropy, twin_batches),
    )


def compare(seed, threads, rounds=ROUNDS):
    """Train both for `STEPS` steps and compare the losses, then take the time of further steps, in turns of ten.

    Returns
    -------
    dict
        ``ours`` and ``torch``: the losses; ``difference``: the largest relative one; ``ours_seconds`` and
        ``torch_seconds``: the medians per step.
    """
    import torch

    kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    ours, theirs = contenders(seed)
    losses = [(ours.step(), theirs.step()) for _ in range(STEPS)]
    # Starting one library's threads can change the other's number: assert after both have run.
    assert kernels.get_num_threads() == torch.get_num_threads() == threads
    ours_times, torch_times = [], []
    for _ in range(rounds):
        ours_times += ours.timed_steps(10)
        torch_times += theirs.timed_steps(10)
    assert kernels.get_num_threads() == torch.get_num_threads() == threads
    return {
        "ours": [a for a, _ in losses],
        "torch": [b for _, b in losses],
        "difference": max(abs(a - b) / abs(b) for a, b in losses),
        "ours_seconds": median(ours_times),
        "torch_seconds": median(torch_times),
    }


# --- pictures ---------------------------------------------------------------------------------------------------------


def figure(width, height, rows=1, columns=1, **options):
    """A figure and its axes, outside pyplot: no window, no global state."""
    import seaborn
    from matplotlib.figure import Figure

    with seaborn.axes_style("ticks", {"axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK}):
        canvas = Figure(figsize=(width, height), dpi=150, layout="constrained")
        axes = canvas.subplots(rows, columns, **options)
    return canvas, axes


def draw_curves(history, path):
    """Loss of every batch and of every epoch; accuracy of every epoch."""
    from matplotlib.ticker import MaxNLocator

    canvas, (left, right) = figure(10, 4, columns=2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    batches = np.array(history["batch_loss"])
    left.plot(np.arange(1, len(batches) + 1) * epochs[-1] / len(batches), batches, color=GREY, lw=0.6, label="batch")
    left.plot(epochs, history["loss"], color=BLUE, lw=2, marker="o", ms=3, label="training, mean of the epoch")
    left.plot(epochs, history["validation_loss"], color=ORANGE, lw=2, marker="o", ms=3, label="held out")
    left.set(xlabel="epoch", ylabel=f"cross-entropy (labels smoothed by {LABEL_SMOOTHING})", title="Loss")
    right.plot(epochs, history["accuracy"], color=BLUE, lw=2, marker="o", ms=3, label="training, mean of the epoch")
    right.plot(epochs, history["validation_accuracy"], color=ORANGE, lw=2, marker="o", ms=3, label="held out")
    last = history["validation_accuracy"][-1]
    right.annotate(f"{last:.1%}", (epochs[-1], last), (0, -16), textcoords="offset points", ha="center", color=ORANGE)
    right.yaxis.set_major_formatter("{x:.0%}")
    right.set(xlabel="epoch", ylabel="accuracy", title="Accuracy")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path)


def draw_confusion(predicted, actual, path):
    """How often each digit was read as each other."""
    import seaborn

    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (actual, predicted), 1)
    canvas, axes = figure(6.5, 5.5)
    colours = seaborn.light_palette(BLUE, as_cmap=True)
    seaborn.heatmap(
        np.sqrt(counts), annot=counts, fmt="d", cmap=colours, cbar=False, square=True, linewidths=1, ax=axes
    )  # the root makes single mistakes visible
    correct = np.trace(counts) / len(actual)
    axes.set(xlabel="read as", ylabel="is", title=f"{len(actual)} held-out digits, {correct:.1%} read correctly")
    axes.tick_params(left=False, bottom=False, labelrotation=0)
    canvas.savefig(path)


def draw_mistakes(images, probabilities, actual, path, rows=3, columns=8):
    """The mistakes that the network was surest of."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != actual)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][: rows * columns]
    canvas, grid = figure(columns * 1.25, rows * 1.6, rows, columns)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, worst, strict=False):
        axes.imshow(images[i].reshape(28, 28), cmap="gray_r", interpolation="nearest")
        sureness = probabilities[i, predicted[i]]
        axes.set_title(f"{predicted[i]}  ({sureness:.0%})\nis {actual[i]}", fontsize=9, color=ORANGE)
    canvas.suptitle(f"Worst of {len(wrong)} mistakes: what was read, how surely, and what it is", color=INK)
    canvas.savefig(path)


def draw_comparison(result, threads, path):
    """The same losses, and the time for them."""
    canvas, (left, right) = figure(10, 4, columns=2, width_ratios=(2, 1))
    steps = np.arange(1, STEPS + 1)
    left.plot(steps, result["torch"], color=GREY, lw=6, label="PyTorch")
    left.plot(steps, result["ours"], color=BLUE, lw=1.5, marker="o", ms=3, label="innerloop")
    left.set(xlabel="step", ylabel="loss", title=f"Same weights, same batches: equal within {result['difference']:.0e}")
    left.set_xticks(steps[4::5])
    left.legend(frameon=False)
    times = [result["ours_seconds"] * 1e3, result["torch_seconds"] * 1e3]
    bars = right.bar(["innerloop", "PyTorch"], times, color=[BLUE, GREY], width=0.6)
    right.bar_label(bars, fmt="%.2f ms", padding=3)
    right.set(ylabel="median time per step (ms)", title=f"{threads} thread{'s' if threads > 1 else ''}")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path)


# --- the experiment ---------------------------------------------------------------------------------------------------


def run(seed=0, epochs=EPOCHS, threads=None, folder=FIGURES, rounds=ROUNDS):
    """Train, draw and compare; print the findings.

    Returns
    -------
    dict
        ``accuracy`` on the held-out digits, and what `compare` returns.
    """
    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    network, history, test = train(seed, epochs)
    images, labels = test.tensors
    held_out_accuracy = history["validation_accuracy"][-1]
    print(f"accuracy on {len(test)} held-out digits: {held_out_accuracy:.1%}")

    with nn.no_grad():
        probabilities = nn.functional.softmax(network(images), dim=1).data
    folder.mkdir(parents=True, exist_ok=True)
    draw_curves(history, folder / "handwriting_curves.png")
    draw_confusion(probabilities.argmax(axis=1), labels.data, folder / "handwriting_confusion.png")
    draw_mistakes(images.data, probabilities, labels.data, folder / "handwriting_mistakes.png")

    result = compare(seed, threads, rounds)
    draw_comparison(result, threads, folder / "handwriting_comparison.png")
    verdict = "equal" if result["difference"] <= TOLERANCE else "NOT equal"
    print(f"losses of the first {STEPS} steps, ours and PyTorch's: {verdict} within {TOLERANCE:g}")
    print(f"  largest relative difference {result['difference']:.1e}")
    ours, theirs = result["ours_seconds"], result["torch_seconds"]
    print(f"median time per step, batch {BATCH_SIZE}, {threads} thread{'s' if threads > 1 else ''} each:")
    print(f"  innerloop {ours * 1e3:7.3f} ms")
    print(f"  PyTorch   {theirs * 1e3:7.3f} ms  ({theirs / ours:.2f} times ours)")
    print(f"pictures: {folder}/handwriting_*.png")
    return {"accuracy": held_out_accuracy, **result}


def main():
    parser = argparse.ArgumentParser(description="Learn to read handwritten digits, beside PyTorch.")
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = run(options.seed, options.epochs, options.threads)
    raise SystemExit(result["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()
