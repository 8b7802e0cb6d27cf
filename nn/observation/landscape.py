"""The loss landscape around the parameters: along a line, on a plane, and random directions."""

import numpy as np

from nn.observation.parameters import check_shapes, checked, place, restored, value


def loss_along_line(loss, parameters, direction, positions):
    """The loss at points on a line through the parameters.

    Parameters
    ----------
    loss : callable
        () -> 0-d Tensor or number, evaluated without recording.
    parameters : iterable of Tensor
    direction : sequence of ndarray
        One for each parameter, of its shape. ``[end - p.array for …]`` leads to `end` at position 1.
    positions : sequence of float
        Multiples of the direction; 0 is the parameters' current values.

    Returns
    -------
    ndarray of float64 (len(positions),)
        The parameters are restored, bit for bit.

    Raises
    ------
    TypeError, ValueError
        Parameters are not leaves or differ in dtype; shapes differ.

    Examples
    --------
    >>> import numpy as np, nn
    >>> from nn import observation
    >>> w = nn.Parameter([1.0, 0.0])
    >>> observation.loss_along_line(lambda: (w * w).sum(), [w], [np.array([1.0, 0.0])], [-1, 0, 1])
    array([0., 1., 4.])
    """
    parameters = checked("loss_along_line", parameters)
    direction = check_shapes("loss_along_line", direction, parameters)
    return _losses(loss, parameters, [direction], [(t,) for t in positions])


def loss_on_plane(loss, parameters, first, second, xs, ys):
    """The loss at the points of a grid in a plane through the parameters.

    Parameters
    ----------
    loss, parameters
        As for `loss_along_line`.
    first, second : sequence of ndarray
        The directions that span the plane.
    xs, ys : sequence of float
        Multiples of `first` and of `second`.

    Returns
    -------
    ndarray of float64 (len(ys), len(xs))

    Raises
    ------
    TypeError, ValueError
        As for `loss_along_line`.
    """
    parameters = checked("loss_on_plane", parameters)
    directions = [check_shapes("loss_on_plane", each, parameters) for each in (first, second)]
    return _losses(loss, parameters, directions, [(x, y) for y in ys for x in xs]).reshape(len(ys), len(xs))


def _losses(loss, parameters, directions, points):
    losses = np.empty(len(points))
    with restored(parameters) as values:
        for i, point in enumerate(points):
            moved = list(values)
            for t, direction in zip(point, directions, strict=True):
                if t:  # 0 · ∞ would be NaN
                    moved = [w + t * d for w, d in zip(moved, direction, strict=True)]
            place(parameters, moved)
            losses[i] = value(loss)
    return losses


def random_directions(parameters, count, *, normalise="filter", generator=None):
    """Random directions in the space of the parameters, for `loss_along_line` and `loss_on_plane`.

    Parameters
    ----------
    parameters : iterable of Tensor
    count : int
    normalise : {"filter", "layer", None}, default "filter"
        Scale each row of a weight's direction (a filter of a convolution, a unit's weights), or each direction as a
        whole, to the norm of the parameter there, and set directions of 1-D parameters, such as biases, to 0: this
        makes networks of different scale comparable. None: standard normal directions.
    generator : numpy.random.Generator, optional
        By default a new one, seeded with 0.

    Returns
    -------
    list of `count` lists of ndarray

    Raises
    ------
    ValueError
        `normalise` is unknown.

    Reference: Li et al., "Visualizing the loss landscape of neural nets" (2018), section 4.
    """
    if normalise not in ("filter", "layer", None):
        raise ValueError(f"random_directions: normalise must be 'filter', 'layer' or None, got {normalise!r}")
    parameters = checked("random_directions", parameters)
    generator = np.random.default_rng(0) if generator is None else generator
    return [[_direction(p.array, normalise, generator) for p in parameters] for _ in range(count)]


def _direction(values, normalise, generator):
    drawn = generator.standard_normal(values.shape)
    if normalise and values.ndim < 2:
        return np.zeros_like(values)
    if normalise:
        axes = tuple(range(1 if normalise == "filter" else 0, values.ndim))
        target, norm = (np.sqrt(np.sum(np.square(a, dtype=np.float64), axes, keepdims=True)) for a in (values, drawn))
        drawn *= target / norm
    return drawn.astype(values.dtype)
