"""Overlaps of two maps, slowly: NumPy's distinct rows of all pairs of values, and a mask for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[Any]
Pair = tuple[int, int]


def ids_of(colours: Map) -> Map:
    """The ids that colours stand for, as ``panopticapi.utils.rgb2id`` has it."""
    return np.array([1, 256, 65536]) @ np.moveaxis(colours.astype(np.int64), -1, -2)


def colours_of(ids: Map) -> Map:
    """The other way round."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)


def overlaps(gt: Map, pred: Map) -> dict[Pair, int]:
    """In how many pixels each pair of values occurs; pairs ascend."""
    pairs = np.column_stack([np.asarray(side).astype(np.int64).ravel() for side in (gt, pred)])
    distinct, numbers = np.unique(pairs, axis=0, return_counts=True)
    return {(x, y): n for (x, y), n in zip(distinct.tolist(), numbers.tolist(), strict=True)}


def banded_overlaps(gt: Map, pred: Map, gt_band: Map, pred_band: Map) -> dict[Pair, list[int]]:
    """The same, then how many of the pixels lie in the one band, in the other and in both."""
    rows = {}
    for (x, y), n in overlaps(gt, pred).items():
        first, second = ((gt == x) & (pred == y) & (band != 0) for band in (gt_band, pred_band))
        rows[x, y] = [n, int(first.sum()), int(second.sum()), int((first & second).sum())]
    return rows
