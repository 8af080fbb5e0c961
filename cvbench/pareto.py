"""Which models are worth their cost: Pareto fronts that know how sure their numbers are, and hypervolumes.

A model is off the front where another is no worse in quality and cost, and better in one of them. Measured numbers have
intervals, so two questions get two answers: who is on the front by the numbers as they stand, and who is surely behind
somebody, whatever the true numbers are within their intervals. What is neither is *tied*: its distance to the front is
within the noise.

Conventions
-----------
Quality is better the higher it is, cost the lower it is; negate a quality for which it is the other way round.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbench.errors import InputError

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Standing = Literal["front", "tied", "behind", "undefined"]


def pareto_front(
    quality: ArrayLike,
    cost: ArrayLike,
    *,
    quality_interval: ArrayLike | None = None,
    cost_interval: ArrayLike | None = None,
) -> Bool:
    """Which of N models no other dominates for sure.

    One model dominates another where it is no worse in both numbers and better in one. With intervals this has to hold
    of the ends that are worst for the one and best for the other, so both intervals have to be apart (or touch).

    Parameters
    ----------
    quality : (N,)
        Higher is better, any unit.
    cost : (N,)
        Lower is better, any unit.
    quality_interval, cost_interval : (N, 2)
        Lower and upper ends around each number; an end that is NaN is not known, and nothing is sure beyond it. None
        for exact numbers.

    Returns
    -------
    (N,) bool
        Models of equal quality and cost are all on the front or all off it.

    Raises
    ------
    InputError
        Shapes do not fit, a number is infinite, or an interval does not hold its number.

    **Undefined**: a model whose quality or cost is NaN is not on the front and dominates nobody.

    **Reference**: H. T. Kung, F. Luccio and F. P. Preparata, "On finding the maxima of a set of vectors", Journal of
    the ACM 22(4), 1975, for the exact case.

    Examples
    --------
    >>> pareto_front([0.5, 0.4, 0.6], [10, 12, 20]).tolist()
    [True, False, True]
    >>> pareto_front([0.5, 0.4, 0.6], [10, 12, 20], quality_interval=[[0.45, 0.55], [0.35, 0.46], [0.5, 0.7]]).tolist()
    [True, True, True]
    """
    q, c = _numbers(quality, "quality"), _numbers(cost, "cost")
    if q.shape != c.shape:
        raise InputError(f"{len(q)} qualities and {len(c)} costs; expected one of both for each model")
    q_low, q_high = _ends(q, quality_interval, "quality")
    c_low, c_high = _ends(c, cost_interval, "cost")
    defined = ~np.isnan(q + c)
    # Row i, column j: is i surely no worse, or surely better, than j? Comparisons with NaN are False.
    no_worse = (q_low[:, None] >= q_high) & (c_high[:, None] <= c_low)
    better = (q_low[:, None] > q_high) | (c_high[:, None] < c_low)
    front: Bool = defined & ~(no_worse & better & defined[:, None]).any(axis=0)
    return front


def standings(
    quality: ArrayLike,
    cost: ArrayLike,
    *,
    quality_interval: ArrayLike | None = None,
    cost_interval: ArrayLike | None = None,
) -> list[Standing]:
    """Where each of N models stands; arguments and errors as of `pareto_front`.

    Returns
    -------
    list of str
        ``front``: on the front by the numbers as they stand. ``tied``: not, but the intervals do not part it from the
        front. ``behind``: surely dominated. ``undefined``: its quality or cost is NaN.

    Examples
    --------
    >>> standings([0.5, 0.45, 0.3], [10, 12, 20], quality_interval=[[0.4, 0.6], [0.35, 0.55], [0.2, 0.39]])
    ['front', 'tied', 'behind']
    """
    front = pareto_front(quality, cost)
    spared = pareto_front(quality, cost, quality_interval=quality_interval, cost_interval=cost_interval)
    undefined = np.isnan(_numbers(quality, "quality") + _numbers(cost, "cost"))
    return [
        "undefined" if lost else "front" if first else "tied" if near else "behind"
        for lost, first, near in zip(undefined, front, spared, strict=True)
    ]


def hypervolume(quality: ArrayLike, cost: ArrayLike, reference: tuple[float, float]) -> float:
    """The area that the front covers, seen from a reference point: one number for a set of models.

    Parameters
    ----------
    quality, cost : (N,)
        As of `pareto_front`, without intervals.
    reference
        A quality and a cost. What is not better in both adds nothing. Areas compare under one reference only.

    Returns
    -------
    float
        Unit of quality times unit of cost, exactly rounded; 0 without models. NaN coordinates add nothing.

    Raises
    ------
    InputError
        Shapes do not fit, or a number is infinite.

    **Reference**: E. Zitzler and L. Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the
    strength Pareto approach", IEEE Transactions on Evolutionary Computation 3(4), 1999. Sorted by cost, one sweep.

    Examples
    --------
    >>> hypervolume([0.5, 0.75], [1, 2], reference=(0.0, 4.0))
    2.0
    """
    return float(_area(_points(quality, cost), _exact(reference)))


def exclusive_hypervolumes(quality: ArrayLike, cost: ArrayLike, reference: tuple[float, float]) -> Float:
    """By how much `hypervolume` would shrink without each model: what it alone makes possible.

    Parameters and errors are those of `hypervolume`.

    Returns
    -------
    (N,) float64
        0 for a model off the front and for one that has an equal; NaN for one with a NaN coordinate. Exactly rounded:
        differences of large areas lose nothing.

    Examples
    --------
    >>> exclusive_hypervolumes([0.5, 0.75, 0.25], [1, 2, 3], reference=(0.0, 4.0)).tolist()
    [0.5, 0.5, 0.0]
    """
    points, corner = _points(quality, cost), _exact(reference)
    whole = _area(points, corner)
    return np.array(
        [
            np.nan if point is None else float(whole - _area([*points[:i], *points[i + 1 :]], corner))
            for i, point in enumerate(points)
        ]
    )


_Point = tuple[Fraction, Fraction]


def _area(points: list[_Point | None], reference: _Point) -> Fraction:
    """Of the union of rectangles from each point to the reference; fractions, so that differences are exact."""
    area, best = Fraction(0), reference[0]
    for quality, cost in sorted(filter(None, points), key=lambda point: point[1]):
        if cost < reference[1] and quality > best:
            area += (quality - best) * (reference[1] - cost)
            best = quality
    return area


def _points(quality: ArrayLike, cost: ArrayLike) -> list[_Point | None]:
    q, c = _numbers(quality, "quality"), _numbers(cost, "cost")
    if q.shape != c.shape:
        raise InputError(f"{len(q)} qualities and {len(c)} costs; expected one of both for each model")
    defined = ~np.isnan(q + c)
    return [_exact(point) if good else None for *point, good in zip(q.tolist(), c.tolist(), defined, strict=True)]


def _exact(point: tuple[float, float] | list[float]) -> _Point:
    if not np.isfinite(point).all():
        raise InputError(f"reference {tuple(point)}: expected a finite quality and a finite cost")
    return Fraction(point[0]), Fraction(point[1])


def _numbers(values: ArrayLike, what: str) -> Float:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or np.isinf(numbers).any():
        raise InputError(f"{what} of shape {numbers.shape}: expected finite numbers (N,), NaN where undefined")
    return numbers


def _ends(numbers: Float, interval: ArrayLike | None, what: str) -> tuple[Float, Float]:
    """(N,) lower and upper ends, infinite where they are not known."""
    if interval is None:
        return numbers, numbers
    ends = np.asarray(interval, np.float64)
    if ends.shape != (len(numbers), 2):
        raise InputError(f"{what}_interval of shape {ends.shape}: expected ({len(numbers)}, 2), lower and upper ends")
    low, high = np.where(np.isnan(ends[:, 0]), -np.inf, ends[:, 0]), np.where(np.isnan(ends[:, 1]), np.inf, ends[:, 1])
    outside = (low > numbers) | (high < numbers)
    if outside.any():
        i = int(np.argmax(outside))
        raise InputError(f"{what}_interval[{i}] from {low[i]} to {high[i]} does not hold {numbers[i]}")
    return low, high
