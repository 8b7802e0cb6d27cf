"""Initial weights, with the names, arguments and distributions of ``torch.nn.init``.

Every function fills a Tensor in place, without recording, and returns it. ``generator`` is a
``numpy.random.Generator``; by default it is the one that ``nn.manual_seed`` seeds.
"""

from nn.init.constants import constant_, dirac_, eye_, ones_, zeros_
from nn.init.draws import normal_, trunc_normal_, uniform_
from nn.init.fans import calculate_gain, kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_
from nn.init.matrices import orthogonal_, sparse_

__all__ = ["calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_"]
__all__ += ["orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"]
