"""Callbacks of `nn.training.fit`: what it calls while it trains, and two of them, which write logs.

A callback is any object with one or more of these methods, each of which gets the `Run`:

- ``on_train_begin``, ``on_train_end``: the latter also after an error or Ctrl-C;
- ``on_epoch_begin``, ``on_epoch_end``: the latter after validation and the scheduler, before the checkpoint is written;
- ``on_backward_end``: gradients are computed, the optimiser has not stepped: where they are clipped or looked at;
- ``on_batch_end``: the optimiser and a scheduler of batches have stepped.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVENTS = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_backward_end", "on_batch_end")
BY_BATCH = ("batch_loss", "batch_lr")  # entries of a history that have a number for each batch


@dataclass
class Run:
    """A training run as callbacks see it.

    Attributes
    ----------
    model : Module
    optimizer : Optimizer
    scheduler : LRScheduler or None
    epochs : int
        The largest number of epochs.
    history : dict of str to list
        What `fit` will return, until now.
    epoch, batch : int
        The present ones, counted from 0; batches in each epoch anew.
    stop : bool
        A callback sets it to True to end the training after the present epoch.
    """

    model: Any
    optimizer: Any
    scheduler: Any
    epochs: int
    history: dict = field(default_factory=dict)
    epoch: int = 0
    batch: int = 0
    stop: bool = False


def events_of(callbacks):
    """Event -> the methods that are called then, in the order of the callbacks.

    Raises
    ------
    TypeError
        A callback has none of the methods, or another one whose name begins with ``on_``.
    """
    events = {event: [] for event in EVENTS}
    for callback in callbacks:
        names = [name for name in dir(callback) if name.startswith("on_")]
        wrong = [name for name in names if name not in EVENTS]
        if wrong or not names:
            found = f"has {', '.join(wrong)}" if wrong else "has none"
            raise TypeError(f"fit: a callback has some of the methods {', '.join(EVENTS)}; {callback!r} {found}")
        for name in names:
            events[name].append(getattr(callback, name))
    return events


class CSVLog:
    """Callback: a CSV file with a line for each epoch: its number from 1 on, and the history's numbers of the epoch.

    The file is written anew when the training begins, with the epochs that a resumed run has behind it, and is complete
    after each epoch.

    Parameters
    ----------
    path : path

    Examples
    --------
    >>> import os, tempfile, nn
    >>> from nn import callbacks, training
    >>> model = nn.Linear(1, 1)
    >>> data = nn.ones(4, 1), nn.ones(4, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = callbacks.CSVLog(os.path.join(folder, "log.csv"))
    ...     _ = training.fit(
    ...         model, data, nn.optim.SGD(model.parameters()), nn.functional.mse_loss, epochs=2, progress=False,
    ...         callbacks=[log],
    ...     )
    ...     print(log.path.read_text().split()[0])
    epoch,loss,lr
    """

    def __init__(self, path):
        self.path = Path(path)

    def on_train_begin(self, run):
        """Write the file, with what is in the history already."""
        self.file = open(self.path, "w", newline="", encoding="utf-8")  # noqa: SIM115
        self.writer, self.names = csv.writer(self.file), None
        for epoch in range(len(run.history.get("loss", ()))):
            self._write(run.history, epoch)

    def on_epoch_end(self, run):
        """Add the epoch's line."""
        self._write(run.history, run.epoch)

    def on_train_end(self, run):
        """Close the file."""
        self.file.close()

    def _write(self, history, epoch):
        if self.names is None:
            self.names = [name for name in history if name not in BY_BATCH]
            self.writer.writerow(("epoch", *self.names))
        self.writer.writerow((epoch + 1, *(history[name][epoch] for name in self.names)))
        self.file.flush()


class TensorBoardLog:
    """Callback: scalars for TensorBoard: those of epochs by the epoch's number from 1 on, those of batches by theirs.

    The files are written by tensorboardX, which needs neither TensorBoard nor PyTorch. A resumed run with the same
    folder replaces what a broken one wrote after its last checkpoint.

    Parameters
    ----------
    log : path or writer
        A folder; or an object with the methods ``add_scalar(tag, value, step)`` and ``close()``, such as
        ``torch.utils.tensorboard.SummaryWriter``.
    every : int, default 1
        Of how many batches one is written.

    Raises
    ------
    ImportError
        When the training begins: `log` is a folder and tensorboardX is not installed.
    """

    def __init__(self, log, every=1):
        self.log, self.every = log, every

    def on_train_begin(self, run):
        """Open the writer."""
        batches = len(run.history["batch_loss"])
        self.writer = self.log if hasattr(self.log, "add_scalar") else _tensorboard_writer(self.log, batches)

    def on_batch_end(self, run):
        """Write the batch's loss and, if it is scheduled by batches, rate."""
        step = len(run.history["batch_loss"])
        if step % self.every == 0:
            for name in BY_BATCH:
                if name in run.history:
                    self.writer.add_scalar(name.replace("_", "/"), run.history[name][-1], step)

    def on_epoch_end(self, run):
        """Write the epoch's numbers."""
        for name, values in run.history.items():
            if name not in BY_BATCH:
                held_out = name.startswith("validation_")
                tag = f"validation/{name.removeprefix('validation_')}" if held_out else f"epoch/{name}"
                self.writer.add_scalar(tag, values[-1], run.epoch + 1)

    def on_train_end(self, run):
        """Close the writer."""
        self.writer.close()


def _tensorboard_writer(folder, batches):
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError("TensorBoardLog needs tensorboardX: pip install tensorboardX") from error
    return SummaryWriter(str(folder), purge_step=batches + 1 if batches else None)
