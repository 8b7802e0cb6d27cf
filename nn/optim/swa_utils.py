"""Averages of a model's weights over training, with the names of ``torch.optim.swa_utils``.

Reference: Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018).
"""

import math
from copy import deepcopy
from itertools import chain

import numpy as np

from nn.grad_mode import no_grad
from nn.module import Module
from nn.normalization import _BatchNorm
from nn.optim.lr_scheduler.base import LRScheduler, per_group, require
from nn.tensor import Tensor


def _check_decay(decay):
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be in [0, 1], got {decay}")


def get_ema_multi_avg_fn(decay=0.999):
    """A function of the averages, the parameters and their number that updates exponential moving averages in place."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param_list, current_param_list, _):
        for average, current in zip(ema_param_list, current_param_list, strict=True):
            average.copy_(average + (1 - decay) * (current - average))

    return ema_update


def get_swa_multi_avg_fn():
    """A function of the averages, the parameters and their number that updates equal averages in place."""

    @no_grad()
    def swa_update(averaged_param_list, current_param_list, num_averaged):
        for average, current in zip(averaged_param_list, current_param_list, strict=True):
            average.copy_(average + (current - average) / (num_averaged + 1))

    return swa_update


def get_ema_avg_fn(decay=0.999):
    """A function of an average, a parameter and the number averaged: the new exponential moving average."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param, current_param, num_averaged):
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn():
    """A function of an average, a parameter and the number averaged: the new equal average."""

    @no_grad()
    def swa_update(averaged_param, current_param, num_averaged):
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those of the model over the calls of `update_parameters`.

    Parameters
    ----------
    model : Module
    device : optional
        For PyTorch's signature: the copy is where the model is.
    avg_fn : callable, optional
        Average, parameter, number averaged -> new average. By default the equal average.
    multi_avg_fn : callable, optional
        In the place of `avg_fn`: changes a list of averages in place.
    use_buffers : bool, default False
        Whether buffers are averaged, too, rather than copied.

    Raises
    ------
    ValueError
        Both `avg_fn` and `multi_avg_fn`.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", Tensor(np.zeros((), np.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model):
        """Average the parameters of `model` in; the first call copies them."""
        averages, currents = (self._averaged(each) for each in (self.module, model))
        if self.n_averaged == 0:
            for average, current in zip(averages, currents, strict=True):
                average.copy_(current)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(averages, currents, self.n_averaged)
        else:
            average_of = self.avg_fn or get_swa_avg_fn()
            for average, current in zip(averages, currents, strict=True):
                average.copy_(average_of(average, current, self.n_averaged))
        if not self.use_buffers:
            for average, current in zip(self.module.buffers(), model.buffers(), strict=True):
                average.copy_(current)
        self.n_averaged += 1

    def _averaged(self, model):
        """What is averaged of a model, detached."""
        tensors = chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()
        return [t.detach() for t in tensors]


@no_grad()
def update_bn(loader, model, device=None):
    """Compute the running statistics of batch normalisations anew, for the averaged weights.

    Parameters
    ----------
    loader : iterable
        Batches, or lists and tuples whose first element is the batch.
    model : Module
    device : optional
        For PyTorch's signature: it is not used.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta, was_training = [norm.momentum for norm in norms], model.training
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average of all batches
    for batch in loader:
        model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneal the rate to `swa_lr`, at which it stays.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float or list of float
    anneal_epochs : int, default 10
    anneal_strategy : {"cos", "linear"}, default "cos"
    last_epoch : int, default -1

    Raises
    ------
    ValueError
        An unknown strategy, or `anneal_epochs` is negative or not an integer.
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        whole = isinstance(anneal_epochs, int) and anneal_epochs >= 0
        require(self, whole, "anneal_epochs must be an integer of at least 0", anneal_epochs)
        for group, rate in zip(optimizer.param_groups, per_group(optimizer, "SWALR: swa_lr", swa_lr), strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _fraction(self, epoch):
        """How far the rate has moved at an epoch."""
        t = max(0, min(1, epoch / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self):
        epoch = max(1, self.last_epoch) if self.anneal_epochs == 0 else self.last_epoch
        before, now = self._fraction(epoch - 1), self._fraction(epoch)
        rates = []
        for rate, group in zip(self._rates(), self.optimizer.param_groups, strict=True):
            end = group["swa_lr"]
            initial = end if before == 1 else (rate - before * end) / (1 - before)
            rates.append(end * now + initial * (1 - now))
        return rates
