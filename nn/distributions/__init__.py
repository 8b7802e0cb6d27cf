"""Probability distributions, with the names and arguments of ``torch.distributions``.

Gradients flow through `log_prob`, `entropy` and `kl_divergence` to the parameters, and through `rsample` to the
parameters that the samples are functions of.
"""

from nn.distributions import constraints, kl
from nn.distributions.bernoulli import Bernoulli
from nn.distributions.categorical import Categorical
from nn.distributions.distribution import Distribution
from nn.distributions.independent import Independent
from nn.distributions.kl import kl_divergence, register_kl
from nn.distributions.multivariate_normal import MultivariateNormal
from nn.distributions.normal import Normal
from nn.distributions.one_hot_categorical import OneHotCategorical
from nn.distributions.uniform import Uniform
