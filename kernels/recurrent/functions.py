"""The public recurrent layers and their gradients; the cells are in `cells`."""

from kernels.recurrent.arguments import checked_layer, pair
from kernels.recurrent.gates import GRU, LSTM
from kernels.recurrent.layers import layer_backward, layer_forward, rnn_kind


def lstm(
    x,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    gates=None,
    cells=None,
):
    """One layer of an LSTM in one direction.

    Parameters
    ----------
    x : array, float32 or float64, shape (T, B, I)
        Or, with `batch_sizes`, the rows (sum of batch_sizes, I) of packed sequences.
    hx : (h0, c0) or None
        Initial states, (B, P) and (B, H); zeros for None. P = H without `weight_hr`.
    weight_ih, weight_hh : array, shapes (4 H, I) and (4 H, P)
        Rows by gate: i, f, g, o.
    bias_ih, bias_hh : array (4 H,), optional
    weight_hr : array (P, H), optional
        Projects the output: h = o tanh(c) weight_hrᵀ, P < H.
    reverse : bool, default False
        From the last step to the first; each sequence begins at its own last step.
    batch_sizes : int array (T,), optional
        Step t holds the first ``batch_sizes[t]`` sequences, as in PyTorch's ``PackedSequence``; non-increasing.
    gates, cells : array (..., 4 H) and (..., H), optional
        Filled with the activated gates and c of every step, for `lstm_backward`; both or none.

    Returns
    -------
    y : array
        h of every step, x's leading shape and P.
    (h_n, c_n) : arrays (B, P) and (B, H)
        Each sequence's state after its own last step.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        The shape of an array is not as above, no step, H = 0, P not below H, batch_sizes that increase or do not sum to
        x's rows.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, with the forget gate of
    F. Gers, J. Schmidhuber, F. Cummins, 2000; H. Sak, A. Senior, F. Beaufays, 2014, for the projection.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lstm
    >>> x, weight = np.ones((5, 2, 3), np.float32), np.ones((16, 3), np.float32)
    >>> y, (h, c) = lstm(x, None, weight, np.zeros((16, 4), np.float32))
    >>> y.shape, bool((y[-1] == h).all())
    ((5, 2, 4), True)
    """
    if (gates is None) != (cells is None):
        raise ValueError("lstm: gates and cells must be given both or none")
    initial = pair("lstm", "hx", hx)
    layer = checked_layer("lstm", LSTM, x, (weight_ih, weight_hh, weight_hr), reverse, batch_sizes)
    return layer_forward(layer, initial, (bias_ih, bias_hh), gates, cells)


def lstm_backward(
    dy,
    dhx,
    x,
    hx,
    weight_ih,
    weight_hh,
    y,
    gates,
    cells,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    needs=(True,) * 7,
):
    """Gradients of `lstm`, by backpropagation through time.

    Parameters
    ----------
    dy : array of y's shape, or None
        Gradient with respect to y; zeros for None.
    dhx : (dh_n, dc_n) or None
        Gradients with respect to the last states; zeros for None.
    x, hx, weight_ih, weight_hh : array
        The forward's arguments.
    y, gates, cells : array
        The forward's result and what it saved: 5 H + P elements a row in all.
    weight_hr, reverse, batch_sizes
        The forward's arguments.
    needs : tuple of bool
        Which of the gradients are wanted, in the order of Returns.

    Returns
    -------
    dx, (dh0, dc0), dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr
        None where not wanted; dweight_hr is None without `weight_hr`.

    Raises
    ------
    TypeError, ValueError
        As `lstm`; also for gradients and saved arrays of the wrong dtype or shape.

    References
    ----------
    P. Werbos, "Backpropagation Through Time: What It Does and How to Do It", Proceedings of the IEEE 78(10), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lstm, lstm_backward
    >>> x, weight_ih, weight_hh = np.ones((5, 2, 3)), np.ones((16, 3)), np.ones((16, 4))
    >>> gates, cells = np.empty((5, 2, 16)), np.empty((5, 2, 4))
    >>> y, _ = lstm(x, None, weight_ih, weight_hh, gates=gates, cells=cells)
    >>> dx, *_ = lstm_backward(np.ones_like(y), None, x, None, weight_ih, weight_hh, y, gates, cells)
    >>> dx.shape
    (5, 2, 3)
    """
    dlast, initial = pair("lstm_backward", "dhx", dhx), pair("lstm_backward", "hx", hx)
    layer = checked_layer("lstm_backward", LSTM, x, (weight_ih, weight_hh, weight_hr), reverse, batch_sizes)
    return layer_backward(layer, (dy, dlast), initial, (y, gates, cells), tuple(needs))


def gru(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, reverse=False, batch_sizes=None, gates=None):
    """One layer of a GRU in one direction: ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``, ``h' = (1 - z) n + z h``.

    Parameters
    ----------
    x : array, float32 or float64, shape (T, B, I)
        Or, with `batch_sizes`, the rows of packed sequences, as for `lstm`.
    h0 : array (B, H) or None
        Initial state; zeros for None.
    weight_ih, weight_hh : array, shapes (3 H, I) and (3 H, H)
        Rows by gate: r, z, n.
    bias_ih, bias_hh : array (3 H,), optional
    reverse, batch_sizes
        As for `lstm`.
    gates : array (..., 4 H), optional
        Filled with r, z, n and W_hn h + b_hn of every step, for `gru_backward`.

    Returns
    -------
    y, h_n : array
        h of every step, and each sequence's last state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`.

    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, with the reset gate applied after
    the product as in version 1 of that paper, cuDNN and PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gru
    >>> y, h = gru(np.ones((5, 2, 3)), None, np.ones((12, 3)), np.ones((12, 4)))
    >>> y.shape, bool((y[-1] == h).all())
    ((5, 2, 4), True)
    """
    layer = checked_layer("gru", GRU, x, (weight_ih, weight_hh, None), reverse, batch_sizes)
    y, (h, _) = layer_forward(layer, (h0, None), (bias_ih, bias_hh), gates)
    return y, h


def gru_backward(
    dy, dh_n, x, h0, weight_ih, weight_hh, y, gates, *, reverse=False, batch_sizes=None, needs=(True,) * 6
):
    """Gradients of `gru`, by backpropagation through time.

    Parameters
    ----------
    dy, dh_n : array or None
        Gradients with respect to y and to the last state; zeros for None.
    x, h0, weight_ih, weight_hh, reverse, batch_sizes
        The forward's arguments.
    y, gates : array
        The forward's result and what it saved.
    needs : tuple of bool
        Which of the gradients are wanted, in the order of Returns.

    Returns
    -------
    dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh
        None where not wanted.

    Raises
    ------
    TypeError, ValueError
        As `lstm_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gru, gru_backward
    >>> x, weight_ih, weight_hh, gates = np.ones((5, 2, 3)), np.ones((12, 3)), np.ones((12, 4)), np.empty((5, 2, 16))
    >>> y, h = gru(x, None, weight_ih, weight_hh, gates=gates)
    >>> gru_backward(None, np.ones_like(h), x, None, weight_ih, weight_hh, y, gates)[1].shape
    (2, 4)
    """
    layer = checked_layer("gru_backward", GRU, x, (weight_ih, weight_hh, None), reverse, batch_sizes)
    made = layer_backward(layer, (dy, (dh_n, None)), (h0, None), (y, gates, None), (*needs, False))
    dx, (dh0,), *dweights, _ = made
    return dx, dh0, *dweights


def rnn(
    x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh", *, reverse=False, batch_sizes=None
):
    """One layer of an Elman network in one direction: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    x : array, float32 or float64, shape (T, B, I)
        Or, with `batch_sizes`, the rows of packed sequences, as for `lstm`.
    h0 : array (B, H) or None
        Initial state; zeros for None.
    weight_ih, weight_hh : array, shapes (H, I) and (H, H)
    bias_ih, bias_hh : array (H,), optional
    nonlinearity : {"tanh", "relu"}
    reverse, batch_sizes
        As for `lstm`.

    Returns
    -------
    y, h_n : array
        h of every step, and each sequence's last state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`; also for an unknown nonlinearity.

    References
    ----------
    J. Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rnn
    >>> y, h = rnn(np.ones((2, 1, 1)), None, np.ones((1, 1)), np.ones((1, 1)), nonlinearity="relu")
    >>> y.ravel()
    array([1., 2.])
    """
    kind = rnn_kind("rnn", nonlinearity)
    layer = checked_layer("rnn", kind, x, (weight_ih, weight_hh, None), reverse, batch_sizes)
    y, (h, _) = layer_forward(layer, (h0, None), (bias_ih, bias_hh))
    return y, h


def rnn_backward(
    dy,
    dh_n,
    x,
    h0,
    weight_ih,
    weight_hh,
    y,
    nonlinearity="tanh",
    *,
    reverse=False,
    batch_sizes=None,
    needs=(True,) * 6,
):
    """Gradients of `rnn`, by backpropagation through time; nothing but y is saved for it.

    Parameters
    ----------
    dy, dh_n : array or None
        Gradients with respect to y and to the last state; zeros for None.
    x, h0, weight_ih, weight_hh, nonlinearity, reverse, batch_sizes
        The forward's arguments.
    y : array
        The forward's result.
    needs : tuple of bool
        Which of the gradients are wanted, in the order of Returns.

    Returns
    -------
    dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh
        None where not wanted.

    Raises
    ------
    TypeError, ValueError
        As `lstm_backward`; also for an unknown nonlinearity.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rnn, rnn_backward
    >>> x, weight = np.ones((2, 1, 1)), np.ones((1, 1))
    >>> y, h = rnn(x, None, weight, weight, nonlinearity="relu")
    >>> dx, *_ = rnn_backward(None, np.ones_like(h), x, None, weight, weight, y, "relu")
    >>> dx.ravel()
    array([1., 1.])
    """
    kind = rnn_kind("rnn_backward", nonlinearity)
    layer = checked_layer("rnn_backward", kind, x, (weight_ih, weight_hh, None), reverse, batch_sizes)
    made = layer_backward(layer, (dy, (dh_n, None)), (h0, None), (y, None, None), (*needs, False))
    dx, (dh0,), *dweights, _ = made
    return dx, dh0, *dweights
