"""What the pictures of all experiments share: the colours, the frame, and the curves of a training."""

import numpy as np

INK, BLUE, ORANGE, GREEN, GREY = "#22223b", "#2a6f97", "#e07a5f", "#6a994e", "#b8bfc6"


def figure(width, height, rows=1, columns=1, **options):
    """A figure and its axes, outside pyplot: no window, no global state."""
    import seaborn
    from matplotlib.figure import Figure

    with seaborn.axes_style("ticks", {"axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK}):
        canvas = Figure(figsize=(width, height), dpi=150, layout="constrained")
        axes = canvas.subplots(rows, columns, **options)
    return canvas, axes


def draw_curves(history, loss, path, title=None):
    """Loss of every batch and of every epoch; accuracy of every epoch.

    Parameters
    ----------
    history : dict
        What `nn.training.fit` returns, with a validation set and the metric "accuracy".
    loss : str
        What the loss is.
    path : Path
    title : str, optional
        What is trained on what.
    """
    from matplotlib.ticker import MaxNLocator

    canvas, (left, right) = figure(10, 4, columns=2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    batches = np.array(history["batch_loss"])
    left.plot(np.arange(1, len(batches) + 1) * epochs[-1] / len(batches), batches, color=GREY, lw=0.6, label="batch")
    left.plot(epochs, history["loss"], color=BLUE, lw=2, marker="o", ms=3, label="training, mean of the epoch")
    left.plot(epochs, history["validation_loss"], color=ORANGE, lw=2, marker="o", ms=3, label="held out")
    left.set(xlabel="epoch", ylabel=loss, title="Loss")
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
    if title:
        canvas.suptitle(title, color=INK)
    canvas.savefig(path)
