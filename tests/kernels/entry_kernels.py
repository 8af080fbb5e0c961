"""Kernels of all kinds of arguments and results."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from cvbench.kernels import kernel


class Pair(NamedTuple):
    first: Any
    second: Any


@kernel
def nothing(out: Any) -> None:
    for i in range(len(out)):
        out[i] = i


@kernel
def total(values: Any, factor: Any) -> Any:
    found = 0.0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            found += values[i, j] * (i + 2 * j)
    return found * factor


@kernel
def larger(a: Any, b: Any) -> Any:
    return a > b


@kernel
def chosen(a: Any, b: Any, first: Any) -> Any:
    return a if first else b


@kernel
def several(a: Any, b: Any, pair: Pair) -> Any:
    return larger(a, b), a + len(pair.first), b * pair.second, larger(b, a)


@kernel
def steps(values: Any) -> Any:
    return values.strides[0], values.itemsize, values.shape[-1], values.size


@kernel
def of_libraries(x: Any) -> Any:
    return math.exp(x) + math.hypot(x, 2.0), math.atan2(x, -0.3), math.sqrt(abs(x))


@kernel
def of_other_libraries(x: Any) -> Any:
    return math.lgamma(x)


def results(with_others: bool) -> list[Any]:
    """What all kernels return, or all but the one that has no entry."""
    out = np.zeros(5, np.int32)
    grid = np.arange(24.0).reshape(4, 6) / 7
    fixed = grid.copy()
    fixed.flags.writeable = False
    found: list[Any] = [nothing(out), out.tolist()]
    found += [total(values, 0.3) for values in (grid, grid.T, grid[::2, 1:5:3], fixed, grid[:0], grid.astype("i4"))]
    found += [total(grid, factor) for factor in (np.float64(0.1), 3, np.int64(-3), True)]
    found += [larger(1, 2), larger(2.5, 2.0), larger(-(1 << 63), (1 << 63) - 1), larger(np.float64("nan"), 1.0)]
    found += [chosen(1 << 62, -5, np.bool_(first)) for first in (True, False)]
    found += [chosen(1, first=False, b=2), several(pair=Pair(out, 1.5), b=2.0, a=1)]
    found += [several(3, 0.1, Pair(out, 2.5)), several(-3, 1e300, Pair(grid, -1e300))]
    found += [steps(out), steps(out[::-2]), steps(np.zeros((0, 3), np.uint8)), steps(grid.T)]
    found += [of_libraries(x) for x in (0.1, -3.3, 700.0)]
    return [*found, of_other_libraries(0.1)] if with_others else found
