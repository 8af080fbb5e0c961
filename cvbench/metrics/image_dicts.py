"""Images as dicts of arrays, a batch at a time: checked, and packed into rows of words until they are counted.

One array for all numbers of a row keeps what waits small: a NumPy array costs 112 bytes beside its content, and an
image has a dozen columns. It also makes the digest of an image that of two pieces of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int
from cvbench.errors import InputError
from cvbench.metrics.base import to_numpy

ImageDict = Mapping[str, Any]

KINDS: dict[type, tuple[str, str]] = {np.int64: ("iub", "integers"), np.float64: ("iubf", "numbers")}
"""What a column may hold before it becomes one of this type, by NumPy's letters and in words."""


class Side:
    """The ground truths, or the predictions, of a batch of images.

    Parameters
    ----------
    images
        A dict of arrays, tensors or lists for each.
    name
        ``gt`` or ``pred``: how messages call it.
    single
        The batch is one image, which has no number in messages.

    Attributes
    ----------
    labels : (N,) int64
        Of the objects of all images, one after another.
    offsets : I + 1 integers
        Image *i* has the rows ``offsets[i]:offsets[i + 1]``.
    """

    def __init__(self, images: Sequence[ImageDict], name: str, single: bool) -> None:
        self.images, self.name, self.single = images, name, single
        labels = [self._part(i, "labels", image.get("labels"), (None,), np.int64) for i, image in enumerate(images)]
        self.offsets = [0, *accumulate(map(len, labels))]
        self.labels: Int = self._joined("labels", labels, (), np.int64)

    def __len__(self) -> int:
        return self.offsets[-1]

    def where(self, i: int, name: str = "") -> str:
        """How messages call image `i`, or an array of it."""
        return f"{self.name}{'' if self.single else f'[{i}]'}{name and f'.{name}'}"

    def at(self, row: int) -> tuple[int, int]:
        """The image of a row, and the place that the row has in it."""
        image = int(np.searchsorted(self.offsets, row, "right")) - 1
        return image, row - self.offsets[image]

    def column(
        self,
        name: str,
        dtype: type,
        tail: tuple[int, ...] = (),
        default: Callable[[], NDArray[Any]] | None = None,
    ) -> NDArray[Any]:
        """What all images have under `name`, one row per object.

        Parameters
        ----------
        name
        dtype
            float64 or int64.
        tail
            Shape of a row.
        default
            Makes the column of the images that have none; None: all must have it.

        Returns
        -------
        (N, *tail) of `dtype`
            Maybe the caller's own array: not to be written to.

        Raises
        ------
        InputError
            If it is missing, of another shape, no number, or not finite.
        """
        absent = [name not in image for image in self.images]
        if default is not None and all(absent):
            return default()
        spare = default() if default is not None and any(absent) else None
        parts = []
        for i, (start, stop) in enumerate(pairwise(self.offsets)):
            value = spare[start:stop] if spare is not None and absent[i] else self.images[i].get(name)
            parts.append(self._part(i, name, value, (stop - start, *tail), dtype))
        return self._joined(name, parts, tail, dtype)

    def of_image(self, name: str) -> NDArray[np.float64]:
        """(I,) the number that every image has under `name`."""
        values = [image.get(name) for image in self.images]
        parts = [
            self._part(i, name, None if value is None else np.reshape(to_numpy(value), -1), (1,), np.float64)
            for i, value in enumerate(values)
        ]
        for i, part in enumerate(parts):
            self._refuse_infinite(i, name, part)
        return np.concatenate([np.zeros(0), *parts])

    def ids(self) -> list[int | str | None]:
        """The ``image_id`` of every image, None where it has none."""
        return [_image_id(image.get("image_id"), self.where(i, "image_id")) for i, image in enumerate(self.images)]

    def _part(self, i: int, name: str, value: Any, shape: tuple[int | None, ...], dtype: type) -> NDArray[Any]:
        """``images[i][name]`` as an array of `shape`, where None stands for any length."""
        if value is None:
            raise InputError(f"has no {name!r}; it has {some(self.images[i])}", where=self.where(i))
        array = to_numpy(value)
        if array.size == 0 and len(array) == 0:
            array = array.reshape([0 if n is None else n for n in shape])
        if array.shape != shape and (array.ndim != len(shape) or any(_differ(shape, array.shape))):
            expected = ", ".join("N" if n is None else str(n) for n in shape)
            raise InputError(f"has shape {array.shape}; expected ({expected})", where=self.where(i, name))
        kinds, words = KINDS[dtype]
        if array.dtype.kind not in kinds and array.size:
            raise InputError(f"holds {array.dtype}; expected {words}", where=self.where(i, name))
        return array

    def _joined(self, name: str, parts: list[NDArray[Any]], tail: tuple[int, ...], dtype: type) -> NDArray[Any]:
        column: NDArray[Any]
        if len(parts) == 1:
            column = parts[0].astype(dtype, copy=False)
        else:
            column = np.concatenate([np.zeros((0, *tail)), *parts], dtype=dtype, casting="unsafe")
        if dtype is np.float64 and np.count_nonzero(np.isfinite(column)) < column.size:
            for i, part in enumerate(parts):
                self._refuse_infinite(i, name, part)
        return column

    def _refuse_infinite(self, i: int, name: str, part: NDArray[Any]) -> None:
        finite = np.isfinite(part)
        if not finite.all():
            at = np.argwhere(~finite)[0].tolist()
            raise InputError(f"is {part[tuple(at)]}; expected finite numbers", where=f"{self.where(i, name)}{at}")


def _differ(shape: tuple[int | None, ...], other: tuple[int, ...]) -> Iterable[bool]:
    return (n not in (None, m) for n, m in zip(shape, other, strict=True))


def _image_id(value: Any, where: str) -> int | str | None:
    if value is None or type(value) is int or isinstance(value, str):
        return value
    array = to_numpy(value)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise InputError(f"is {value!r}; expected one integer or a string", where=where)
    return int(array.reshape(()))


def some(names: Iterable[Any]) -> str:
    """The first few of many names, for a message."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "") if listed else "nothing"


def fetched(images: Sequence[ImageDict], names: Iterable[str]) -> Sequence[ImageDict]:
    """Images of which tensors on other devices, under these names, are arrays: each copy waits for the device."""
    away = [
        (i, name, image[name])
        for i, image in enumerate(images)
        for name in names
        if name in image and not getattr(image[name], "is_cpu", True)
    ]
    if not away:
        return images
    changed = [dict(image) for image in images]
    for (i, name, _), array in zip(away, copied([tensor for *_, tensor in away]), strict=True):
        changed[i][name] = array
    return changed


def copied(tensors: Sequence[Any]) -> list[NDArray[Any]]:
    """Tensors as arrays, by one copy for those of each type and device."""
    import torch

    arrays: list[NDArray[Any]] = [np.zeros(0)] * len(tensors)
    for kind in dict.fromkeys((tensor.dtype, tensor.device) for tensor in tensors):
        alike = [i for i, tensor in enumerate(tensors) if (tensor.dtype, tensor.device) == kind]
        flat = to_numpy(torch.cat([tensors[i].detach().reshape(-1) for i in alike]))
        ends = accumulate(tensors[i].numel() for i in alike)
        for i, end in zip(alike, ends, strict=True):
            arrays[i] = flat[end - tensors[i].numel() : end].reshape(tuple(tensors[i].shape))
    return arrays


class Layout:
    """Columns of numbers side by side, in rows of eight-byte words.

    Parameters
    ----------
    columns
        By name: float64 or int64, and the shape of a row.
    """

    def __init__(self, columns: Mapping[str, tuple[type, tuple[int, ...]]]) -> None:
        self._places: dict[str, tuple[type, tuple[int, ...], int | slice]] = {}
        self._width = 0
        for name, (dtype, tail) in columns.items():
            size = prod(tail)
            at = slice(self._width, self._width + size) if tail else self._width
            self._places[name] = dtype, tail, at
            self._width += size

    def pack(self, columns: Mapping[str, NDArray[Any]], n: int) -> Int:
        """(N, W) the words of N rows."""
        words = np.empty((n, self._width), np.int64)
        floats = words.view(np.float64)
        for name, (dtype, tail, at) in self._places.items():
            column = columns[name] if len(tail) < 2 else columns[name].reshape(n, prod(tail))
            (floats if dtype is np.float64 else words)[:, at] = column
        return words

    def unpack(self, words: Sequence[Int]) -> dict[str, NDArray[Any]]:
        """The columns of rows that were packed."""
        joined = np.concatenate([np.zeros((0, self._width), np.int64), *words])
        floats = joined.view(np.float64)
        return {
            name: np.ascontiguousarray((floats if dtype is np.float64 else joined)[:, at]).reshape(len(joined), *tail)
            for name, (dtype, tail, at) in self._places.items()
        }
