"""Learning-rate schedules with the names, arguments and rates of ``torch.optim.lr_scheduler``.

Like torch's, most schedules are recursive: the next rate is computed from the optimiser's current rate. So several of
them can drive one optimiser (a warm-up and a decay, both stepped every epoch), and their factors multiply.

A schedule resumed with `last_epoch` has the same rates as one that was never interrupted. Rates restored from the
optimiser's ``state_dict`` already belong to that epoch and are kept (torch applies the factor of a milestone, or of the
end of `ConstantLR`, a second time). A rate that still equals the initial one, as in a new optimiser whose groups were
given an ``"initial_lr"``, is computed for the epoch (torch leaves it unchanged).

A rate may be a NumPy number or a tensor: a schedule computes with Python numbers, and changes a tensor in place.

Call ``scheduler.step()`` after ``optimizer.step()``: once per epoch, or once per batch for the schedules that count
batches.
"""

from nn.optim.lr_scheduler.annealing import CosineAnnealingLR, CosineAnnealingWarmRestarts, PolynomialLR
from nn.optim.lr_scheduler.base import LRScheduler
from nn.optim.lr_scheduler.composite import ChainedScheduler, SequentialLR
from nn.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from nn.optim.lr_scheduler.factors import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    StepLR,
)
from nn.optim.lr_scheduler.plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # the name that programs of before PyTorch 2.0 import
