"""Lists of JSON records into tables, several stretches of the text at once, without an object for any record.

The text is cut where it looks as if one record ended and the next began. That is a guess until the stretch before has
been read: it must end where the next one begins, and the first one begins where the list does.

Whatever is not read for certain, `cvbench.kernels.scanning` says what, is None here, and for msgspec to read.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.io.source import BETWEEN
from cvbench.kernels import available_threads
from cvbench.kernels.scanning import (
    CLOSE_OBJECT,
    COMMA,
    ENDED,
    FULL,
    INTEGER,
    NUMBERS,
    OPEN_LIST,
    OPEN_OBJECT,
    REFUSED,
    SPAN,
    Fields,
    Table,
    Text,
    after_key,
    after_space,
    after_string,
    after_value,
    powers_of_ten,
    records_at,
)

U = TypeVar("U")

BLOCK = 1 << 20
"""Bytes of a stretch: they fit into the processor's second cache with the columns that they become."""

AHEAD = 1 << 14
"""Bytes read beyond a stretch at first, as its last record ends in the next one."""

ROWS = 1 << 13
"""Records of one table."""

LONGEST = 1 << 26
"""Bytes of a record that no longer is one."""

POWERS = powers_of_ten()


@dataclass(frozen=True)
class Column:
    """A field that is to be read, and as what.

    Attributes
    ----------
    name : str
        ASCII that JSON need not escape.
    kind : int
        `INTEGER`, `NUMBERS` or `SPAN`.
    width : int
        Of `NUMBERS`: 0 for one number, else the length of the list.
    """

    name: str
    kind: int
    width: int = 0


@dataclass(frozen=True)
class Rows:
    """Some records of a list; arrays are overwritten when the next ones are read.

    Attributes
    ----------
    text : (B + 1,) uint8
        With a zero at the end.
    """

    text: Text
    form: Form
    table: Table
    n: int

    def column(self, name: str) -> NDArray[Any]:
        """`integers` or `numbers`, whichever the field is."""
        return self.integers(name) if self.form.kinds[name] == INTEGER else self.numbers(name)

    def integers(self, name: str) -> Int:
        """(N,) values; anything where the field was not `seen`."""
        return self.table.integers[: self.n, self.form.places[name]]

    def numbers(self, name: str) -> Float:
        """(N,) or (N, width) values; anything where the field was not `seen`."""
        place, width = self.form.places[name], self.form.widths[name]
        return self.table.numbers[: self.n, place : place + width] if width else self.table.numbers[: self.n, place]

    def spans(self, name: str) -> Int:
        """(N, 2) where in `text` values start and end; anything where the field was not `seen`."""
        place = 2 * self.form.places[name]
        return self.table.spans[: self.n, place : place + 2]

    def seen(self, name: str) -> Bool:
        """(N,) whether the record has the field."""
        seen: Bool = (self.table.seen[: self.n] >> self.form.bits[name] & 1) == 1
        return seen


class Form:
    """The fields that are read of each record, in the form that the kernels know."""

    def __init__(self, columns: Sequence[Column]) -> None:
        names = [f'{column.name}"'.encode("ascii") for column in columns]
        taken = {INTEGER: 0, NUMBERS: 0, SPAN: 0}
        self.places: dict[str, int] = {}
        self.kinds = {column.name: column.kind for column in columns}
        self.widths = {column.name: column.width for column in columns}
        self.bits = {column.name: bit for bit, column in enumerate(columns)}
        for column in columns:
            self.places[column.name] = taken[column.kind]
            taken[column.kind] += max(1, column.width)
        self.fields = Fields(
            np.frombuffer(bytearray(b"".join(names)), np.uint8),
            np.cumsum([0, *map(len, names)], dtype=np.int64),
            np.array([column.kind for column in columns], np.int64),
            np.array(list(self.places.values()), np.int64),
            np.array([column.width for column in columns], np.int64),
        )
        self._taken = taken
        self._tables = threading.local()

    def table(self) -> Table:
        """The table of the thread that asks."""
        if not hasattr(self._tables, "table"):
            integers = np.empty((ROWS, self._taken[INTEGER]), np.int64)
            numbers = np.empty((ROWS, self._taken[NUMBERS]))
            spans = np.empty((ROWS, 2 * self._taken[SPAN]), np.int64)
            self._tables.table = Table(integers, numbers, spans, np.empty(ROWS, np.int64))
        table: Table = self._tables.table
        return table


class Source(Protocol):
    """A text that can be looked at in windows."""

    size: int

    def window(self, start: int, length: int, /) -> tuple[Text, int]:
        """At least `length` bytes from `start` on, or all to the end, and a zero; and where in the text they begin."""


class Memory:
    """A text in memory: (B + 1,) uint8 with a zero at the end."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self.size = len(text) - 1

    def window(self, _start: int, _length: int, /) -> tuple[Text, int]:
        """All of it."""
        return self._text, 0


class File:
    """A text in a file, which each thread opens for itself and of which it holds the stretch that it reads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.size = Path(path).stat().st_size
        self._own = threading.local()
        self._opened = ExitStack()

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def window(self, start: int, length: int, /) -> tuple[Text, int]:
        """Exactly `length` bytes, or all to the end; this thread's next window takes their place."""
        if not hasattr(self._own, "file"):
            file = Path(self._path).open("rb", buffering=0)  # noqa: SIM115  # closed with those of all threads
            self._own.file = self._opened.enter_context(file)
            self._own.buffer = np.empty(0, np.uint8)
        if len(self._own.buffer) <= length:
            self._own.buffer = np.empty(length + 1, np.uint8)
        buffer, n = self._own.buffer, 0
        self._own.file.seek(start)
        while n < length and (more := self._own.file.readinto(buffer.data[n:length])):
            n += more
        buffer[n] = 0
        return buffer[: n + 1], start


@dataclass
class _Stretch(Generic[U]):
    """What became of the records that start in a stretch of the text."""

    first: int | None
    """Where its first record starts; None where none does."""
    stop: int
    """Where the stretch ends."""
    found: list[U]
    after: int = REFUSED
    """Where the next stretch's first record starts, or, after the last, where the list ends."""
    ended: bool = False


def scan_list(
    source: Source, start: int, form: Form, use: Callable[[Rows], U], keep: Callable[[U, float], object]
) -> int | None:
    """Read the list whose first record starts at `start`; the position after it.

    Parameters
    ----------
    source, form
    start
        Position of the first record's bracket.
    use
        What to make of records; called from several threads, for some thousand records each time.
    keep
        Called with what `use` made of records, in their order, and with the share of the text that was read by then.

    Returns
    -------
    end : int or None
        None if anything is not as this reader wants it; what was kept is worthless then.
    """

    def read(begin: int) -> _Stretch[U]:
        return _read(source, begin, begin == start, form, use)

    expected = start
    threads = available_threads()
    with ThreadPoolExecutor(threads, "cvbench-scan") as pool:
        begins = (start + BLOCK * i for i in count())
        waiting: deque[Future[_Stretch[U]]] = deque()
        try:
            for begin in begins:
                if begin < source.size:
                    waiting.append(pool.submit(read, begin))
                    if len(waiting) <= 2 * threads:
                        continue
                if not waiting:
                    return None
                stretch = waiting.popleft().result()
                if stretch.first is None and expected >= stretch.stop:
                    continue
                if stretch.first != expected or stretch.after == REFUSED:
                    return None
                expected = stretch.after
                for result in stretch.found:
                    keep(result, expected / source.size)
                if stretch.ended:
                    return expected
        finally:
            for future in waiting:
                future.cancel()
    raise AssertionError("the stretches never end")


def _read(source: Source, begin: int, is_first: bool, form: Form, use: Callable[[Rows], U]) -> _Stretch[U]:
    """Read the records of the stretch from `begin` on."""
    stop, length = begin + BLOCK, BLOCK + AHEAD
    text, offset = source.window(begin, length)
    p = begin - offset
    if not is_first:
        match = BETWEEN.search(text.data, p, len(text))
        if match is None or match.start() + offset >= stop:
            return _Stretch(None, stop, [])
        p = match.end() - 1
    stretch: _Stretch[U] = _Stretch(p + offset, stop, [])
    table = form.table()
    while True:
        n, p, why = records_at(text, p, stop - offset, form.fields, POWERS, table)
        if n:
            stretch.found.append(use(Rows(text, form, table, n)))
        if why == FULL:
            continue
        if why != REFUSED:
            stretch.after, stretch.ended = p + offset, why == ENDED
            return stretch
        # perhaps the record only goes on after the window
        if offset + len(text) > source.size or length > LONGEST:
            return stretch
        length *= 2
        text, offset = source.window(p + offset, length)
        p = 0


def scan_whole_list(source: Source, form: Form, use: Callable[[Rows], U], keep: Callable[[U, float], object]) -> bool:
    """Read a text that is a list, with arguments as of `scan_list`; whether it could be read."""
    text, offset = source.window(0, 1 << 12)
    match = re.match(rb"\s*\[\s*(?=\{)", text.data)
    end = None if match is None else scan_list(source, offset + match.end(), form, use, keep)
    return end is not None and _nothing_after(source, end)


def scan_object(
    text: Text, lists: Mapping[str, tuple[Form, Callable[[Rows], U]]]
) -> tuple[dict[str, list[U]], dict[str, memoryview]] | None:
    """Read a text that is an object.

    Parameters
    ----------
    text : (B + 1,) uint8
        With a zero at the end.
    lists
        By name, the lists of records that are to be scanned, with form and use as of `scan_list`.

    Returns
    -------
    found : dict
        What `use` made of the lists.
    others : dict
        The text of all other values.
    None
        As of `scan_list`, and where one of the lists is missing or empty.
    """
    source, others = Memory(text), {}
    found: dict[str, list[U]] = {}
    p, before = after_space(text, 0), OPEN_OBJECT
    while text[p] == before:
        p, before = after_space(text, p + 1), COMMA
        value = after_key(text, p)
        if value == REFUSED:
            return None
        name = bytes(text[p + 1 : after_string(text, p) - 1]).decode("ascii", "replace")
        if name in found or name in others or "\\" in name:
            return None
        if name in lists:
            first = after_space(text, value + 1)
            if text[value] != OPEN_LIST or text[first] != OPEN_OBJECT:
                return None
            found[name] = []
            end = scan_list(source, first, *lists[name], partial(_append, found[name]))
            if end is None:
                return None
            p = end
        else:
            p = after_value(text, value)
            if p == REFUSED:
                return None
            others[name] = text.data[value:p]
        p = after_space(text, p)
    if text[p] != CLOSE_OBJECT or not _nothing_after(source, p + 1) or set(found) != set(lists):
        return None
    return found, others


def _append(found: list[U], result: U, _share: float) -> None:
    found.append(result)


def _nothing_after(source: Source, end: int) -> bool:
    """Whether from `end` on there is only white space."""
    text, offset = source.window(end, source.size - end)
    return not bytes(text[end - offset : -1]).strip(b" \t\r\n")


class Places:
    """Where ids stand in an ascending list of them."""

    def __init__(self, ids: Int) -> None:
        self._ids = ids
        self._low = int(ids[0]) if len(ids) else 0
        span = int(ids[-1]) - self._low + 1 if len(ids) else 0
        self._table: Int | None = None
        if span <= max(1 << 20, 4 * len(ids)):
            self._table = np.full(span + 1, -1, np.int64)
            self._table[ids - self._low] = np.arange(len(ids))

    def of(self, values: Int) -> Int:
        """(N,) the place of each value, -1 where there is none."""
        if self._table is not None:
            # as unsigned integers, negative steps are large ones
            steps = (values - self._low).view(np.uint64)
            found: Int = self._table[np.minimum(steps, np.uint64(len(self._table) - 1))]
            return found
        places = np.searchsorted(self._ids, values)
        places[places == len(self._ids)] = 0
        return np.where(self._ids[places] == values, places, -1)
