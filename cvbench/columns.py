"""Columns: what every reader produces and every metric consumes.

Frozen dataclasses of contiguous arrays. Rows are grouped by image, images ascend by id, and rows keep the order in
which they were read within an image, because ties between equal scores are broken by it. Image *i* owns the rows
``slice(offsets[i], offsets[i + 1])``. Ids become dense indices once, in `cvbench.io`; strings and dicts stop there.

Coordinates, areas and scores are float64, indices int64, flags bool, run lengths uint32. Boxes stay ``[x, y, width,
height]`` as read: a conversion to corners and back changes an IoU in its last bits and flips threshold decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Masks:
    """Run-length encoded masks, N of them, runs down the columns as COCO stores them.

    Attributes
    ----------
    counts : (sum of run numbers,) uint32
        Run lengths in pixels of all masks, one after another; each mask starts with a run of background.
    offsets : (N + 1,) int64
        Mask *n* owns ``counts[offsets[n]:offsets[n + 1]]``.
    sizes : (N, 2) int64
        Height and width in pixels.
    """

    counts: NDArray[np.uint32]
    offsets: Int
    sizes: Int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Int) -> Masks:
        """The masks at `rows`, in that order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = offsets_of(lengths)
        source = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1], dtype=np.int64)
        return Masks(self.counts[source], offsets, np.ascontiguousarray(self.sizes[rows]))


_Rows = TypeVar("_Rows", "GroundTruth", "Detections")


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Annotated objects of I images and K categories, G objects in all.

    Attributes
    ----------
    image_ids : (I,) int64 or str, ascending
    category_ids : (K,) int64, ascending
    category_names : K names
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``.
    category : (G,) int64
        Index into `category_ids`.
    area : (G,) float64
        Object area in square pixels as annotated; the area ranges look at it.
    crowd : (G,) bool
        The row stands for a group: detections on it are neither right nor wrong.
    ignore : (G,) bool
        An explicit ``ignore`` mark of the file.
    id_zero : (G,) bool
        The annotation's id is 0, which pycocotools takes for "no match".
    boxes : (G, 4) float64 or None
        ``[x, y, width, height]`` in pixels.
    masks : Masks or None
    keypoints : (G, J, 3) float64 or None
        ``x, y`` in pixels and visibility (0 not labelled, 1 labelled but hidden, 2 visible).
    num_keypoints : (G,) int64 or None
        Number of labelled keypoints as annotated; 0 makes the row ignored for keypoints.
    """

    image_ids: NDArray[Any]
    category_ids: Int
    category_names: tuple[str, ...]
    offsets: Int
    category: Int
    area: Float
    crowd: Bool
    ignore: Bool
    id_zero: Bool
    boxes: Float | None = None
    masks: Masks | None = None
    keypoints: Float | None = None
    num_keypoints: Int | None = None

    def __len__(self) -> int:
        return len(self.category)


@dataclass(frozen=True, slots=True)
class Detections:
    """Scored objects of the I images of a `GroundTruth`, D objects in all.

    Attributes
    ----------
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``.
    category : (D,) int64
        Index into the ground truth's `category_ids`.
    score : (D,) float64
        Confidence; only its order counts.
    area : (D,) float64
        In square pixels; a detection without a match is ignored where it lies outside of the area range.
    boxes, masks, keypoints
        As in `GroundTruth`; what the third number of a keypoint is, is for the metric to say.
    part_scores : (D, P) float64 or None
        Confidences in P parts of the object, where these are ranked by themselves.
    """

    offsets: Int
    category: Int
    score: Float
    area: Float
    boxes: Float | None = None
    masks: Masks | None = None
    keypoints: Float | None = None
    part_scores: Float | None = None

    def __len__(self) -> int:
        return len(self.category)


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of I images, N in all, of K categories: what a panoptic file lists beside its id maps.

    Ground truth and predictions are both of this form and share `image_ids` and the three columns of categories.

    Attributes
    ----------
    image_ids : (I,) int64 or str, ascending
    category_ids : (K,) int64, ascending
    category_names : K names
    things : (K,) bool
        Whether the category has instances; the others are stuff.
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``, in the order of the file.
    id : (N,) int64
        The value of the segment's pixels in the id map of its image; distinct within an image, never 0.
    category : (N,) int64
        Index into `category_ids`.
    area : (N,) float64
        In pixels, as the file states it; NaN where it states none. Only ground truths are asked for it.
    crowd : (N,) bool
        The segment stands for a group: predictions on it are neither right nor wrong.
    """

    image_ids: NDArray[Any]
    category_ids: Int
    category_names: tuple[str, ...]
    things: Bool
    offsets: Int
    id: Int
    category: Int
    area: Float
    crowd: Bool

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The joint histograms of I pairs of maps: which values meet, and in how many pixels. P rows in all.

    Attributes
    ----------
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``, ascending by `gt`, then `pred`.
    gt, pred : (P,) int64
        Values of the maps: ids of segments, or labels. Only pairs that occur are there.
    pixels : (P,) int64
        In how many pixels the two meet; at least 1.
    bands : (P, 3) int64 or None
        How many of these lie in the boundary band of the ground truth's region, in that of the predicted region, and
        in both. A region is all pixels of one value.
    """

    offsets: Int
    gt: Int
    pred: Int
    pixels: Int
    bands: Int | None = None

    def __len__(self) -> int:
        return len(self.gt)


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Annotated and predicted keypoints of the same instances of I images: people, faces or hands, N in all.

    Attributes
    ----------
    image_ids : (I,) int64 or str, ascending
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``.
    gt, pred : (N, J, D) float64
        J keypoints in D = 2 dimensions, in pixels, or in 3, in the unit of the data set. Where a keypoint is not
        `visible` its ground truth may be anything. NaN in `pred` stands for a keypoint that was not predicted.
    visible : (N, J) bool
        The annotated keypoint counts.
    boxes : (N, 4) float64 or None
        ``[x, y, width, height]`` of the instance in pixels.
    head_boxes : (N, 4) float64 or None
        Two corners ``[x1, y1, x2, y2]`` of the head in pixels, in any order.
    size : (N,) float64 or None
        What distances are divided by where the annotation states it, in pixels.
    groups : (N, S) bool or None
        Which of the S subsets of the data an instance belongs to: actions, easy and hard faces.
    group_names : S names
    """

    image_ids: NDArray[Any]
    offsets: Int
    gt: Float
    pred: Float
    visible: Bool
    boxes: Float | None = None
    head_boxes: Float | None = None
    size: Float | None = None
    groups: Bool | None = None
    group_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.gt)


PER_ROW = (
    *("category", "area", "crowd", "ignore", "id_zero", "score"),
    *("boxes", "keypoints", "num_keypoints", "part_scores"),
)
"""The attributes of `GroundTruth` and `Detections` with one entry per row; `Masks` are taken by their own method."""


def offsets_of(lengths: NDArray[Any]) -> Int:
    """Where each of consecutive groups starts, and where the last one ends.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def sums_by_image(numbers: NDArray[Any], offsets: Int) -> Int:
    """(I,) the sums of integers, or the numbers of flags, of the rows of each image.

    >>> sums_by_image(np.array([5, 6, 7]), np.array([0, 2, 2, 3])).tolist()
    [11, 0, 7]
    """
    return np.diff(offsets_of(numbers)[offsets])


def image_of_rows(offsets: Int) -> Int:
    """The image index of every row of columns with these `offsets`."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))


def take_rows(columns: _Rows, rows: Int, offsets: Int) -> _Rows:
    """The columns at `rows`, which must be grouped by image as the new `offsets` say."""
    changes: dict[str, Any] = {"offsets": offsets}
    for name in PER_ROW:
        value = getattr(columns, name, None)
        if value is not None:
            changes[name] = np.ascontiguousarray(value[rows])
    if columns.masks is not None:
        changes["masks"] = columns.masks.take(rows)
    return replace(columns, **changes)


def rows_between(columns: _Rows, start: int, stop: int) -> _Rows:
    """The rows of the images from number `start` to before `stop`; they share no memory with the others."""
    first, last = columns.offsets[[start, stop]].tolist()
    return take_rows(columns, np.arange(first, last), columns.offsets[start : stop + 1] - first)


def select(gt: GroundTruth, dt: Detections, images: Bool, categories: Bool) -> tuple[GroundTruth, Detections]:
    """The columns of some images and categories, as if there had never been others.

    Parameters
    ----------
    gt, dt
    images : (I,) bool
    categories : (K,) bool
    """
    names = tuple(name for name, chosen in zip(gt.category_names, categories.tolist(), strict=True) if chosen)
    chosen = replace(
        _select(gt, images, categories),
        image_ids=gt.image_ids[images],
        category_ids=gt.category_ids[categories],
        category_names=names,
    )
    return chosen, _select(dt, images, categories)


def _select(columns: _Rows, images: Bool, categories: Bool) -> _Rows:
    image = image_of_rows(columns.offsets)
    rows = np.flatnonzero(images[image] & categories[columns.category])
    offsets = offsets_of(np.bincount(image[rows], minlength=len(images))[images])
    part = take_rows(columns, rows, offsets)
    return replace(part, category=(np.cumsum(categories) - 1)[part.category])
