"""Recurrent networks; their cells are in `nn.recurrent_cells`."""

import math
import warnings

import numpy as np

from nn import functional as F
from nn import init
from nn.factory import placed
from nn.module import Module
from nn.operations.joining import cat, stack
from nn.parameter import Parameter
from nn.recurrent_cells import GRUCell, LSTMCell, RNNCell
from nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


class _Recurrent(Module):
    """Base class of RNN, GRU and LSTM: layers of recurrent units, each in one direction or two."""

    _gates = 1
    _states = 1

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
        *,
        checkpoint_every=None,
    ):
        super().__init__()
        name = type(self).__name__
        for key, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name}: {key} must be an int, got {type(value).__name__}")
            if value < 1:
                raise ValueError(f"{name}: {key} must be at least 1, got {value}")
        for key, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {key} must be a bool, got {type(value).__name__}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be a number between 0 and 1, got {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: proj_size must be from 0 to hidden_size - 1 = {hidden_size - 1}, got {proj_size}"
            )
        if checkpoint_every is not None and checkpoint_every < 1:
            raise ValueError(f"{name}: checkpoint_every must be at least 1, got {checkpoint_every}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, so dropout={dropout} does nothing with num_layers=1",
                stacklevel=3,
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.checkpoint_every = bidirectional, proj_size, checkpoint_every
        self._names = [self._add(layer, suffix) for layer in range(num_layers) for suffix in self._suffixes()]
        self.reset_parameters()
        placed(self, device, dtype)

    def _suffixes(self):
        return ("", "_reverse") if self.bidirectional else ("",)

    def _add(self, layer, suffix):
        """Add the parameters of one direction of one layer; return argument name of its function -> attribute."""
        H, P, rows = self.hidden_size, self._output_size(), self._gates * self.hidden_size
        inputs = P * len(self._suffixes()) if layer else self.input_size
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, P)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (P, H)
        for kind, shape in shapes.items():
            setattr(self, f"{kind}_l{layer}{suffix}", Parameter(np.empty(shape, np.float32)))
        return {kind: f"{kind}_l{layer}{suffix}" for kind in shapes}

    def _output_size(self):
        return self.proj_size or self.hidden_size

    def reset_parameters(self):
        """Draw all parameters uniformly from ±1 / √hidden_size."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def _flat_weights_names(self):
        return [name for names in self._names for name in names.values()]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self):
        """The parameters of each direction of each layer, a list of lists."""
        return [[getattr(self, name) for name in names.values()] for names in self._names]

    def flatten_parameters(self):
        """Do nothing: in PyTorch, this is for GPUs."""

    def forward(self, input, hx=None):
        states = (None,) * self._states if hx is None else hx if self._states > 1 else (hx,)
        if isinstance(input, PackedSequence):
            x, sizes, order, original = input
            B = int(sizes.array[0])
        else:
            x, sizes, order, original = input, None, None, None
            if x.ndim not in (2, 3):
                raise ValueError(f"{type(self).__name__}: input must have 2 or 3 dimensions, got shape {x.shape}")
            B = None if x.ndim == 2 else x.shape[0 if self.batch_first else 1]
        self._check(x, states, B)
        if B is None:
            x, states = x.unsqueeze(1), [state if state is None else state.unsqueeze(1) for state in states]
        elif sizes is None and self.batch_first:
            x = x.transpose(0, 1)
        y, states = self._layers(x, [_permuted(state, order) for state in states], sizes)
        states = [_permuted(state, original) for state in states]
        if B is None:
            y, states = y.squeeze(1), [state.squeeze(1) for state in states]
        elif sizes is not None:
            y = PackedSequence(y, sizes, order, original)
        elif self.batch_first:
            y = y.transpose(0, 1)
        return y, tuple(states) if self._states > 1 else states[0]

    def _check(self, x, states, B):
        """Validate the number of features of x, and the shape of each state."""
        name = type(self).__name__
        if x.shape[-1] != self.input_size:
            raise ValueError(f"{name}: input must have {self.input_size} features, got shape {x.shape}")
        batch = () if B is None else (B,)
        for key, state, width in zip(("h0", "c0"), states, (self._output_size(), self.hidden_size), strict=False):
            shape = (len(self._names), *batch, width)
            if state is not None and state.shape != shape:
                raise ValueError(f"{name}: {key} must have shape {shape}, got {state.shape}")

    def _layers(self, x, states, sizes):
        """Run the layers one after the other, with time as the first dimension, and stack their final states."""
        directions, finals = len(self._suffixes()), []
        for first in range(0, len(self._names), directions):
            outputs = []
            for i in range(first, first + directions):
                weights = {kind: getattr(self, name) for kind, name in self._names[i].items()}
                options = {"reverse": i > first, "batch_sizes": sizes, "checkpoint_every": self.checkpoint_every}
                initial = [None if state is None else state[i] for state in states]
                y, final = self._time_loop(x, initial, **weights, **options)
                outputs.append(y)
                finals.append(final)
            x = outputs[0] if directions == 1 else cat(outputs, -1)
            if self.dropout and first + directions < len(self._names):
                x = F.dropout(x, self.dropout, self.training)
        return x, [stack(parts) for parts in zip(*finals, strict=True)]

    def _time_loop(self, x, initial, **options):
        """Run one direction of one layer; return the output and the tuple of final states."""
        raise NotImplementedError

    def extra_repr(self):
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
            "checkpoint_every": None,
        }
        parts += [f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value]
        return ", ".join(parts)


def _permuted(state, order):
    """A state with its sequences in another order."""
    return state if state is None or order is None else state[:, order]


class RNN(_Recurrent):
    """Elman's network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``, in layers.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, default 1
    nonlinearity : {"tanh", "relu"}
    bias : bool, default True
    batch_first : bool, default False
        Whether input and output are (B, T, features) rather than (T, B, features); states are not affected.
    dropout : float, default 0.0
        In training, the probability of dropping an output of any layer except the last.
    bidirectional : bool, default False
        Whether each layer also runs from the last step to the first; the outputs are concatenated in this order.
    checkpoint_every : int, optional
        Checkpoint interval in steps: save only these states and recompute the gates in the backward, which takes less
        memory and more time.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0 : Parameter
        Of layer 0, and so on; the names of the reverse direction end in ``_reverse``.

    Raises
    ------
    ValueError, TypeError
        A size below 1, `dropout` outside [0, 1], an unknown `nonlinearity`; an argument of another type.

    Examples
    --------
    >>> import nn
    >>> y, h_n = nn.RNN(10, 20, num_layers=2)(nn.zeros(5, 3, 10))
    >>> y.shape, h_n.shape
    ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        device=None,
        dtype=None,
        *,
        checkpoint_every=None,
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        options = {"device": device, "dtype": dtype, "checkpoint_every": checkpoint_every}
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)
        self.nonlinearity = nonlinearity

    def _time_loop(self, x, initial, **options):
        y, h = F.rnn(x, *initial, nonlinearity=self.nonlinearity, **options)
        return y, (h,)

    def extra_repr(self):
        extra = super().extra_repr()
        return extra if self.nonlinearity == "tanh" else f"{extra}, nonlinearity={self.nonlinearity}"


class GRU(_Recurrent):
    """Gated recurrent units, in layers.

    r and z are gates between 0 and 1, n is the candidate state, and z the weight of the old state:

    ``r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)``, ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))`` and
    ``h = (1 - z) n + z h``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, checkpoint_every
        As for `RNN`.

    Reference: Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), section 2.3, in cuDNN's
    variant: r is applied after the product with W_hn.

    Examples
    --------
    >>> import nn
    >>> y, h_n = nn.GRU(10, 20, batch_first=True, bidirectional=True)(nn.zeros(3, 5, 10))
    >>> y.shape, h_n.shape
    ((3, 5, 40), (2, 3, 20))
    """

    _gates = 3

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        device=None,
        dtype=None,
        *,
        checkpoint_every=None,
    ):
        options = {"device": device, "dtype": dtype, "checkpoint_every": checkpoint_every}
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)

    def _time_loop(self, x, initial, **options):
        y, h = F.gru(x, *initial, **options)
        return y, (h,)


class LSTM(_Recurrent):
    """Long short-term memory, in layers.

    The gates i, f and o, between 0 and 1, control how much of the candidate g enters the cell c, how much of c is
    kept, and how much of it becomes the output:

    ``i, f, o = sigmoid(W_ih x + b_ih + W_hh h + b_hh)``, ``g = tanh(the same)``, ``c = f c + i g`` and
    ``h = o tanh(c)``, or with projections ``h = W_hr (o tanh(c))``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        As for `RNN`.
    proj_size : int, default 0
        The size that h is projected to; 0 for no projection.
    checkpoint_every
        As for `RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0 : Parameter
        As for `RNN`; the rows of the first four are those of i, f, g and o, in this order.

    Reference: Hochreiter and Schmidhuber, "Long short-term memory" (1997), with the forget gate of Gers et al. (2000);
    projections: Sak et al. (2014), section 2.

    Examples
    --------
    >>> import nn
    >>> y, (h_n, c_n) = nn.LSTM(10, 20, proj_size=7)(nn.zeros(5, 3, 10))
    >>> y.shape, h_n.shape, c_n.shape
    ((5, 3, 7), (1, 3, 7), (1, 3, 20))
    """

    _gates = 4
    _states = 2

    def _time_loop(self, x, initial, **options):
        return F.lstm(x, None if initial[0] is None else initial, **options)
