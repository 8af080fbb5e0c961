"""Means that the order of their terms cannot change."""

from __future__ import annotations

import math

import numpy as np

from cvbench.columns import Float, Int
from cvbench.kernels.sums import LIMB, LIMBS, add_columns, largest_of

SMALLEST = LIMB - 1023
"""The least exponent whose scale is a float64; even the smallest float64 then keeps all its bits."""


def exact_means(rows: Float, times: Int) -> tuple[Float, float]:
    """The mean of each column, and that of all numbers together.

    Numbers are added as integers and rounded once, after the division, so that the order of rows cannot matter. Only
    bits below 2**-93 of the largest number are lost. 20 times as fast as `math.fsum` on 1.7 million numbers in 17
    columns.

    Parameters
    ----------
    rows : (N, C) float64
        Finite numbers, and NaN where there is none. Rows that stand 0 times may hold anything.
    times : (N,) int64
        How often each row stands, 2**32 in all.

    Returns
    -------
    means : (C,) float64
        NaN where a column has no number.
    pooled
        NaN where there is no number at all.

    Examples
    --------
    >>> means, pooled = exact_means(np.array([[1e16, 1.0], [1.0, np.nan], [-1e16, 3.0]]), np.array([1, 1, 1]))
    >>> means.tolist(), pooled
    ([0.3333333333333333, 2.0], 1.0)
    """
    exponent = max(math.frexp(largest_of(rows, times))[1], SMALLEST)  # the largest number is below 2**exponent
    sums, counted = np.zeros((rows.shape[1], LIMBS), np.int64), np.zeros(rows.shape[1], np.int64)
    add_columns(rows, times, 2.0 ** (LIMB - exponent), sums, counted)
    totals = [sum(limb << LIMB * (LIMBS - 1 - k) for k, limb in enumerate(row)) for row in sums.tolist()]
    unit = LIMB * LIMBS - exponent  # totals count 2**-unit
    means = [_quotient(total, number, unit) for total, number in zip(totals, counted.tolist(), strict=True)]
    return np.array(means), _quotient(sum(totals), sum(counted.tolist()), unit)


def _quotient(total: int, number: int, unit: int) -> float:
    """The mean of so many numbers whose sum is ``total * 2**-unit``: Python rounds the quotient of integers once."""
    if not number:
        return math.nan
    return total / (number << unit) if unit >= 0 else (total << -unit) / number
