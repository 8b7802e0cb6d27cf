"""Loss functions and their gradients.

- `classification`: cross_entropy (softmax included) and nll_loss.
- `regression`: mse_loss, l1_loss, smooth_l1_loss, huber_loss.
- `probability`: binary_cross_entropy, with and without logits, kl_div.
- `pairs`: what the last two share: the loops and checks of losses with a term for each element.
"""

from kernels.loss import classification, probability, regression
from kernels.loss.classification import cross_entropy, cross_entropy_backward, nll_loss, nll_loss_backward
from kernels.loss.probability import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    kl_div,
    kl_div_backward,
)
from kernels.loss.regression import (
    huber_loss,
    huber_loss_backward,
    l1_loss,
    l1_loss_backward,
    mse_loss,
    mse_loss_backward,
    smooth_l1_loss,
    smooth_l1_loss_backward,
)

VARIANTS = classification.VARIANTS | regression.VARIANTS | probability.VARIANTS
