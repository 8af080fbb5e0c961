"""Sums in integers, so that the order of their terms cannot matter."""

from __future__ import annotations

from cvbench.kernels import Float, Int, kernel

LIMBS = 3
"""Integers that a sum is split into."""

LIMB = 31
"""Bits of a number in each limb: an int64 takes the sum of 2**32 of them. Beyond the last limb bits are cut off."""


@kernel
def largest_of(rows: Float, times: Int) -> float:
    """The largest absolute value in the rows (N, C) that stand at least once, NaN aside; 0 of nothing."""
    largest = 0.0
    for n in range(len(rows)):
        if times[n] > 0:
            for c in range(rows.shape[1]):
                if abs(rows[n, c]) > largest:
                    largest = abs(rows[n, c])
    return largest


@kernel
def add_columns(rows: Float, times: Int, scale: float, sums: Int, counted: Int) -> None:
    """Add up each column of `rows` (N, C), whose row *n* stands ``times[n]`` times.

    Parameters
    ----------
    rows : (N, C)
        Finite numbers; NaN is left out. Rows that stand nowhere may hold anything.
    times : (N,)
    scale
        A power of 2 that brings all numbers below 2**LIMB.
    sums : (C, LIMBS)
        The sum of column *c*, times `scale`, is that of ``sums[c, k] * 2**(-LIMB * k)``.
    counted : (C,)
        How many numbers were added.
    """
    for n in range(len(rows)):
        if times[n] == 0:
            continue
        for c in range(rows.shape[1]):
            rest = rows[n, c] * scale
            if rest == rest:
                counted[c] += times[n]
                for k in range(LIMBS):
                    whole = int(rest)
                    sums[c, k] += whole * times[n]
                    rest = (rest - whole) * 2.0**LIMB
