"""Optimisers with the names, arguments and defaults of ``torch.optim``.

An optimiser does bookkeeping only: it collects the parameters that have a gradient, their state arrays and the group's
options. The common ones pass them to one kernel of ``kernels/update/``, which updates the whole group in one call; the
others update each parameter by expressions of NumPy arrays.
"""

from nn.optim import lr_scheduler, swa_utils
from nn.optim.adadelta import Adadelta
from nn.optim.adafactor import Adafactor
from nn.optim.adagrad import Adagrad
from nn.optim.adam import Adam, AdamW
from nn.optim.adamax import Adamax
from nn.optim.asgd import ASGD
from nn.optim.lbfgs import LBFGS
from nn.optim.muon import Muon
from nn.optim.nadam import NAdam
from nn.optim.optimizer import Optimizer, required
from nn.optim.radam import RAdam
from nn.optim.rmsprop import RMSprop
from nn.optim.rprop import Rprop
from nn.optim.sgd import SGD
