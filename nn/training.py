"""The training loop: epochs over batches, with metrics, validation, a progress bar and early stopping."""

import copy
import math
import warnings
from contextlib import nullcontext

from nn.grad_mode import no_grad
from nn.optim.arguments import as_number
from nn.optim.lr_scheduler import ReduceLROnPlateau


def accuracy(output, target):
    """The fraction of rows in which the target class has the largest score.

    Parameters
    ----------
    output : Tensor
        Scores (N, C).
    target : Tensor
        Class indices (N,).

    Returns
    -------
    float

    Examples
    --------
    >>> import nn
    >>> nn.training.accuracy(nn.Tensor([[0.1, 0.9], [0.8, 0.2]]), nn.Tensor([1, 1]))
    0.5
    """
    return float((output.array.argmax(axis=-1) == target.array).mean())


def evaluate(model, batches, loss, metrics=None):
    """Loss and metrics of a model over batches, in evaluation mode and without recording.

    Parameters
    ----------
    model : Module
        The mode of each of its submodules is restored afterwards.
    batches : iterable of (input, target)
    loss : callable
        (output, target) -> 0-d Tensor, a mean over the batch.
    metrics : dict of str to callable, optional
        Name -> function (output, target) -> number, a mean over the batch.

    Returns
    -------
    dict
        ``"loss"`` and each metric: means over all samples.

    Raises
    ------
    ValueError
        There is no batch.
    """
    means = _Means(metrics)
    with model._evaluating(), no_grad():
        for x, target in batches:
            output = model(x)
            means.add(loss(output, target).item(), output, target)
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
):
    """Train a model.

    Parameters
    ----------
    model : Module
        Set to training mode if it is in evaluation mode itself. If only submodules are, such as frozen normalisations,
        they remain in evaluation mode.
    train : iterable of (input, target)
        Iterated once per epoch: a `DataLoader`.
    optimizer : Optimizer
        Of the model's parameters.
    loss : callable
        (output, target) -> 0-d Tensor, a mean over the batch.
    epochs : int
        The largest number of epochs.
    validation : iterable of (input, target), optional
        Evaluated after each epoch.
    metrics : dict of str to callable, optional
        Name -> function (output, target) -> number, a mean over the batch: ``{"accuracy": accuracy}``.
    scheduler : LRScheduler, optional
        Stepped after each epoch; `ReduceLROnPlateau` gets the validation loss.
    patience : int, optional
        Stop after this many epochs in a row without a lower validation loss, and finally restore the weights of the
        best epoch. None: train for all epochs and keep the last weights.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    dict of str to list
        One number per epoch: ``"loss"`` and each metric, averaged over the epoch's batches while training;
        ``"validation_loss"`` and ``"validation_<metric>"`` if there is a validation set; ``"lr"``, the rate of the
        first group. And ``"batch_loss"``, one number per batch.

    Raises
    ------
    ImportError
        `progress` is set and tqdm is not installed.
    ValueError
        `patience` or a `ReduceLROnPlateau` is given without `validation`, or there are no batches.
    """
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    if validation is None and (patience is not None or plateau):
        raise ValueError(f"fit: {'ReduceLROnPlateau' if plateau else 'patience'} needs a validation set")
    if not model.training:
        model.train()
    history = {"batch_loss": []}
    best_loss, best_weights, best_epoch = math.inf, None, 0
    with _progress_bar(epochs, train) if progress else nullcontext() as bar:
        for epoch in range(epochs):
            results = _train_epoch(model, train, optimizer, loss, metrics, history["batch_loss"], bar)
            if validation is not None:
                results |= {f"validation_{k}": v for k, v in evaluate(model, validation, loss, metrics).items()}
            for name, value in (results | {"lr": as_number(optimizer.param_groups[0]["lr"])}).items():
                history.setdefault(name, []).append(value)
            if bar is not None:
                bar.set_postfix({name: f"{value:.4g}" for name, value in results.items()})
            if plateau:
                scheduler.step(results["validation_loss"])
            elif scheduler is not None:
                scheduler.step()
            if patience is not None:
                if results["validation_loss"] < best_loss:
                    best_loss, best_epoch = results["validation_loss"], epoch
                    best_weights = copy.deepcopy(model.state_dict())
                elif epoch - best_epoch >= patience:
                    break
    if best_weights is not None:
        model.load_state_dict(best_weights)
    return history


def _train_epoch(model, batches, optimizer, loss, metrics, batch_losses, bar):
    means = _Means(metrics)
    for x, target in batches:
        optimizer.zero_grad()
        output = model(x)
        batch_loss = loss(output, target)
        batch_loss.backward()
        optimizer.step()
        batch_losses.append(batch_loss.item())
        means.add(batch_losses[-1], output, target)
        if bar is not None:
            bar.update()
    return means.result()


class _Means:
    """Running means of the loss and the metrics over samples."""

    def __init__(self, metrics):
        self.metrics = metrics or {}
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


def _progress_bar(epochs, train):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # in a notebook without ipywidgets: that the bar will be of text
            from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("a progress bar needs tqdm: pip install tqdm, or progress=False") from error
    return tqdm(total=epochs * len(train) if hasattr(train, "__len__") else None, unit="batch")
