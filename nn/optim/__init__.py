"""Optimisers with the names, arguments and defaults of ``torch.optim``.

An optimiser does bookkeeping only: it collects the parameters that have a gradient, their state arrays and the group's
options. The common ones pass them to one kernel of ``kernels/update/``, which updates the whole group in one call; the
others update each parameter by expressions of NumPy arrays.
"""

from nn.optim import lr_scheduler
from nn.optim.adagrad import Adagrad
from nn.optim.adam import Adam, AdamW
from nn.optim.optimizer import Optimizer
from nn.optim.rmsprop import RMSprop
from nn.optim.sgd import SGD
