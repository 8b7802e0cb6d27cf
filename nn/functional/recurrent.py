"""Recurrent layers, one direction of one layer each, and their cells."""

import kernels
from nn.functional.time_loop import GRU, LSTM, RNN, run_cell, run_layer

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell"]


def lstm(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Long short-term memory: one direction of one layer.

    Parameters
    ----------
    input : Tensor (T, B, I), or with `batch_sizes` (rows, I)
    hx : pair of Tensors (B, P) and (B, H), or None
        The initial states h and c, zeros by default; P is H, or with `weight_hr` the projection size.
    weight_ih, weight_hh : Tensor (4H, I) and (4H, P)
    bias_ih, bias_hh : Tensor (4H,), optional
    weight_hr : Tensor (P, H), optional
    reverse : bool, default False
        Whether time runs from the last step to the first.
    batch_sizes : Tensor or array of int64 (T,), optional
        The number of sequences at each step, as in a PackedSequence.
    checkpoint_every : int, optional
        Checkpoint interval in steps: save only the states between segments, and recompute the gates in the backward.

    Returns
    -------
    Tensor, (Tensor, Tensor)
        The outputs (T, B, P), or with `batch_sizes` (rows, P), and the final states (B, P) and (B, H).

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or `checkpoint_every` is below 1.

    Reference: Hochreiter and Schmidhuber, "Long short-term memory" (1997); projections: Sak et al. (2014), section 2.

    Examples
    --------
    >>> import nn
    >>> x, weights = nn.zeros(5, 2, 3), (nn.zeros(16, 3), nn.zeros(16, 4))
    >>> y, (h, c) = nn.functional.lstm(x, None, *weights)
    >>> y.shape, h.shape
    ((5, 2, 4), (2, 4))
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    settings = {"reverse": reverse, "batch_sizes": batch_sizes}
    y, *states = run_layer(LSTM, input, (None, None) if hx is None else hx, weights, settings, checkpoint_every)
    return y, tuple(states)


def gru(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Gated recurrent units: one direction of one layer.

    Parameters
    ----------
    input
        As for `lstm`.
    hx : Tensor (B, H), optional
        The initial state, zeros by default.
    weight_ih, weight_hh : Tensor (3H, I) and (3H, H)
    bias_ih, bias_hh : Tensor (3H,), optional
    reverse, batch_sizes, checkpoint_every
        As for `lstm`.

    Returns
    -------
    Tensor, Tensor
        The outputs (T, B, H), or with `batch_sizes` (rows, H), and the final state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`.

    Reference: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014), section 2.3.
    """
    settings = {"reverse": reverse, "batch_sizes": batch_sizes}
    return run_layer(GRU, input, (hx,), (weight_ih, weight_hh, bias_ih, bias_hh), settings, checkpoint_every)


def rnn(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    nonlinearity="tanh",
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Elman's recurrent layer: one direction of one layer.

    Parameters
    ----------
    input
        As for `lstm`.
    hx : Tensor (B, H), optional
        The initial state, zeros by default.
    weight_ih, weight_hh : Tensor (H, I) and (H, H)
    bias_ih, bias_hh : Tensor (H,), optional
    nonlinearity : {"tanh", "relu"}
    reverse, batch_sizes, checkpoint_every
        As for `lstm`.

    Returns
    -------
    Tensor, Tensor
        The outputs (T, B, H), or with `batch_sizes` (rows, H), and the final state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`, or an unknown nonlinearity.

    Reference: Elman, "Finding Structure in Time" (1990).
    """
    settings = {"nonlinearity": nonlinearity, "reverse": reverse, "batch_sizes": batch_sizes}
    return run_layer(RNN, input, (hx,), (weight_ih, weight_hh, bias_ih, bias_hh), settings, checkpoint_every)


def lstm_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """One step of `lstm`.

    Parameters
    ----------
    input : Tensor (B, I)
    hx : pair of Tensors (B, H), or None
    weight_ih, weight_hh : Tensor (4H, I) and (4H, H)
    bias_ih, bias_hh : Tensor (4H,), optional

    Returns
    -------
    Tensor, Tensor
        The states h and c after the step, (B, H) each.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.
    """
    return run_cell(
        LSTM, kernels.lstm_cell, input, (None, None) if hx is None else hx, weight_ih, weight_hh, bias_ih, bias_hh
    )


def gru_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """One step of `gru`.

    Parameters
    ----------
    input : Tensor (B, I)
    hx : Tensor (B, H), optional
    weight_ih, weight_hh : Tensor (3H, I) and (3H, H)
    bias_ih, bias_hh : Tensor (3H,), optional

    Returns
    -------
    Tensor (B, H)
        The state after the step.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.
    """
    return run_cell(GRU, kernels.gru_cell, input, (hx,), weight_ih, weight_hh, bias_ih, bias_hh)


def rnn_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh"):
    """One step of `rnn`.

    Parameters
    ----------
    input : Tensor (B, I)
    hx : Tensor (B, H), optional
    weight_ih, weight_hh : Tensor (H, I) and (H, H)
    bias_ih, bias_hh : Tensor (H,), optional
    nonlinearity : {"tanh", "relu"}

    Returns
    -------
    Tensor (B, H)
        The state after the step.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the nonlinearity is unknown.
    """
    options = {"nonlinearity": nonlinearity}
    return run_cell(RNN, kernels.rnn_cell, input, (hx,), weight_ih, weight_hh, bias_ih, bias_hh, **options)
