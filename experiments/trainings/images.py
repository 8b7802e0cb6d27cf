"""Two convolutional networks learn to see: LeNet-5 on handwritten digits, ResNet-20 on clothes, both beside PyTorch.

LeNet-5 trains on 4,000 images of MNIST, moved by up to two pixels each time they are seen, and is tested on 1,000
others; ResNet-20 trains on Fashion-MNIST, where its files are found. From the same initial weights and on the same
batches as PyTorch, the losses of the first 20 steps must agree within 1e-3: those of LeNet-5 in float32, those of
ResNet-20 in float64, because in float32 this network is chaotic (PyTorch's own losses differ by 5e-3 after 20 steps if
the weights are changed by 1e-7). The time per step is that of float32, side by side at the same number of threads. The
pictures in ``figures/``: the losses and accuracies, the filters of LeNet-5's first layer and what they make of digits,
and im2col, drawn on a photograph.

    python -m experiments.trainings.images [--threads N] [--epochs N] [--fashion FOLDER] [--fashion-epochs N] [--seed N]
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import kernels
import nn
from benchmarks.cases.networks import lenet5, resnet20
from experiments import side_by_side
from nn import plot
from nn.data import DataLoader, TensorDataset, fashion_mnist, mnist_subset
from nn.training import accuracy, fit

FIGURES = Path(__file__).parent / "figures"
FASHION = Path("/usr/share/datasets/fashion-mnist")
EPOCHS, FASHION_EPOCHS = 20, 3
BATCH_SIZE, FASHION_BATCH_SIZE = 64, 128
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True}
SHIFT = 2  # pixels
STEPS = 20  # whose losses must equal PyTorch's
TOLERANCE = 1e-3
ROUNDS = 10  # of timed steps of each library


class Shifted(TensorDataset):
    """Images, each moved by up to `SHIFT` pixels in either direction whenever it is fetched, and their labels."""

    def __init__(self, images, labels):
        super().__init__(images, labels)
        border = [(0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)]
        size = self.tensors[0].shape[2:]
        self.places = sliding_window_view(np.pad(self.tensors[0].array, border), size, axis=(2, 3))

    def batch(self, indices):
        rows, columns = nn.generator().integers(0, 2 * SHIFT + 1, (2, len(indices)))
        labels = self.tensors[1].array[indices]
        return nn.Tensor(self.places[indices, :, rows, columns]), nn.Tensor(labels)


def train(build, data, batch_size, seed, epochs):
    """Train from scratch on shifted images, with a cosine schedule; return the network and what `fit` reports."""
    training_set, test = data
    nn.manual_seed(seed)
    network = build(nn)
    optimizer = nn.optim.SGD(network.parameters(), **SGD)
    history = fit(
        network,
        DataLoader(Shifted(*training_set.tensors), batch_size, shuffle=True, drop_last=True),
        optimizer,
        nn.functional.cross_entropy,
        epochs=epochs,
        validation=DataLoader(test, 250),
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
    )
    return network, history


def gray_resnet20(library):
    """ResNet-20 of one channel."""
    return resnet20(library, channels=1)


# --- pictures ---------------------------------------------------------------------------------------------------------


def draw_features(network, images, path):
    """The filters of the first layer, and what they make of some images."""
    layer = network[0]
    filters = layer.weight.array[:, 0]
    with nn.no_grad():
        maps = nn.functional.relu(layer(nn.Tensor(images))).array
    rows, columns = 1 + len(images), 1 + len(filters)
    canvas, grid = plot.figure(1.3 * columns, 1.35 * rows, rows, columns)
    grid[0, 0].set_axis_off()
    plot.images(filters, axes=grid[0, 1:], titles=[f"filter {i + 1}" for i in range(len(filters))])
    plot.images(images, axes=grid[1:, 0])
    plot.images(maps.reshape(-1, *maps.shape[2:]), axes=grid[1:, 1:], cmap=plot.SEQUENTIAL)
    with plot.style():
        canvas.suptitle("First layer of LeNet-5: its filters (blue positive), and its feature maps of digits")
    canvas.savefig(path)


def photograph():
    """A photograph as shades of grey in [0, 1]: a temple in China, from scikit-learn's samples (CC BY 2.0)."""
    from sklearn.datasets import load_sample_images

    return load_sample_images().images[0].mean(axis=2).astype(np.float32) / 255


def draw_im2col(path):
    """Patches of a photograph become columns, a filter becomes a row, and their product is the filtered photograph."""
    from matplotlib.patches import Rectangle

    shades = photograph()
    top, left, rows, columns = 130, 305, 6, 8  # of the detail, where an eave ends
    detail = shades[top : top + rows, left : left + columns]
    edges = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)  # Sobel's filter for vertical edges
    matrix = kernels.unfold(detail[None, None], 3)[0]
    product = kernels.matmul(edges.reshape(1, 9), matrix)
    filtered = kernels.conv2d(shades[None], edges[None, None], padding=1)[0]
    assert np.allclose(
        product.reshape(rows - 2, columns - 2),
        filtered[top + 1 : top + rows - 1, left + 1 : left + columns - 1],
        atol=1e-5,
    )

    canvas, grid = plot.figure(13, 7, 2, 3, width_ratios=(2, 1.2, 3))
    limit, outputs = np.abs(product).max(), columns - 2
    shade, signed = {"cmap": "gray", "limits": (0, 1)}, {"cmap": plot.DIVERGING, "limits": (-limit, limit)}
    for axes, shown, colours, title in (
        (grid[0, 0], shades, shade, "a photograph, and a detail of it"),
        (grid[0, 1], detail, shade, f"{rows} × {columns}, three patches"),
        (grid[0, 2], matrix, shade, f"im2col: one patch a column, 9 × {matrix.shape[1]}"),
        (grid[1, 2], product, signed, "the filter as a row, [-1 0 1 -2 0 2 -1 0 1], times that matrix"),
        (grid[1, 1], product.reshape(rows - 2, outputs), signed, f"the same, as {rows - 2} × {outputs}"),
        (grid[1, 0], filtered, signed, "the photograph, filtered"),
    ):
        plot.images(shown[None], axes=axes, titles=[title], **colours)
    grid[0, 0].add_patch(Rectangle((left - 6, top - 6), columns + 12, rows + 12, fill=False, ec=plot.ORANGE, lw=2))
    places = (0, 0), (1, 2), (rows - 3, outputs - 1)
    for color, (i, j) in zip((plot.SKY, plot.ORANGE, plot.YELLOW), places, strict=True):
        grid[0, 1].add_patch(Rectangle((j - 0.42, i - 0.42), 2.84, 2.84, fill=False, ec=color, lw=2.5))
        grid[0, 2].add_patch(Rectangle((i * outputs + j - 0.5, -0.5), 1, 9, fill=False, ec=color, lw=2.5))
        grid[1, 2].add_patch(Rectangle((i * outputs + j - 0.5, -0.5), 1, 1, fill=False, ec=color, lw=2.5))
        grid[1, 1].add_patch(Rectangle((j - 0.42, i - 0.42), 0.84, 0.84, fill=False, ec=color, lw=2.5))
    canvas.savefig(path)


# --- the experiment ---------------------------------------------------------------------------------------------------


def run_lenet5(seed, epochs, digits, folder):
    """Train LeNet-5 on digits and draw; returns its accuracy on the held-out ones."""
    network, history = train(lenet5, digits, BATCH_SIZE, seed, epochs)
    test = digits[1]
    print(f"LeNet-5: accuracy on {len(test)} held-out digits: {history['validation_accuracy'][-1]:.1%}")
    curves = plot.history(history, loss="cross-entropy", title="LeNet-5 on 4,000 digits")
    curves[0].figure.savefig(folder / "images_lenet5.png")
    labels = test.tensors[1].array
    some = [int(np.flatnonzero(labels == digit)[0]) for digit in (2, 3, 5, 7)]
    draw_features(network, test.tensors[0].array[some], folder / "images_features.png")
    return history["validation_accuracy"][-1]


def run_resnet20(seed, epochs, clothes, folder):
    """Train ResNet-20 on clothes and draw; returns its accuracy on the held-out ones."""
    network, history = train(gray_resnet20, clothes, FASHION_BATCH_SIZE, seed, epochs)
    training_set, test = clothes
    print(f"ResNet-20: accuracy on {len(test)} held-out clothes: {history['validation_accuracy'][-1]:.1%}")
    with nn.no_grad():
        x = nn.Tensor(test.tensors[0].array[:250])
        plain, fused = network.eval()(x).array, nn.fuse(network)(x).array
    print(f"  with batch norm folded into the convolutions, the scores differ by {np.abs(plain - fused).max():.1e}")
    curves = plot.history(history, loss="cross-entropy", title=f"ResNet-20 on {len(training_set):,} clothes")
    curves[0].figure.savefig(folder / "images_resnet20.png")
    return history["validation_accuracy"][-1]


def run(
    seed=0,
    epochs=EPOCHS,
    fashion=FASHION,
    fashion_epochs=FASHION_EPOCHS,
    threads=None,
    folder=FIGURES,
    steps=STEPS,
    rounds=ROUNDS,
):
    """Train, draw and compare; print the findings.

    Returns
    -------
    dict
        ``"LeNet-5"`` and ``"ResNet-20"``: what `side_by_side.compare` returns, with the ``accuracy`` on what was held
        out, which is None for ResNet-20 without Fashion-MNIST.
    """
    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    draw_im2col(folder / "images_im2col.png")
    digits = mnist_subset()
    accuracies = {"LeNet-5": run_lenet5(seed, epochs, digits, folder), "ResNet-20": None}
    try:
        clothes = fashion_mnist(fashion)
    except FileNotFoundError as error:
        print(f"ResNet-20 is not trained, there is no Fashion-MNIST: {error}")
        print("  apt-get install dataset-fashion-mnist, or --fashion FOLDER with its four IDX files")
        clothes = digits  # to compare on
    else:
        accuracies["ResNet-20"] = run_resnet20(seed, fashion_epochs, clothes, folder)

    results = {}
    for name, build, training_set, batch_size, turn, double in (
        ("LeNet-5", lenet5, digits[0], BATCH_SIZE, 10, False),
        ("ResNet-20", gray_resnet20, clothes[0], FASHION_BATCH_SIZE, 1, True),
    ):
        print(f"{name} beside PyTorch:")
        nn.manual_seed(seed)
        batches = list(islice(DataLoader(training_set, batch_size, shuffle=True, drop_last=True), STEPS))
        results[name] = side_by_side.compare(
            build, ("SGD", SGD), batches, threads, steps=steps, rounds=rounds, turn=turn, double=double
        )
        side_by_side.report(results[name], TOLERANCE, batch_size, threads)
    side_by_side.draw_comparison(results, threads, folder / "images_comparison.png")
    print(f"pictures: {folder}/images_*.png")
    return {name: result | {"accuracy": accuracies[name]} for name, result in results.items()}


def main():
    parser = argparse.ArgumentParser(description="Learn to see digits and clothes, beside PyTorch.")
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of LeNet-5")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--fashion-epochs", type=int, default=FASHION_EPOCHS, help="of ResNet-20")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results = run(options.seed, options.epochs, options.fashion, options.fashion_epochs, options.threads)
    raise SystemExit(any(result["difference"] > TOLERANCE for result in results.values()))


if __name__ == "__main__":
    main()
