"""Where in their planes the elements lie that pooling chose."""

import numpy as np


def taken(x, indices, dims):
    """The elements at indices in their planes, of `dims` dimensions."""
    planes, rows = (a.reshape(*a.shape[:-dims], -1) for a in (x, indices))
    return np.take_along_axis(planes, rows, -1).reshape(indices.shape)


def in_plane(numbers, sizes, window):
    """The indices in the plane of elements, from their numbers in their windows."""
    dims = len(sizes)
    kernel_size, stride, padding, dilation, _ = window
    lengths = [(v,) * dims if isinstance(v, int) else tuple(v) for v in (kernel_size, padding, dilation)]
    steps = lengths[0] if stride is None else (stride,) * dims if isinstance(stride, int) else tuple(stride)
    index = 0
    for d, offset in enumerate(np.unravel_index(numbers, lengths[0])):
        starts = np.arange(numbers.shape[d - dims]) * steps[d] - lengths[1][d]
        index = index * sizes[d] + starts.reshape(-1, *(1,) * (dims - 1 - d)) + offset * lengths[2][d]
    return index
