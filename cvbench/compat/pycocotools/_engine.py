"""The way through compiled code: from annotations to columns, and from counts to the original's results.

Only plain data goes this way. `counted` gives None for whatever the metric would not count exactly as pycocotools does
(ids that are no numbers, detections with an id of 0 or less, NaN, masks of several sizes in one image, and so on) and
for records that lack something; pycocotools' own way then gives its numbers, or its exception.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Detections, Float, GroundTruth, Int, image_of_rows, offsets_of
from cvbench.compat.pycocotools import _mask
from cvbench.metrics.detection import COCO_SIGMAS, DetectionParams, DetectionState, count, curves, match
from cvbench.metrics.masks import invalid_masks

Annotation = dict[str, Any]

COMPUTED_ALIKE = {int, float, np.int64, np.float64}
"""Types of numbers with which NumPy computes as it does with float64, as long as integers are not too large."""

EXACT = 1 << 53
"""Integers up to here are exact in float64."""

FARTHEST = 1 << 25
"""Squared distances of integer coordinates up to here are exact in float64."""


class NotPlain(Exception):
    """The data holds something that only the original's own way counts as the original does."""


@dataclass(frozen=True)
class Given:
    """Annotations, and the ids of the image and the category of each."""

    annotations: list[Annotation]
    image: list[Any]
    category: list[Any]

    @classmethod
    def of(cls, annotations: list[Annotation]) -> Given:
        image, category = (list(map(itemgetter(key), annotations)) for key in ("image_id", "category_id"))
        return cls(annotations, image, category)

    @classmethod
    def of_cells(cls, cells: Mapping[tuple[Any, Any], Sequence[Annotation]]) -> Given:
        """Annotations by image and category id, which need not be those that they bear."""
        keys = [key for key, annotations in cells.items() for _ in annotations]
        return cls(list(chain.from_iterable(cells.values())), [image for image, _ in keys], [cat for _, cat in keys])


@dataclass(frozen=True)
class Counted:
    """What the metric counted, and what it takes to tell it in the original's words.

    Attributes
    ----------
    gt, dt
        Columns; an image or category is its position in the lists of the original's parameters.
    state
        What was counted.
    gt_ids, dt_ids, scores
        Of the rows of `gt` and `dt`, as they were given.
    """

    gt: GroundTruth
    dt: Detections
    state: DetectionState
    gt_ids: list[Any]
    dt_ids: list[Any]
    scores: list[Any]


def counted(gts: Given, dts: Given, p: Any) -> Counted | None:
    """Match what is given of `p`'s images and categories; None where that takes the original's own way.

    Parameters
    ----------
    gts, dts
        Annotations prepared for evaluation. Ground truths get the ``_ignore`` that the original leaves in them.
    p
        The original's parameters.
    """
    try:
        rules = _rules(p)
        axes = _Axes(_positions(p.imgIds), _positions(p.catIds), pooled=not p.useCats)
        gt_rows, dt_rows = axes.rows(gts), axes.rows(dts)
        gt, dt = _ground_truth(gt_rows, axes, rules), _detections(dt_rows, axes, rules)
        _check_sizes(gt, dt)
    except (NotPlain, LookupError, TypeError, ValueError, OverflowError):
        return None
    _, low, high = rules.areas[-1]
    ignored = gt.ignore | (gt.area < low) | (gt.area > high)
    for row, flag in zip(gt_rows.annotations, ignored.astype(np.int64).tolist(), strict=True):
        row["_ignore"] = flag
    return Counted(gt, dt, count(gt, dt, rules), gt_rows.values("id"), dt_rows.values("id"), dt_rows.values("score"))


def _rules(p: Any) -> DetectionParams:
    if p.iouType not in ("bbox", "segm", "keypoints"):
        raise NotPlain("the original knows no other")
    thresholds = np.asarray(p.iouThrs)
    if thresholds.dtype.kind == "f" and thresholds.dtype != np.float64:
        raise NotPlain("thresholds of another precision are compared in it")
    if p.useCats not in (0, 1) or (p.iouType == "keypoints" and not p.useCats):
        raise NotPlain("keypoints are not pooled, and 2 is neither yes nor no")
    if not all(type(cap) is int or isinstance(cap, np.integer) for cap in p.maxDets):
        raise NotPlain("caps are no integers")
    if not COMPUTED_ALIKE.issuperset(type(limit) for area in p.areaRng for limit in area):
        raise NotPlain("limits of another precision are compared in it")
    sigmas = np.asarray(p.kpt_oks_sigmas if p.iouType == "keypoints" else COCO_SIGMAS)
    if sigmas.dtype != np.float64:
        raise NotPlain("sigmas of another precision are squared in it")
    return DetectionParams(
        iou_type=p.iouType,
        iou_thresholds=tuple(thresholds.astype(np.float64).tolist()),
        areas=tuple((str(number), float(area[0]), float(area[1])) for number, area in enumerate(p.areaRng)),
        max_dets=tuple({int(cap) for cap in p.maxDets}),
        id_zero="unmatched",
        explicit_ignore=True,
        sigmas=tuple(sigmas.tolist()),
    )


def _positions(ids: Sequence[Any]) -> dict[Any, int]:
    # a NumPy number equals Python's and finds the same entry, but as a key it makes every look-up slower
    positions = {
        value.item() if isinstance(value, np.generic) else value: position for position, value in enumerate(ids)
    }
    if not 0 < len(positions) == len(ids):
        raise NotPlain("there are no images or categories, or one of them twice")
    return positions


@dataclass(frozen=True)
class _Rows:
    """Annotations by image and in it by category, and their positions on the axes."""

    annotations: list[Annotation]
    image: Int
    category: Int

    def values(self, key: str) -> list[Any]:
        return list(map(itemgetter(key), self.annotations))

    def numbers(self, key: str) -> Float:
        """Finite numbers that are exact in float64."""
        values = self.values(key)
        array = np.array(values) if values else np.zeros(0)
        if array.ndim != 1 or array.dtype.kind not in "iuf" or array.itemsize > 8 or not np.isfinite(array).all():
            raise NotPlain(f"not every {key} is a finite number of at most 64 bits")
        if array.dtype.kind != "f" and not (-EXACT < int(array.min()) <= int(array.max()) < EXACT):
            raise NotPlain(f"some {key} is an integer beyond what float64 holds")
        return array.astype(np.float64)

    def scores(self) -> Float:
        values = self.values("score")
        if any(isinstance(value, np.integer) for value in values):
            raise NotPlain("the negative of a NumPy integer may be another number")
        return self.numbers("score")

    def flags(self, key: str) -> Bool:
        values = self.values(key)
        array = np.array(values) if values else np.zeros(0, np.bool_)
        if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
            raise NotPlain(f"not every {key} is 0 or 1")
        return array.astype(np.bool_)

    def vectors(self, key: str, length: int) -> Float:
        """(N, length) finite numbers, from lists or arrays."""
        values = self.values(key)
        if not {list, np.ndarray}.issuperset(map(type, values)) or not {length}.issuperset(map(len, values)):
            raise NotPlain(f"not every {key} is a list of {length}")
        array = np.fromiter(chain.from_iterable(values), np.float64, length * len(values)).reshape(-1, length)
        if not np.isfinite(array).all():
            raise NotPlain(f"not every {key} is finite")
        return array

    def areas(self, rules: DetectionParams) -> Float:
        kinds = {type(area) for area in self.values("area") if isinstance(area, np.floating)}
        limits = [limit for area in rules.areas for limit in area[1:]]
        with np.errstate(over="ignore"):
            if any(float(kind(limit)) != limit for kind in kinds for limit in limits):
                raise NotPlain("an area of another precision is compared in it, and a limit is none of its numbers")
        return self.numbers("area")

    def shapes(self, rules: DetectionParams) -> dict[str, Any]:
        """The column of what is compared."""
        if rules.iou_type == "bbox":
            return {"boxes": self.vectors("bbox", 4)}
        if rules.iou_type == "segm":
            return {"masks": _mask.from_dicts(self.values("segmentation"))}
        keypoints = self.coordinates("keypoints", 3 * len(rules.sigmas))
        return {"keypoints": keypoints.reshape(-1, len(rules.sigmas), 3)}

    def coordinates(self, key: str, length: int) -> Float:
        """Vectors of numbers that the original does not make float64 before it computes with them."""
        vectors = self.vectors(key, length)
        if not COMPUTED_ALIKE.issuperset(map(type, chain.from_iterable(self.values(key)))):
            raise NotPlain(f"some {key} are of another precision and computed with in it")
        if np.abs(vectors).max(initial=0) > FARTHEST:
            raise NotPlain(f"some {key} are far away, and integers are squared exactly")
        return vectors


@dataclass(frozen=True)
class _Axes:
    """Positions of image and category ids; `pooled` puts all categories at position 0, one after the other."""

    images: dict[Any, int]
    categories: dict[Any, int]
    pooled: bool

    @property
    def n_categories(self) -> int:
        return 1 if self.pooled else len(self.categories)

    def rows(self, given: Given) -> _Rows:
        n = len(given.annotations)
        image = np.fromiter(map(self.images.get, given.image, repeat(-1)), np.int64, n)
        category = np.fromiter(map(self.categories.get, given.category, repeat(-1)), np.int64, n)
        order = np.lexsort((category, image)) if self.pooled else np.argsort(image, kind="stable")
        order = order[(image[order] >= 0) & (category[order] >= 0)]
        annotations = given.annotations
        if not np.array_equal(order, np.arange(n)):
            annotations = [annotations[row] for row in order.tolist()]
        return _Rows(annotations, image[order], category[order] % self.n_categories)


def _ground_truth(rows: _Rows, axes: _Axes, rules: DetectionParams) -> GroundTruth:
    crowd, ignore, area, shapes = rows.flags("iscrowd"), rows.flags("ignore"), rows.areas(rules), rows.shapes(rules)
    if (crowd & ~ignore).any():
        raise NotPlain("a crowd counts")
    if rules.iou_type == "keypoints":
        shapes["boxes"] = rows.coordinates("bbox", 4)
        if (area < 0).any():
            raise NotPlain("an area below 0 turns the similarity upside down")
    return GroundTruth(
        image_ids=np.arange(len(axes.images)),
        category_ids=np.arange(axes.n_categories),
        category_names=("",) * axes.n_categories,
        offsets=offsets_of(np.bincount(rows.image, minlength=len(axes.images))),
        category=rows.category,
        area=area,
        crowd=crowd,
        ignore=ignore,
        id_zero=rows.numbers("id") == 0,
        **shapes,
    )


def _detections(rows: _Rows, axes: _Axes, rules: DetectionParams) -> Detections:
    if not (rows.numbers("id") > 0).all():
        raise NotPlain("a match with a detection of id 0 or less leaves its ground truth free")
    return Detections(
        offsets=offsets_of(np.bincount(rows.image, minlength=len(axes.images))),
        category=rows.category,
        score=rows.scores(),
        area=rows.areas(rules),
        **rows.shapes(rules),
    )


def _check_sizes(gt: GroundTruth, dt: Detections) -> None:
    if gt.masks is None or dt.masks is None:
        return
    image = np.concatenate([image_of_rows(gt.offsets), image_of_rows(dt.offsets)])
    sizes = np.concatenate([gt.masks.sizes, dt.masks.sizes])
    of_image = np.zeros((len(gt.image_ids), 2), np.int64)
    of_image[image] = sizes
    if (sizes != of_image[image]).any():
        raise NotPlain("masks of one image differ in size")
    if len(invalid_masks(gt.masks)) or len(invalid_masks(dt.masks)):
        raise NotPlain("a mask does not fill its image")


# What was counted, in the original's words ---------------------------------------------------------------------------


def accumulated(found: Counted, max_dets: Sequence[int], recalls: Any) -> tuple[Float, Float, Float]:
    """Precision (T, R, K, A, M), recall (T, K, A, M) and scores (T, R, K, A, M); -1 where no ground truth counts.

    Parameters
    ----------
    found
    max_dets
        Some of the caps of the evaluation, in any order.
    recalls
        Finite numbers in any order.
    """
    points = np.asarray(recalls, np.float64)
    order = np.argsort(points, kind="stable")
    rules = replace(found.state.params, recall_thresholds=tuple(points[order].tolist()))
    cap = [rules.max_dets.index(max_det) for max_det in max_dets]
    curve = curves(replace(found.state, params=rules))
    recall = np.where(np.isnan(curve.recall), -1.0, curve.recall)[..., cap]
    defined = recall[:, None] >= 0
    # the original reads recalls in the order of the list, and after one that is not reached it reads no further
    unread = defined & np.logical_or.accumulate(points[:, None, None, None] > recall[:, None], axis=1)
    precision, scores = (
        np.where(unread, 0.0, np.where(defined, values[:, np.argsort(order)][..., cap], -1.0))
        for values in (curve.precision, curve.score)
    )
    return precision, recall, scores


class _Cells:
    """What was counted once more, laid out by category and image, so that what is of one cell is a slice.

    Attributes
    ----------
    gt_offsets, offsets : (K * I + 1,) int64
        Where each cell starts; image *i* and category *k* have the cell ``k * I + i``.
    gt_row, row : (G,), (N,) int64
        Rows of the columns; detections by rank, and only those within the largest cap.
    gt_cell, cell : (G,), (N,) int64
        The number of the cell of each.
    similarity : (pairs,) float64
        Of each detection with the ground truths of its cell.
    pairs : (N + 1,) int64
        Detection *n* has the similarities ``pairs[n]:pairs[n + 1]``.
    partner : (N, A, T) int64
        Position in `gt_row` of the match, or -1.
    """

    def __init__(self, found: Counted) -> None:
        rules = found.state.params
        matching = match(found.gt, found.dt, rules, partners=True)
        met = matching.cells
        n_images = len(found.gt.image_ids)
        n_cells = n_images * len(found.gt.category_ids)
        category, gt_category = found.dt.category[met.row], found.gt.category[met.gt_row]
        if rules.class_agnostic:
            category, gt_category = np.zeros_like(category), np.zeros_like(gt_category)
        cell = category * n_images + image_of_rows(met.offsets)
        gt_cell = gt_category * n_images + image_of_rows(found.gt.offsets)
        # rows of a cell stand together, and by rank
        order, gt_order = np.argsort(cell, kind="stable"), np.argsort(gt_cell, kind="stable")
        self.gt_cell, self.cell = gt_cell[gt_order], cell[order]
        self.gt_row, self.row = met.gt_row[gt_order], met.row[order]
        self.gt_offsets = offsets_of(np.bincount(self.gt_cell, minlength=n_cells))
        self.offsets = offsets_of(np.bincount(self.cell, minlength=n_cells))
        place = np.full(len(gt_order) + 1, -1)  # that of the partner -1 is the last
        place[gt_order] = np.arange(len(gt_order))
        self.partner = place[matching.partner[order]].reshape(len(order), len(rules.areas), len(rules.iou_thresholds))
        lengths = met.n_gt[order]
        self.pairs = offsets_of(lengths)
        self.similarity = matching.similarity[
            np.arange(self.pairs[-1]) + (met.pairs[:-1][order] - self.pairs[:-1]).repeat(lengths)
        ]


def ious(found: Counted, p: Any) -> dict[tuple[Any, Any], Any]:
    """The original's ``ious`` under the parameters `p` of the evaluation."""
    cells = _Cells(found)
    layout: Literal["C", "F"] = "C" if p.iouType == "keypoints" else "F"
    n, n_gt = np.diff(cells.offsets), np.diff(cells.gt_offsets)
    matrices = {}
    for cell in np.flatnonzero((n > 0) & (n_gt > 0)).tolist():
        first = cells.pairs[cells.offsets[cell]]
        matrix = cells.similarity[first : first + n[cell] * n_gt[cell]].reshape(n[cell], n_gt[cell])
        matrices[cell] = matrix.copy(order=layout)
    n_images, categories = len(p.imgIds), p.catIds if p.useCats else [-1]
    return {
        (image, category): matrices.get(k * n_images + i, [])
        for i, image in enumerate(p.imgIds)
        for k, category in enumerate(categories)
    }


def records(found: Counted, p: Any) -> list[dict[str, Any] | None]:
    """The original's ``evalImgs`` under the parameters `p` of the evaluation."""
    cells = _Cells(found)
    fields = [_Fields.of(cells, found, area) for area in range(len(p.areaRng))]
    dt_ids, scores = ([values[row] for row in cells.row.tolist()] for values in (found.dt_ids, found.scores))
    gt_offsets, offsets = cells.gt_offsets.tolist(), cells.offsets.tolist()
    rows, nothing = len(p.iouThrs), np.zeros(0)
    result: list[dict[str, Any] | None] = []
    for k, category in enumerate(p.catIds if p.useCats else [-1]):
        for limits, of_area in zip(p.areaRng, fields, strict=True):
            for cell, image in enumerate(p.imgIds, k * len(p.imgIds)):
                g, g_end, d, d_end = gt_offsets[cell], gt_offsets[cell + 1], offsets[cell], offsets[cell + 1]
                if g == g_end and d == d_end:
                    result.append(None)
                    continue
                result.append(
                    {
                        "image_id": image,
                        "category_id": category,
                        "aRng": limits,
                        "maxDet": p.maxDets[-1],
                        "dtIds": dt_ids[d:d_end],
                        "gtIds": of_area.gt_ids[g:g_end],
                        "dtMatches": _block(of_area.dt_matches, rows, d, d_end),
                        "gtMatches": _block(of_area.gt_matches, rows, g, g_end),
                        "dtScores": scores[d:d_end],
                        "gtIgnore": of_area.gt_ignored[g:g_end] if g < g_end else nothing,
                        "dtIgnore": _block(of_area.dt_ignored, rows, d, d_end),
                    }
                )
    return result


@dataclass(frozen=True)
class _Fields:
    """The fields of all cells' records of one area range, one cell after the other.

    Attributes
    ----------
    gt_ids, gt_ignored : G ids, (G,) int64
        Ground truths that count before those that do not.
    gt_matches, dt_matches, dt_ignored : (T * G,), (T * N,) float64, (T * N,) bool
        Of each cell its (T, G) or (T, N) values.
    """

    gt_ids: list[Any]
    gt_ignored: Int
    gt_matches: Float
    dt_matches: Float
    dt_ignored: Bool

    @classmethod
    def of(cls, cells: _Cells, found: Counted, area: int) -> _Fields:
        _, low, high = found.state.params.areas[area]
        gt, dt, partner = found.gt, found.dt, cells.partner[:, area]
        gt_ignored = (gt.ignore | (gt.area < low) | (gt.area > high))[cells.gt_row]
        outside = ((dt.area < low) | (dt.area > high))[cells.row]
        gt_ids, dt_ids = np.array(found.gt_ids, np.float64)[cells.gt_row], np.array(found.dt_ids, np.float64)[cells.row]
        row, threshold = (partner >= 0).nonzero()
        met = partner[row, threshold]

        dt_matches, gt_matches = np.zeros(partner.shape), np.zeros((len(gt_ids), partner.shape[1]))
        dt_matches[row, threshold] = gt_ids[met]
        gt_matches[met, threshold] = dt_ids[row]  # of several detections of a crowd, the last one stays
        dt_ignored = (dt_matches == 0) & outside[:, None]
        dt_ignored[row, threshold] |= gt_ignored[met]

        order = np.lexsort((gt_ignored, cells.gt_cell))
        return cls(
            [found.gt_ids[g] for g in cells.gt_row[order].tolist()],
            gt_ignored[order].astype(np.int64),
            _by_cell(gt_matches[order], cells.gt_offsets),
            _by_cell(dt_matches, cells.offsets),
            _by_cell(dt_ignored, cells.offsets),
        )


def _by_cell(values: NDArray[Any], offsets: Int) -> NDArray[Any]:
    """Values (N, T) of cells with `offsets` into N, as (N * T,): of each cell its (T, n) values."""
    n_rows, n_columns = values.shape
    lengths = np.diff(offsets)
    first, length = offsets[:-1].repeat(lengths), lengths.repeat(lengths)
    place = (first * n_columns + np.arange(n_rows) - first)[:, None] + length[:, None] * np.arange(n_columns)
    flat = np.empty(values.size, values.dtype)
    flat[place] = values
    return flat


def _block(flat: NDArray[Any], rows: int, start: int, stop: int) -> NDArray[Any]:
    return flat[rows * start : rows * stop].reshape(rows, stop - start)
