"""Detections from files of columns: Parquet, and ``.npz`` archives of arrays.

Conventions
-----------
- Columns have the names of the fields of COCO results: ``image_id``, ``category_id``, ``score``, and ``bbox``,
  ``segmentation`` or ``keypoints``; those that a task does not read may hold anything. One row is one detection.
- ``bbox`` has four numbers in each row, or there are four columns ``x``, ``y``, ``w`` and ``h``.
- ``segmentation`` has compressed run lengths, as text of the size of the row's image or as ``{size, counts}``. Polygons
  have no form here.
- An empty cell (null) stands for a field that the record lacks. Arrays of ``.npz`` files have none. A file without
  rows has no detections, whatever its columns.

Columns become arrays as they are, without a Python object for each record. As with JSON, this finds out only whether
something is wrong. What it is, `ColumnFile.problems` says: of a column by its type, of a row by the rules for records.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, GroundTruth, Int, Masks
from cvbench.errors import InputError
from cvbench.io.diagnosis import detection_problems
from cvbench.io.extract import Part, Refused, joined_masks, require
from cvbench.io.fields import DetectionOptions, Field, detection_fields, missing
from cvbench.io.problems import Problem
from cvbench.io.source import Source, read_file

SIDES = ("x", "y", "w", "h")
"""Columns that stand for ``bbox`` together."""

SHAPES: dict[str, Literal["mask", "keypoints"]] = {"segmentation": "mask", "keypoints": "keypoints"}
"""What boxes are taken from where there are none, in the order in which pycocotools looks."""

MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "npz", b"PK\x05\x06": "npz"}
"""The first bytes of each kind of file; a file's name says nothing about its content."""


class ColumnFile(ABC):
    """A file of detections in columns, the counterpart of a `cvbench.io.source.Document`.

    Parameters
    ----------
    path
    stored
        The bytes of the file.

    Attributes
    ----------
    name, path : str
        The path as given.
    names : list of str
        The columns there are.
    rows : int
    """

    relaxed = False
    names: Sequence[str]
    rows: int

    def __init__(self, path: str, stored: bytes) -> None:
        self.name = self.path = path
        self._size = len(stored)
        pool = ThreadPoolExecutor(1, "cvbench-hash")
        self._hash = pool.submit(hashlib.sha256, stored)
        pool.shutdown(wait=False)

    @property
    def source(self) -> Source:
        """Where the columns came from."""
        return Source(self.path, self._hash.result().hexdigest(), self._size)

    @property
    def box_source(self) -> Literal["mask", "keypoints"] | None:
        """What boxes can be taken from where the file has none; None where it has, or has nothing else either."""
        if self.has("bbox"):
            return None
        return next((shape for name, shape in SHAPES.items() if self.has(name)), None)

    def has(self, name: str) -> bool:
        """Whether there is a column for this field."""
        return name in self.names or (name == "bbox" and all(side in self.names for side in SIDES))

    def part(self, gt: GroundTruth, options: DetectionOptions) -> Part:
        """The columns of all rows.

        Raises
        ------
        Refused
            Something is wrong with them.
        """
        fields = {field.name: field for field in detection_fields(options)}
        if not self.rows:
            return _no_rows("bbox" in fields, options)
        require(not list(self.column_problems(options)))
        image = self.index("image_id", gt.image_ids)
        require((image >= 0).all())
        category = self.index("category_id", gt.category_ids)
        strange = self.integers("category_id")[category < 0] if (category < 0).any() else np.zeros(0, np.int64)
        score, given = self.numbers("score")
        require(given is None and np.isfinite(score).all())
        boxes = masks = points = None
        filled = 0
        if "bbox" in fields:
            boxes = self._boxes()
            require(not fields["bbox"].required or not np.isnan(boxes).any())
        if options.shape == "mask":
            sizes = None if options.sizes is None else options.sizes[image]
            masks, filled = self._masks(sizes, boxes if options.box_masks else None)
        if options.shape == "keypoints":
            points = np.concatenate([self._points(name, joints) for name, joints in options.parts], axis=1)
        scores, lacking = self._part_scores(options.scores, score)
        unknown = frozenset(np.unique(strange).tolist())
        return Part(image, category, score, boxes, masks, points, unknown, filled, scores, lacking)

    def problems(self, gt: GroundTruth | None, options: DetectionOptions) -> Iterator[Problem]:
        """What keeps the file from being detections; see `cvbench.io.diagnosis.detection_problems`."""
        found = list(self.column_problems(options))
        yield from found
        if not found:
            sizes = None
            if gt is not None and options.sizes is not None:
                sizes = dict(zip(gt.image_ids.tolist(), options.sizes.tolist(), strict=True))
            yield from detection_problems(self._records(sizes), self.name, gt, options)

    def column_problems(self, options: DetectionOptions) -> Iterator[Problem]:
        """Columns that are missing, or of a type that cannot be read."""
        for field in detection_fields(options) if self.rows else ():
            message = None
            if self.has(field.name):
                message = self._fault(field, options)
            elif field.required:
                said = missing(field, dict.fromkeys(self.names)).replace("the record has", "the file has")
                message = said + (", or columns x, y, w and h" if field.name == "bbox" else "")
            if message is not None:
                yield Problem(f"{self.name}.{field.name}", message)

    def _fault(self, field: Field, options: DetectionOptions) -> str | None:
        """What is wrong with the type of a field's column."""
        if field.name == "bbox" and "bbox" not in self.names:
            faults = ((side, self.fault(side, "numbers")) for side in SIDES)
            return next((f"column {side}: {fault}" for side, fault in faults if fault is not None), None)
        if field.name == "segmentation":
            fault = self.fault(field.name, "masks")
            if fault is None and options.box_from == "mask" and not self.has_sizes:
                return "there is no size of the masks, expected {size, counts}, to take boxes from"
            return fault
        kinds = {"image_id": "ids", "category_id": "integers", "bbox": "boxes"}
        points = dict(options.parts)
        return self.fault(field.name, kinds.get(field.name, "points" if field.name in points else "numbers"))

    # What each kind of file has its own way for

    @property
    @abstractmethod
    def has_sizes(self) -> bool:
        """Whether the masks say their sizes."""

    @abstractmethod
    def fault(self, name: str, kind: str) -> str | None:
        """Why a column is none of ``ids``, ``integers``, ``numbers``, ``boxes``, ``points`` or ``masks``, if so."""

    @abstractmethod
    def index(self, name: str, known: NDArray[Any]) -> Int:
        """The index of each row's id among the `known` ones, which ascend; -1 where it is none of them."""

    @abstractmethod
    def integers(self, name: str) -> Int:
        """A column of integers."""

    @abstractmethod
    def numbers(self, name: str) -> tuple[Float, Bool | None]:
        """A column of numbers, and which rows have one; None where all do."""

    @abstractmethod
    def lists(self, name: str, length: int | None) -> tuple[Float, Bool | None]:
        """A column of lists of numbers (N, `length`), and which rows have one; None for any length that all share."""

    @abstractmethod
    def codes(self) -> tuple[Sequence[str | bytes | None], Int | None]:
        """The compressed run lengths of each row, None where it has none, and their sizes (N, 2) if they say so."""

    @abstractmethod
    def records(self, name: str) -> list[Any]:
        """The cells of a column as Python objects, None where they are empty."""

    # Columns of fields

    def _boxes(self) -> Float:
        """Boxes, NaN where a row has none."""
        if not self.has("bbox"):
            return np.full((self.rows, 4), np.nan)
        if "bbox" in self.names:
            boxes, given = self.lists("bbox", 4)
        else:
            columns = [self.numbers(side) for side in SIDES]
            require(all(own is None for _, own in columns))
            boxes, given = np.stack([column for column, _ in columns], axis=1), None
        own = boxes if given is None else boxes[given]
        require(np.isfinite(own).all() and (own[:, 2:] >= 0).all())
        if given is not None:
            boxes[~given] = np.nan
        return boxes

    def _points(self, name: str, joints: int | None) -> Float:
        points, given = self.lists(name, None if joints is None else 3 * joints)
        require(given is None and np.isfinite(points).all() and points.shape[1] % 3 == 0)
        require(points.shape[1] > 0 or not self.rows)
        return points.reshape(self.rows, -1, 3)

    def _part_scores(self, names: Sequence[str], score: Float) -> tuple[Float | None, Int]:
        """Scores of parts, `score` where a row lacks one; how often each is lacking."""
        scores = np.repeat(score[:, None], len(names), axis=1)
        lacking = np.zeros(len(names), np.int64)
        for n, name in enumerate(names):
            own, given = self.numbers(name) if self.has(name) else (score, np.zeros(self.rows, np.bool_))
            require(np.isfinite(own if given is None else own[given]).all())
            scores[:, n] = own if given is None else np.where(given, own, score)
            lacking[n] = 0 if given is None else np.count_nonzero(~given)
        return scores if names else None, lacking

    def _masks(self, sizes: Int | None, boxes: Float | None) -> tuple[Masks, int]:
        """The masks, which have these sizes (None: their own), the filled box where a row has none; how many these are.

        The box is None, or NaN, where it must not be taken.
        """
        from cvbench.metrics import masks as codec  # brings numba, which boxes do without

        codes: Sequence[str | bytes | None] = [None] * self.rows
        own: Int | None = None
        if self.has("segmentation"):
            codes, own = self.codes()
        empty = np.array([code is None for code in codes], np.bool_)
        coded, filled = np.flatnonzero(~empty), np.flatnonzero(empty)
        if sizes is None:
            assert own is not None, "texts without sizes are refused by their column"
            require(not len(filled))
            sizes = own
        require(own is None or np.array_equal(own[coded], sizes[coded]))
        require(not len(filled) or (boxes is not None and np.isfinite(boxes[filled]).all()))
        try:
            texts = [code for code in codes if code is not None]
            found = codec.masks_from_strings(texts, sizes[coded], threads=None)
            if boxes is None or not len(filled):
                return found, 0
            drawn = codec.masks_from_boxes(boxes[filled], sizes[filled], threads=None)
        except InputError as error:
            raise Refused from error
        return joined_masks([found, drawn]).take(np.argsort(np.concatenate([coded, filled]))), len(filled)

    def _records(self, sizes: dict[Any, list[int]] | None) -> list[dict[str, Any]]:
        """The rows as the records of a JSON file; for finding out what is wrong."""
        names = [*self.names, "bbox"] if self.has("bbox") and "bbox" not in self.names else self.names
        rows = zip(*map(self._cells, names), strict=True)
        records = [{name: cell for name, cell in zip(names, row, strict=True) if cell is not None} for row in rows]
        for record in records:
            mask = record.get("segmentation")
            if isinstance(mask, str):
                size = [1, 1] if sizes is None else sizes.get(record.get("image_id"), [1, 1])
                record["segmentation"] = {"size": size, "counts": mask}
        return records

    def _cells(self, name: str) -> list[Any]:
        """The cells of a field's column."""
        if name == "bbox" and "bbox" not in self.names:
            return [list(box) for box in zip(*map(self.records, SIDES), strict=True)]
        return self.records(name)


def column_file(source: object) -> ColumnFile | None:
    """The file of columns at this path; None for any other file and for data in memory.

    Raises
    ------
    FormatError
        The file begins like one, but is damaged.
    MissingDependency
        pyarrow is needed to read it.
    """
    if not isinstance(source, str | os.PathLike):
        return None
    path = os.fspath(source)
    try:
        with Path(path).open("rb") as file:
            kind = MAGIC.get(file.read(4))
    except OSError:
        return None  # the reader of JSON says why
    if kind == "parquet":
        from cvbench.io.parquet import ParquetFile

        return ParquetFile(path, read_file(path))
    if kind == "npz":
        from cvbench.io.npz import NpzFile

        return NpzFile(path, read_file(path))
    return None


def _no_rows(boxed: bool, options: DetectionOptions) -> Part:
    joints, scores = sum(joints or 0 for _, joints in options.parts), len(options.scores)
    return Part(
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.zeros((0, 4)) if boxed else None,
        joined_masks([]) if options.shape == "mask" else None,
        np.zeros((0, joints, 3)) if options.shape == "keypoints" else None,
        frozenset(),
        0,
        np.zeros((0, scores)) if scores else None,
        np.zeros(scores, np.int64),
    )


def index_of_ids(ids: NDArray[Any], known: NDArray[Any]) -> Int:
    """The index of each of `ids`, int64 or text, among the `known` ones, which ascend; -1 where it is none of them."""
    if (ids.dtype.kind == "U") != (known.dtype.kind == "U"):
        return np.full(len(ids), -1, np.int64)
    if ids.dtype.kind != "U":
        from cvbench.io.scan import Places  # brings numba, which small files do without

        return Places(known).of(ids)
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[at] == ids, at, -1).astype(np.int64, copy=False) if len(known) else at
