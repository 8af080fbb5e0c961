"""Columns of detections in ``.npz`` archives, one array for each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.errors import FormatError
from cvbench.io.columnar import ColumnFile, index_of_ids
from cvbench.io.extract import require

EXPECTED = {
    "ids": "(N,) integers or text",
    "integers": "(N,) integers",
    "numbers": "(N,) numbers",
    "boxes": "(N, 4) numbers: [x, y, width, height] in pixels",
    "points": "(N, 3 J) or (N, J, 3) numbers: x, y and v of J keypoints",
    "masks": "(N,) texts: compressed run lengths",
}
"""What a column of each kind has."""

KINDS = {"ids": "iuU", "integers": "iu", "numbers": "iuf", "boxes": "iuf", "points": "iuf", "masks": "SU"}
"""NumPy's letters for the types of each kind."""


class NpzFile(ColumnFile):
    """Detections from an ``.npz`` archive; see `cvbench.io.columnar`. Pickled objects are never loaded."""

    has_sizes = False

    def __init__(self, path: str, stored: bytes) -> None:
        super().__init__(path, stored)
        try:
            with np.load(io.BytesIO(stored), allow_pickle=False) as archive:
                self.names = list(archive.files)
        except Exception as error:  # zipfile, zlib and NumPy each have their own
            raise FormatError(f"the .npz file is damaged or cut short: {error}", where=path) from error
        self._stored = stored
        self._columns: dict[str, NDArray[Any]] = {}
        first = self._column("image_id" if "image_id" in self.names else self.names[0]) if self.names else np.zeros(0)
        self.rows = len(first) if first.ndim else 1

    def _column(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            try:
                with np.load(io.BytesIO(self._stored), allow_pickle=False) as archive:
                    self._columns[name] = archive[name]
            except Exception as error:  # zipfile, zlib and NumPy each have their own
                message = f"the array is damaged, cut short or holds objects: {error}"
                raise FormatError(message, where=f"{self.name}.{name}") from error
        return self._columns[name]

    def fault(self, name: str, kind: str) -> str | None:
        """See `ColumnFile.fault`."""
        column = self._column(name)
        shapes = {
            "boxes": column.ndim == 2 and column.shape[1] == 4,
            "points": column.ndim == 2 or (column.ndim == 3 and column.shape[2] == 3),
        }
        if column.dtype.kind not in KINDS[kind] or not shapes.get(kind, column.ndim == 1):
            return f"found an array {column.shape} of {column.dtype}, expected {EXPECTED[kind]}"
        if len(column) != self.rows:
            return f"found {len(column):,} rows, expected {self.rows:,}, as many as image_id has"
        return None

    def index(self, name: str, known: NDArray[Any]) -> Int:
        """See `ColumnFile.index`."""
        return index_of_ids(self._column(name) if self._is_text(name) else self.integers(name), known)

    def _is_text(self, name: str) -> bool:
        return self._column(name).dtype.kind == "U"

    def integers(self, name: str) -> Int:
        """See `ColumnFile.integers`."""
        column = self._column(name)
        limits = np.iinfo(np.int64)
        require(not len(column) or (column.min() > limits.min and column.max() <= limits.max))
        return column.astype(np.int64)

    def numbers(self, name: str) -> tuple[Float, Bool | None]:
        """See `ColumnFile.numbers`."""
        return self._column(name).astype(np.float64, order="C"), None

    def lists(self, name: str, length: int | None) -> tuple[Float, Bool | None]:
        """See `ColumnFile.lists`."""
        column = self._column(name).astype(np.float64, order="C")
        rows = column.reshape(self.rows, int(np.prod(column.shape[1:])))
        require(length is None or rows.shape[1] == length)
        return rows, None

    def codes(self) -> tuple[Sequence[str | bytes], Int | None]:
        """See `ColumnFile.codes`."""
        return self._column("segmentation").tolist(), None

    def records(self, name: str) -> list[Any]:
        """See `ColumnFile.records`."""
        column = self._column(name)
        if column.dtype.kind == "S":
            return [text.decode("utf-8", "replace") for text in column.tolist()]
        values = column.reshape(len(column), -1) if column.ndim > 1 else column
        return list(values.tolist())
