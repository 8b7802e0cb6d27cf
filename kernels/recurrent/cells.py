"""The public recurrent cells: single steps."""

from kernels.recurrent.arguments import pair
from kernels.recurrent.gates import GRU, LSTM
from kernels.recurrent.layers import cell_forward, rnn_kind


def lstm_cell(x, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """One step of `lstm`, without projection.

    Parameters
    ----------
    x : array (B, I), float32 or float64
    hx : (h0, c0) or None
        States (B, H); zeros for None.
    weight_ih, weight_hh : array, shapes (4 H, I) and (4 H, H)
        Rows by gate: i, f, g, o.
    bias_ih, bias_hh : array (4 H,), optional
    gates : array (B, 4 H), optional
        Filled with the activated gates, for ``lstm_backward(dh[None], (None, dc), x[None], …, h[None], gates[None],
        c[None])``.

    Returns
    -------
    h, c : array (B, H)

    Raises
    ------
    TypeError, ValueError
        As `lstm`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lstm_cell
    >>> h, c = lstm_cell(np.ones((2, 3)), None, np.zeros((16, 3)), np.zeros((16, 4)))
    >>> h.shape, float(c.sum())
    ((2, 4), 0.0)
    """
    initial = pair("lstm_cell", "hx", hx)
    return cell_forward("lstm_cell", LSTM, x, initial, (weight_ih, weight_hh), (bias_ih, bias_hh), gates)


def gru_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """One step of `gru`.

    Parameters
    ----------
    x : array (B, I), float32 or float64
    h0 : array (B, H) or None
        State; zeros for None.
    weight_ih, weight_hh : array, shapes (3 H, I) and (3 H, H)
        Rows by gate: r, z, n.
    bias_ih, bias_hh : array (3 H,), optional
    gates : array (B, 4 H), optional
        Filled with r, z, n and W_hn h + b_hn, for ``gru_backward(dh[None], None, x[None], …, h[None], gates[None])``.

    Returns
    -------
    h : array (B, H)

    Raises
    ------
    TypeError, ValueError
        As `lstm`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gru_cell
    >>> gru_cell(np.ones((1, 3)), np.full((1, 1), 4.0), np.zeros((3, 3)), np.zeros((3, 1)))
    array([[2.]])
    """
    return cell_forward("gru_cell", GRU, x, (h0, None), (weight_ih, weight_hh), (bias_ih, bias_hh), gates)[0]


def rnn_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh"):
    """One step of `rnn`.

    Parameters
    ----------
    x : array (B, I), float32 or float64
    h0 : array (B, H) or None
        State; zeros for None.
    weight_ih, weight_hh : array, shapes (H, I) and (H, H)
    bias_ih, bias_hh : array (H,), optional
    nonlinearity : {"tanh", "relu"}

    Returns
    -------
    h : array (B, H)

    Raises
    ------
    TypeError, ValueError
        As `lstm`; also for an unknown nonlinearity.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rnn_cell
    >>> rnn_cell(np.ones((1, 3)), None, np.ones((1, 3)), np.ones((1, 1)), nonlinearity="relu")
    array([[3.]])
    """
    kind = rnn_kind("rnn_cell", nonlinearity)
    return cell_forward("rnn_cell", kind, x, (h0, None), (weight_ih, weight_hh), (bias_ih, bias_hh))[0]
