"""A transformer learns to write: four blocks of GPT on Python's own reference, character by character, beside PyTorch.

The text is that of `experiments.trainings.characters`, where an LSTM learns it. The network reads windows of 128
characters, each of them asking those before it what may come next; the last twentieth of the text is held out, and what
it shares with the rest is not learned from. The score is bits per character: log2 of how many choices are left on
average, over windows of the held-out text that begin with nothing known. Then PyTorch gets the same initial weights and
batches: the losses of the first 20 steps must agree within 1e-3, and the time per step is measured side by side at the
same number of threads. The pictures in ``figures/``: loss and accuracy, the same losses, and where each head of each
block looks while the network reads a sentence.

    python -m experiments.trainings.gpt [--threads N] [--epochs N] [--seed N] [--text FILE]
"""

import math
from pathlib import Path
from time import perf_counter

import numpy as np

import kernels
import nn
from benchmarks.cases import networks
from experiments import side_by_side
from experiments.trainings.text import SENTENCE, Text, Windows, arguments, first_batches, reference_text, train
from nn import plot
from nn.models import generate

FIGURES = Path(__file__).parent / "figures"
CONTEXT, WIDTH, LAYERS, HEADS = 128, 128, 4, 4
BATCH_SIZE = 16
EPOCHS = 8
OPTIMIZER = ("AdamW", {"lr": 1e-3, "weight_decay": 0.1})
LENGTH = 300  # of a sample
STEPS = 20  # whose losses must equal PyTorch's
TOLERANCE = 1e-3
ROUNDS = 5  # of timed steps of each library


def held_out_windows(text, steps):
    """What is held out, cut into windows: (input (B, T), target)."""
    count = (len(text.held_out) - 1) // steps
    x, target = (text.held_out[i : i + count * steps] for i in (0, 1))
    return nn.Tensor(x.reshape(count, steps)), nn.Tensor(target)


def sample(model, text, start, temperature, length=LENGTH):
    """What the model writes after `start`; where its context is full, it goes on from the latter half."""
    ids = text.encode(start)[None]
    end = ids.shape[1] + length
    while ids.shape[1] < end:
        beginning = ids[:, -(model.context // 2) :]
        count = min(end - ids.shape[1], model.context + 1 - beginning.shape[1])
        written = generate(model, beginning, count, temperature=temperature)
        ids = np.concatenate((ids, written.array[:, beginning.shape[1] :]), axis=1)
    return text.decode(ids[0])


# --- pictures ---------------------------------------------------------------------------------------------------------


def attention_maps(model, ids):
    """The weights of all heads, (layers, heads, T, T), as the model reads `ids`: row i is where character i looks."""
    projected = []
    handles = [
        block.attention.qkv.register_forward_hook(lambda module, args, output: projected.append(output.array[0]))
        for block in model.blocks
    ]
    with nn.no_grad():
        model(nn.Tensor(ids[None]))
    for handle in handles:
        handle.remove()
    packed = np.stack(projected).reshape(len(projected), len(ids), 3, model.heads, -1)
    q, k, _ = packed.transpose(2, 0, 3, 1, 4)
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    future = np.triu(np.ones((len(ids), len(ids)), bool), 1)
    return kernels.softmax(np.where(future, np.float32(-np.inf), scores.astype(np.float32)))


def draw_attention(maps, sentence, path):
    """A map for each head of each layer; the darker, the more a character (row) asks another (column)."""
    layers, heads = maps.shape[:2]
    canvas, grid = plot.figure(4.5 * heads, 4.5 * layers, layers, heads, squeeze=False)
    titles = [f"block {i + 1}, head {j + 1}" for i, j in np.ndindex(layers, heads)]
    letters = list(sentence)
    plot.attention(maps.reshape(-1, *maps.shape[2:]), queries=letters, keys=letters, titles=titles, axes=grid)
    with plot.style():
        canvas.suptitle("Where each head looks: a character (row) at those before it (columns)")
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
    windows, count = Windows(text, CONTEXT, batch_first=True), len(text.characters)
    print(f"{count} different characters; {len(text.learned):,} to learn from, {len(text.held_out):,} held out")

    def build(library):
        return networks.gpt(library, count, CONTEXT, width, LAYERS, HEADS)

    begin = perf_counter()
    network, history = train(build, windows, BATCH_SIZE, held_out_windows(text, CONTEXT), OPTIMIZER, seed, epochs)
    seconds = perf_counter() - begin
    bits, model = history["validation_loss"][-1] / math.log(2), network.decoder
    print(f"held-out text: {bits:.3f} bits per character, after {seconds:.0f} s of training")
    for temperature in (0.5, 1.0):
        print(f"--- a sample at temperature {temperature} ---")
        print(sample(model, text, "The ", temperature, LENGTH))
    print("---")
    curves = plot.history(history, loss="cross-entropy (nats)", title="GPT on Python's reference")
    curves[0].figure.savefig(folder / "gpt_curves.png")
    draw_attention(attention_maps(model, text.encode(SENTENCE)), SENTENCE, folder / "gpt_attention.png")

    batches = first_batches(windows, BATCH_SIZE, STEPS, seed)
    result = side_by_side.compare(build, OPTIMIZER, batches, threads, steps=STEPS, rounds=rounds, turn=4)
    side_by_side.report(result, TOLERANCE, BATCH_SIZE, threads)
    side_by_side.draw_comparison({"": result}, threads, folder / "gpt_comparison.png")
    print(f"pictures: {folder}/gpt_*.png")
    return result | {"bits": bits, "seconds": seconds}


def main():
    options = arguments("A transformer learns to write like Python's reference, beside PyTorch.", EPOCHS)
    raise SystemExit(run(**options)["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()
