"""Paired keypoints from tables of text, ``.csv``.

Conventions
-----------
- One line of names, then one row for each instance; commas between cells; columns in any order.
- ``<joint>_x`` and ``<joint>_y`` are the coordinates of a keypoint, ``<joint>_z`` the third in 3 dimensions,
  ``<joint>_v`` its visibility. Keypoints are in the order of their ``_x``. An empty coordinate is NaN: not predicted.
- Beside them there may be ``id``, ``image_id``, ``size``, ``groups`` with ``;`` between the labels of an instance,
  ``box_x box_y box_w box_h`` and ``head_x1 head_y1 head_x2 head_y2``; empty cells of sizes and boxes are NaN. Other
  columns are noted and not read.
- Ids are integers where all of a column look like integers, otherwise text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float
from cvbench.io.arrays import hashed
from cvbench.io.instances import SIZES, Instances, Side, Wrong, id_array
from cvbench.io.problems import Problem, shown, suggestion
from cvbench.io.source import read_file

BOX = ("box_x", "box_y", "box_w", "box_h")
HEAD = ("head_x1", "head_y1", "head_x2", "head_y2")
GROUPS = ("groups", "group")
OWN = ("id", "image_id", *SIZES, *GROUPS, *BOX, *HEAD)
"""Columns that are no keypoints."""

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
COORDINATE = re.compile(r"(.+)_([xyzv])")


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Attributes
    ----------
    side : Side
    header : names of the C columns
    cells : N times C texts
        Row by row.
    lines : N line numbers
        Where each row stands in the file; the first line is 1.
    problems : list of Problem
        Of the cells that were asked for so far.
    """

    side: Side
    header: list[str]
    cells: list[str]
    lines: Sequence[int]
    problems: list[Problem] = field(default_factory=list)

    def texts(self, name: str) -> list[str]:
        """The cells of a column."""
        return self.cells[self.header.index(name) :: len(self.header)]

    def numbers(self, name: str, empty: str = "nan") -> Float:
        """The numbers of a column; `empty` cells are read as that."""
        texts = self.texts(name)
        try:
            return _numbers(texts)
        except ValueError:
            pass
        column = np.full(len(texts), np.nan)
        for row, cell in enumerate(texts):
            try:
                column[row] = _numbers([cell.strip() or empty])[0]
            except ValueError:
                self.refuse(row, name, f"found {shown(cell)}, expected a number")
        return column

    def refuse(self, row: int, name: str, message: str) -> None:
        """Note a problem of one cell."""
        self.problems.append(Problem(f"{self.side.name}:{self.lines[row]}", f"column {name}: {message}"))

    def stacked(self, names: Sequence[str], empty: str = "nan") -> Float | None:
        """Columns side by side, all of which have to be there; None where none is."""
        missing = [name for name in names if name not in self.header]
        if len(missing) == len(names):
            return None
        if missing:
            raise self.side.wrong(f"there is no column {missing[0]}; there is {_others(names, missing)}", ":1")
        return np.stack([self.numbers(name, empty) for name in names], axis=1)


def read_csv(side: Side) -> Instances:
    """A ``.csv`` file with one line of names and one row for each instance."""
    stored = read_file(side.name)
    table = _table(stored, side)
    joints, unread = _joints(table)
    points = np.empty((len(table.lines), len(joints), side.dims))
    for j, joint in enumerate(joints):
        points[:, j] = table.stacked([f"{joint}_{axis}" for axis in "xyz"[: side.dims]])
    columns = _of_truth(table, joints) if side.truth else {}
    ids = {name: _ids(table, name) if name in table.header else None for name in ("id", "image_id")}
    if table.problems:
        raise Wrong(table.problems, side.error)
    return Instances(
        side,
        hashed(stored, side),
        points,
        lambda row: f"{side.name}:{table.lines[row]}",
        ids=ids["id"],
        image_ids=ids["image_id"],
        joint_names=None if _running(joints) else tuple(joints),
        typed=False,
        notes=[f"{side.name}: columns {', '.join(unread)} are of no known name and not read"] if unread else [],
        **columns,
    )


def _of_truth(table: Table, joints: Sequence[str]) -> dict[str, Any]:
    """What is read of the ground truth alone."""
    sizes = [name for name in SIZES if name in table.header]
    groups = [name for name in GROUPS if name in table.header]
    for names in (sizes, groups):
        if len(names) > 1:
            raise table.side.wrong(f"columns {' and '.join(names)} mean the same; keep one", ":1")
    seen = table.stacked([f"{joint}_v" for joint in joints], empty="")
    visible: Bool | None = None if seen is None else seen > 0
    return {
        "visible": visible,
        "boxes": table.stacked(BOX),
        "head_boxes": table.stacked(HEAD),
        "size": table.numbers(sizes[0]) if sizes else None,
        "labels": [_labels(cell) for cell in table.texts(groups[0])] if groups else None,
    }


def _joints(table: Table) -> tuple[list[str], list[str]]:
    """The names of the keypoints, and the columns that are not read."""
    header, axes = table.header, "xyz"[: table.side.dims]
    parts = {name: COORDINATE.fullmatch(name) for name in header if name not in OWN}
    joints = [found[1] for found in parts.values() if found is not None and found[2] == "x"]
    if not joints:
        raise table.side.wrong(f"there is no column whose name ends with _x; there is {', '.join(header[:5])}", ":1")
    unread = []
    for name, found in parts.items():
        near = None if found is not None else suggestion(name, OWN)
        if near is not None:
            raise table.side.wrong(f"there is a column `{name}`, did you mean `{near}`?", ":1")
        if found is not None and found[1] not in joints:
            raise table.side.wrong(f"there is no column {found[1]}_x; there is {name}", ":1")
        if found is None or found[2] not in f"{axes}v":
            unread.append(name)
    return joints, unread


def _running(names: Sequence[str]) -> bool:
    """Whether the keypoints are numbered, from 0 or 1, which names none of them."""
    return list(names) in ([str(i + first) for i in range(len(names))] for first in (0, 1))


def _numbers(texts: Sequence[str]) -> Float:
    if "_" in "".join(texts):  # Python takes 1_000 for 1000
        raise ValueError("a number has no underscore")
    return np.fromiter(map(float, texts), np.float64, len(texts))


def _labels(cell: str) -> tuple[str, ...]:
    return tuple(label for label in map(str.strip, cell.split(";")) if label)


def _ids(table: Table, name: str) -> NDArray[Any] | None:
    texts = [cell.strip() for cell in table.texts(name)]
    for row, text in enumerate(texts):
        if not text:
            table.refuse(row, name, "found nothing, expected an id")
    return id_array(list(map(int, texts)) if all(map(INTEGER.fullmatch, texts)) else texts)


def _others(names: Sequence[str], missing: Sequence[str]) -> str:
    return next(name for name in names if name not in missing)


# Cells ---------------------------------------------------------------------------------------------------------------


def _table(stored: bytes, side: Side) -> Table:
    """The cells of a file, of which every row has as many as there are names."""
    try:
        text = stored.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise side.wrong(f"byte {error.start} is not text in UTF-8, expected a table of text") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if not text.strip():
        message = f"the file is empty ({len(stored)} bytes), expected a line of names and a row for each instance"
        raise side.wrong(message)
    header, cells, counts, lines = _quoted(text, side) if '"' in text else _plain(text)
    header = [name.strip() for name in header]
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise side.wrong("found no comma between names, expected one after each", ":1")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise side.wrong(f"two columns have the name {shown(twice)}; names must differ", ":1")
    expected = f"expected {len(header)}, one for each name of line 1"
    places = zip(lines, counts, strict=True)
    uneven = [(line, f"found {n} cells, {expected}") for line, n in places if n != len(header)]
    if uneven:
        raise Wrong([Problem(f"{side.name}:{line}", message) for line, message in uneven], side.error)
    return Table(side, header, cells, lines)


Cells = tuple[list[str], list[str], Sequence[int], Sequence[int]]
"""The names, all cells of all rows one after another, and for each row its number of cells and its line."""


def _plain(text: str) -> Cells:
    """The cells of text without quotes, split at once: 0.5 s for 40 MB, where the csv module takes 2.0 s."""
    first, *rows = text.split("\n")
    cells = ",".join(rows).split(",") if rows else []
    return first.split(","), cells, [row.count(",") + 1 for row in rows], range(2, len(rows) + 2)


def _quoted(text: str, side: Side) -> Cells:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise side.wrong(f"this is no table: {error}", f":{reader.line_num}") from error
    return rows[0], list(chain.from_iterable(rows[1:])), [len(row) for row in rows[1:]], lines[1:]
