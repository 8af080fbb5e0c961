"""Columns of detections in Parquet files, read by pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.errors import FormatError, MissingDependency
from cvbench.io.columnar import ColumnFile, index_of_ids
from cvbench.io.extract import Refused, require

EXPECTED = {
    "ids": "integers or text",
    "integers": "integers",
    "numbers": "numbers",
    "boxes": "lists of 4 numbers: [x, y, width, height] in pixels",
    "points": "lists of numbers: [x1, y1, v1, x2, ...]",
    "masks": "compressed run lengths: text, or a struct of size (a list of height and width) and counts (text)",
}
"""What a column of each kind has."""


class ParquetFile(ColumnFile):
    """Detections from a Parquet file; see `cvbench.io.columnar`."""

    def __init__(self, path: str, stored: bytes) -> None:
        super().__init__(path, stored)
        try:
            import pyarrow as pa
            from pyarrow import compute, parquet
        except ImportError:
            message = "Parquet is read by pyarrow, which is not installed: pip install 'cvbench[parquet]'"
            raise MissingDependency(message, where=path) from None
        self._arrow, self._compute = pa, compute
        try:
            self._file = parquet.ParquetFile(pa.BufferReader(stored))
            schema = self._file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from error
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if twice:
            raise FormatError(f"there are several columns of the name {twice[0]}; keep one", where=path)
        self._types = {field.name: field.type for field in schema}
        # a column without any value has no type; the rows lack that field
        self.names = [name for name, kind in self._types.items() if not pa.types.is_null(kind)]
        self.rows = self._file.metadata.num_rows
        self._columns: dict[str, Any] = {}

    def _damaged(self, error: Exception) -> FormatError:
        return FormatError(f"the Parquet file is damaged or cut short: {error}", where=self.name)

    def _column(self, name: str) -> Any:
        """The column as one array, text and lists in one form each."""
        if name not in self._columns:
            try:
                column = self._file.read(columns=[name]).column(name).combine_chunks()
            except (self._arrow.ArrowException, OSError) as error:
                raise self._damaged(error) from error
            self._columns[name] = self._plain(column)
        return self._columns[name]

    def _plain(self, column: Any) -> Any:
        """Without dictionaries and views."""
        types, kind = self._arrow.types, column.type
        if types.is_dictionary(kind):
            return self._plain(column.dictionary_decode())
        if self._is_text(kind):
            return column.cast(self._arrow.large_binary())
        return column.cast(self._arrow.large_list(kind.value_type)) if types.is_list_view(kind) else column

    def _is_text(self, kind: Any) -> bool:
        types = self._arrow.types
        texts = (types.is_string, types.is_large_string, types.is_string_view)
        return any(is_kind(kind) for is_kind in (*texts, types.is_binary, types.is_large_binary, types.is_binary_view))

    def _is_number(self, kind: Any) -> bool:
        return bool(self._arrow.types.is_integer(kind) or self._arrow.types.is_floating(kind))

    def _is_list(self, kind: Any, of: Callable[[Any], bool], length: int | None = None) -> bool:
        types = self._arrow.types
        lists = (types.is_list, types.is_large_list, types.is_list_view, types.is_large_list_view)
        fixed = types.is_fixed_size_list(kind) and length in (None, kind.list_size)
        return (fixed or any(is_kind(kind) for is_kind in lists)) and of(kind.value_type)

    def _is_mask(self, kind: Any) -> bool:
        if not self._arrow.types.is_struct(kind):
            return self._is_text(kind)
        fields = {field.name: field.type for field in kind.fields}
        sized = "size" in fields and self._is_list(fields["size"], self._arrow.types.is_integer, 2)
        return sized and "counts" in fields and self._is_text(fields["counts"])

    @property
    def has_sizes(self) -> bool:
        """Whether the masks say their sizes."""
        return bool(self._arrow.types.is_struct(self._types["segmentation"]))

    def fault(self, name: str, kind: str) -> str | None:
        """See `ColumnFile.fault`."""
        own, is_integer = self._types[name], self._arrow.types.is_integer
        if self._arrow.types.is_dictionary(own):
            own = own.value_type
        right = {
            "ids": is_integer(own) or (self._is_text(own)),
            "integers": is_integer(own),
            "numbers": self._is_number(own),
            "boxes": self._is_list(own, self._is_number, 4),
            "points": self._is_list(own, self._is_number),
            "masks": self._is_mask(own),
        }
        return None if right[kind] else f"found a column of {own}, expected {EXPECTED[kind]}"

    def index(self, name: str, known: NDArray[Any]) -> Int:
        """See `ColumnFile.index`."""
        if self._is_text(self._column(name).type):
            ids = self._arrow.array(known.astype(np.str_).tolist(), self._arrow.large_string())
            found = self._compute.index_in(self._column(name), value_set=ids.cast(self._arrow.large_binary()))
            at: Int = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            return at if known.dtype.kind == "U" else np.full(self.rows, -1, np.int64)
        return index_of_ids(self.integers(name), known)

    def integers(self, name: str) -> Int:
        """See `ColumnFile.integers`."""
        column = self._column(name)
        require(column.null_count == 0)
        try:
            integers: Int = column.cast(self._arrow.int64()).to_numpy(zero_copy_only=False)
        except self._arrow.ArrowInvalid as error:
            raise Refused from error
        require(not len(integers) or integers.min() > np.iinfo(np.int64).min)
        return integers

    def numbers(self, name: str) -> tuple[Float, Bool | None]:
        """See `ColumnFile.numbers`."""
        column = self._column(name)
        return self._floats(column), self._given(column)

    def _floats(self, column: Any) -> Float:
        # a copy: compiled code takes an array that cannot be written to for another type, and is compiled anew
        return np.array(column.cast(self._arrow.float64(), safe=False).to_numpy(zero_copy_only=False))

    def _given(self, column: Any) -> Bool | None:
        if not column.null_count:
            return None
        given: Bool = column.is_valid().to_numpy(zero_copy_only=False)
        return given

    def lists(self, name: str, length: int | None) -> tuple[Float, Bool | None]:
        """See `ColumnFile.lists`."""
        return self._lists(self._column(name), length)

    def _lists(self, column: Any, length: int | None) -> tuple[Float, Bool | None]:
        lengths = self._compute.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        length = int(lengths.max(initial=0)) if length is None else length
        given: Bool = lengths == length
        require(np.logical_or(given, lengths == 0).all())
        values = column.flatten()
        require(values.null_count == 0)
        found = self._floats(values).reshape(-1, length) if length else np.zeros((self.rows, 0))
        if given.all():
            return found, None
        rows = np.full((self.rows, length), np.nan)
        rows[given] = found
        return rows, given

    def codes(self) -> tuple[Sequence[bytes | None], Int | None]:
        """See `ColumnFile.codes`."""
        column = self._column("segmentation")
        if not self.has_sizes:
            return column.to_pylist(), None
        sizes, _ = self._lists(self._compute.struct_field(column, "size"), 2)
        counts = self._compute.struct_field(column, "counts")
        # a size that is missing is none that fits
        return self._plain(counts).to_pylist(), np.nan_to_num(sizes).astype(np.int64)

    def records(self, name: str) -> list[Any]:
        """See `ColumnFile.records`."""
        return [_text(value) for value in self._column(name).to_pylist()]


def _text(value: Any) -> Any:
    """Text for bytes."""
    if isinstance(value, dict):
        return {name: _text(item) for name, item in value.items()}
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
