"""From decoded records to arrays, with the checks that the records' types cannot make.

Every function takes a list of structs and gives a column with a row for each, or raises `Refused`: that says only that
something is wrong, and `cvbench.io.diagnosis` says what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Masks, offsets_of
from cvbench.errors import InputError
from cvbench.io.fields import LARGEST, Parts, Rle

CACHED = 1024
"""Rows of keypoints that the processor's cache holds."""

RADIX = 1 << 16
"""NumPy sorts 16-bit keys by radix: 500,000 image indices in 4 ms, as 64-bit keys in 40 ms."""


class Refused(Exception):
    """Something is wrong with the input."""


@dataclass(frozen=True)
class Part:
    """Columns of consecutive detections, in the order of the file."""

    image: Int
    category: Int
    score: Float
    boxes: Float | None
    masks: Masks | None
    points: Float | None
    unknown: frozenset[int]
    """Category ids that the ground truth lacks."""
    box_masks: int
    """Masks that are filled boxes."""
    scores: Float | None
    """(N, P) scores of parts."""
    missing_scores: Int
    """(P,) how often these are lacking."""
    extents: Float | None = None
    """(N, 4) the boxes around the keypoints that make the areas, where they are known already."""


@dataclass(frozen=True)
class Dataset:
    """What is read of a ground truth: I images, N annotations in the order of the file.

    Attributes
    ----------
    image_ids : (I,) int64 or str, ascending
    sizes : (I, 2) int64 or None
    crowd_index : (I,) float64 or None
    category_ids : (K,) int64, ascending
    category_names : K names
    id : (N,) int64
    image, category : (N,) int64
        Index of the image and of the category; -1 where there is none with that id.
    crowd, ignore : (N,) bool
    missing_crowd : int
        How many annotations have no ``iscrowd``.
    area : (N,) float64
    missing_area : int
    boxes, masks, points
        None where they are not read.
    labelled : (N,) int64 or None
        The number of labelled keypoints as annotated, -1 where there is none; None where it is not read.
    """

    image_ids: NDArray[Any]
    sizes: Int | None
    crowd_index: Float | None
    category_ids: Int
    category_names: tuple[str, ...]
    id: Int
    image: Int
    category: Int
    crowd: Bool
    missing_crowd: int
    ignore: Bool
    area: Float
    missing_area: int
    boxes: Float | None
    masks: Masks | None
    points: Float | None
    labelled: Int | None


def require(condition: object) -> None:
    """Raise `Refused` unless `condition` is true."""
    if not condition:
        raise Refused


def id_column(records: Sequence[Any]) -> tuple[NDArray[Any], Int]:
    """The records' ids, ascending, and the rows in that order."""
    ids = list(map(attrgetter("id"), records))
    require(len(set(ids)) == len(ids) and len(set(map(type, ids))) <= 1)
    if ids and isinstance(ids[0], int):
        require_64_bits(ids)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    ascending = [ids[row] for row in order]
    return np.array(ascending, np.str_ if ids and isinstance(ids[0], str) else np.int64), np.array(order, np.int64)


def category_columns(records: Sequence[Any]) -> tuple[Int, tuple[str, ...]]:
    """The categories' ids, ascending, and their names; the id where there is no name."""
    ids, order = id_column(records)
    names = [records[row].name for row in order.tolist()]
    return ids, tuple(str(n) if name is None else name for n, name in zip(ids.tolist(), names, strict=True))


def index_of(ids: NDArray[Any]) -> dict[Any, int]:
    """The index of each id."""
    return {value: index for index, value in enumerate(ids.tolist())}


def index_column(records: Sequence[Any], name: str, lookup: dict[Any, int]) -> Int:
    """For each record the index of its id; -1 where there is no such id."""
    return np.fromiter(map(lookup.get, map(attrgetter(name), records), repeat(-1)), np.int64, len(records))


def require_64_bits(ids: Iterable[int]) -> None:
    """Raise `Refused` unless 64 bits hold all `ids`."""
    require(max(map(abs, ids), default=0) <= LARGEST)


def size_column(images: Sequence[Any]) -> Int:
    """Height and width in pixels."""
    require(all(0 < length <= LARGEST for image in images for length in (image.height, image.width)))
    return np.array([(image.height, image.width) for image in images], np.int64).reshape(-1, 2)


def number_column(records: Sequence[Any], name: str) -> Float:
    """Finite numbers that all records have."""
    numbers = np.fromiter(map(attrgetter(name), records), np.float64, len(records))
    require(np.isfinite(numbers).all())
    return numbers


def flag_column(records: Sequence[Any], name: str) -> tuple[Bool, int]:
    """0/1 values, 0 where there is none, and how often there is none."""
    values = list(map(attrgetter(name), records))
    require(set(values) <= {None, 0, 1})
    return np.array(list(map(bool, values)), np.bool_), values.count(None)


def box_column(records: Sequence[Any]) -> Float:
    """The boxes of records that all have one."""
    numbers = chain.from_iterable(map(attrgetter("bbox"), records))
    return checked_boxes(np.fromiter(numbers, np.float64, 4 * len(records)).reshape(-1, 4))


def checked_boxes(boxes: Float) -> Float:
    """The `boxes`, if they are finite and no size is negative."""
    require(np.isfinite(boxes).all() and boxes[:, 2].min(initial=0) >= 0 and boxes[:, 3].min(initial=0) >= 0)
    return boxes


def some_boxes(records: Sequence[Any]) -> Float:
    """Boxes, NaN where a record has none or an empty one."""
    found = [record.bbox or None for record in records]
    require(all(box is None or len(box) == 4 for box in found))
    rows = np.array([box is not None for box in found], np.bool_)
    boxes = np.full((len(records), 4), np.nan)
    boxes[rows] = np.array([box for box in found if box is not None], np.float64).reshape(-1, 4)
    require(np.isfinite(boxes[rows]).all() and (boxes[rows, 2:] >= 0).all())
    return boxes


def zero_sizes(boxes: Float) -> int:
    """How many boxes have no width or no height; they overlap nothing."""
    return int(np.count_nonzero((boxes[:, 2] == 0) | (boxes[:, 3] == 0)))


def area_column(records: Sequence[Any], by_box: bool) -> tuple[Float, int]:
    """Areas, width times height of the box where there is none and `by_box`; how often there is none."""
    given = list(map(attrgetter("area"), records))
    areas, missing = np.array(given, np.float64), np.array([area is None for area in given], np.bool_)
    if by_box:
        areas = np.where(missing, box_areas(some_boxes(records)), areas)
    return checked_areas(areas), int(np.count_nonzero(missing))


def checked_areas(areas: Float) -> Float:
    """The `areas`, if they are finite and none is negative."""
    require((np.isfinite(areas) & (areas >= 0)).all())
    return areas


def box_areas(boxes: Float) -> Float:
    """Width times height."""
    with np.errstate(over="ignore"):  # the area of a box of 1e200 x 1e200 pixels is infinite, which is in no area range
        return boxes[:, 2] * boxes[:, 3]


def mask_areas(masks: Masks) -> Float:
    """Pixels of each mask."""
    from cvbench.metrics.masks import rle_area  # brings numba, which boxes do without

    return rle_area(masks)


def keypoint_boxes(points: Float) -> Float:
    """The extent of all keypoints of each row, labelled or not, as pycocotools has it."""
    if not len(points):
        return np.zeros((0, 4))
    boxes = np.empty((len(points), 4))
    for start in range(0, len(points), CACHED):
        # number by number, while the rows are in the cache: a sixth of the time of a reduction over so short an axis
        rows, part = points[start : start + CACHED], boxes[start : start + CACHED]
        for axis in range(2):
            low, high = rows[:, 0, axis].copy(), rows[:, 0, axis].copy()
            for joint in range(1, rows.shape[1]):
                np.minimum(low, rows[:, joint, axis], out=low)
                np.maximum(high, rows[:, joint, axis], out=high)
            part[:, axis] = low
            with np.errstate(over="ignore"):
                np.subtract(high, low, out=part[:, 2 + axis])
    return boxes


def mask_boxes(masks: Masks) -> Float:
    """The box around each mask."""
    from cvbench.metrics.masks import rle_boxes  # brings numba, which boxes do without

    return rle_boxes(masks)


def keypoint_column(records: Sequence[Any], parts: Parts) -> Float:
    """Keypoints (N, J, 3) of records that all have the same number of them, in these fields one after another."""
    if len(parts) == 1:
        return _points(records, *parts[0])
    return np.concatenate([_points(records, name, joints) for name, joints in parts], axis=1)


def _points(records: Sequence[Any], name: str, joints: int | None) -> Float:
    """The keypoints of one field."""
    lengths = set(map(len, map(attrgetter(name), records)))
    joints = (min(lengths, default=0) // 3) if joints is None else joints
    require(lengths <= {3 * joints} and (joints > 0 or not records))
    numbers = chain.from_iterable(map(attrgetter(name), records))
    points = np.fromiter(numbers, np.float64, 3 * joints * len(records)).reshape(-1, joints, 3)
    require(np.isfinite(points).all())
    return points


def score_columns(records: Sequence[Any], names: Sequence[str], score: Float) -> tuple[Float, Int]:
    """(N, P) scores of these fields, `score` where a record lacks one; how often each is lacking."""
    scores, missing = np.repeat(score[:, None], len(names), axis=1), np.zeros(len(names), np.int64)
    for n, name in enumerate(names):
        given = list(map(attrgetter(name), records))
        missing[n] = given.count(None)
        if missing[n] < len(given):
            own = np.array(given, np.float64)
            require(np.isfinite(own).sum() == len(given) - missing[n])
            scores[:, n] = np.where(np.isnan(own), score, own)
    return scores, missing


def labelled_column(records: Sequence[Any]) -> Int:
    """``num_keypoints``, -1 where it is absent."""
    given = list(map(attrgetter("num_keypoints"), records))
    require(all(n is None or 0 <= n <= LARGEST for n in given))
    return np.array([-1 if n is None else n for n in given], np.int64)


def mask_column(records: Sequence[Any], sizes: Int | None, boxes: Float | None) -> Masks:
    """The masks of records, which have these sizes (None: their own); the filled box of a record without a mask."""
    found = list(map(attrgetter("segmentation"), records))
    rows: dict[str, list[int]] = {"polygons": [], "counts": [], "strings": [], "boxes": []}
    for row, shape in enumerate(found):
        if isinstance(shape, Rle):
            rows["strings" if isinstance(shape.counts, str) else "counts"].append(row)
        else:
            rows["boxes" if shape is None else "polygons"].append(row)
    if sizes is None:
        require(all(0 < length <= LARGEST for shape in found for length in shape.size))
        sizes = np.array([shape.size for shape in found], np.int64).reshape(-1, 2)
    parts: list[Masks] = []
    try:
        for kind, own in rows.items():
            if own:
                parts.append(
                    _masks_of(kind, [found[row] for row in own], sizes[own], None if boxes is None else boxes[own])
                )
    except (InputError, OverflowError) as error:
        raise Refused from error
    if len(parts) == 1:
        return parts[0]
    return joined_masks(parts).take(np.argsort(np.array(list(chain.from_iterable(rows.values())), np.int64)))


def joined_masks(parts: Sequence[Masks]) -> Masks:
    """The masks of all parts, one after another."""
    return Masks(
        np.concatenate([np.zeros(0, np.uint32), *(part.counts for part in parts)]),
        offsets_of(np.concatenate([np.zeros(0, np.int64), *(np.diff(part.offsets) for part in parts)])),
        np.concatenate([np.zeros((0, 2), np.int64), *(part.sizes for part in parts)]),
    )


def joined_parts(parts: Sequence[Part]) -> Part:
    """All parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    boxes = [part.boxes for part in parts if part.boxes is not None]
    masks = [part.masks for part in parts if part.masks is not None]
    points = [part.points for part in parts if part.points is not None]
    scores = [part.scores for part in parts if part.scores is not None]
    require(len({part.shape[1] for part in points}) <= 1)
    return Part(
        np.concatenate([part.image for part in parts]),
        np.concatenate([part.category for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate(boxes) if boxes else None,
        joined_masks(masks) if masks else None,
        np.concatenate(points) if points else None,
        frozenset().union(*(part.unknown for part in parts)),
        sum(part.box_masks for part in parts),
        np.concatenate(scores) if scores else None,
        np.sum([part.missing_scores for part in parts], axis=0, dtype=np.int64),
    )


def _masks_of(kind: str, shapes: Sequence[Any], sizes: Int, boxes: Float | None) -> Masks:
    """Masks from segmentations of one kind."""
    from cvbench.metrics import masks as codec  # brings numba, which boxes do without

    if kind == "polygons":
        return codec.masks_from_polygons(shapes, sizes, threads=None)
    if kind == "boxes":
        if boxes is None or not np.isfinite(boxes).all():
            raise Refused
        return codec.masks_from_boxes(boxes, sizes, threads=None)
    require([shape.size for shape in shapes] == list(map(tuple, sizes.tolist())))
    runs = [shape.counts for shape in shapes]
    if kind == "counts":
        return codec.masks_from_counts(runs, sizes)
    return codec.masks_from_strings(runs, sizes, threads=None)


def by_image(image: Int, n_images: int) -> tuple[Int | None, Int]:
    """The rows grouped by image, each group in the order of the file (None where they lie so), and the offsets."""
    offsets = offsets_of(np.bincount(image, minlength=n_images))
    if (image[1:] >= image[:-1]).all():
        return None, offsets
    keys = image.astype(np.uint16) if n_images <= RADIX else image
    return np.argsort(keys, kind="stable"), offsets
