"""A network learns to read: 784-256-128-10 on 4,000 handwritten digits, tested on 1,000 others, beside PyTorch.

Trains with SGD (Nesterov momentum, cosine schedule, label smoothing), draws the loss curves, the confusion matrix and
the worst mistakes into ``figures/``, then gives PyTorch the same initial weights and batches: the losses of the first
20 steps must agree within 1e-4, and the time per step is measured side by side at the same number of threads.

    python -m experiments.trainings.handwriting [--threads N] [--epochs N] [--seed N]
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np

import kernels
import nn
from experiments import side_by_side
from nn import plot
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


def loss(functional, output, target):
    """What is minimised: cross-entropy with smoothed labels."""
    return functional.cross_entropy(output, target, label_smoothing=LABEL_SMOOTHING)


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
        partial(loss, nn.functional),
        epochs=epochs,
        validation=DataLoader(test, len(test)),
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
    )
    return network, history, test


def compare(seed, threads, rounds=ROUNDS):
    """What `side_by_side.compare` finds on this task."""
    training_set, _ = mnist_subset()
    nn.manual_seed(seed)
    batches = list(DataLoader(training_set, BATCH_SIZE, shuffle=True, drop_last=True))
    return side_by_side.compare(build, ("SGD", SGD), batches, threads, steps=STEPS, rounds=rounds, loss=loss)


# --- pictures ---------------------------------------------------------------------------------------------------------


def draw_confusion(predicted, actual, path):
    """How often each digit was read as each other."""
    correct = (predicted == actual).mean()
    title = f"{len(actual)} held-out digits, {correct:.1%} read correctly"
    plot.confusion(actual, predicted, xlabel="read as", title=title).figure.savefig(path)


def draw_mistakes(images, probabilities, actual, path, number=24):
    """The mistakes that the network was surest of."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != actual)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:number]
    titles = [f"{predicted[i]}  ({probabilities[i, predicted[i]]:.0%})\nis {actual[i]}" for i in worst]
    canvas = plot.images(images[worst].reshape(-1, 28, 28), titles=titles)[0].figure
    with plot.style():
        canvas.suptitle(f"Worst of {len(wrong)} mistakes: what was read, how surely, and what it is")
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
        probabilities = nn.functional.softmax(network(images), dim=1).array
    folder.mkdir(parents=True, exist_ok=True)
    curves = plot.history(history, loss=f"cross-entropy (labels smoothed by {LABEL_SMOOTHING})")
    curves[0].figure.savefig(folder / "handwriting_curves.png")
    draw_confusion(probabilities.argmax(axis=1), labels.array, folder / "handwriting_confusion.png")
    draw_mistakes(images.array, probabilities, labels.array, folder / "handwriting_mistakes.png")

    result = compare(seed, threads, rounds)
    side_by_side.draw_comparison({"": result}, threads, folder / "handwriting_comparison.png")
    side_by_side.report(result, TOLERANCE, BATCH_SIZE, threads)
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
