"""Run-length masks, slowly, from their definitions: pixels in, pixels out, in plain Python and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.bool_]


def encode(mask: Pixels) -> list[int]:
    """Run lengths down the columns, background first."""
    runs = [(value, len(list(pixels))) for value, pixels in groupby(mask.T.ravel().tolist())]
    return [0] * runs[0][0] + [length for _, length in runs]


def decode(counts: Sequence[int], height: int, width: int) -> Pixels:
    values = [k % 2 == 1 for k, length in enumerate(counts) for _ in range(length)]
    return np.array(values).reshape(width, height).T


def box(mask: Pixels) -> list[int]:
    """``[x, y, width, height]`` around the foreground, zeros without any."""
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return [0, 0, 0, 0]
    return [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def iou(a: Pixels, b: Pixels, crowd: bool = False) -> float:
    both = np.count_nonzero(a & b)
    return both / np.count_nonzero(a if crowd else a | b) if both else 0.0


def boundary(mask: Pixels, ratio: float) -> Pixels:
    """The mask less as many erosions by 3 x 3 pixels as the width of the boundary; the outside counts as background."""
    height, width = mask.shape
    inside = mask
    for _ in range(max(1, round(ratio * float(np.sqrt(height**2 + width**2))))):
        padded = np.pad(inside, 1)
        inside = np.all([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
    return mask & ~inside


def to_string(counts: Sequence[int]) -> bytes:
    """Each number (a difference from the fourth on) in base 32, two's complement of as few digits as can hold it."""
    digits = []
    for k, count in enumerate(counts):
        number = count - counts[k - 2] if k > 2 else count
        size = 1
        while not -(32**size) // 2 <= number < 32**size // 2:
            size += 1
        digits += [number // 32**place % 32 + (32 if place < size - 1 else 0) for place in range(size)]
    return bytes(48 + digit for digit in digits)


def from_string(string: bytes) -> list[int]:
    counts: list[int] = []
    digits: list[int] = []
    for byte in string:
        digits.append((byte - 48) % 32)
        if byte - 48 < 32:
            number = sum(digit * 32**place for place, digit in enumerate(digits))
            if digits[-1] >= 16:
                number -= 32 ** len(digits)
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            digits = []
    return counts


def polygon(points: Sequence[float], height: int, width: int) -> Pixels:
    """The pixels that the outline through ``points``, ``x, y, x, y, ...``, goes around an odd number of times.

    The outline is drawn on a grid five times as fine, one point per step along the longer side of each edge. It
    crosses pixel column c where two points follow one another in the fine columns 5 c + 2 and 5 c + 3. The pixels of
    that column from the upper one of both points on, and all after them in the order of the runs, change sides.
    """
    grid = [(int(5 * x + 0.5), int(5 * y + 0.5)) for x, y in zip(points[0::2], points[1::2], strict=True)]
    changes = np.zeros(width * height + 1, np.int64)
    for start, end in zip(grid, grid[1:] + grid[:1], strict=True):
        for (u, v), (next_u, next_v) in zip(*[iter_edge(start, end)[k:] for k in (0, 1)], strict=False):
            column = Fraction(min(u, next_u) - 2, 5)
            if u != next_u and column.denominator == 1 and 0 <= column < width:
                row = -((2 - min(v, next_v)) // 5)
                changes[int(column) * height + min(max(row, 0), height)] += 1
    return (np.cumsum(changes[:-1]) % 2 == 1).reshape(width, height).T


def iter_edge(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Points of an edge on the fine grid, from its left or top end, cut off toward zero as C does."""
    long = 0 if abs(end[0] - start[0]) >= abs(end[1] - start[1]) else 1
    if start[long] > end[long]:
        start, end = end, start
    steps = end[long] - start[long]
    if steps == 0:
        return [start]
    slope = (end[1 - long] - start[1 - long]) / steps
    points = [(start[long] + t, int(start[1 - long] + slope * t + 0.5)) for t in range(steps + 1)]
    return points if long == 0 else [(u, v) for v, u in points]
