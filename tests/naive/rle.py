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
