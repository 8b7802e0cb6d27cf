"""The text that networks learn to write, and what the experiments with it share.

It is the one that Python carries for ``help()``: 465,126 characters, 103 different ones, nothing to download.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

import nn
from nn.data import DataLoader
from nn.training import accuracy, fit

LINE = 16  # characters, from which on a line is somebody's sentence
SENTENCE = 'An "if" statement is used for conditional execution, as in the example.'


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

    def decode(self, ids):
        """The characters of the numbers, a string."""
        return "".join(self.characters[i] for i in ids)

    def streams(self, number):
        """What is held out, cut into a `number` of streams to be read side by side: (input (T, B), target)."""
        steps = (len(self.held_out) - 1) // number
        x, target = (self.held_out[i : i + steps * number].reshape(number, steps).T for i in (0, 1))
        return nn.Tensor(np.ascontiguousarray(x)), nn.Tensor(target.reshape(-1))


class Windows:
    """Windows of `steps` characters of what is learned from, each beginning somewhere else whenever it is fetched.

    Inputs are (T, B), or (B, T) with `batch_first`.
    """

    def __init__(self, text, steps, batch_first=False):
        self.ids, self.steps, self.batch_first = text.learned, steps, batch_first

    def __len__(self):
        return len(self.ids) // self.steps - 1

    def batch(self, indices):
        starts = indices * self.steps + nn.generator().integers(0, self.steps, len(indices))
        windows = self.ids[starts + np.arange(self.steps + 1)[:, None]]
        x, target = (part.T if self.batch_first else part for part in (windows[:-1], windows[1:]))
        return nn.Tensor(np.ascontiguousarray(x)), nn.Tensor(target.reshape(-1))


def batches(windows, size):
    """The windows in random order, `size` at a time."""
    return DataLoader(windows, size, shuffle=True, drop_last=True)


def first_batches(windows, size, number, seed):
    """The first of the batches that training with this seed would see if the network were drawn already."""
    nn.manual_seed(seed)
    return list(islice(batches(windows, size), number))


def train(build, windows, size, held_out, optimizer, seed, epochs):
    """Train from scratch with a cosine schedule; return the network and what `fit` reports.

    Parameters
    ----------
    build : callable
        library -> network.
    windows : Windows
    size : int
        Of a batch.
    held_out : (input, target)
    optimizer : (str, dict)
        Its name and its arguments.
    seed, epochs : int
    """
    nn.manual_seed(seed)
    network = build(nn)
    name, options = optimizer
    stepper = getattr(nn.optim, name)(network.parameters(), **options)
    history = fit(
        network,
        batches(windows, size),
        stepper,
        nn.functional.cross_entropy,
        epochs=epochs,
        validation=[held_out],
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.CosineAnnealingLR(stepper, T_max=epochs),
    )
    return network, history


def arguments(description, epochs):
    """What stands on the command line of an experiment, for its ``run``; `epochs` if none are given."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text", type=Path, help="a file to learn from instead")
    options = vars(parser.parse_args())
    return options | {"text": options["text"] and options["text"].read_text()}
