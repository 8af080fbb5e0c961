"""Run-length masks, slowly, from their definitions: pixels in, pixels out, in plain Python and NumPy."""

from __future__ import annotations

from collections.abc import Sequence
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
