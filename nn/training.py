"""The training loop: epochs over batches, with metrics, validation, a progress bar, early stopping and checkpoints."""

import os
import warnings
from contextlib import nullcontext

import numpy as np

from nn.callbacks import Run, events_of
from nn.grad_mode import no_grad
from nn.metrics import accuracy, named_metrics
from nn.operations.joining import cat
from nn.optim.arguments import as_number
from nn.optim.lr_scheduler import ReduceLROnPlateau
from nn.progress import Progress
from nn.tensor import Tensor
from nn.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_convert

__all__ = ["accuracy", "evaluate", "fit", "predict"]


def predict(model, inputs, *, batch_size=256):
    """The outputs of a model for all inputs, in evaluation mode and without recording.

    Parameters
    ----------
    model : Module
        Its output is one Tensor (N, ...). The mode of each of its submodules is restored afterwards.
    inputs : Tensor or array (N, ...), Dataset, or iterable of batches
        Of a batch that is a tuple or list, such as (input, target), the first element.
    batch_size : int, default 256
        Of a tensor, an array or a dataset.

    Returns
    -------
    Tensor (N, ...)

    Raises
    ------
    TypeError
        The output is not a Tensor.
    ValueError
        There is no batch.

    Examples
    --------
    >>> import numpy as np, nn
    >>> nn.training.predict(nn.Linear(3, 2), np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """
    if isinstance(inputs, (Tensor, np.ndarray)):
        inputs = TensorDataset(inputs)
    outputs = []
    with model._evaluating(), no_grad():
        for batch in _batches("predict", inputs, batch_size, pairs=tuple):
            output = model(_tensors(batch[0] if isinstance(batch, (tuple, list)) else batch))
            if not isinstance(output, Tensor):
                raise TypeError(f"predict: the output must be a Tensor, got {type(output).__name__}")
            outputs.append(output)
    if not outputs:
        raise ValueError("predict: there are no batches")
    return cat(outputs)


def evaluate(model, batches, loss, metrics=None, *, batch_size=256):
    """Loss and metrics of a model over batches, in evaluation mode and without recording.

    Parameters
    ----------
    model : Module
        The mode of each of its submodules is restored afterwards.
    batches : iterable of (input, target), Dataset, or pair of arrays or tensors
    loss : callable
        (output, target) -> 0-d Tensor, a mean over the batch.
    metrics : optional
        As in `fit`.
    batch_size : int, default 256
        Of a dataset or a pair of arrays.

    Returns
    -------
    dict
        ``"loss"`` and each metric: means over all samples.

    Raises
    ------
    ValueError
        There is no batch.
    """
    means = _Means(named_metrics(metrics))
    with model._evaluating(), no_grad():
        for x, target in _batches("evaluate", batches, batch_size):
            x, target = _tensors(x), _tensors(target)
            output = model(x)
            means.add(_loss(loss, output, target).item(), output, target)
    return means.result()


def fit(
    model,
    train,
    optimizer,
    loss,
    *,
    epochs,
    validation=None,
    metrics=None,
    scheduler=None,
    patience=None,
    progress=True,
    scheduler_interval="epoch",
    callbacks=(),
    checkpoint=None,
    resume=False,
    history=None,
    batch_size=32,
):
    """Train a model.

    Parameters
    ----------
    model : Module
        Set to training mode if it is in evaluation mode itself. If only submodules are, such as frozen normalisations,
        they remain in evaluation mode.
    train : iterable of (input, target), Dataset, or pair of arrays or tensors
        Batches, iterated once per epoch: a `DataLoader`. Or samples: a pair of arrays (N, ...) or tensors, or a
        `Dataset` of such pairs; they are shuffled in each epoch. Arrays become tensors of their dtype.
    optimizer : Optimizer
        Of the model's parameters.
    loss : callable
        (output, target) -> 0-d Tensor, a mean over the batch.
    epochs : int
        The largest number of epochs.
    validation : as `train`, optional
        Evaluated after each epoch; not shuffled.
    metrics : str, sequence of str or callable, or dict of str to callable, optional
        Names of `nn.metrics`, as in ``["accuracy"]``, or functions (output, target) -> number, a mean over the batch.
    scheduler : LRScheduler, optional
        `ReduceLROnPlateau` gets the validation loss.
    patience : int, optional
        Stop after this many epochs in a row without a lower validation loss, and finally restore the weights of the
        best epoch. None: train for all epochs and keep the last weights.
    progress : bool, default True
        Show a progress bar.
    scheduler_interval : {"epoch", "batch"}, default "epoch"
        When the scheduler is stepped: after each epoch or after each batch, as `OneCycleLR` and `CyclicLR` count.
    callbacks : sequence of objects, optional
        With the methods that `nn.callbacks` names, such as `nn.callbacks.CSVLog`.
    checkpoint : path, optional
        Written after each epoch, atomically: a file of `nn.checkpoint` with everything that the training needs to go
        on, random state included. In a process group rank 0 writes it.
    resume : bool, default False
        Go on from `checkpoint` if the file exists. The run ends with the same bits as one that was never stopped,
        provided that `train` draws its numbers from the generator of `nn`, its own ``generator``, NumPy's global one or
        Python's.
    history : dict, optional
        An empty dict to be filled and returned: what is known at any time, also after an error.
    batch_size : int, default 32
        Of a dataset or a pair of arrays.

    Returns
    -------
    dict of str to list
        One number per epoch: ``"loss"`` and each metric, averaged over the epoch's batches while training;
        ``"validation_loss"`` and ``"validation_<metric>"`` if there is a validation set; ``"lr"``, the rate of the
        first group. And ``"batch_loss"``, one number per batch, with ``"batch_lr"`` if the scheduler counts batches.

    Raises
    ------
    ImportError
        `progress` is set and tqdm is not installed, or `checkpoint` and safetensors is not.
    KeyboardInterrupt
        Ctrl-C, so that a script does not go on with a model that is trained by half; the model keeps its present
        weights. The error has the history until then as its attribute ``history``, with the number of batches of the
        unfinished epoch as ``"unfinished"``: in a notebook, ``sys.last_value.history``.
    TypeError
        `callbacks` or `metrics` are not what is said above.
    ValueError
        `patience` or a `ReduceLROnPlateau` is given without `validation`, or there are no batches; `resume` without
        `checkpoint`; `history` is not empty.
    """
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    _check(validation, patience, plateau, scheduler_interval, checkpoint, resume, history)
    if isinstance(optimizer, type):
        raise TypeError(
            f"fit: optimizer must be an optimiser of the model's parameters, got the class {optimizer.__name__}"
        )
    if isinstance(loss, type) or not callable(loss):
        found = f"the class {loss.__name__}: pass {loss.__name__}()" if isinstance(loss, type) else f"{loss!r}"
        raise TypeError(
            f"fit: loss must be a function of output and target, such as nn.CrossEntropyLoss(), got {found}"
        )
    events, metrics = events_of(callbacks), named_metrics(metrics)
    train = _batches("fit", train, batch_size, shuffle=True)
    if not model.training:
        model.train()
    run = Run(model, optimizer, scheduler, epochs, {} if history is None else history)
    run.history["batch_loss"] = []
    kept = Progress(run, patience, checkpoint, (train, validation))
    if resume and os.path.exists(checkpoint):
        kept.load()
    start = run.epoch
    by_batch = scheduler if scheduler_interval == "batch" else None
    with _progress_bar(start, epochs, train) if progress else nullcontext() as bar:
        _call(events["on_train_begin"], run)
        try:
            for epoch in range(start, start if run.stop else epochs):
                run.epoch = epoch
                if hasattr(getattr(train, "sampler", None), "set_epoch"):  # a DistributedSampler's order
                    train.sampler.set_epoch(epoch)
                _call(events["on_epoch_begin"], run)
                results = _train_epoch(run, train, loss, metrics, by_batch, events, bar)
                if validation is not None:
                    found = evaluate(model, validation, loss, metrics, batch_size=batch_size)
                    results |= {f"validation_{name}": value for name, value in found.items()}
                for name, value in (results | {"lr": as_number(optimizer.param_groups[0]["lr"])}).items():
                    run.history.setdefault(name, []).append(value)
                if bar is not None:
                    bar.set_postfix({name: f"{value:.4g}" for name, value in results.items()})
                if plateau:
                    scheduler.step(results["validation_loss"])
                elif scheduler is not None and by_batch is None:
                    scheduler.step()
                _call(events["on_epoch_end"], run)
                kept.epoch_ended()
                if run.stop:
                    break
        except KeyboardInterrupt as error:
            run.history["unfinished"] = len(run.history["batch_loss"]) - kept.batches
            error.history = run.history
            error.add_note(
                f"fit: interrupted in epoch {run.epoch + 1}; the error's attribute history is that until then"
            )
            raise
        finally:
            _call(events["on_train_end"], run)
    kept.restore_best()
    return run.history


def _check(validation, patience, plateau, interval, checkpoint, resume, history):
    """Raise unless the options of `fit` go together."""
    if validation is None and (patience is not None or plateau):
        raise ValueError(f"fit: {'ReduceLROnPlateau' if plateau else 'patience'} needs a validation set")
    if interval not in ("epoch", "batch"):
        raise ValueError(f'fit: scheduler_interval must be "epoch" or "batch", got {interval!r}')
    if plateau and interval == "batch":
        raise ValueError('fit: ReduceLROnPlateau looks at the validation loss, which is known once an epoch: "epoch"')
    if resume and checkpoint is None:
        raise ValueError("fit: resume needs a checkpoint, the file to go on from")
    if history:
        raise ValueError(f"fit: history must be an empty dict, has {', '.join(history)}")


def _train_epoch(run, batches, loss, metrics, scheduler, events, bar):
    model, optimizer, history = run.model, run.optimizer, run.history
    after_backward, after_batch = events["on_backward_end"], events["on_batch_end"]
    means = _Means(metrics)
    run.batch = 0
    for x, target in batches:
        x, target = _tensors(x), _tensors(target)
        optimizer.zero_grad()
        output = model(x)
        batch_loss = _loss(loss, output, target)
        batch_loss.backward()
        if after_backward:
            _call(after_backward, run)
        optimizer.step()
        value = batch_loss.item()
        history["batch_loss"].append(value)
        if scheduler is not None:
            history.setdefault("batch_lr", []).append(as_number(optimizer.param_groups[0]["lr"]))
            scheduler.step()
        means.add(value, output, target)
        if after_batch:
            _call(after_batch, run)
        if bar is not None:
            bar.update()
        run.batch += 1
    return means.result()


def _call(methods, run):
    for method in methods:
        method(run)


def _batches(name, data, size, shuffle=False, pairs=(tuple, list)):
    """Batches as they are; a pair of arrays or a dataset as a loader."""
    if isinstance(data, pairs) and len(data) == 2 and all(isinstance(x, (Tensor, np.ndarray)) for x in data):
        data = TensorDataset(*data)
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        return DataLoader(data, size, shuffle=shuffle)
    if isinstance(data, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: needs batches, a dataset or a pair (inputs, targets), got a {type(data).__name__}")
    return data


def _tensors(x):
    """An input or target with its arrays as tensors."""
    return x if isinstance(x, Tensor) else default_convert(x)


def _loss(loss, output, target):
    """The loss; an error about a float64 target says what to do."""
    try:
        return loss(output, target)
    except TypeError as error:
        both = isinstance(output, Tensor) and isinstance(target, Tensor)
        if both and (output.dtype, target.dtype) == (np.float32, np.float64):
            error.add_note(
                "the target is float64, as NumPy and scikit-learn make it, and the output is float32: convert the "
                "array by .astype(np.float32), or the model and its inputs by .double()"
            )
        raise


class _Means:
    """Running means of the loss and the metrics over samples."""

    def __init__(self, metrics):
        self.metrics = metrics
        self.totals = dict.fromkeys(("loss", *self.metrics), 0.0)
        self.count = 0

    def add(self, loss, output, target):
        n = len(target)
        self.count += n
        self.totals["loss"] += n * loss
        for name, metric in self.metrics.items():
            self.totals[name] += n * float(metric(output, target))

    def result(self):
        if self.count == 0:
            raise ValueError("there are no batches to train on or to evaluate")
        return {name: total / self.count for name, total in self.totals.items()}


def _progress_bar(start, epochs, train):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook without ipywidgets: that the bar will be of text
            from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("a progress bar needs tqdm: pip install tqdm, or progress=False") from error
    batches = len(train) if hasattr(train, "__len__") else None
    return tqdm(total=batches and epochs * batches, initial=start * (batches or 0), unit="batch")
