"""A network learns to write: two layers of LSTM on Python's own reference, character by character, beside PyTorch.

The text is the one that Python carries for ``help()``: 465,126 characters, 103 different ones, nothing to download. The
network reads windows of 64 characters and learns to tell the next from each; the last twentieth of the text is held
out, and what it shares with the rest is not learned from. The score is bits per character: log2 of how many choices are
left on average. Then PyTorch gets the same initial weights and batches: the losses of the first 20 steps must agree
within 1e-3, and the time per step is measured side by side at the same number of threads. The pictures in
``experiments/figures/``: loss and accuracy, the same losses, and what the gates of the second layer do while it reads a
sentence.

    python -m experiments.characters [--threads N] [--epochs N] [--seed N] [--text FILE]
"""

import argparse
import math
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np

import kernels
import nn
from benchmarks.cases.networks import character_model
from experiments import side_by_side
from experiments.pictures import INK, draw_curves, figure
from nn.data import DataLoader
from nn.training import accuracy, fit

FIGURES = Path(__file__).parent / "figures"
WIDTH = 256
STEPS_OF_TIME, BATCH_SIZE = 64, 32
STREAMS = 8  # in which the held-out text is read
EPOCHS = 4
ADAM = {"lr": 3e-3}
LENGTH = 300  # of a sample
STEPS = 20  # whose losses must equal PyTorch's
TOLERANCE = 1e-3
ROUNDS = 5  # of timed steps of each library
LINE = 16  # characters, from which on a line is somebody's sentence
SENTENCE = 'An "if" statement is used for conditional execution, as in the example.'
SHOWN = 24  # units in the picture of the gates


def reference_text():
    """The topics of ``help()``, one after the other."""
    from pydoc_data.topics import topics

    return "".join(topics.values())


class Text:
    """A text as numbers, each character's place in the sorted list of all: what is learned from, and what is held out.

    The last twentieth is held out. Topics repeat each other, so a line that also stands there is not learned from.
    """

    def __init__(self, text):
        self.characters = sorted(set(text))
        self.numbers = {character: number for number, character in enumerate(self.characters)}
        cut = len(text) - len(text) // 20
        hidden = {line.strip() for line in text[cut:].split("\n") if len(line.strip()) >= LINE}
        learned = "\n".join(line for line in text[:cut].split("\n") if line.strip() not in hidden)
        self.learned, self.held_out = self.encode(learned), self.encode(text[cut:])

    def encode(self, text):
        """The numbers of the characters, int64; a character that is not in the text is an error."""
        return np.array([self.numbers[character] for character in text], np.int64)

    def streams(self):
        """What is held out, cut into `STREAMS` to be read side by side: (input, target)."""
        steps = (len(self.held_out) - 1) // STREAMS
        x, target = (self.held_out[i : i + steps * STREAMS].reshape(STREAMS, steps).T for i in (0, 1))
        return nn.Tensor(np.ascontiguousarray(x)), nn.Tensor(target.reshape(-1))


class Windows:
    """Windows of what is learned from, each beginning somewhere else whenever it is fetched."""

    def __init__(self, text):
        self.ids = text.learned

    def __len__(self):
        return len(self.ids) // STEPS_OF_TIME - 1

    def batch(self, indices):
        starts = indices * STEPS_OF_TIME + nn.generator().integers(0, STEPS_OF_TIME, len(indices))
        windows = self.ids[starts + np.arange(STEPS_OF_TIME + 1)[:, None]]
        return nn.Tensor(windows[:-1]), nn.Tensor(windows[1:].reshape(-1))


def train(text, seed, epochs, build):
    """Train from scratch with Adam and a cosine schedule; return the network and what `fit` reports."""
    nn.manual_seed(seed)
    network = build(nn)
    optimizer = nn.optim.Adam(network.parameters(), **ADAM)
    history = fit(
        network,
        DataLoader(Windows(text), BATCH_SIZE, shuffle=True, drop_last=True),
        optimizer,
        nn.functional.cross_entropy,
        epochs=epochs,
        validation=[text.streams()],
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs),
    )
    return network, history


def sample(network, text, start, temperature, length=LENGTH):
    """What the network writes after `start`; the lower the temperature, the more it keeps to what is likely."""
    written, ids, hx = [], text.encode(start)[:, None], None
    with nn.no_grad():
        for _ in range(length):
            scores, hx = network.walk(nn.Tensor(ids), hx)
            chances = kernels.softmax(scores.data[-1, 0].astype(np.float64) / temperature)
            ids = nn.generator().choice(len(chances), size=(1, 1), p=chances)
            written.append(text.characters[ids.item()])
    return start + "".join(written)


# --- pictures ---------------------------------------------------------------------------------------------------------


def gates_of(network, ids):
    """The second layer's i, f, g, o and tanh c, each (T, H), while the network reads `ids`."""
    lstm = network.lstm
    weights = [
        [getattr(lstm, f"{kind}_l{layer}").data for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for layer in (0, 1)
    ]
    x = network.embedding.weight.data[ids][:, None]
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
    canvas, grid = figure(14, 13, len(parts), 1)
    for axes, part, title in zip(grid, parts, titles, strict=True):
        signed = "gate" not in title
        style = {"cmap": "PuOr", "vmin": -1} if signed else {"cmap": "magma", "vmin": 0}
        image = axes.imshow(part[:, shown].T, aspect="auto", vmax=1, interpolation="nearest", **style)
        canvas.colorbar(image, ax=axes, pad=0.01)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set(yticks=[], ylabel=f"{SHOWN} units")
        axes.set_xticks(range(len(sentence)), list(sentence), fontsize=8, family="monospace")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    canvas.suptitle("The second layer reads; the most forgetful of its units stand on top", color=INK)
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
    count = len(text.characters)
    print(f"{count} different characters; {len(text.learned):,} to learn from, {len(text.held_out):,} held out")

    def build(library):
        return character_model(library, count, width)

    begin = perf_counter()
    network, history = train(text, seed, epochs, build)
    seconds = perf_counter() - begin
    bits = history["validation_loss"][-1] / math.log(2)
    print(f"held-out text: {bits:.3f} bits per character, after {seconds:.0f} s of training")
    for temperature in (0.5, 1.0):
        print(f"--- a sample at temperature {temperature} ---")
        print(sample(network, text, "The ", temperature))
    print("---")
    draw_curves(history, "cross-entropy (nats)", folder / "characters_curves.png", "LSTM on Python's reference")
    draw_gates(network, text, SENTENCE, folder / "characters_gates.png")

    nn.manual_seed(seed)
    batches = list(islice(DataLoader(Windows(text), BATCH_SIZE, shuffle=True, drop_last=True), STEPS))
    result = side_by_side.compare(build, ("Adam", ADAM), batches, threads, steps=STEPS, rounds=rounds, turn=4)
    side_by_side.report(result, TOLERANCE, BATCH_SIZE, threads)
    side_by_side.draw_comparison({"": result}, threads, folder / "characters_comparison.png")
    print(f"pictures: {folder}/characters_*.png")
    return result | {"bits": bits, "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description="Learn to write like Python's reference, beside PyTorch.")
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text", type=Path, help="a file to learn from instead")
    options = parser.parse_args()
    text = None if options.text is None else options.text.read_text()
    result = run(options.seed, options.epochs, options.threads, text)
    raise SystemExit(result["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()
