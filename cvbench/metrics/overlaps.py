"""Overlaps of two maps: the joint histogram of ids or labels that panoptic and semantic figures are made of.

All rules about ignored labels, unknown ids, void and categories are applied to these few rows; the pixels are read once
and by nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int, Overlaps, offsets_of
from cvbench.errors import InputError
from cvbench.kernels.counting import BEGINS, MARKS, SIDE, count_pairs, count_small
from cvbench.metrics.base import to_numpy

SLOTS = 4096
"""Size of the first table of pairs: ten times as many as most images have, so that hardly two want the same entry."""

MANY = 1 << 31
"""A map of this many pixels could overflow a count of 32 bits."""


@dataclass(frozen=True, slots=True)
class Rgb:
    """An id map whose ids are coded as colours, R + 256 G + 65536 B, as COCO's panoptic PNG files have it.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
    """

    pixels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            found = f"{self.pixels.dtype} of shape {self.pixels.shape}"
            raise InputError(f"found {found}; expected ids as colours, uint8 of shape (H, W, 3)")

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""
        return self.pixels.shape[:2]


def count_overlaps(
    gt: Any, pred: Any, *, bands: tuple[NDArray[Any], NDArray[Any]] | None = None, where: str = "pred"
) -> Overlaps:
    """Which values of two maps meet, and in how many pixels.

    Parameters
    ----------
    gt, pred : array of integers or bool, or Rgb
        Two maps of equal shape with any number of axes, in any memory layout. Values need not be small or dense.
    bands : two arrays of bool or uint8 of the maps' shape, or None
        Whether a pixel lies in the boundary band of its region of the ground truth, of the prediction.
    where
        What messages call `pred`.

    Returns
    -------
    Overlaps
        Of one image.

    Raises
    ------
    InputError
        If the shapes differ or the values are not integers.
    """
    a, b = (_checked(value, name) for value, name in ((gt, "gt"), (pred, where)))
    if a.shape != b.shape:
        raise InputError(f"has shape {b.shape}, the ground truth {a.shape}; expected equal shapes", where=where)
    tables: list[Int] = []
    if math.prod(a.shape):
        bits = np.zeros(0, np.uint8) if bands is None else _bits(bands, a.shape)
        tables = _count(a, b, bits)
    if len(tables) == 1 and bands is None:
        return _ordered(tables[0])
    return _grouped(np.concatenate(tables) if tables else np.zeros((0, 4), np.int64), bands is not None)


def join_overlaps(parts: Sequence[Overlaps]) -> Overlaps:
    """The overlaps of all images, one after another. Either all parts have bands or none."""
    bands = [part.bands for part in parts if part.bands is not None]
    return Overlaps(
        offsets=offsets_of(_joined([np.diff(part.offsets) for part in parts])),
        gt=_joined([part.gt for part in parts]),
        pred=_joined([part.pred for part in parts]),
        pixels=_joined([part.pixels for part in parts]),
        bands=np.concatenate(bands) if bands else None,
    )


def _joined(parts: list[Int]) -> Int:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _checked(value: Any, where: str) -> Rgb | NDArray[Any]:
    """The map as an array of native integers of at most 63 bits, copied only where its bytes have another order."""
    if isinstance(value, Rgb):
        return value
    array = to_numpy(value)
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype.kind not in "iu":
        hint = "; take the argmax of logits first" if array.dtype.kind == "f" else ""
        raise InputError(f"holds {array.dtype}; expected integers{hint}", where=where)
    if array.dtype.kind == "u" and array.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"holds {array.max()}; expected values below 2**63", where=where)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")) if not array.dtype.isnative else array


def _count(a: Rgb | NDArray[Any], b: Rgb | NDArray[Any], bits: NDArray[np.uint8]) -> list[Int]:
    """Rows of value, value, bits and number; the same pair may occur in several tables."""
    (a_flat, b_flat), layout = _laid_out(a, b, any_order=not len(bits))
    total, start, tables = int(layout[0] * layout[1]), 0, []
    marks, begins = np.empty(MARKS, np.uint8), np.empty(BEGINS, np.int64)
    if not len(bits) and total < MANY and not isinstance(a, Rgb) and not isinstance(b, Rgb):
        small = np.zeros(SIDE * SIDE, np.int32)
        start = int(count_small(a_flat, b_flat, layout, marks, small))
        keys = np.flatnonzero(small != 0)  # a sixth of the time that integers take
        tables.append(np.stack([keys // SIDE, keys % SIDE, np.zeros_like(keys), small[keys]], axis=1))
    slots = SLOTS
    while start < total:
        rows = np.empty((slots // 2, 4), np.int64)
        table = np.zeros(slots, np.int64)
        start, found = count_pairs(a_flat, b_flat, bits, layout, start, marks, begins, table, rows)
        tables.append(rows[:found])
        slots *= 4
    return tables


def _laid_out(a: Rgb | NDArray[Any], b: Rgb | NDArray[Any], any_order: bool) -> tuple[tuple[NDArray[Any], ...], Int]:
    """Flat views of both maps and their layout, see `cvbench.kernels.counting`."""
    planes = [value.pixels if isinstance(value, Rgb) else value[..., None] for value in (a, b)]
    if any_order and all(plane[..., 0].flags.f_contiguous for plane in planes):
        planes = [np.moveaxis(plane.T, 0, -1) for plane in planes]
    if all(plane.flags.c_contiguous and plane.flags.aligned for plane in planes):
        return _one_row(planes)
    planes = [_steps_of_elements(plane.reshape(-1, *plane.shape[-2:])) for plane in planes]
    flat, places = zip(*(_flat(plane) for plane in planes), strict=True)
    return flat, np.array([*planes[0].shape[:2], *places[0], *places[1]], np.int64)


def _one_row(planes: Sequence[NDArray[Any]]) -> tuple[tuple[NDArray[Any], ...], Int]:
    """What `_laid_out` gives for planes without gaps, in a third of the time."""
    flat = tuple(plane.reshape(-1) for plane in planes)
    for values in flat:
        values.flags.writeable = False
    sizes = [plane.shape[-1] for plane in planes]
    places = ((0, len(values), size, size) for values, size in zip(flat, sizes, strict=True))
    return flat, np.array([1, len(flat[0]) // sizes[0], *chain.from_iterable(places)], np.int64)


def _steps_of_elements(plane: NDArray[Any]) -> NDArray[Any]:
    """The plane itself, or a copy where its steps are no multiples of its elements or its channels lie apart."""
    size = plane.itemsize
    regular = all(step % size == 0 for step in plane.strides) and plane.ctypes.data % size == 0
    return plane if regular and (plane.shape[2] == 1 or plane.strides[2] == size) else plane.copy()


def _flat(plane: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, int, int, int]]:
    """The memory that a plane (rows, columns, channels) spans as a flat, read-only view, and how it lies in there."""
    steps = [step // plane.itemsize for step in plane.strides]
    ends = [(n - 1) * step for n, step in zip(plane.shape, steps, strict=True)]
    first = -sum(end for end in ends if end < 0)
    span = first + sum(end for end in ends if end > 0) + 1
    lowest = plane[tuple(slice(None, None, -1 if end < 0 else 1) for end in ends)]
    flat = np.lib.stride_tricks.as_strided(lowest, (span,), (plane.itemsize,), writeable=False)
    return flat, (first, steps[0], steps[1], plane.shape[2])


def _bits(bands: tuple[NDArray[Any], NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """1 in the band of the ground truth, 2 in that of the prediction, row by row."""
    for band in bands:
        if band.shape != shape:
            raise InputError(f"a band has shape {band.shape}; expected {shape}, that of the maps")
    first, second = ((band != 0).ravel().view(np.uint8) for band in bands)
    return np.asarray(first | (second << 1), np.uint8)


def _ordered(rows: Int) -> Overlaps:
    """Rows of different pairs, ascending."""
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    gt, pred, pixels = (rows[order, column] for column in (0, 1, 3))
    return Overlaps(offsets=np.array([0, len(rows)], np.int64), gt=gt, pred=pred, pixels=pixels, bands=None)


def _grouped(rows: Int, with_bands: bool) -> Overlaps:
    """One row for each pair, ascending."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    fresh = np.ones(len(rows), np.bool_)
    fresh[1:] = (rows[1:, :2] != rows[:-1, :2]).any(axis=1)
    starts = np.flatnonzero(fresh)
    numbers = rows[:, 3:]
    if with_bands:
        inside = [(rows[:, 2] & bit == bit) for bit in (1, 2, 3)]
        numbers = np.column_stack([rows[:, 3], *(rows[:, 3] * flag for flag in inside)])
    sums = np.add.reduceat(numbers, starts, axis=0) if len(starts) else numbers
    return Overlaps(
        offsets=np.array([0, len(starts)], np.int64),
        gt=rows[starts, 0],
        pred=rows[starts, 1],
        pixels=np.ascontiguousarray(sums[:, 0]),
        bands=np.ascontiguousarray(sums[:, 1:]) if with_bands else None,
    )
