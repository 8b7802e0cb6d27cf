"""Recurrent networks: RNN, GRU and LSTM, layers and single steps, and their gradients back through time.

- `gates`: what a step does to each hidden unit, forward and backward.
- `forward`: the walk through time; `backward`: the walk back; `cell`: a single step.
- `ladder`: the LSTM from its equations to the walk, rung by rung.
- `functions`: the public functions; `arguments`: their checks.
"""

from kernels.recurrent.functions import (
    gru,
    gru_backward,
    gru_cell,
    lstm,
    lstm_backward,
    lstm_cell,
    rnn,
    rnn_backward,
    rnn_cell,
)
from kernels.recurrent.ladder import VARIANTS
