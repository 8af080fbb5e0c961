"""Arrays from MATLAB's ``.mat`` files of versions 5 to 7.2, read without trusting what they say of their sizes.

Conventions
-----------
- Numeric arrays of any type, arrays of characters and cells of those; whatever else a file holds is named and not read.
- Axes are in MATLAB's order. An array of characters is a text.
- Every size is compared with the bytes that are there. SciPy 1.17's `loadmat` takes the whole process down with a
  segmentation fault where a byte of a type is damaged, which no caller can refuse politely.

Reference: MathWorks, "MAT-File Format" (level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = 128
"""Bytes before the first element."""

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""The types of stored data, as NumPy and Python call them."""

INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15
CELL, CHARACTERS, NUMERIC = 1, 4, range(6, 16)
"""Classes of arrays."""

COMPLEX = 0x0800


class Damaged(ValueError):
    """The bytes are not what the format asks for."""


@dataclass(frozen=True, slots=True)
class Element:
    """A type and its bytes."""

    kind: int
    data: memoryview


def arrays_of_mat(stored: bytes, wanted: Collection[str]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The `wanted` arrays of a file that are there, and the names of all that it holds.

    Raises
    ------
    Damaged
        The file is damaged or cut short, or a wanted variable is none of the kinds above.

    Examples
    --------
    >>> arrays_of_mat(b"MATLAB 5.0 MAT-file".ljust(124) + bytes([0, 1]) + b"IM", ["preds"])
    ({}, [])
    >>> arrays_of_mat(b"MATLAB 5.0 MAT-file", ["preds"])
    Traceback (most recent call last):
        ...
    cvbench.io.mat.Damaged: the header is cut short
    """
    if len(stored) < HEADER:
        raise Damaged("the header is cut short")
    order = {b"IM": "<", b"MI": ">"}.get(stored[126:HEADER])
    if order is None:
        raise Damaged("the header does not say in which order bytes are")
    arrays: dict[str, NDArray[Any]] = {}
    names = []
    for outer in _elements(memoryview(stored)[HEADER:], order):
        element = outer if outer.kind != COMPRESSED else next(_elements(_inflated(outer.data), order), outer)
        if element.kind != MATRIX:
            raise Damaged(f"there is an element of type {element.kind}, expected an array")
        name, values = _variable(element, order, wanted)
        names.append(name)
        if values is not None:
            arrays[name] = values
    return arrays, names


def _inflated(data: memoryview) -> memoryview:
    try:
        return memoryview(zlib.decompress(data))
    except zlib.error as error:
        raise Damaged(f"compressed data are damaged: {error}") from error


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """The elements that lie one after another in `data`."""
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise Damaged("the data end inside of a tag")
        kind, length = struct.unpack_from(f"{order}II", data, position)
        start, end = position + 8, position + 8 + length
        if kind >> 16:  # a small element: both numbers in four bytes, the data in the four that follow
            kind, length = kind & 0xFFFF, kind >> 16
            start, end = position + 4, position + 4 + length
            if length > 4:
                raise Damaged(f"a small element says that it has {length} bytes, at most 4 fit")
        if end > len(data):
            raise Damaged(f"an element says that it has {length:,} bytes, there are {len(data) - start:,}")
        yield Element(kind, data[start:end])
        position = end if kind == COMPRESSED else end + -end % 8


def _variable(element: Element, order: str, wanted: Collection[str]) -> tuple[str, NDArray[Any] | None]:
    """The name of an array, and its values if it is wanted."""
    parts = _elements(element.data, order)
    flags = _numbers(_next(parts, UINT32), order)
    shape = tuple(_numbers(_next(parts, INT32), order).tolist())
    name = bytes(_next(parts, INT8).data).decode("latin-1")
    if name not in wanted:
        return name, None
    if not len(flags) or min(shape, default=-1) < 0:
        raise Damaged(f"`{name}` has no class, or a shape of {shape}")
    kind, size = int(flags[0]) & 0xFF, math.prod(shape)
    if kind == CELL:
        texts = np.array([_text(part, order) for part in parts], np.str_)
        return name, _shaped(texts, shape, size, name)
    if kind not in NUMERIC or int(flags[0]) & COMPLEX:
        raise Damaged(f"`{name}` is no array of real numbers")
    return name, _shaped(_numbers(next(parts, Element(0, element.data)), order), shape, size, name)


def _shaped(values: NDArray[Any], shape: tuple[int, ...], size: int, name: str) -> NDArray[Any]:
    if len(values) != size:
        raise Damaged(f"`{name}` says that it has {size:,} entries, there are {len(values):,}")
    return values.reshape(shape, order="F")


def _text(cell: Element, order: str) -> str:
    """The text that a cell holds."""
    if cell.kind != MATRIX:
        raise Damaged("a cell holds no array")
    if not len(cell.data):
        return ""
    parts = _elements(cell.data, order)
    flags = _numbers(_next(parts, UINT32), order)
    if not len(flags) or int(flags[0]) & 0xFF != CHARACTERS:
        raise Damaged("a cell holds no text")
    _next(parts, INT32), _next(parts, INT8)
    stored = next(parts, Element(0, cell.data))
    if stored.kind not in TEXTS:
        raise Damaged(f"there is text of type {stored.kind}")
    encoding = TEXTS[stored.kind] + {"<": "-le", ">": "-be"}[order] * TEXTS[stored.kind].startswith(
        ("utf-16", "utf-32")
    )
    try:
        return bytes(stored.data).decode(encoding)
    except UnicodeDecodeError as error:
        raise Damaged(f"a text is damaged: {error}") from error


def _next(parts: Iterator[Element], kind: int) -> Element:
    """The next element, which has to be of this type."""
    element = next(parts, None)
    if element is None or element.kind != kind:
        raise Damaged(f"there is no element of type {kind} where one belongs")
    return element


def _numbers(element: Element, order: str) -> NDArray[Any]:
    if element.kind not in NUMBERS:
        raise Damaged(f"there are numbers of type {element.kind}")
    form = np.dtype(order + NUMBERS[element.kind])
    if len(element.data) % form.itemsize:
        raise Damaged(f"{len(element.data):,} bytes are no whole numbers of {form.itemsize} bytes each")
    return np.frombuffer(element.data, form)
