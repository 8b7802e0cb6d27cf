"""A network learns to write: two layers of LSTM on Python's own reference, character by character, beside PyTorch.

The text is the one that Python carries for ``help()``. The network reads windows of 64 characters and learns to tell
the next from each; the last twentieth of the text is held out, and what it shares with the rest is not learned from.
The score is bits per character: log2 of how many choices are left on average. Then PyTorch gets the same initial
weights and batches: the losses of the first 20 steps must agree within 1e-3, and the time per step is measured side by
side at the same number of threads. The pictures in ``figures/``: loss and accuracy, the same losses, and what the gates
of the second layer do while it reads a sentence.

    python -m experiments.trainings.characters [--threads N] [--epochs N] [--seed N] [--text FILE]
"""

import math
from pathlib import Path
from time import perf_counter

import numpy as np

import kernels
import nn
from benchmarks.cases.networks import character_model
from experiments import side_by_side
from experiments.trainings.text import SENTENCE, Text, Windows, arguments, first_batches, reference_text, train
from nn import plot

FIGURES = Path(__file__).parent / "figures"
WIDTH = 256
STEPS_OF_TIME, BATCH_SIZE = 64, 32
STREAMS = 8  # in which the held-out text is read
EPOCHS = 4
OPTIMIZER = ("Adam", {"lr": 3e-3})
LENGTH = 300  # of a sample
STEPS = 20  # whose losses must equal PyTorch's
TOLERANCE = 1e-3
ROUNDS = 5  # of timed steps of each library
SHOWN = 24  # units in the picture of the gates


def sample(network, text, start, temperature, length=LENGTH):
    """What the network writes after `start`; the lower the temperature, the more it keeps to what is likely."""
    written, ids, hx = [], text.encode(start)[:, None], None
    with nn.no_grad():
        for _ in range(length):
            scores, hx = network.walk(nn.Tensor(ids), hx)
            chances = kernels.softmax(scores.array[-1, 0].astype(np.float64) / temperature)
            ids = nn.generator().choice(len(chances), size=(1, 1), p=chances)
            written.append(text.characters[ids.item()])
    return start + "".join(written)


# --- pictures ---------------------------------------------------------------------------------------------------------


def gates_of(network, ids):
    """The second layer's i, f, g, o and tanh c, each (T, H), while the network reads `ids`."""
    lstm = network.lstm
    weights = [
        [getattr(lstm, f"{kind}_l{layer}").array for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for layer in (0, 1)
    ]
    x = network.embedding.weight.array[ids][:, None]
    gates, cells = (np.empty((len(ids), 1, n * lstm.hidden_size), x.dtype) for n in (4, 1))
    first, _ = kernels.lstm(x, None, *weights[0])
    kernels.lstm(first, None, *weights[1], gates=gates, cells=cells)
    return [*np.split(gates[:, 0], 4, axis=1), np.tanh(cells[:, 0])]


def draw_gates(network, text, sentence, path):
    """What the gates let through, character by character, for units from the most forgetful to the least."""
    parts = gates_of(network, text.encode(sentence))
    by_memory = np.argsort(parts[1].mean(axis=0))
    shown = by_memory[np.linspace(0, len(by_memory) - 1, SHOWN).astype(int)]
    titles = (
        "input gate: what is let into the cell",
        "forget gate: how much of the cell is kept",
        "candidate: what would be let in",
        "output gate: how much of the cell is shown",
        "the cell itself, as tanh c",
    )
    canvas, grid = plot.figure(14, 13, len(parts), 1)
    for axes, part, title in zip(grid, parts, titles, strict=True):
        signed = "gate" not in title
        colours = {"cmap": plot.DIVERGING, "limits": (-1, 1)} if signed else {"cmap": plot.SEQUENTIAL, "limits": (0, 1)}
        plot.images(part[None, :, shown].transpose(0, 2, 1), axes=axes, **colours)
        canvas.colorbar(axes.images[0], ax=axes, pad=0.01).outline.set_visible(False)
        axes.set_aspect("auto")
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylabel(f"{SHOWN} units")
        axes.set_xticks(range(len(sentence)), list(sentence), fontsize=8, family="monospace")
        axes.tick_params(length=0)
    with plot.style():
        canvas.suptitle("The second layer reads; the most forgetful of its units stand on top")
    canvas.savefig(path)


# --- the experiment ---------------------------------------------------------------------------------------------------


def run(
    seed=0,
    epochs=EPOCHS,
    threads=None,
    text=None,
    folder=FIGURES,
    width=WIDTH,
    rounds=ROUNDS,
):
    """Train, write, draw and compare; print the findings.

    Returns
    -------
    dict
        What `side_by_side.compare` returns, with ``bits``, those per held-out character, and ``seconds`` of training.
    """
    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    text = Text(reference_text() if text is None else text)
    windows, count = Windows(text, STEPS_OF_TIME), len(text.characters)
    print(f"{count} different characters; {len(text.learned):,} to learn from, {len(text.held_out):,} held out")

    def build(library):
        return character_model(library, count, width)

    begin = perf_counter()
    network, history = train(build, windows, BATCH_SIZE, text.streams(STREAMS), OPTIMIZER, seed, epochs)
    seconds = perf_counter() - begin
    bits = history["validation_loss"][-1] / math.log(2)
    print(f"held-out text: {bits:.3f} bits per character, after {seconds:.0f} s of training")
    for temperature in (0.5, 1.0):
        print(f"--- a sample at temperature {temperature} ---")
        print(sample(network, text, "The ", temperature))
    print("---")
    curves = plot.history(history, loss="cross-entropy (nats)", title="LSTM on Python's reference")
    curves[0].figure.savefig(folder / "characters_curves.png")
    draw_gates(network, text, SENTENCE, folder / "characters_gates.png")

    batches = first_batches(windows, BATCH_SIZE, STEPS, seed)
    result = side_by_side.compare(build, OPTIMIZER, batches, threads, steps=STEPS, rounds=rounds, turn=4)
    side_by_side.report(result, TOLERANCE, BATCH_SIZE, threads)
    side_by_side.draw_comparison({"": result}, threads, folder / "characters_comparison.png")
    print(f"pictures: {folder}/characters_*.png")
    return result | {"bits": bits, "seconds": seconds}


def main():
    options = arguments("Learn to write like Python's reference, beside PyTorch.", EPOCHS)
    raise SystemExit(run(**options)["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()
