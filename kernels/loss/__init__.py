"""Loss functions and their gradients.

- `classification`: cross_entropy, softmax included; `likelihood`: nll_loss.
- `regression`: mse_loss, l1_loss, smooth_l1_loss, huber_loss.
- `probability`: binary_cross_entropy, with and without logits, kl_div.
- `vocabulary`: linear_cross_entropy, a linear layer and its cross-entropy without the logits.
- `alignment`: the loops of ctc_loss, whose functions are in `sequences`.
- `targets`: class indices and probabilities, validated.
- `pairs`: what `regression` and `probability` share: loops and validation of losses with a term for each element.
"""

from kernels.loss import alignment, classification, probability, regression, vocabulary
from kernels.loss.classification import cross_entropy, cross_entropy_backward
from kernels.loss.likelihood import nll_loss, nll_loss_backward
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
from kernels.loss.sequences import ctc_loss, ctc_loss_backward
from kernels.loss.vocabulary import linear_cross_entropy, linear_cross_entropy_backward

VARIANTS = (
    classification.VARIANTS | regression.VARIANTS | probability.VARIANTS | vocabulary.VARIANTS | alignment.VARIANTS
)
