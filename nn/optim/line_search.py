"""The line search of L-BFGS: a step that satisfies the strong Wolfe conditions.

The loss must have fallen by `c1` of what the slope at the start promises, and the slope must have become flatter by
`c2` (Nocedal and Wright, "Numerical Optimization" (2006), Algorithms 3.5 and 3.6).
"""

import math
from typing import NamedTuple

import numpy as np

DECREASE, CURVATURE = 1e-4, 0.9


class Point(NamedTuple):
    """A point of the line: its distance, the loss, the gradient there, and the slope along the line."""

    t: float
    loss: float
    gradient: np.ndarray
    slope: float


def dot(a, b):
    """The sum of products."""
    return float((a * b).sum())


def strong_wolfe(evaluate, t, size, start, tolerance_change, max_ls):
    """Search a step that satisfies the conditions, beginning with t.

    Parameters
    ----------
    evaluate : callable
        Distance -> Point.
    t : float
    size : float
        The largest magnitude of the direction.
    start : Point
    tolerance_change : float
        The search ends when the parameters change by less.
    max_ls : int
        Iterations.

    Returns
    -------
    (Point, int)
        The point with the lowest loss that was found, and the number of evaluations.
    """
    bracket, done, iterations = _bracketed(evaluate, t, start, max_ls)
    low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
    stuck = False
    while not done and iterations < max_ls:
        left, right = sorted(point.t for point in bracket)
        if (right - left) * size < tolerance_change:
            break
        t = _cubic_minimum(*bracket)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # close to an end: allowed once, then moved inside
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = evaluate(t)
        iterations += 1
        if _too_high(point, start) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if _flat(point, start):
                done = True
            elif point.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
    return bracket[low], iterations + 1


def _bracketed(evaluate, t, start, max_ls):
    """Two points between which there is a minimum, or one that satisfies the conditions; whether so; iterations."""
    previous, point = start, evaluate(t)
    for iteration in range(max_ls):
        if _too_high(point, start) or (iteration > 1 and point.loss >= previous.loss):
            return [previous, point], False, iteration
        if _flat(point, start):
            return [point], True, iteration
        if point.slope >= 0:
            return [previous, point], False, iteration
        bounds = point.t + 0.01 * (point.t - previous.t), point.t * 10
        t = _cubic_minimum(previous, point, bounds)
        previous, point = point, evaluate(t)
    return [start, point], False, max(max_ls, 0)


def _too_high(point, start):
    return point.loss > start.loss + DECREASE * point.t * start.slope


def _flat(point, start):
    return abs(point.slope) <= -CURVATURE * start.slope


def _cubic_minimum(a, b, bounds=None):
    """Where the cubic through two points and their slopes is lowest, within bounds (by default the points)."""
    low, high = sorted((a.t, b.t)) if bounds is None else bounds
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t) if a.t != b.t else math.nan
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    if a.t > b.t:
        a, b = b, a
    d2 = math.sqrt(square)
    width = b.slope - a.slope + 2 * d2
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / width) if width else math.nan
    return min(max(t, low), high)
