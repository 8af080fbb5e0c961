"""One side of paired keypoints, ground truth or predictions, as every form of file or data is read to it.

Conventions
-----------
- Rows are instances (people, faces, hands) in the order of the file, N of them; J keypoints of D = 2 or 3 dimensions.
- In 2 dimensions a third value of a keypoint is its visibility, above 0 where an annotation counts; that of a
  prediction is its score and is not looked at. In 3 dimensions the third value is z.
- NaN stands for a keypoint that was not predicted.
- Only form is checked here: shapes, types, ids, numbers of keypoints. Whether coordinates and sizes can be scored
  depends on the metric, which judges them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float
from cvbench.errors import CvbenchError, FormatError, InputError
from cvbench.io.fields import LARGEST
from cvbench.io.problems import Problem, shown
from cvbench.io.source import Source

SIZES = ("size", "box_size", "head_size")
"""What data call the length by which distances are divided; AFLW has `box_size`."""


class Wrong(Exception):
    """What is wrong with one side, all of it; `error` is how it is to be raised."""

    def __init__(self, problems: Sequence[Problem], error: type[CvbenchError] = FormatError) -> None:
        super().__init__(problems)
        self.problems = list(problems)
        self.error = error


@dataclass(frozen=True, slots=True)
class Side:
    """Which side is read, and how.

    Attributes
    ----------
    name : str
        How messages call it: its path, or the name of the argument.
    path : str or None
        None for data from memory.
    truth : bool
        Whether this is the ground truth. Of predictions nothing but keypoints, names and ids is read.
    dims : int
        2 or 3.
    """

    name: str
    path: str | None
    truth: bool
    dims: int

    def wrong(self, message: str, part: str = "") -> Wrong:
        """The error for the whole side, or for a `part` such as ``['boxes']``."""
        return Wrong([Problem(self.name + part, message)], self.error)

    @property
    def error(self) -> type[CvbenchError]:
        """Files have a format, arrays are arguments."""
        return InputError if self.path is None else FormatError


@dataclass(frozen=True)
class Instances:
    """N instances of one side.

    Attributes
    ----------
    side : Side
    source : Source
        Path, hash and size of what was read.
    points : (N, J, D) float64
    where : callable
        ``where(row)`` is what messages call an instance: ``pred.json[3]``, ``gt.csv:7``.
    visible : (N, J) bool or None
        None where the data do not say; then every keypoint counts.
    ids, image_ids : (N,) int64 or str, or None
    boxes, head_boxes : (N, 4) float64 or None
        ``[x, y, width, height]`` of the instance, ``[x1, y1, x2, y2]`` of the head; NaN where a row has none.
    size : (N,) float64 or None
    labels : N tuples of str, or None
        The subsets of the data that each instance belongs to.
    joint_names : J names, or None
    typed : bool
        Whether ids say if they are numbers or text; those in a table of text do not.
    counts, notes
        Of whatever was left out.
    """

    side: Side
    source: Source
    points: Float
    where: Callable[[int], str]
    visible: Bool | None = None
    ids: NDArray[Any] | None = None
    image_ids: NDArray[Any] | None = None
    boxes: Float | None = None
    head_boxes: Float | None = None
    size: Float | None = None
    labels: Sequence[tuple[str, ...]] | None = None
    joint_names: tuple[str, ...] | None = None
    typed: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def joints(self) -> int | None:
        """J; None where there are no instances, which fit any number."""
        return self.points.shape[1] if len(self.points) else None


def problems_of_form(found: Instances, joints: int | None) -> Iterator[Problem]:
    """What is wrong with one side by itself, whatever form it was read from.

    Parameters
    ----------
    found
    joints
        How many keypoints are expected; None for any number.
    """
    if len(found) and not found.points.shape[1]:
        yield Problem(found.side.name, "instances have no keypoints, expected at least one for each")
    if joints is not None and found.joints not in (None, joints):
        yield Problem(found.side.name, f"found {found.joints} keypoints for each instance, expected {joints}")
    names = found.joint_names
    if names is not None:
        if found.joints not in (None, len(names)):
            count = f"found {len(names)} names of keypoints, but {found.joints} keypoints"
            yield Problem(found.side.name, count)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield Problem(found.side.name, f"two keypoints have the name {shown(twice[0])}; names must differ")
    if found.ids is not None:
        yield from _repeated(found, found.ids)


def _repeated(found: Instances, ids: NDArray[Any]) -> Iterator[Problem]:
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[inverse] != np.arange(len(ids))).tolist():
        other = found.where(int(first[inverse[row]]))
        yield Problem(found.where(row), f"found the id {shown(ids[row].item())} again; {other} has the same one")


def id_array(values: Sequence[Any]) -> NDArray[Any] | None:
    """Integers of at most 64 bits or strings, all of one type, as an array; None where they are anything else.

    >>> id_array([3, 1]), id_array(["a", "b"]), id_array([1, "a"]), id_array([1.0])
    (array([3, 1]), array(['a', 'b'], dtype='<U1'), None, None)
    """
    kinds = set(map(type, values))
    if kinds <= {int}:
        return np.array(values, np.int64) if max(map(abs, values), default=0) <= LARGEST else None
    return np.array(values, np.str_) if kinds == {str} else None


def source_of(arrays: Mapping[str, NDArray[Any]]) -> Source:
    """Size and hash of named arrays in memory: of the name, type, shape and content of each, sorted by name."""
    content, size = hashlib.sha256(), 0
    for name, array in sorted(arrays.items()):
        content.update(repr((name, array.dtype.str, array.shape)).encode())
        content.update(np.ascontiguousarray(array).tobytes())
        size += array.nbytes
    return Source(None, content.hexdigest(), size)
