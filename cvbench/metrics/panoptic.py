"""Panoptic quality: every pixel belongs to one segment, and a segment is right when it overlaps one of its class.

A predicted and a true segment of one category match when their IoU is above 0.5; then no other pair of the two can, so
nothing is assigned and nothing depends on an order. ``PQ = SQ · RQ``: how well matched segments fit (the mean IoU of
the matches) times how many there are (``tp / (tp + fp / 2 + fn / 2)``).

Conventions
-----------
An id map holds for each pixel the id of its segment; 0 is void, where nobody knows what is there. Figures are
fractions, and means over those categories that occur: a category without a match, a false positive or a false negative
is left out.

- IoU is intersection over union, where the union leaves out the part of the prediction that lies on void.
- The area of a ground truth is what the file states (``area="json"``) or its pixels in the map (``area="png"``).
- A ground truth without a match is a false negative unless it is a crowd.
- A prediction without a match is a false positive unless more than half of it lies on void or on a crowd of its
  category. Of several crowds of one category in an image only the last one listed excuses predictions.
- An id of the ground truth's map that no segment lists is neither a segment nor void.
- ``boundary``: the IoU of a pair is the smaller one of that of the segments and that of their boundary bands.

Two figures called PQ† are in use. Both are means over categories that take PQ for things and drop the threshold for
stuff, where all segments of a category in an image are one region, and void and crowds of the category do not count:

- ``PQ_dagger_porzi``: the mean over the images whose ground truth has the category of the region's IoU.
- ``PQ_dagger_kitti``: the pixels in which the regions meet in all images over the pixels of their unions.

Both compare whole regions, with ``boundary``, too.

Undefined: a figure of no categories is NaN, and so are PQ, SQ and RQ of a category that does not occur. SQ of a
category that occurs without a match is 0. For PQ_dagger_porzi, stuff that no ground truth shows is undefined and left
out; for PQ_dagger_kitti, stuff that is neither there nor predicted.

Reference: Kirillov et al., *Panoptic Segmentation*, CVPR 2019, with panopticapi; Cheng et al., *Boundary IoU*, CVPR
2021, with boundary-iou-api; Porzi et al., *Seamless Scene Segmentation*, CVPR 2019; Behley et al., *A Benchmark for
LiDAR-based Panoptic Segmentation*, ICRA 2021, with semantic-kitti-api.

Named deviations: where no category occurs, panopticapi divides by zero; where a stated area leaves a union of 0, it
counts a match of infinite IoU, which is refused here; boundary-iou-api marks the inner pixels of segments with one more
than the largest category id, and is wrong where a segment has that id; semantic-kitti-api counts absent categories as
0, leaves out small segments, and for PQ ignores void on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Overlaps, Segments, image_of_rows, sums_by_image
from cvbench.errors import InputError, MismatchError
from cvbench.kernels import Index
from cvbench.metrics.base import CONSTANT, IMAGE_ROWS, TABLE, State, check_flags, image_weights, rows_of
from cvbench.result import Input, Result, Signature

VOID = 0
"""The value of an id map where no segment is."""


@dataclass(frozen=True)
class PanopticParams:
    """The rules of panoptic quality; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    area
        Where the area of a ground truth comes from: ``json``, what its segment states, as panopticapi has it, or
        ``png``, its pixels in the map. A stated area that is wrong makes a wrong IoU, even one above 1.
    boundary
        Ask of a match that the boundary bands overlap as well.
    dilation_ratio
        Width of the boundary band as a fraction of the image diagonal: 0.02 for COCO, 0.005 for Cityscapes.
    """

    area: Literal["json", "png"] = "json"
    boundary: bool = False
    dilation_ratio: float = 0.02

    def __post_init__(self) -> None:
        check_flags(self)
        if self.area not in ("json", "png"):
            raise InputError(f"area {self.area!r} is unknown; expected one of json, png")
        if not 0 < self.dilation_ratio < math.inf:
            raise InputError(f"dilation_ratio: {self.dilation_ratio} is not above 0 and finite")
        object.__setattr__(self, "boundary", bool(self.boundary))
        object.__setattr__(self, "dilation_ratio", float(self.dilation_ratio))


@dataclass(frozen=True)
class PanopticState(State):
    """What matching found: one row per image and category that occurs in it, and one per match.

    Attributes
    ----------
    category_ids : (K,) int64, ascending
    things : (K,) bool
    image, category : (R,) int32
        Index of the image and of the category.
    tp, fp, fn : (R,) int64
        Matches, false positives, false negatives.
    gt_pixels, pred_pixels, shared_pixels : (R,) int64
        Pixels of all segments of the category: of the ground truth, of the prediction, of both. Without crowds,
        without the predicted pixels on void, and without those on a crowd of the category.
    match_image, match_category : (M,) int32
    match_iou : (M,) float64
    tallies
        Segments, and what became of them.
    params
        The rules.
    """

    category_ids: Int = field(metadata=TABLE)
    things: Bool = field(metadata=TABLE)
    image: Index = field(metadata=IMAGE_ROWS)
    category: Index = field(metadata=rows_of("image"))
    tp: Int = field(metadata=rows_of("image"))
    fp: Int = field(metadata=rows_of("image"))
    fn: Int = field(metadata=rows_of("image"))
    gt_pixels: Int = field(metadata=rows_of("image"))
    pred_pixels: Int = field(metadata=rows_of("image"))
    shared_pixels: Int = field(metadata=rows_of("image"))
    match_image: Index = field(metadata=IMAGE_ROWS)
    match_category: Index = field(metadata=rows_of("match_image"))
    match_iou: Float = field(metadata=rows_of("match_image"))
    params: PanopticParams = field(metadata=CONSTANT)

    def align(self, others: list[PanopticState]) -> list[PanopticState]:
        """Let all states' categories be indices into the union of their category ids.

        Raises
        ------
        MismatchError
            If a category is thing in one state and stuff in another.
        """
        parts = [self, *others]
        ids, things = (np.concatenate([getattr(part, name) for part in parts]) for name in ("category_ids", "things"))
        union, first = np.unique(ids, return_index=True)
        differing = ids[things != things[first][np.searchsorted(union, ids)]]
        if len(differing):
            raise MismatchError(f"category {differing[0]} is thing in one state and stuff in another")
        aligned = []
        for part in parts:
            index = np.searchsorted(union, part.category_ids).astype(np.int32)
            aligned.append(
                replace(
                    part,
                    category_ids=union,
                    things=things[first],
                    category=index[part.category],
                    match_category=index[part.match_category],
                )
            )
        return aligned


def _sum(places: Int | Index, numbers: Int | int, n: int) -> Int:
    """(n,) the sums of the numbers of each place; those of place -1 go nowhere."""
    sums = np.zeros(n + 1, np.int64)
    np.add.at(sums, places, numbers)
    return sums[:n]


def listed_problems(ids: Int, pixels: Int, listed: Int) -> list[str]:
    """What is wrong between a predicted id map and the segments that are listed for it, each as a message.

    The two must hold the same ids. Ground truths may differ in this, which is counted.

    Parameters
    ----------
    ids, pixels : (N,) int64
        Values of the map and in how many pixels; a value may come several times, as in the rows of an `Overlaps`.
    listed : (M,) int64
        Ids of the segments.

    Examples
    --------
    >>> listed_problems(np.array([0, 7, 8]), np.array([5, 2, 9]), np.array([8]))
    ['the map has id 7 in 2 pixels and no segment lists it; list it, or make these pixels 0 (void)']
    """
    if set(ids.tolist()) - {VOID} == set(listed.tolist()):  # 4 µs, where finding none takes 300
        return []
    stray = ~np.isin(ids, listed) & (ids != VOID)
    values, at = np.unique(ids[stray], return_inverse=True)
    sums = _sum(at, pixels[stray], len(values))
    said = [
        f"the map has id {value} in {n:,} pixels and no segment lists it; list it, or make these pixels 0 (void)"
        for value, n in zip(values.tolist(), sums.tolist(), strict=True)
    ]
    absent = listed[~np.isin(listed, ids)].tolist()
    return said + [f"segment {value} is listed and the map does not have it; drop it from the list" for value in absent]


@dataclass(frozen=True, slots=True)
class _Meetings:
    """The rows of an `Overlaps` and what lies there.

    Attributes
    ----------
    gt_row, pred_row : (P,) int64
        The segment, or -1 where no segment has this id.
    pixels : (P,) int64
    void : (P,) bool
        No ground truth, and nobody knows.
    alike : (P,) bool
        Both are segments, and of one category.
    on_crowd : (P,) bool
        These of which the ground truth is a crowd.
    """

    gt_row: Int
    pred_row: Int
    pixels: Int
    void: Bool
    alike: Bool
    on_crowd: Bool


def _meetings(gt: Segments, pred: Segments, overlaps: Overlaps) -> _Meetings:
    image = image_of_rows(overlaps.offsets)
    gt_row, pred_row = _rows_of(gt, image, overlaps.gt), _rows_of(pred, image, overlaps.pred)
    # row -1 is the last one of these: no segment, no crowd, and like nothing else
    category, pred_category = np.append(gt.category, -1), np.append(pred.category, -2)
    alike = category[gt_row] == pred_category[pred_row]
    on_crowd = alike & np.append(gt.crowd, False)[gt_row]
    return _Meetings(gt_row, pred_row, overlaps.pixels, overlaps.gt == VOID, alike, on_crowd)


def _rows_of(segments: Segments, image: Int, ids: Int) -> Int:
    """(P,) the segment with an id in an image, or -1."""
    if not len(segments):
        return np.full(len(ids), -1, np.int64)
    values = np.unique(segments.id)
    keys = image_of_rows(segments.offsets) * len(values) + np.searchsorted(values, segments.id)
    order = np.argsort(keys)
    rank = np.minimum(np.searchsorted(values, ids), len(values) - 1)
    wanted = image * len(values) + rank
    found = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where((values[rank] == ids) & (keys[found] == wanted), found, -1)


def _last_crowds(gt: Segments) -> Bool:
    """(N,) whether a segment is the last crowd of its image and category."""
    rows = np.flatnonzero(gt.crowd)[::-1]
    keys = image_of_rows(gt.offsets)[rows] * len(gt.category_ids) + gt.category[rows]
    last = np.zeros(len(gt), np.bool_)
    last[rows[np.unique(keys, return_index=True)[1]]] = True
    return last


@dataclass(frozen=True, slots=True)
class _Matches:
    """Pairs of segments with an IoU above 0.5. Where areas are wrong, a segment may be in several."""

    gt_row: Int
    pred_row: Int
    iou: Float


def _matches(gt: Segments, pred: Segments, meetings: _Meetings, gt_area: Float, bands: Int | None) -> _Matches:
    rows = np.flatnonzero(meetings.alike & ~meetings.on_crowd)
    gt_row, pred_row = meetings.gt_row[rows], meetings.pred_row[rows]

    def iou_of(pixels: Int, gt_size: Float | Int, pred_pixels: Int) -> Float:
        pred_size = _sum(meetings.pred_row, pred_pixels, len(pred))
        on_void = _sum(meetings.pred_row[meetings.void], pred_pixels[meetings.void], len(pred))
        union = pred_size[pred_row] + gt_size[gt_row] - pixels - on_void[pred_row]
        if (union == 0).any():
            row = gt_row[np.flatnonzero(union == 0)[0]]
            raise InputError(
                f"states the area {gt.area[row]}, which leaves a union of 0; take area=png", where=_name(gt, row)
            )
        return np.asarray(pixels / union, np.float64)

    iou = iou_of(meetings.pixels[rows], gt_area, meetings.pixels)
    if bands is not None:
        gt_size = _sum(meetings.gt_row, bands[:, 0], len(gt))
        iou = np.minimum(iou, iou_of(bands[rows, 2], gt_size, bands[:, 1]))
    matched = iou > 0.5
    return _Matches(gt_row[matched], pred_row[matched], iou[matched])


@dataclass(frozen=True, slots=True)
class _Cells:
    """The pairs of an image and a category that occurs in it, R in all.

    Attributes
    ----------
    image, category : (R,) int32
    gt, pred : (N + 1,) and (M + 1,) int64
        The cell of each segment, and -1 behind them: what is no segment is in no cell.
    """

    image: Index
    category: Index
    gt: Int
    pred: Int

    def sums(self, cell: Int, rows: Int, numbers: Int | int) -> Int:
        """(R,) the sums of numbers that stand beside segments of one side."""
        return _sum(cell[rows], numbers, len(self.image))


def _cells(gt: Segments, pred: Segments) -> _Cells:
    n_categories = max(len(gt.category_ids), 1)
    keys = [image_of_rows(side.offsets) * n_categories + side.category for side in (gt, pred)]
    cells, cell = np.unique(np.concatenate(keys), return_inverse=True)
    image, category = (part.astype(np.int32) for part in np.divmod(cells, n_categories))
    return _Cells(image, category, np.append(cell[: len(gt)], -1), np.append(cell[len(gt) :], -1))


def _name(gt: Segments, row: int) -> str:
    image = gt.image_ids[image_of_rows(gt.offsets)[row]]
    return f"ground truth of image {image}, segment {gt.id[row]}"


def count(gt: Segments, pred: Segments, overlaps: Overlaps, params: PanopticParams) -> PanopticState:
    """Match the segments of images.

    Parameters
    ----------
    gt, pred
        Segments of the same images and categories. The predicted ones are those of their maps, see `listed_problems`.
    overlaps
        Of the id maps of these images; with bands where ``params.boundary``.
    params
        The rules.

    Raises
    ------
    InputError
        If there are no bands and ``params.boundary`` asks for them; if ``params.area`` is ``json`` and a ground truth
        states no area, or one that leaves a union of 0.
    """
    if params.boundary and overlaps.bands is None:
        raise InputError("the overlaps have no bands, which boundary compares")
    meetings = _meetings(gt, pred, overlaps)
    pixels = meetings.pixels
    gt_area, pred_area = _sum(meetings.gt_row, pixels, len(gt)), _sum(meetings.pred_row, pixels, len(pred))
    area = _stated_areas(gt) if params.area == "json" else gt_area.astype(np.float64)
    matches = _matches(gt, pred, meetings, area, overlaps.bands if params.boundary else None)
    gt_matched, pred_matched = np.zeros(len(gt), np.bool_), np.zeros(len(pred), np.bool_)
    gt_matched[matches.gt_row] = pred_matched[matches.pred_row] = True
    missed = np.flatnonzero(~gt_matched & ~gt.crowd)
    last_crowd = _last_crowds(gt)
    excuse = meetings.void | (meetings.on_crowd & np.append(last_crowd, False)[meetings.gt_row])
    excused = 2 * _sum(meetings.pred_row[excuse], pixels[excuse], len(pred)) > pred_area
    false = np.flatnonzero(~pred_matched & ~excused)

    # which rows count for the regions of categories, without matches
    solid = ~np.append(gt.crowd, True)[meetings.gt_row]
    claimed, shared = ~meetings.void & ~meetings.on_crowd, meetings.alike & solid
    cells, gt_image, n_images = _cells(gt, pred), image_of_rows(gt.offsets), len(gt.image_ids)
    return PanopticState(
        image_ids=gt.image_ids,
        digests=np.zeros(n_images, np.int64),
        category_ids=gt.category_ids,
        things=gt.things,
        image=cells.image,
        category=cells.category,
        tp=cells.sums(cells.gt, matches.gt_row, 1),
        fp=cells.sums(cells.pred, false, 1),
        fn=cells.sums(cells.gt, missed, 1),
        gt_pixels=cells.sums(cells.gt, meetings.gt_row[solid], pixels[solid]),
        pred_pixels=cells.sums(cells.pred, meetings.pred_row[claimed], pixels[claimed]),
        shared_pixels=cells.sums(cells.gt, meetings.gt_row[shared], pixels[shared]),
        match_image=gt_image[matches.gt_row].astype(np.int32),
        match_category=gt.category[matches.gt_row].astype(np.int32),
        match_iou=matches.iou,
        tallies={
            "ground_truths": np.diff(gt.offsets),
            "predictions": np.diff(pred.offsets),
            "crowd": sums_by_image(gt.crowd, gt.offsets),
            "overruled_crowd": sums_by_image(gt.crowd & ~last_crowd, gt.offsets),
            "absent_ground_truths": sums_by_image(gt_area == 0, gt.offsets),
            "differing_areas": sums_by_image(~np.isnan(gt.area) & (gt.area != gt_area), gt.offsets),
            "void_pixels": sums_by_image(pixels * meetings.void, overlaps.offsets),
            "unlisted_pixels": sums_by_image(pixels * (~meetings.void & (meetings.gt_row < 0)), overlaps.offsets),
            "ignored_predictions": sums_by_image(~pred_matched & excused, pred.offsets),
        },
        params=params,
    )


def _stated_areas(gt: Segments) -> Float:
    missing = np.flatnonzero(~np.isfinite(gt.area))
    if len(missing):
        found = f"{len(missing):,} of {len(gt):,} ground truths have none"
        raise InputError(f"area=json takes stated areas and {found}; take area=png", where=_name(gt, missing[0]))
    return gt.area


@dataclass(frozen=True)
class Summary:
    """Figures of a state; `cvbench.result.Result` holds the same and where they come from."""

    values: dict[str, float]
    tables: dict[str, list[dict[str, Any]]]


KINDS: dict[str, tuple[bool, ...]] = {"": (True, False), "_things": (True,), "_stuff": (False,)}
"""What the figures of a name's end are means over: whether categories are things."""


def summarize(
    state: PanopticState,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    names: Mapping[int, str] | None = None,
) -> Summary:
    """Panoptic quality of all categories, of things and of stuff, and the same by category.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        How many times each image counts, see `cvbench.metrics.base.image_weights`.
    names
        Category names by id.

    Returns
    -------
    Summary
        ``values`` hold PQ, SQ, RQ; the same of things and of stuff; PQ_dagger_porzi and PQ_dagger_kitti. Rows of
        ``per_category`` hold PQ, SQ, RQ, IoU (pixels in which the category's regions meet over pixels of their unions,
        in all images), tp, fp, fn and the sum of the IoUs of the matches.
    """
    weights, n_categories = image_weights(state, weights), len(state.category_ids)
    times = weights[state.image]
    tp, fp, fn, gt, pred, shared = (
        _sum(state.category, getattr(state, name) * times, n_categories)
        for name in ("tp", "fp", "fn", "gt_pixels", "pred_pixels", "shared_pixels")
    )
    iou_sum = _exact_sums(state.match_category, state.match_iou, weights[state.match_image], n_categories)
    occurs, objects = tp + fp + fn > 0, tp + 0.5 * fp + 0.5 * fn
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: undefined
        columns = {
            "PQ": iou_sum / objects,
            "SQ": np.where(occurs & (tp == 0), 0.0, iou_sum / tp),
            "RQ": tp / objects,
            "IoU": shared / (gt + pred - shared),
        }
    porzi = np.where(state.things, columns["PQ"], _image_ious(state, times))
    kitti = np.where(state.things, columns["PQ"], columns["IoU"])
    values = {
        f"{name}{suffix}": _mean(columns[name][np.isin(state.things, kinds)])
        for suffix, kinds in KINDS.items()
        for name in ("PQ", "SQ", "RQ")
    }
    values |= {"PQ_dagger_porzi": _mean(porzi), "PQ_dagger_kitti": _mean(kitti)}
    rows = [
        {
            "id": category,
            "name": (names or {}).get(category, str(category)),
            "kind": "thing" if state.things[k] else "stuff",
            **{name: float(column[k]) for name, column in columns.items()},
            "tp": int(tp[k]),
            "fp": int(fp[k]),
            "fn": int(fn[k]),
            "iou_sum": float(iou_sum[k]),
        }
        for k, category in enumerate(state.category_ids.tolist())
    ]
    return Summary(values, {"per_category": rows})


def _image_ious(state: PanopticState, times: Int) -> Float:
    """(K,) mean IoU of a category's regions over the images whose ground truth has it; NaN without such an image."""
    shown = state.gt_pixels > 0
    category, times = state.category[shown], times[shown]
    shared, gt, pred = (getattr(state, f"{name}_pixels")[shown] for name in ("shared", "gt", "pred"))
    images = _sum(category, times, len(state.category_ids))
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: undefined
        return np.asarray(_exact_sums(category, shared / (gt + pred - shared), times, len(images)) / images)


def _exact_sums(places: Index, values: Float, times: Int, n: int) -> Float:
    """(n,) the sums of the values of each place, each taken so many times, rounded once: their order cannot matter."""
    order = np.argsort(places, kind="stable")
    copies = np.repeat(values[order], times[order]).tolist()
    ends = np.cumsum(_sum(places, times, n)).tolist()
    return np.array([math.fsum(copies[start:end]) for start, end in zip([0, *ends], ends, strict=False)], np.float64)


def _mean(values: Float) -> float:
    """Mean of what is defined, or NaN."""
    defined = values[~np.isnan(values)].tolist()
    return math.fsum(defined) / len(defined) if defined else math.nan


def result_of(
    state: PanopticState,
    task: str,
    names: Mapping[int, str] | None = None,
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state and say under which rules.

    Parameters
    ----------
    state, names, weights
        See `summarize`.
    task
        Name and version of the task, ``coco.panoptic@1``.
    conventions
        Further pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    """
    params, summary = state.params, summarize(state, weights, names)
    pairs = [("area", params.area), ("boundary", "yes" if params.boundary else "no")]
    if params.boundary:
        pairs.append(("dilation_ratio", repr(params.dilation_ratio)))
    said = [*notes, *_notes(state)]
    if math.isnan(summary.values["PQ"]):
        said.append("no category has a match, a false positive or a false negative, so nothing is defined")
    return Result(
        task=task,
        values=summary.values,
        signature=Signature(task, (*pairs, *conventions)),
        tables=summary.tables,
        counts=state.counts | dict(counts or {}),
        notes=said,
        inputs=inputs or {},
    )


def _notes(state: PanopticState) -> list[str]:
    """What is remarkable about the input."""
    counts, truths = state.counts, f"of {state.counts['ground_truths']:,} ground truths"
    remarks = {
        "unlisted_pixels": "pixels of the ground truth have an id that no segment lists: neither segment nor void",
        "absent_ground_truths": f"{truths} are not in their map and count as missed unless they are crowds",
        "overruled_crowd": f"{truths} are crowds behind which another one of the category is listed; only that excuses",
    }
    if state.params.area == "json":
        remarks["differing_areas"] = f"{truths} state another area than they have in the map (area=png takes the map)"
    said = [f"{counts[name]:,} {remark}" for name, remark in remarks.items() if counts[name]]
    above = int(np.count_nonzero(state.match_iou > 1))
    return [*said, f"{above:,} matches have an IoU above 1, which only wrong areas can make"] if above else said
