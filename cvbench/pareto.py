"""Which models are worth their cost: Pareto fronts that know how sure their numbers are.

A model is off the front where another is no worse in quality and cost, and better in one of them. Measured numbers have
intervals, so two questions get two answers: who is on the front by the numbers as they stand, and who is surely behind
somebody, whatever the true numbers are within their intervals. What is neither is *tied*: its distance to the front is
within the noise.

Conventions
-----------
Quality is better the higher it is, cost the lower it is; negate a quality for which it is the other way round.
"""

from __future__ import annotations

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
