"""Cells: one step of a recurrent network."""

import math

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter


class _Cell(Module):
    """Base class of the three cells: one step of a layer."""

    _gates = 1
    _states = 1

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__()
        require_sizes(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self._gates * hidden_size
        self.weight_ih = Parameter(np.empty((rows, input_size), np.float32))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), np.float32))
        self.bias_ih = Parameter(np.empty(rows, np.float32)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, np.float32)) if bias else None
        self.reset_parameters()
        placed(self, device, dtype)

    def reset_parameters(self):
        """Draw all parameters uniformly from ±1 / √hidden_size."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input, hx=None):
        if input.ndim == 2:
            return self._step(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        if input.ndim != 1:
            raise ValueError(f"{type(self).__name__}: input must have 1 or 2 dimensions, got shape {input.shape}")
        if hx is not None:
            hx = tuple(h.unsqueeze(0) for h in hx) if self._states > 1 else hx.unsqueeze(0)
        after = self(input.unsqueeze(0), hx)
        return tuple(h.squeeze(0) for h in after) if self._states > 1 else after.squeeze(0)

    def _step(self, input, hx, *weights):
        """The state after the step."""
        raise NotImplementedError

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"


class RNNCell(_Cell):
    """One step of `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default True
    nonlinearity : {"tanh", "relu"}

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : Parameter

    Examples
    --------
    >>> import nn
    >>> nn.RNNCell(10, 20)(nn.zeros(3, 10)).shape
    (3, 20)
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self, input, hx, *weights):
        return F.rnn_cell(input, hx, *weights, nonlinearity=self.nonlinearity)

    def extra_repr(self):
        extra = super().extra_repr()
        return extra if self.nonlinearity == "tanh" else f"{extra}, nonlinearity={self.nonlinearity}"


class GRUCell(_Cell):
    """One step of `GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default True

    Examples
    --------
    >>> import nn
    >>> nn.GRUCell(10, 20)(nn.zeros(3, 10)).shape
    (3, 20)
    """

    _gates = 3
    _step = staticmethod(F.gru_cell)


class LSTMCell(_Cell):
    """One step of `LSTM`; takes and returns the pair of states (h, c).

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, default True

    Examples
    --------
    >>> import nn
    >>> h, c = nn.LSTMCell(10, 20)(nn.zeros(3, 10))
    >>> h.shape, c.shape
    ((3, 20), (3, 20))
    """

    _gates = 4
    _states = 2
    _step = staticmethod(F.lstm_cell)
