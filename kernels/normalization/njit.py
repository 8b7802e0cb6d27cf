"""The normalisations in jitted code: local response norm here, the others in the modules that are imported."""

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, output
from kernels._njit_errors import Value
from kernels._njit_sizes import threads_for
from kernels.normalization import local, njit_batch, njit_group, njit_layer
from kernels.normalization.njit_arguments import channels, matching, whole

__all__ = ["njit_batch", "njit_group", "njit_layer"]

forward_loops = by_address(local._forward_loops, "local forward")
backward_loops = by_address(local._backward_loops, "local backward")


def _checked(operation):
    """The entry of `local._checked`."""

    @jit
    def checked(x, size, alpha, beta, k):
        shape, window = channels(operation, x, 3), whole(operation, "size", size)
        if window < 1:
            raise Value("{}: size must be positive, got {}", operation, window)
        if not (alpha >= 0 and k >= 0):
            raise Value("{}: alpha and k must not be negative, got {} and {}", operation, alpha, k)
        return shape, (min(window, 2 * shape[1] + 1), float(alpha) / window, float(beta), float(k))

    return checked


_forward_arguments, _backward_arguments = _checked("local_response_norm"), _checked("local_response_norm_backward")


@in_njit(local.local_response_norm)
def _local_response_norm(x, size, alpha, beta, k):
    x = floats("local_response_norm", "x", x)
    shape, parameters = _forward_arguments(x, size, alpha, beta, k)
    y = output("local_response_norm", "out", None, x.shape, x)
    if x.size:
        forward_loops(shape, x.reshape(-1), parameters, y.reshape(-1), threads_for(x.size, 0))
    return y


@in_njit(local.local_response_norm_backward)
def _local_response_norm_backward(dy, x, size, alpha, beta, k):
    x = floats("local_response_norm_backward", "x", x)
    dy = matching("local_response_norm_backward", "dy", dy, x.shape, x)
    shape, parameters = _backward_arguments(x, size, alpha, beta, k)
    dx = output("local_response_norm_backward", "out", None, x.shape, x)
    if x.size:
        backward_loops(shape, dy.reshape(-1), x.reshape(-1), parameters, dx.reshape(-1), threads_for(x.size, 0))
    return dx
