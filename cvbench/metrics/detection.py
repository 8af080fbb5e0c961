"""Average precision of detections: boxes, masks, mask boundaries and keypoints, as COCO counts.

A detection is right when its similarity with a ground truth of its image and category reaches a threshold, and each
ground truth can be found once. Sorted by score, detections then give precision and recall; average precision is the
mean of the precision over recall points.

Conventions
-----------
Boxes are ``[x, y, width, height]`` in pixels, areas are in square pixels, scores are only compared. Figures are
fractions. AP is a mean over IoU thresholds, recall points and those categories that have ground truth; AR is the
highest recall at a cap on detections per image and category, averaged over thresholds and categories.

Undefined: where no ground truth counts (none at all, none of an area range, none of a category) a figure is NaN.

Reference: Lin et al., *Microsoft COCO: Common Objects in Context*, ECCV 2014; pycocotools 2.0.11 to the last bit, and
for ``boundary`` Cheng et al., *Boundary IoU*, CVPR 2021, with the authors' boundary-iou-api.

Named deviations: a ground truth with id 0 can be matched (``id_zero="unmatched"`` takes it as pycocotools does); AP is
taken at the largest cap where pycocotools insists on 100 (20 for keypoints) and prints −1 without it; class-agnostic
keypoints are matched where pycocotools scores 0.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import (
    Detections,
    Float,
    GroundTruth,
    Int,
    Masks,
    image_of_rows,
    offsets_of,
    sums_by_image,
    take_rows,
)
from cvbench.errors import InputError, did_you_mean
from cvbench.kernels import Index, available_threads, map_ranges
from cvbench.kernels.curves import Curves, category_curves
from cvbench.kernels.matching import CROWD, MAX_AREAS, UNMATCHABLE, WORD, match_rows, order_cells
from cvbench.kernels.ordering import group_rows, room_for, sort_rows
from cvbench.kernels.rle import Runs
from cvbench.kernels.similarity import box_iou_rows, mask_iou_rows, oks_exponents_rows, oks_means_rows, sum_room
from cvbench.metrics.base import CONSTANT, IMAGE_ROWS, TABLE, State, check_flags, image_weights, rows_of
from cvbench.metrics.masks import mask_boundary, measured
from cvbench.metrics.precision_recall import reach_of
from cvbench.metrics.sigmas import SIGMAS, name_of, sigmas_of
from cvbench.result import Input, Result, Signature

IouType = Literal["bbox", "segm", "boundary", "keypoints"]
Progress = Callable[[str, int, int], object]
N = TypeVar("N", int, Int)
D = TypeVar("D", bound="DetectionState")

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

COCO_SIGMAS = SIGMAS["coco17"]
"""Spread of the annotators' clicks on COCO's 17 joints, as a fraction of the object's scale: nose, eyes, ears, …,
ankles.
"""

AREAS = (
    ("all", 0.0, 1e10),
    ("small", 0.0, 32.0**2),
    ("medium", 32.0**2, 96.0**2),
    ("large", 96.0**2, 1e10),
)
"""COCO's area ranges in square pixels, closed at both ends: an object of 1,024 is small *and* medium."""

OF_KEYPOINTS = {
    "scale_area": ("annotated", "box053"),
    "ignore_rule": ("num_keypoints", "labelled"),
    "zero_keypoints": ("keep", "drop"),
}
"""Rules that only keypoints have, and their choices, that of COCO first."""

ROWS_PER_TASK = 4096
"""Rows of one task of the thread pool: long enough to hide its start, short enough to spread well."""


@dataclass(frozen=True)
class DetectionParams:
    """The rules of detection AP; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    iou_type
        What is compared: ``bbox``, ``segm``, ``boundary`` or ``keypoints``.
    iou_thresholds
        Similarities from which on a match counts.
    recall_thresholds
        Rising recalls at which precision is read.
    areas
        ``(label, low, high)`` in square pixels, both ends included; the first is the one of AP and AR.
    max_dets
        Caps on detections per image and category, in any order; AP is taken at the largest.
    class_agnostic
        Match regardless of category.
    id_zero
        ``match``, or ``unmatched`` as in pycocotools: a match with a ground truth of id 0 is taken for none.
    explicit_ignore
        Honour an ``ignore`` mark in the ground truth, as boundary-iou-api does; pycocotools overwrites it.
    sigmas
        Per-joint spreads of OKS, or the name of a set of `cvbench.metrics.sigmas.SIGMAS`.
    scale_area
        Keypoints: the area that a ground truth has in OKS and in the area ranges: ``annotated``, or ``box053``, 0.53
        times width times height of its box, as for data sets that annotate no areas (CrowdPose, AIC).
    ignore_rule
        Keypoints: when a ground truth is ignored for lack of keypoints: where its ``num_keypoints`` is 0, or where no
        keypoint is ``labelled`` (v > 0), as in xtcocotools.
    zero_keypoints
        Keypoints: ``keep`` or ``drop`` detections of which no keypoint has a third value above 0. xtcocotools drops
        them.
    dilation_ratio
        Width of the boundary band as a fraction of the image diagonal.
    """

    iou_type: IouType = "bbox"
    iou_thresholds: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
    recall_thresholds: tuple[float, ...] = tuple(np.linspace(0.0, 1.0, 101).tolist())
    areas: tuple[tuple[str, float, float], ...] = AREAS
    max_dets: tuple[int, ...] = (1, 10, 100)
    class_agnostic: bool = False
    id_zero: Literal["match", "unmatched"] = "match"
    explicit_ignore: bool = False
    sigmas: tuple[float, ...] = COCO_SIGMAS
    dilation_ratio: float = 0.02
    scale_area: Literal["annotated", "box053"] = "annotated"
    ignore_rule: Literal["num_keypoints", "labelled"] = "num_keypoints"
    zero_keypoints: Literal["keep", "drop"] = "keep"

    @classmethod
    def of(cls, iou_type: IouType, **changes: Any) -> DetectionParams:
        """The official rules for `iou_type`, with `changes`."""
        known = [field.name for field in fields(cls)]
        for name in changes:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        official: dict[str, Any] = {"iou_type": iou_type}
        if iou_type == "keypoints":
            official |= {"areas": (AREAS[0], *AREAS[2:]), "max_dets": (20,)}
        if iou_type == "boundary":
            official |= {"explicit_ignore": True}
        return cls(**(official | changes))

    def __post_init__(self) -> None:
        check_flags(self)
        given: Any = self.areas
        if any(not isinstance(area, (tuple, list)) or len(area) != 3 for area in given):
            raise InputError(f"areas {given}: expected (label, low, high) for each, in square pixels")
        areas = tuple((str(label), float(low), float(high)) for label, low, high in self.areas)
        object.__setattr__(self, "areas", areas)
        sigmas: Any = self.sigmas
        if isinstance(sigmas, str):
            object.__setattr__(self, "sigmas", sigmas_of(sigmas))
        for name in ("iou_thresholds", "recall_thresholds", "max_dets", "sigmas"):
            object.__setattr__(self, name, tuple(np.atleast_1d(getattr(self, name)).tolist()))
        object.__setattr__(self, "max_dets", tuple(sorted(self.max_dets)))
        self._check_choices()
        self._check_numbers()

    def _check_choices(self) -> None:
        for name, choices in (
            ("iou_type", ("bbox", "segm", "boundary", "keypoints")),
            ("id_zero", ("match", "unmatched")),
            *OF_KEYPOINTS.items(),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")
            if name in OF_KEYPOINTS and self.iou_type != "keypoints" and getattr(self, name) != choices[0]:
                raise InputError(f"{name}={getattr(self, name)} is a rule for keypoints; iou_type is {self.iou_type}")
        if len(self.areas) > MAX_AREAS:
            raise InputError(f"there are {len(self.areas)} area ranges; expected {MAX_AREAS} or fewer")

    def _check_numbers(self) -> None:
        for name in ("iou_thresholds", "recall_thresholds", "areas", "max_dets", "sigmas"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty; expected at least one value")
        for name in ("iou_thresholds", "recall_thresholds", "sigmas"):
            if not np.isfinite(getattr(self, name)).all():
                raise InputError(f"{name} {getattr(self, name)} are not all finite numbers")
        if list(self.recall_thresholds) != sorted(self.recall_thresholds):
            raise InputError(f"recall_thresholds {self.recall_thresholds} do not rise; sort them")
        if np.asarray(self.max_dets).dtype.kind != "i" or self.max_dets[0] < 1:
            raise InputError(f"max_dets {self.max_dets} are not all integers of 1 or more")
        labels = [label for label, _, _ in self.areas]
        for label, low, high in self.areas:
            if labels.count(label) > 1 or not label or set(label) & set("|:,\n"):
                raise InputError(f"area label {label!r}: expected distinct names without '|', ':' and ','")
            if not low <= high:
                raise InputError(f"area range {label} goes from {low} to {high}; expected low <= high")
        for name, smallest in (("sigmas", min(self.sigmas)), ("dilation_ratio", self.dilation_ratio)):
            if not smallest > 0:
                raise InputError(f"{name}: {smallest} is not above 0")

    @property
    def area_words(self) -> Int:
        """(A, W) the bits of all thresholds of an area range, see `cvbench.kernels.matching`."""
        cells = len(self.areas) * len(self.iou_thresholds)
        words = np.zeros((len(self.areas), -(-cells // WORD)), np.int64)
        for cell in range(cells):
            words[cell // len(self.iou_thresholds), cell // WORD] |= 1 << (cell % WORD)
        return words


@dataclass(frozen=True)
class DetectionState(State):
    """What matching found: one row per detection within the largest cap, and one per ground truth.

    Attributes
    ----------
    category_ids : (K,) int64, ascending
    image, category, rank : (N,) int32
        Index of the image and of the category, position by score among the detections of both.
    score : (N,) float64
    true, ignored : (N, W) int64
        Bits over (area range, threshold): matched to a ground truth that counts; neither right nor wrong.
    gt_image, gt_category : (G,) int32
    gt_counted : (G,) int64
        Bit *a* is set where the ground truth counts in area range *a*.
    tallies
        Ground truths, detections and what became of them.
    params
        The rules.
    """

    category_ids: Int = field(metadata=TABLE)
    image: Index = field(metadata=IMAGE_ROWS)
    category: Index = field(metadata=rows_of("image"))
    rank: Index = field(metadata=rows_of("image"))
    score: Float = field(metadata=rows_of("image"))
    true: Int = field(metadata=rows_of("image"))
    ignored: Int = field(metadata=rows_of("image"))
    gt_image: Index = field(metadata=IMAGE_ROWS)
    gt_category: Index = field(metadata=rows_of("gt_image"))
    gt_counted: Int = field(metadata=rows_of("gt_image"))
    params: DetectionParams = field(metadata=CONSTANT)

    def take_categories(self: D, start: int, stop: int) -> D:
        """The state of the categories from number `start` to before `stop`, with all images; tallies stay whole."""
        changes: dict[str, Any] = {"category_ids": self.category_ids[start:stop]}
        for image, category in (("image", "category"), ("gt_image", "gt_category")):
            numbers = getattr(self, category)
            rows = np.flatnonzero((numbers >= start) & (numbers < stop))
            for f in fields(self):
                if f.name == image or f.metadata.get("image") == image:
                    changes[f.name] = getattr(self, f.name)[rows]
            changes[category] = numbers[rows] - np.int32(start)
        return replace(self, **changes)

    def align(self, others: list[DetectionState]) -> list[DetectionState]:
        """Let all states' categories be indices into the union of their category ids."""
        parts = [self, *others]
        if all(np.array_equal(part.category_ids, self.category_ids) for part in others):
            return parts
        union = np.unique(np.concatenate([part.category_ids for part in parts]))
        aligned = []
        for part in parts:
            index = np.searchsorted(union, part.category_ids).astype(np.int32)
            aligned.append(
                replace(part, category_ids=union, category=index[part.category], gt_category=index[part.gt_category])
            )
        return aligned


def count(
    gt: GroundTruth,
    dt: Detections,
    params: DetectionParams,
    threads: int | None = None,
    progress: Progress | None = None,
) -> DetectionState:
    """Match detections with ground truths, once, for all thresholds and area ranges.

    Parameters
    ----------
    gt, dt
        Columns of the same images with what ``params.iou_type`` compares.
    params
        The rules.
    threads
        Threads to use; None for all processors. The result is the same with any number.
    progress
        Called with a stage, how much of it is done, and how much there is.
    """
    return match(gt, dt, params, threads, progress).state


@dataclass(frozen=True)
class Cells:
    """Which detections meet which ground truths: those of one image and category, a cell.

    Rows stand image by image, in it cell by cell, in it by falling score and file order. Detections beyond the largest
    cap have none.

    Attributes
    ----------
    row : (N,) int64
        The detection of each row.
    offsets : (I + 1,) int64
        Image *i* owns the rows ``offsets[i]:offsets[i + 1]``.
    gt_row : (G,) int64
        The ground truth of each ground-truth row, image by image, in it cell by cell, in it in file order.
    first_gt, n_gt : (N,) int64
        A row meets the `n_gt` ground-truth rows from `first_gt` on.
    starts : (tasks, K) int64
        Where the rows of each category begin in the order of the state, for each of the tasks into which images are
        divided.
    category_offsets : (K + 1,) int64
        The rows of each category in that order.
    """

    row: Int
    offsets: Int
    gt_row: Int
    first_gt: Int
    n_gt: Int
    starts: Int
    category_offsets: Int

    @cached_property
    def pairs(self) -> Int:
        """(N + 1,) row *n* meets its ground truths in the pairs of numbers ``pairs[n]:pairs[n + 1]``."""
        return offsets_of(self.n_gt)


@dataclass(frozen=True)
class Matching:
    """The state of `count` and, for those who ask who met whom, where its rows come from.

    Attributes
    ----------
    state
    cells
    similarity : (pairs,) float64
        Of all pairs of `cells`. Without partners, (0,) for boxes.
    partner : (N, A * T) int64, or (0, A * T)
        The ground-truth row of each match of a row of `cells`, or -1.
    """

    state: DetectionState
    cells: Cells
    similarity: Float
    partner: Int


def match(
    gt: GroundTruth,
    dt: Detections,
    params: DetectionParams,
    threads: int | None = None,
    progress: Progress | None = None,
    partners: bool = False,
) -> Matching:
    """`count`, with the matches themselves where `partners` is set."""
    given = np.diff(dt.offsets)
    gt, dt = _by_keypoint_rules(gt, dt, params)
    left, n_images = np.diff(dt.offsets), len(gt.image_ids)
    dropped = {"dropped_zero_keypoints": given - left} if params.zero_keypoints == "drop" else {}
    if params.class_agnostic:
        gt_order, order, gt, dt = _pooled(gt, dt)
    cells = _cells(gt, dt, params, threads)
    n_rows, n_words = len(cells.row), params.area_words.shape[1]
    pairs, similarity = np.zeros(0, np.int64), np.zeros(0)
    boxes = gt_boxes = np.zeros((0, 4))
    if params.iou_type == "bbox" and not partners:
        # compared where they are matched: no similarities of all pairs are written and read again
        boxes, gt_boxes = _needed(dt.boxes, "boxes"), _needed(gt.boxes, "boxes")[cells.gt_row]
    else:
        pairs = cells.pairs
        similarity = np.empty(pairs[-1])
        lowest = -np.inf if partners else min(params.iou_thresholds)  # who met whom is asked with all similarities
        fill = COMPARE[params.iou_type](Comparison(gt, dt, cells, params, threads, lowest, similarity))
        map_ranges(fill, n_rows, threads, ROWS_PER_TASK, _adder(progress, "comparing", n_rows))

    limits, reach = reach_of(params.iou_thresholds, len(params.areas))
    gt_ignores = _ignored_areas(gt, params)
    gt_ignored, mark = gt_ignores[cells.gt_row], _marks(gt, params)[cells.gt_row]
    gt_words, taken = _words(gt_ignored, params), np.zeros((len(cells.gt_row), n_words), np.int64)
    image, rank = np.empty(n_rows, np.int32), np.empty(n_rows, np.int32)
    bits, true, ignored = np.empty(n_rows, np.int64), *(np.empty((n_rows, n_words), np.int64) for _ in range(2))
    partner = np.full((n_rows if partners else 0, len(params.areas) * len(limits)), -1, np.int64)
    lows, highs = (np.array([area[n] for area in params.areas]) for n in (1, 2))
    crowded, largest = (int(numbers.max(initial=0)) for numbers in (np.diff(cells.offsets), cells.n_gt))
    n_ignored = np.empty(n_images, np.int64)
    chunk = _chunk(n_images, threads)

    def match_images(start: int, stop: int) -> None:
        own, near, by = np.empty((crowded, 5)), np.empty(largest, np.int64), np.empty(largest)
        match_rows(
            start, stop, cells.offsets, cells.row, cells.first_gt, cells.n_gt, dt.category, dt.score.view(np.int64),
            dt.area, boxes, gt_boxes, pairs, similarity, lows, highs, params.area_words, limits, reach, mark, gt_words,
            own, near, by, taken, cells.starts[start // chunk], image, rank, bits, true, ignored, n_ignored, partner,
        )  # fmt: skip

    map_ranges(match_images, n_images, threads, chunk, None if len(pairs) else _adder(progress, "comparing", n_images))
    n_categories, offsets = len(cells.category_offsets) - 1, cells.category_offsets
    map_ranges(
        lambda start, stop: sort_rows(
            start, stop, offsets, room_for(_largest(offsets, start, stop)), image, rank, bits, true, ignored
        ),
        n_categories, threads, _chunk(n_categories, threads),
    )  # fmt: skip
    state = DetectionState(
        image_ids=gt.image_ids,
        digests=np.zeros(n_images, np.int64),
        category_ids=gt.category_ids,
        image=image,
        category=_index_of(offsets),
        rank=rank,
        score=bits.view(np.float64),
        true=true,
        ignored=ignored,
        gt_image=_index_of(gt.offsets),
        gt_category=gt.category[cells.gt_row].astype(np.int32),
        gt_counted=~gt_ignored & ((1 << len(params.areas)) - 1),
        tallies={
            "ground_truths": np.diff(gt.offsets),
            "crowd": sums_by_image(gt.crowd, gt.offsets),
            "ignored_ground_truths": sums_by_image(gt_ignores & 1, gt.offsets),
            "id_zero": sums_by_image(gt.id_zero, gt.offsets),
            "detections": given,
            "dropped_unknown_category": np.zeros(n_images, np.int64),
            **dropped,
            "cut_by_max_dets": left - np.diff(cells.offsets),
            "ignored_detections": n_ignored,
        },
        params=params,
    )
    if params.class_agnostic:
        cells = replace(cells, row=order[cells.row], gt_row=gt_order[cells.gt_row])
    return Matching(state, cells, similarity, partner)


def _pooled(gt: GroundTruth, dt: Detections) -> tuple[Int, Int, GroundTruth, Detections]:
    """The columns with all rows in one category, and where their rows come from.

    Those of an image stand category by category; ties between equal scores follow that order.
    """
    gt_order, order = (np.lexsort((columns.category, image_of_rows(columns.offsets))) for columns in (gt, dt))
    gt, dt = take_rows(gt, gt_order, gt.offsets), take_rows(dt, order, dt.offsets)
    gt = replace(gt, category_ids=np.array([-1]), category_names=("",), category=np.zeros_like(gt.category))
    return gt_order, order, gt, replace(dt, category=np.zeros_like(dt.category))


def _index_of(offsets: Int) -> Index:
    """(N,) the group of every row of groups with these `offsets`."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))


BOX_SHARE = 0.53
"""How much of its box a person fills on average, where data sets annotate boxes and no areas."""


def _by_keypoint_rules(gt: GroundTruth, dt: Detections, params: DetectionParams) -> tuple[GroundTruth, Detections]:
    """The columns as the rules of `OF_KEYPOINTS` want them."""
    if params.scale_area == "box053":
        boxes = _needed(gt.boxes, "boxes")
        with np.errstate(over="ignore"):  # an infinite area is in no area range
            gt = replace(gt, area=boxes[:, 2] * boxes[:, 3] * BOX_SHARE)
    if params.ignore_rule == "labelled":
        gt = replace(gt, num_keypoints=np.count_nonzero(_needed(gt.keypoints, "keypoints")[:, :, 2] > 0, axis=1))
    if params.zero_keypoints == "drop":
        seen = (_needed(dt.keypoints, "keypoints")[:, :, 2] > 0).any(axis=1)
        if not seen.all():
            per_image = np.bincount(image_of_rows(dt.offsets)[seen], minlength=len(dt.offsets) - 1)
            dt = take_rows(dt, np.flatnonzero(seen), offsets_of(per_image))
    return gt, dt


def _cells(gt: GroundTruth, dt: Detections, params: DetectionParams, threads: int | None) -> Cells:
    """Put detections and ground truths into the order of matching, cut at the largest cap, and see which meet."""
    n_images, n_categories = len(gt.image_ids), len(gt.category_ids)
    gt_row, row, first_gt, n_gt = (np.empty(n, np.int64) for n in (len(gt), len(dt), len(dt), len(dt)))
    bits, cap, chunk = dt.score.view(np.int64), params.max_dets[-1], _chunk(n_images, threads)
    kept, kept_of = np.zeros(n_images, np.int64), np.zeros((-(-n_images // chunk), n_categories), np.int64)
    truths, found = (gt.offsets, gt.category), (dt.offsets, dt.category, bits)

    def order_images(start: int, stop: int) -> None:
        size, place = np.zeros((2, n_categories), np.int64), np.full((2, n_categories), -1)
        order_cells(
            start, stop, *truths, *found, cap, size, place, room_for(_largest(dt.offsets, start, stop)),
            gt_row, row, first_gt, n_gt, kept, kept_of[start // chunk],
        )  # fmt: skip

    map_ranges(order_images, n_images, threads, chunk)
    offsets, cut = dt.offsets, np.diff(dt.offsets) - kept
    if cut.any():
        within = np.repeat(np.tile([True, False], n_images), np.stack([kept, cut], axis=1).reshape(-1))
        row, first_gt, n_gt, offsets = row[within], first_gt[within], n_gt[within], offsets_of(kept)
    category_offsets = offsets_of(kept_of.sum(axis=0))
    starts = category_offsets[:-1] + np.cumsum(kept_of, axis=0) - kept_of
    return Cells(row, offsets, gt_row, first_gt, n_gt, starts, category_offsets)


def _largest(offsets: Int, start: int, stop: int) -> int:
    """The size of the largest of the groups `start` to `stop`."""
    return int(np.diff(offsets[start : stop + 1]).max(initial=0))


def _chunk(n: int, threads: int | None) -> int:
    """Images or categories per task: enough tasks to balance a large one, few enough to keep their start cheap."""
    return max(1, n // (16 * (threads or available_threads())))


def _adder(progress: Progress | None, stage: str, total: int) -> Callable[[int], object] | None:
    """Turn calls with the size of each finished piece, from any thread, into calls of `progress` with their sum."""
    if progress is None:
        return None
    lock, done = threading.Lock(), 0

    def add(n: int) -> None:
        nonlocal done
        with lock:
            done += n
            progress(stage, done, total)

    return add


def _ignored_areas(gt: GroundTruth, params: DetectionParams) -> Int:
    """(G,) bit *a* is set where a ground truth is ignored in area range *a*."""
    never = gt.crowd.copy()
    if params.explicit_ignore:
        never |= gt.ignore
    if params.iou_type == "keypoints" and gt.num_keypoints is not None:
        never |= gt.num_keypoints == 0
    everywhere = np.int64((1 << len(params.areas)) - 1)
    return np.where(never, everywhere, _outside(gt.area, params))


def _marks(gt: GroundTruth, params: DetectionParams) -> Int:
    """(G,) what matching has to know of a ground truth beside where it is ignored."""
    unmatchable = gt.id_zero & (params.id_zero == "unmatched")
    marks: Int = gt.crowd * np.int64(CROWD) | unmatchable * np.int64(UNMATCHABLE)
    return marks


def _outside(area: Float, params: DetectionParams) -> Int:
    """(N,) bit *a* is set where an area lies outside of range *a*."""
    outside = np.zeros(len(area), np.int64)
    for a, (_, low, high) in enumerate(params.areas):
        outside |= ((area < low) | (area > high)).astype(np.int64) << a
    return outside


def _words(areas: Int, params: DetectionParams) -> Int:
    """(N, W) the bits of all thresholds of the area ranges whose bits are set in `areas` (N,)."""
    words = np.zeros((len(areas), params.area_words.shape[1]), np.int64)
    for a, bits in enumerate(params.area_words):
        words |= (areas[:, None] >> a & 1) * bits
    return words


Fill = Callable[[int, int], object]
"""Compute the similarities of the rows in ``[start, stop)``."""


@dataclass(frozen=True)
class Comparison:
    """All that a kind of similarity may look at, and where it goes; what is below `lowest` may be given as 0."""

    gt: GroundTruth
    dt: Detections
    cells: Cells
    params: DetectionParams
    threads: int | None
    lowest: float
    out: Float


def _compare_boxes(job: Comparison) -> Fill:
    boxes, gt_boxes = _needed(job.dt.boxes, "boxes")[job.cells.row], _needed(job.gt.boxes, "boxes")[job.cells.gt_row]
    crowd, first_gt, pairs, out = job.gt.crowd[job.cells.gt_row], job.cells.first_gt, job.cells.pairs, job.out
    return lambda start, stop: box_iou_rows(start, stop, boxes, first_gt, gt_boxes, crowd, pairs, out)


def _compare_masks(job: Comparison) -> Fill:
    cells = job.cells
    masks, gt_masks = _needed(job.dt.masks, "masks"), _needed(job.gt.masks, "masks")
    row_of = np.full(len(job.dt), -1)
    row_of[cells.row] = np.arange(len(cells.row))
    walk = row_of[row_of >= 0]  # rows in the order of the file

    def overlap(masks: Masks, gt_masks: Masks, rows: Int, bands: bool) -> Fill:
        runs, gt_runs = Runs(masks.counts, masks.offsets, np.empty((len(masks), 4), np.int64)), measured(gt_masks)
        crowd, out = job.gt.crowd, job.out
        return lambda start, stop: mask_iou_rows(
            start, stop, walk, rows, runs, cells.first_gt, cells.gt_row, gt_runs, crowd, cells.pairs, bands, out
        )

    of_masks = overlap(masks, gt_masks, cells.row, False)
    if job.params.iou_type == "segm":
        return of_masks
    met = walk[np.diff(cells.pairs)[walk] > 0]  # a mask without a ground truth to meet is never looked at
    number = np.zeros(len(cells.row), np.int64)
    number[met] = np.arange(len(met))
    bands = mask_boundary(masks.take(cells.row[met]), job.params.dilation_ratio, job.threads)
    of_bands = overlap(bands, mask_boundary(gt_masks, job.params.dilation_ratio, job.threads), number, True)

    def fill(start: int, stop: int) -> None:
        # a crowd is judged by its mask: its boundary has little to do with that of one object in it
        of_masks(start, stop)
        of_bands(start, stop)

    return fill


def _compare_keypoints(job: Comparison) -> Fill:
    cells = job.cells
    keypoints = _needed(job.dt.keypoints, "keypoints")
    gt_keypoints = _needed(job.gt.keypoints, "keypoints")[cells.gt_row]
    boxes, area = _needed(job.gt.boxes, "boxes")[cells.gt_row], job.gt.area[cells.gt_row]
    joints = len(job.params.sigmas)
    for name, found in (("detections", keypoints.shape[1]), ("ground truths", gt_keypoints.shape[1])):
        if found != joints:
            raise InputError(
                f"{name} have {found} keypoints and there are {joints} sigmas; give one sigma per keypoint"
            )
    variances = (np.array(job.params.sigmas) * 2) ** 2

    def fill(start: int, stop: int) -> None:
        terms = np.empty((cells.pairs[stop] - cells.pairs[start], joints))
        meetings, of_gt = (keypoints, cells.row, cells.first_gt), (gt_keypoints, boxes, area)
        used = oks_exponents_rows(start, stop, *meetings, *of_gt, variances, job.lowest, cells.pairs, terms, job.out)
        # NumPy's exp, not the C library's: they differ by one unit in the last place, and pycocotools takes NumPy's
        np.exp(terms[:used], out=terms[:used])
        oks_means_rows(start, stop, cells.first_gt, gt_keypoints, cells.pairs, terms, *sum_room(), job.out)

    return fill


COMPARE = {
    "bbox": _compare_boxes,
    "segm": _compare_masks,
    "boundary": _compare_masks,
    "keypoints": _compare_keypoints,
}


def _needed(value: Any, name: str) -> Any:
    if value is None:
        raise InputError(f"the columns have no {name}, which this iou_type compares")
    return value


def curves(
    state: DetectionState, weights: NDArray[Any] | Mapping[Any, int] | None = None, threads: int | None = None
) -> Curves:
    """Precision–recall curves of a state by the rules that it was counted by; NaN where no ground truth counts.

    Parameters
    ----------
    state
    weights
        How many times each image counts, see `cvbench.metrics.base.image_weights`.
    threads
        Threads to use; None for all processors.
    """
    return scored(state, weights, threads).curves


@dataclass(frozen=True)
class Scored:
    """All that the figures of a state are made of: its categories, scored one by one.

    Attributes
    ----------
    params
    images : int
        The sum of the images' weights.
    category_ids : (K,) int64
    curves
    positives : (K, A) int64
        Ground truths that count, by category and area range.
    detections : (K,) int64
    """

    params: DetectionParams
    images: int
    category_ids: Int
    curves: Curves
    positives: Int
    detections: Int


def join_scored(parts: Sequence[Scored]) -> Scored:
    """The categories of all parts, one after another; parts are of the same images under the same rules."""
    found = Curves(
        *(np.concatenate(columns, axis=-3) for columns in zip(*(part.curves for part in parts), strict=True))
    )
    return Scored(
        parts[0].params,
        parts[0].images,
        np.concatenate([part.category_ids for part in parts]),
        found,
        np.concatenate([part.positives for part in parts]),
        np.concatenate([part.detections for part in parts]),
    )


def scored(
    state: DetectionState, weights: NDArray[Any] | Mapping[Any, int] | None = None, threads: int | None = None
) -> Scored:
    """Score the categories of a state; arguments as of `curves`."""
    params, n_categories = state.params, len(state.category_ids)
    weights = image_weights(state, weights)
    rows, offsets = _rows(state), offsets_of(np.bincount(state.category, minlength=n_categories))
    positives = _positives(state, weights)
    shape = (n_categories, len(params.areas), len(params.max_dets), len(params.iou_thresholds))
    points, max_dets, area_words = np.array(params.recall_thresholds), np.array(params.max_dets), params.area_words
    first = np.arange(shape[1]) * shape[3]
    spans = np.stack([first, first + shape[3] - 1], axis=1) // WORD
    recall, precision, score = np.zeros(shape), np.zeros((*shape, len(points))), np.zeros((*shape, len(points)))
    detections = np.empty(n_categories, np.int64)

    def fill(start: int, stop: int) -> None:
        needed = np.empty((shape[1], len(points)), np.int64)
        bucket = np.empty((shape[1], positives[start:stop].max(initial=0) + 1), np.int64)
        uniform, hit = np.empty(shape[1:3], np.int64), np.empty(shape[3] + 1, np.int64)
        others, found = np.empty(shape[1:], np.int64), np.empty(shape[1:], np.int64)
        category_curves(
            start, stop, offsets, *rows, weights, max_dets, area_words, points, positives, spans, needed, bucket,
            uniform, others, found, hit, precision, recall, score, detections,
        )  # fmt: skip

    map_ranges(fill, n_categories, threads, _chunk(n_categories, threads))
    for values in (precision, recall, score):
        values[positives == 0] = np.nan
    by_threshold = (3, 4, 0, 1, 2)
    found = Curves(precision.transpose(by_threshold), recall.transpose(3, 0, 1, 2), score.transpose(by_threshold))
    return Scored(params, int(weights.sum()), state.category_ids, found, positives, detections)


def _positives(state: DetectionState, weights: Int) -> Int:
    """(K, A) how many ground truths count."""
    weight, n_areas = weights[state.gt_image], len(state.params.areas)
    counted = [
        np.bincount(state.gt_category, (state.gt_counted >> area & 1) * weight, len(state.category_ids))
        for area in range(n_areas)
    ]
    return np.stack(counted, axis=1).astype(np.int64)


def _rows(state: DetectionState) -> tuple[Index, Index, Float, Int, Int]:
    """Image, rank, score, true and ignored of all rows in the order in which curves are walked."""
    rows = (state.image, state.rank, state.score, state.true, state.ignored)
    category, score, image = state.category, state.score, state.image
    i = np.flatnonzero(~(score[1:] < score[:-1]))  # where a category ends, or scores are equal
    i = i[category[i + 1] <= category[i]]
    place = state.image_order() if len(i) else image
    tied = (category[i + 1] == category[i]) & (score[i + 1] == score[i])
    if (tied & (place[image[i + 1]] >= place[image[i]])).all() and (category[1:] >= category[:-1]).all():
        return rows
    # rows of one image and category stand by rank in every state, and each step keeps the order of equals
    order, _ = _grouped(state.image_order()[image].astype(np.int32), len(state))
    by_category, offsets = _grouped(category[order], len(state.category_ids))
    order = order[by_category]
    image, rank, score = image[order], state.rank[order], score[order]
    true, ignored = state.true[order], state.ignored[order]
    room = room_for(_largest(offsets, 0, len(state.category_ids)))
    sort_rows(0, len(state.category_ids), offsets, room, image, rank, score.view(np.int64), true, ignored)
    return image, rank, score, true, ignored


def _grouped(key: Index, n_keys: int) -> tuple[Index, Int]:
    """The order of rows by `key`, equal keys in the order given; (n_keys + 1,) where each key's rows start."""
    offsets, order = np.zeros(n_keys + 1, np.int64), np.empty(len(key), np.int32)
    group_rows(key, offsets, order)
    return order, offsets


@dataclass(frozen=True)
class Summary:
    """Figures of a state; `cvbench.result.Result` holds the same and where they come from."""

    values: dict[str, float]
    tables: dict[str, list[dict[str, Any]]]
    arrays: dict[str, NDArray[Any]]


def summarize(
    state: DetectionState,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    threads: int | None = None,
    names: Mapping[int, str] | None = None,
) -> Summary:
    """The official figures, and the same by category, threshold and area range.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image: 0 and 1 choose a subset, multinomial draws are a bootstrap replicate. The figures are
        those of a data set in which each image stands as often as its weight says.
    threads
        Threads to use; None for all processors.
    names
        Category names by id.

    Returns
    -------
    Summary
        ``values`` hold AP, AP50, AP75, AP by area, AR by cap and by area (keypoints: AR, AR50, AR75, AR by area).
    """
    return figures([scored(state, weights, threads)], names)


def views(state: DetectionState, weights: Int) -> list[tuple[DetectionState, Int]]:
    """The states, with weights of their images, which `figures` wants to be scored: this one."""
    return [(state, weights)]


def figures(found: Sequence[Scored], names: Mapping[int, str] | None = None) -> Summary:
    """The figures of what was scored, of one state; see `summarize`."""
    (whole,) = found
    tables = {
        "per_category": _per_category(whole, names or {}),
        "per_iou": _per_iou(whole.params, whole.curves),
        "per_area": _per_area(whole),
    }
    precision, recall, score = whole.curves
    return Summary(
        _official(whole.params, whole.curves), tables, {"precision": precision, "recall": recall, "scores": score}
    )


def _official(params: DetectionParams, found: Curves) -> dict[str, float]:
    """The figures that the field prints, in its order."""
    precision, recall = found.precision, found.recall
    values = {"AP": _mean(precision[:, :, :, 0, -1])}
    for name, picked in _official_thresholds(params):
        values[f"AP{name}"] = _mean(precision[..., 0, -1][picked])
    for a, suffix in _area_suffixes(params):
        values[f"AP{suffix}"] = _mean(precision[:, :, :, a, -1])
    if params.iou_type == "keypoints":
        values["AR"] = _mean(recall[:, :, 0, -1])
        for name, picked in _official_thresholds(params):
            values[f"AR{name}"] = _mean(recall[picked][:, :, 0, -1])
    else:
        for m, cap in enumerate(params.max_dets):
            values[f"AR{cap}"] = _mean(recall[:, :, 0, m])
    for a, suffix in _area_suffixes(params):
        values[f"AR{suffix}"] = _mean(recall[:, :, a, -1])
    return values


def _per_category(whole: Scored, names: Mapping[int, str]) -> list[dict[str, Any]]:
    params, found = whole.params, whole.curves
    columns = {"AP": _category_means(found.precision[..., 0, -1])}
    for name, picked in _official_thresholds(params):
        columns[f"AP{name}"] = _category_means(found.precision[..., 0, -1][picked])
    for a, suffix in _area_suffixes(params):
        columns[f"AP{suffix}"] = _category_means(found.precision[..., a, -1])
    columns["AR"] = _category_means(found.recall[:, None, :, 0, -1])
    return [
        {
            "id": category,
            "name": names.get(category, str(category)),
            **{name: float(column[k]) for name, column in columns.items()},
            "ground_truths": int(whole.positives[k, 0]),
            "detections": int(whole.detections[k]),
        }
        for k, category in enumerate(whole.category_ids.tolist())
    ]


def _per_iou(params: DetectionParams, found: Curves) -> list[dict[str, Any]]:
    return [
        {"iou": threshold, "AP": _mean(found.precision[t, :, :, 0, -1]), "AR": _mean(found.recall[t, :, 0, -1])}
        for t, threshold in enumerate(params.iou_thresholds)
    ]


def _per_area(whole: Scored) -> list[dict[str, Any]]:
    found, positives = whole.curves, whole.positives.sum(axis=0)
    return [
        {
            "area": label,
            "AP": _mean(found.precision[:, :, :, a, -1]),
            "AR": _mean(found.recall[:, :, a, -1]),
            "ground_truths": int(positives[a]),
        }
        for a, (label, _, _) in enumerate(whole.params.areas)
    ]


def _official_thresholds(params: DetectionParams) -> list[tuple[str, list[int]]]:
    """The thresholds that have figures of their own, and where they stand among the thresholds, if they do."""
    return [
        (name, [t for t, value in enumerate(params.iou_thresholds) if value == at]) for name, at in NAMED_THRESHOLDS
    ]


NAMED_THRESHOLDS = (("50", 0.5), ("75", 0.75))


def _area_suffixes(params: DetectionParams) -> list[tuple[int, str]]:
    """All area ranges but the first, which needs none, with what they add to the name of a figure."""
    labels = [label for label, _, _ in params.areas]
    return [(a, AREA_SUFFIXES.get(label, f"_{label}")) for a, label in enumerate(labels) if a]


AREA_SUFFIXES = {"small": "s", "medium": "m", "large": "l"}
"""How the field abbreviates COCO's area ranges in APs, APm, APl; other ranges are spelt out."""


def _mean(values: Float) -> float:
    """Mean of what is defined, or NaN; in the order of elements, so that the sum has the reference's last bit."""
    flat = np.ravel(values)
    undefined = np.isnan(flat)
    if undefined.any():
        flat = flat[~undefined]
    return float(np.mean(flat)) if len(flat) else float("nan")


def _category_means(values: Float) -> Float:
    """(K,) means over the first two axes of (T, R, K); a category is defined everywhere or nowhere."""
    if not values.size:
        return np.full(values.shape[2], np.nan)
    means: Float = np.ascontiguousarray(np.moveaxis(values, 2, 0)).reshape(values.shape[2], -1).mean(axis=1)
    return means


def with_dropped(counts: dict[str, N], unknown: N) -> dict[str, N]:
    """The counts, or tallies, of a state whose caller left out detections of categories that the ground truth lacks."""
    return counts | {"detections": counts["detections"] + unknown, "dropped_unknown_category": unknown}


def result_of(
    state: DetectionState,
    names: Mapping[int, str] | None = None,
    threads: int | None = None,
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
    task: str | None = None,
    summarize: Callable[..., Summary] = summarize,
) -> Result:
    """Score a state and say under which rules.

    Parameters
    ----------
    state, names, threads, weights
        See `summarize`.
    conventions
        Further pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    task
        Name and version of the task; None for the ``coco`` task of the iou_type.
    summarize
        What makes figures of the state; takes the arguments of `summarize`.
    """
    task = f"coco.{state.params.iou_type}@{VERSION}" if task is None else task
    summary = summarize(state, weights, threads, names)
    params, said = state.params, list(notes)
    if state.counts["id_zero"]:
        treatment = "match like any other" if params.id_zero == "match" else "are never matched, as in pycocotools"
        said.append(
            f"{state.counts['id_zero']:,} of {state.counts['ground_truths']:,} ground truths have id 0 and {treatment} "
            f"(-p id_zero={'unmatched' if params.id_zero == 'match' else 'match'} for the other reading)"
        )
    if state.counts["cut_by_max_dets"]:
        said.append(
            f"{state.counts['cut_by_max_dets']:,} of {state.counts['detections']:,} detections lie beyond max_dets="
            f"{params.max_dets[-1]} per image and category and were not looked at"
        )
    if state.counts.get("dropped_zero_keypoints"):
        said.append(
            f"{state.counts['dropped_zero_keypoints']:,} of {state.counts['detections']:,} detections have no keypoint "
            "with a third value above 0 and are dropped (-p zero_keypoints=keep takes them)"
        )
    return Result(
        task=task,
        values=summary.values,
        signature=Signature(task, (*_conventions(params), *conventions)),
        tables=summary.tables,
        counts=state.counts | dict(counts or {}),
        notes=said,
        inputs=inputs or {},
        arrays=summary.arrays,
    )


def _conventions(params: DetectionParams) -> list[tuple[str, str]]:
    """The rules as pairs for a signature; what does not apply to the iou_type is left out."""
    official = DetectionParams.of(params.iou_type)
    pairs = [
        ("iou", _grid(params.iou_thresholds)),
        ("recall", _grid(params.recall_thresholds)),
        ("areas", "coco" if params.areas == official.areas else ",".join(map(_range, params.areas))),
        ("max_dets", ",".join(map(str, params.max_dets))),
        ("class_agnostic", "yes" if params.class_agnostic else "no"),
        ("id_zero", params.id_zero),
        ("explicit_ignore", "yes" if params.explicit_ignore else "no"),
    ]
    if params.iou_type == "boundary":
        pairs.append(("dilation_ratio", repr(params.dilation_ratio)))
    if params.iou_type == "keypoints":
        pairs.append(("sigmas", name_of(params.sigmas)))
        # COCO's rules go without saying: signatures from before there were others stay as they are
        pairs += [
            (name, getattr(params, name)) for name, (usual, _) in OF_KEYPOINTS.items() if getattr(params, name) != usual
        ]
    return pairs


def _grid(values: tuple[float, ...]) -> str:
    """Numbers as ``first:last:step`` where they are evenly spaced to the last bit, else one by one."""
    if len(values) > 2 and values == tuple(np.linspace(values[0], values[-1], len(values)).tolist()):
        return f"{values[0]:.12g}:{values[-1]:.12g}:{(values[-1] - values[0]) / (len(values) - 1):.12g}"
    return ",".join(map(repr, values))


def _range(area: tuple[str, float, float]) -> str:
    """An area range as one writes it in the shell."""
    label, low, high = area
    return f"{label}:{low!r}:{high!r}"
