"""Recurrent networks: RNN, GRU and LSTM, layers, single steps, and their gradients, in the order in which to read it.

- `ladder`: the LSTM from its equations to packed weights in one loop through time, one idea a rung.
- `gates`: what a step does to each hidden unit, forward and backward; `pack`: the packed weights.
- `driver`: the tuned time loop, for any batch, on all threads; `backward`: its gradients; `cell`: a single step.
- `functions`, `cells`: the public functions; `layers`: what they share; `arguments`: their validation.
"""

from kernels.recurrent.cells import gru_cell, lstm_cell, rnn_cell
from kernels.recurrent.functions import gru, gru_backward, lstm, lstm_backward, rnn, rnn_backward
from kernels.recurrent.ladder import VARIANTS
