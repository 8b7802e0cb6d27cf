"""What `nn.training.fit` keeps of the epochs behind it: the best weights, and the file from which it can go on."""

import copy
import math

import numpy as np

from nn import checkpoint, distributed


class Progress:
    """The epochs that a run has behind it.

    Parameters
    ----------
    run : Run
    patience : int or None
        As in `fit`.
    path : path or None
        Of the checkpoint.
    loaders : sequence of iterable
        Whose random generators belong to the state of the run.

    Attributes
    ----------
    batches : int
        How many the completed epochs had.
    """

    def __init__(self, run, patience, path, loaders):
        self.run, self.patience, self.path, self.generators = run, patience, path, generators_of(loaders)
        self.best_loss, self.best_weights, self.best_epoch = math.inf, None, 0
        self.batches = 0

    def epoch_ended(self):
        """Keep the weights if they are the best, stop if none has been for long, and write the checkpoint (rank 0)."""
        run = self.run
        self.batches = len(run.history["batch_loss"])
        if self.patience is not None:
            last = run.history["validation_loss"][-1]
            if last < self.best_loss:
                self.best_loss, self.best_epoch = last, run.epoch
                self.best_weights = copy.deepcopy(run.model.state_dict())
            elif run.epoch - self.best_epoch >= self.patience:
                run.stop = True
        if self.path is not None and not (distributed.is_initialized() and distributed.get_rank()):
            self._save()

    def _save(self):
        run = self.run
        numbers = {"epochs": run.epoch + 1, "stop": run.stop, "history": list(run.history)}
        numbers |= {"best_loss": self.best_loss, "best_epoch": self.best_epoch, "best": self.best_weights is not None}
        arrays = {f"history/{i}": np.array(values, np.float64) for i, values in enumerate(run.history.values())}
        arrays |= {f"best/{name}": value for name, value in (self.best_weights or {}).items()}
        states = run.optimizer, None, run.scheduler, self.generators
        checkpoint.write(self.path, run.model, *states, training=(numbers, arrays))

    def load(self):
        """Return to the end of the last epoch that the checkpoint has.

        Raises
        ------
        ValueError
            It is not one of `fit`.
        """
        run = self.run
        training = checkpoint.read(self.path, run.model, run.optimizer, run.scheduler, self.generators)[1]
        if training is None:
            raise ValueError(f"fit: {self.path} is a checkpoint, but none that fit wrote")
        numbers, arrays = training
        run.epoch, run.stop = numbers["epochs"], numbers["stop"]
        for i, name in enumerate(numbers["history"]):
            run.history[name] = arrays[f"history/{i}"].tolist()
        self.batches = len(run.history["batch_loss"])
        self.best_loss, self.best_epoch = numbers["best_loss"], numbers["best_epoch"]
        if numbers["best"]:
            best = (name for name in arrays if name.startswith("best/"))
            self.best_weights = {name.removeprefix("best/"): arrays[name] for name in best}

    def restore_best(self):
        """Return to the weights of the best epoch, if there is a patience."""
        if self.best_weights is not None:
            self.run.model.load_state_dict(self.best_weights)


def generators_of(loaders):
    """The generators of their own that loaders draw from; a shuffling loader gives its own to its sampler."""
    found = {}
    for loader in loaders:
        for owner in (loader, getattr(loader, "sampler", None)):
            generator = getattr(owner, "generator", None)
            if isinstance(generator, np.random.Generator):
                found[id(generator)] = generator
    return tuple(found.values())
