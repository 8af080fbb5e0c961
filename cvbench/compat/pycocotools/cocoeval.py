"""COCO evaluation under pycocotools' names: `COCOeval` and its `Params`.

::

    evaluator = COCOeval(cocoGt, cocoDt, "bbox")
    evaluator.params.imgIds = ...   # change what differs from the official rules
    evaluator.evaluate()            # match every image and category
    evaluator.accumulate()          # precision and recall
    evaluator.summarize()           # print and keep the official figures

Letters of shapes: T IoU thresholds, R recall points, K categories, A area ranges, M caps on detections, D detections
and G ground truths of one image and category.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.compat.pycocotools import _engine, mask as maskUtils
from cvbench.compat.pycocotools._collector import paused_collector
from cvbench.compat.pycocotools._segmentations import to_rle

Float = NDArray[np.float64]
Annotation = dict[str, Any]
Cell = tuple[Any, Any]
"""Image id and category id; the category is -1 where categories are pooled."""


class Params:
    """The rules of an evaluation; every attribute may be changed until `COCOeval.evaluate` is called.

    Parameters
    ----------
    iouType
        ``segm``, ``bbox`` or ``keypoints``.

    Attributes
    ----------
    imgIds, catIds : list
        What to evaluate.
    iouThrs : (T,) float64
        Similarities from which on a match counts: .5, .55, ..., .95.
    recThrs : (R,) float64
        Recalls at which precision is read: 0, .01, ..., 1.
    maxDets : list of int
        Caps on detections per image and category.
    areaRng : list of [low, high]
        In square pixels, both ends included.
    areaRngLbl : list of str
        Names of the area ranges.
    useCats
        1, or 0 to match regardless of category.
    kpt_oks_sigmas : (J,) float64
        Spread of each keypoint, for keypoints only.
    useSegm
        Deprecated: 1 or 0 overrides ``iouType`` by ``segm`` or ``bbox``.
    """

    kpt_oks_sigmas: Float

    def __init__(self, iouType: str = "segm") -> None:
        if iouType in ("segm", "bbox"):
            self.setDetParams()
        elif iouType == "keypoints":
            self.setKpParams()
        else:
            raise Exception("iouType not supported")
        self.iouType = iouType
        self.useSegm: Any = None

    def setDetParams(self) -> None:
        """Set the official rules for boxes and masks."""
        self._set_common()
        self.maxDets: Any = [1, 10, 100]
        self.areaRng: Any = [[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]]
        self.areaRngLbl: Any = ["all", "small", "medium", "large"]

    def setKpParams(self) -> None:
        """Set the official rules for keypoints of people."""
        self._set_common()
        self.maxDets = [20]
        self.areaRng = [[0, 1e10], [32**2, 96**2], [96**2, 1e10]]
        self.areaRngLbl = ["all", "medium", "large"]
        face, arms, legs = (
            [0.26, 0.25, 0.25, 0.35, 0.35],
            [0.79, 0.79, 0.72, 0.72, 0.62, 0.62],
            [1.07, 1.07, 0.87, 0.87, 0.89, 0.89],
        )
        self.kpt_oks_sigmas = np.array(face + arms + legs) / 10.0

    def _set_common(self) -> None:
        self.imgIds: Any = []
        self.catIds: Any = []
        self.iouThrs: Any = np.linspace(0.5, 0.95, 10)
        self.recThrs: Any = np.linspace(0.0, 1.0, 101)
        self.useCats: Any = 1


class COCOeval:
    """Evaluation of detections against ground truth by COCO's rules.

    Parameters
    ----------
    cocoGt, cocoDt
        `COCO` objects of the ground truth and of the results (from its ``loadRes``); pycocotools' own will do, too.
    iouType
        ``segm``, ``bbox`` or ``keypoints``.

    Attributes
    ----------
    params : Params
        The rules.
    evalImgs : list of dict or None
        What matching found, one record for each category, area range and image, in that order of nesting (None where
        there is neither ground truth nor detection): ``image_id``, ``category_id``, ``aRng``, ``maxDet``, ``dtIds``
        [D], ``gtIds`` [G], ``dtMatches`` (T, D) and ``gtMatches`` (T, G) with the id of the partner or 0, ``dtScores``
        [D], ``gtIgnore`` (G,), ``dtIgnore`` (T, D).
    ious : dict
        Similarities (D, G) by (image id, category id); an empty list where one side is empty.
    eval : dict
        What `accumulate` found: ``params``, ``counts`` [T, R, K, A, M], ``date``, ``precision`` (T, R, K, A, M),
        ``recall`` (T, K, A, M), ``scores`` (T, R, K, A, M); -1 where there is no ground truth.
    stats : (12,) float64, keypoints (10,)
        What `summarize` printed.
    """

    def __init__(self, cocoGt: Any = None, cocoDt: Any = None, iouType: str = "segm") -> None:
        if not iouType:
            print("iouType not specified. use default iouType segm")
        self.cocoGt = cocoGt
        self.cocoDt = cocoDt
        self._counted: Any = None  # an `_engine.Counted`, unless cells were evaluated one by one
        self.evalImgs = defaultdict(list)
        self.eval: dict[str, Any] = {}
        self._prepared: tuple[list[Annotation], list[Annotation]] = [], []
        self._gts = defaultdict(list)
        self._dts = defaultdict(list)
        self.params = Params(iouType=iouType)
        self._paramsEval: Any = {}
        self.stats: Any = []
        self.ious = {}
        if cocoGt is not None:
            self.params.imgIds = sorted(cocoGt.getImgIds())
            self.params.catIds = sorted(cocoGt.getCatIds())

    # Built when they are asked for; they may also be set, as in the original.

    @cached_property
    def ious(self) -> Any:
        with paused_collector():
            return _engine.ious(self._counted, self._paramsEval)

    @cached_property
    def evalImgs(self) -> Any:
        with paused_collector():
            return _engine.records(self._counted, self._paramsEval)

    @cached_property
    def _gts(self) -> defaultdict[Cell, list[Annotation]]:
        return _by_cell(self._prepared[0])

    @cached_property
    def _dts(self) -> defaultdict[Cell, list[Annotation]]:
        return _by_cell(self._prepared[1])

    def _defer(self, *names: str) -> None:
        """Forget these attributes, so that they are built when they are asked for next."""
        for name in names:
            vars(self).pop(name, None)

    def _prepare(self) -> None:
        """Collect the annotations to evaluate in ``_gts`` and ``_dts``, by image and category.

        Writes into the annotations as pycocotools does: ``ignore`` into ground truths, and for ``segm`` the compressed
        form of ``segmentation`` into both.
        """
        p = self.params
        chosen = {"imgIds": p.imgIds, "catIds": p.catIds} if p.useCats else {"imgIds": p.imgIds}
        gts = self.cocoGt.loadAnns(self.cocoGt.getAnnIds(**chosen))
        dts = self.cocoDt.loadAnns(self.cocoDt.getAnnIds(**chosen))
        if p.iouType == "segm":
            to_rle(gts, self.cocoGt)
            to_rle(dts, self.cocoDt)
        for gt in gts:
            gt["ignore"] = "iscrowd" in gt and gt["iscrowd"]
            if p.iouType == "keypoints":
                gt["ignore"] = gt["num_keypoints"] == 0 or gt["ignore"]
        _warn_of_zero("ground truth", gts, "counts as never found, and detections matched to it as false positives")
        _warn_of_zero("detection", dts, "leaves the ground truth that it is matched to free for further detections")
        self._prepared = gts, dts
        self._defer("_gts", "_dts")
        self.evalImgs = defaultdict(list)
        self.eval = {}

    def evaluate(self) -> None:
        """Match detections with ground truths and set ``ious`` and ``evalImgs``."""
        start = time.time()
        print("Running per image evaluation...")
        p = self.params
        if p.useSegm is not None:
            p.iouType = "segm" if p.useSegm == 1 else "bbox"
            print(f"useSegm (deprecated) is not None. Running {p.iouType} evaluation")
        print(f"Evaluate annotation type *{p.iouType}*")
        p.imgIds = list(np.unique(p.imgIds))
        if p.useCats:
            p.catIds = list(np.unique(p.catIds))
        p.maxDets = sorted(p.maxDets)
        self._prepare()
        counted = None if self._overridden() else _engine.counted(*self._given(), p)
        if counted is None:
            self._evaluate_cells()
        else:
            self._defer("ious", "evalImgs")
        self._counted = counted
        self._paramsEval = copy.deepcopy(self.params)
        print(f"DONE (t={time.time() - start:0.2f}s).")

    def _overridden(self) -> bool:
        """Whether a subclass, this object or someone else has replaced a method that looks at single cells."""
        return any(getattr(getattr(self, name), "__func__", None) is not own for name, own in CELL_METHODS.items())

    def _given(self) -> tuple[_engine.Given, _engine.Given]:
        """What `_prepare` found, also where someone has looked at it by cell, and perhaps changed it."""
        own = vars(self)
        return (
            _engine.Given.of_cells(own["_gts"]) if "_gts" in own else _engine.Given.of(self._prepared[0]),
            _engine.Given.of_cells(own["_dts"]) if "_dts" in own else _engine.Given.of(self._prepared[1]),
        )

    def _evaluate_cells(self) -> None:
        """Compare and match cell by cell as pycocotools does."""
        p = self.params
        categories, cap = p.catIds if p.useCats else [-1], p.maxDets[-1]
        compare = self.computeOks if p.iouType == "keypoints" else self.computeIoU
        self.ious = {(image, category): compare(image, category) for image in p.imgIds for category in categories}
        self.evalImgs = [
            self.evaluateImg(image, category, area, cap)
            for category in categories
            for area in p.areaRng
            for image in p.imgIds
        ]

    def computeIoU(self, imgId: Any, catId: Any) -> Float | list[Any]:
        """IoU (D, G) of boxes or masks of one image and category; detections by falling score, to the largest cap."""
        p = self.params
        gts, dts = self._cell(imgId, catId)
        if len(gts) == 0 and len(dts) == 0:
            return []
        dts = _by_score(dts, p.maxDets[-1])
        if p.iouType not in ("segm", "bbox"):
            raise Exception("unknown iouType for iou computation")
        key = "segmentation" if p.iouType == "segm" else "bbox"
        crowd = [int(gt["iscrowd"]) for gt in gts]
        return maskUtils.iou([dt[key] for dt in dts], [gt[key] for gt in gts], crowd)

    def computeOks(self, imgId: Any, catId: Any) -> Float | list[Any]:
        """Object keypoint similarity (D, G) of one image and category, detections as in `computeIoU`.

        A ground truth without visible keypoints is compared with by how far keypoints lie outside of its box, extended
        by its width and height to either side. It never counts; its similarity decides which detections are ignored.
        """
        p = self.params
        gts, dts = self._gts[imgId, catId], _by_score(self._dts[imgId, catId], p.maxDets[-1])
        if len(gts) == 0 or len(dts) == 0:
            return []
        variances = (np.asarray(p.kpt_oks_sigmas) * 2) ** 2
        nothing = np.zeros(len(variances))
        found = [np.array(dt["keypoints"]) for dt in dts]
        similarity = np.zeros((len(dts), len(gts)))
        for g, gt in enumerate(gts):
            true = np.array(gt["keypoints"])
            visible = true[2::3] > 0
            left, top, width, height = (gt["bbox"][i] for i in range(4))
            for d, points in enumerate(found):
                x, y = points[0::3], points[1::3]
                if visible.any():
                    dx, dy = x - true[0::3], y - true[1::3]
                else:
                    dx = np.max((nothing, left - width - x), axis=0) + np.max((nothing, x - (left + width * 2)), axis=0)
                    dy = np.max((nothing, top - height - y), axis=0) + np.max((nothing, y - (top + height * 2)), axis=0)
                # the order of these divisions decides the last bit
                exponent = (dx**2 + dy**2) / variances / (gt["area"] + np.spacing(1)) / 2
                if visible.any():
                    exponent = exponent[visible]
                similarity[d, g] = np.sum(np.exp(-exponent)) / len(exponent)
        return similarity

    def evaluateImg(self, imgId: Any, catId: Any, aRng: Any, maxDet: int) -> dict[str, Any] | None:
        """Match the detections of one image and category within one area range; see ``evalImgs``."""
        thresholds = self.params.iouThrs
        gts, dts = self._cell(imgId, catId)
        if len(gts) == 0 and len(dts) == 0:
            return None
        for gt in gts:
            gt["_ignore"] = int(bool(gt["ignore"] or _outside(gt["area"], aRng)))
        order = np.argsort([gt["_ignore"] for gt in gts], kind="mergesort")
        gts, dts = [gts[g] for g in order], _by_score(dts, maxDet)
        crowd = [int(gt["iscrowd"]) != 0 for gt in gts]
        ignored = np.array([gt["_ignore"] for gt in gts])
        gt_matches, dt_matches = np.zeros((len(thresholds), len(gts))), np.zeros((len(thresholds), len(dts)))
        dt_ignored = np.zeros((len(thresholds), len(dts)))
        ious = self.ious[imgId, catId]
        if len(ious) > 0:
            rows, ignore = ious[:, order].tolist(), [gt["_ignore"] for gt in gts]
            for t, threshold in enumerate(thresholds):
                partners = [0.0] * len(gts)
                for d, dt in enumerate(dts):
                    g = _best(rows[d], threshold, ignore, crowd, partners)
                    if g >= 0:
                        dt_ignored[t, d] = ignored[g]
                        dt_matches[t, d] = gts[g]["id"]
                        partners[g] = float(dt["id"])
                gt_matches[t] = partners
        outside = np.array([_outside(dt["area"], aRng) for dt in dts], bool)
        return {
            "image_id": imgId,
            "category_id": catId,
            "aRng": aRng,
            "maxDet": maxDet,
            "dtIds": [dt["id"] for dt in dts],
            "gtIds": [gt["id"] for gt in gts],
            "dtMatches": dt_matches,
            "gtMatches": gt_matches,
            "dtScores": [dt["score"] for dt in dts],
            "gtIgnore": ignored,
            "dtIgnore": (dt_ignored != 0) | ((dt_matches == 0) & outside),
        }

    def accumulate(self, p: Params | None = None) -> None:
        """Compute precision and recall from ``evalImgs`` and set ``eval``.

        Parameters
        ----------
        p
            Rules in place of ``params``. Images, categories, area ranges and caps may be fewer than were evaluated; as
            in pycocotools a record is then looked up by its position in the shorter list, so only a leading part of
            images, categories or area ranges means what one would think.
        """
        print("Accumulating evaluation results...")
        start = time.time()
        recorded = "evalImgs" in vars(self)
        if recorded and not self.evalImgs:
            print("Please run evaluate() first")
        if p is None:
            p = self.params
        p.catIds = p.catIds if p.useCats == 1 else [-1]
        shape = [len(p.iouThrs), len(p.recThrs), len(p.catIds) if p.useCats else 1, len(p.areaRng), len(p.maxDets)]
        T, R, K, A, M = shape
        precision, recall, scores = -np.ones((T, R, K, A, M)), -np.ones((T, K, A, M)), -np.ones((T, R, K, A, M))
        kept = _Kept.of(p, self._paramsEval)
        if self._counted is None or recorded or not kept.whole:
            self._accumulate_records(kept, p.recThrs, precision, recall, scores)
        elif kept.caps:
            found = _engine.accumulated(self._counted, kept.caps, p.recThrs)
            for values, of_caps in zip((precision, recall, scores), found, strict=True):
                values[..., : len(kept.caps)] = of_caps
        self.eval = {
            "params": p,
            "counts": shape,
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "precision": precision,
            "recall": recall,
            "scores": scores,
        }
        print(f"DONE (t={time.time() - start:0.2f}s).")

    def _accumulate_records(self, kept: _Kept, recalls: Any, precision: Float, recall: Float, scores: Float) -> None:
        """Write what the records say to the leading categories, area ranges and caps of the arrays."""
        for k, category in enumerate(kept.categories):
            for a, area in enumerate(kept.areas if kept.caps else ()):
                first = (category * kept.n_areas + area) * kept.n_images
                records = [record for i in kept.images if (record := self.evalImgs[first + i]) is not None]
                positives = _count_positives(records)
                for m, cap in enumerate(kept.caps if positives else ()):
                    ranked, true, false = _ranked(records, cap)
                    for t, (tp, fp) in enumerate(zip(true, false, strict=True)):
                        reached = tp / positives
                        recall[t, k, a, m] = reached[-1] if len(tp) else 0
                        precision[t, :, k, a, m], scores[t, :, k, a, m] = _curve(tp, fp, reached, ranked, recalls)

    def summarize(self) -> None:
        """Print the official figures and set ``stats``: 12 for boxes and masks, 10 for keypoints.

        A figure is -1 where nothing was defined to average, which includes an area range or a cap that ``params`` does
        not have; the first figure always asks for a cap of 100, and all those of keypoints for 20.
        """
        if not self.eval:
            raise Exception("Please run accumulate() first")
        figures = _keypoint_figures() if self.params.iouType == "keypoints" else _detection_figures(self.params.maxDets)
        self.stats = np.array([self._figure(*figure) for figure in figures], np.float64)

    def __str__(self) -> str:
        self.summarize()
        return ""

    def _figure(self, precision: bool, threshold: float | None, area: str, cap: int) -> Any:
        """Print and return the mean of what is defined of ``eval``'s precision or recall at one area range and cap."""
        p = self.params
        a = [index for index, label in enumerate(p.areaRngLbl) if label == area]
        m = [index for index, value in enumerate(p.maxDets) if value == cap]
        values = self.eval["precision" if precision else "recall"]
        if threshold is not None:
            values = values[np.flatnonzero(np.asarray(p.iouThrs) == threshold)]
        values = values[..., a, m]
        defined = values[values > -1]
        mean = np.mean(defined) if len(defined) else -1
        name = ("Average Precision", "(AP)") if precision else ("Average Recall", "(AR)")
        ious = f"{p.iouThrs[0]:0.2f}:{p.iouThrs[-1]:0.2f}" if threshold is None else f"{threshold:0.2f}"
        print(f" {name[0]:<18} {name[1]} @[ IoU={ious:<9} | area={area:>6s} | maxDets={cap:>3d} ] = {mean:0.3f}")
        return mean

    def _cell(self, image: Any, category: Any) -> tuple[list[Annotation], list[Annotation]]:
        """Ground truths and detections of one image and category, or of all categories, pooled category by category."""
        p = self.params
        if p.useCats:
            return self._gts[image, category], self._dts[image, category]
        gts = [gt for pooled in p.catIds for gt in self._gts[image, pooled]]
        return gts, [dt for pooled in p.catIds for dt in self._dts[image, pooled]]


CELL_METHODS = {name: getattr(COCOeval, name) for name in ("computeIoU", "computeOks", "evaluateImg")}
"""What code written for pycocotools overrides; the way through compiled code does without them."""


def _detection_figures(caps: Sequence[int]) -> Iterator[tuple[bool, float | None, str, int]]:
    """What to average for each of the 12 figures: precision or recall, IoU threshold, area range, cap."""
    yield True, None, "all", 100
    yield True, 0.5, "all", caps[2]
    yield True, 0.75, "all", caps[2]
    for area in ("small", "medium", "large"):
        yield True, None, area, caps[2]
    for position in range(3):
        yield False, None, "all", caps[position]
    for area in ("small", "medium", "large"):
        yield False, None, area, caps[2]


def _keypoint_figures() -> Iterator[tuple[bool, float | None, str, int]]:
    """What to average for each of the 10 figures of keypoints, as in `_detection_figures`."""
    for precision in (True, False):
        for threshold in (None, 0.5, 0.75):
            yield precision, threshold, "all", 20
        for area in ("medium", "large"):
            yield precision, None, area, 20


def _by_cell(annotations: Iterable[Annotation]) -> defaultdict[Cell, list[Annotation]]:
    cells: defaultdict[Cell, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        cells[annotation["image_id"], annotation["category_id"]].append(annotation)
    return cells


def _by_score(dts: list[Annotation], cap: int) -> list[Annotation]:
    """The first `cap` detections by falling score; equal scores keep their order, and NaN comes last."""
    return [dts[d] for d in np.argsort([-dt["score"] for dt in dts], kind="mergesort")[:cap]]


def _outside(area: float, limits: Sequence[float]) -> bool:
    return area < limits[0] or area > limits[1]


def _best(row: list[float], threshold: float, ignored: list[int], crowd: list[bool], partners: list[float]) -> int:
    """The ground truth that a detection gets, or -1.

    Parameters
    ----------
    row
        Similarity with each ground truth; those that count stand before those that are ignored.
    threshold
        Smallest similarity that matches.
    ignored, crowd
        Flags of the ground truths; a crowd may be matched again and again.
    partners
        Detection id that each ground truth was matched to so far; up to 0 it is free, be it an id or not.
    """
    best, limit = -1, float(min(threshold, 1 - 1e-10))
    for g, similarity in enumerate(row):
        if best >= 0 and ignored[g] and not ignored[best]:
            break
        # not "similarity >= limit": NaN is taken, and after it whatever comes
        if similarity < limit or (partners[g] > 0 and not crowd[g]):
            continue
        best, limit = g, similarity
    return best


@dataclass(frozen=True)
class _Kept:
    """Which of the evaluated images, categories, area ranges and caps are accumulated.

    All but the caps are positions in the lists of the *new* parameters, by which the original also looks up records of
    the old ones.
    """

    images: list[int]
    categories: list[int]
    areas: list[int]
    caps: list[Any]
    n_images: int
    n_areas: int
    whole: bool
    """Nothing is left out but caps."""

    @classmethod
    def of(cls, p: Params, evaluated: Params) -> _Kept:
        pairs = (
            (p.imgIds, evaluated.imgIds),
            (p.catIds, evaluated.catIds if evaluated.useCats else [-1]),
            (list(map(tuple, p.areaRng)), list(map(tuple, evaluated.areaRng))),
        )
        images, categories, areas = (_positions(new, old) for new, old in pairs)
        return cls(
            images,
            categories,
            areas,
            [p.maxDets[m] for m in _positions(p.maxDets, evaluated.maxDets)],
            len(evaluated.imgIds),
            len(evaluated.areaRng),
            whole=len(p.iouThrs) == len(evaluated.iouThrs)
            and bool(len(p.recThrs) and np.isfinite(p.recThrs).all())
            and all(
                len(kept) == len(new) == len(old)
                for kept, (new, old) in zip((images, categories, areas), pairs, strict=True)
            ),
        )


def _positions(values: Sequence[Any], known: Iterable[Any]) -> list[int]:
    known = set(known)
    return [position for position, value in enumerate(values) if value in known]


def _count_positives(records: list[dict[str, Any]]) -> int:
    if not records:
        return 0
    return int(np.count_nonzero(np.concatenate([record["gtIgnore"] for record in records]) == 0))


def _ranked(records: list[dict[str, Any]], cap: int) -> tuple[NDArray[Any], Float, Float]:
    """Of the first `cap` detections of each record, all by falling score: the scores, and how many of the detections
    down to each are true and false positives (T, D).
    """
    scores = np.concatenate([record["dtScores"][:cap] for record in records])
    order = np.argsort(-scores, kind="mergesort")
    matched = np.concatenate([record["dtMatches"][:, :cap] for record in records], axis=1)[:, order] != 0
    counted = np.concatenate([record["dtIgnore"][:, :cap] for record in records], axis=1)[:, order] == 0
    true, false = np.cumsum(matched & counted, axis=1), np.cumsum(~matched & counted, axis=1)
    return scores[order], true.astype(np.float64), false.astype(np.float64)


def _curve(true: Float, false: Float, recall: Float, scores: NDArray[Any], at: Any) -> tuple[Float, Float]:
    """Precision and score (R,) where `recall` first reaches each of the recalls `at`; 0 from the first unreached on."""
    precision = true / (false + true + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, at, side="left")
    unreached = place >= len(recall)
    n = int(np.argmax(unreached)) if unreached.any() else len(place)
    read, score = np.zeros(len(place)), np.zeros(len(place))
    read[:n], score[:n] = precision[place[:n]], scores[place[:n]]
    return read, score


def _warn_of_zero(what: str, annotations: list[Annotation], effect: str) -> None:
    """pycocotools writes a match down as the partner's id and takes 0 for no match; say so where it matters."""
    if 0 in map(itemgetter("id"), annotations):
        warnings.warn(
            f"a {what} has the id 0, which pycocotools takes for no match: it {effect}; number annotations from 1",
            stacklevel=4,
        )
