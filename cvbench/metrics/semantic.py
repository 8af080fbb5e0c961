"""Semantic segmentation: mean IoU, accuracy, Dice and the boundaries of classes, all from which labels meet.

Every pixel has a class in the ground truth and one in the prediction, or is ignored. What counts is how many pixels of
each class are predicted as each class: the confusion matrix, per image. Boundaries need two more counts per pair of
classes (boundary IoU) and four per class and image (boundary F).

Conventions
-----------
Labels are integers; which ones are classes, and which are ignored, is said by `SemanticParams`. A pixel whose ground
truth is ignored counts nowhere. A pixel predicted as an ignored label is a miss for the class that is there and
nobody's false positive. Any other label that is no class is refused, see `label_problems`. Ignoring a class's pixels
and leaving a class out of the means are two things: ``ignore_index=0`` never looks at the pixels, ``exclude=0`` counts
the class's false positives against the others and only leaves its own figures out.

The rules on labels work on the few rows of `cvbench.columns.Overlaps`, never on pixels.

With P, G and B the pixels predicted as a class, those that are of it, and those that are both: IoU = B / (P + G − B),
Dice = 2 B / (P + G), Acc = B / G (the class's recall), Precision = B / P. mIoU, mDice, mAcc and mPrecision are means
over classes, fwIoU is the mean of IoU weighted by G, aAcc is the share of all pixels that are right, of excluded
classes, too. Figures are fractions.

``aggregate="dataset"`` adds up the pixels of all images first. ``aggregate="image"`` takes every figure image by image:
mIoU is then the mean over all pairs of an image and a class that is defined in it, which is what torchmetrics computes,
and no mean of means.

Boundary IoU is the IoU of the bands along the inside of each class's outline, pixels within ``dilation_ratio`` of the
image's diagonal from another class or from the edge of the image; ignored ground truth bounds what lies beside it.
Boundary F is the harmonic mean of precision and recall of outlines that may be ``boundary_tolerance`` apart, image by
image, averaged over the images in which the ground truth or the prediction has the class, then over classes; pixels of
ignored ground truth are taken out of both maps before outlines are drawn. Whether a class is absent, or only predicted,
is for boundary F always asked of the whole data set.

Undefined (NaN, left out of means): all figures of a class without a pixel in either map, unless ``absent="zero"``; all
figures of a class that is predicted but is nowhere in the ground truth under ``pred_only="skip"``, and its Acc always;
Precision of what is never predicted; boundary IoU where no pixel that counts lies in a band; all means where no class
is left.

Reference: Everingham et al., *The Pascal Visual Object Classes Challenge*, IJCV 2010; Cheng et al., *Boundary IoU*,
CVPR 2021; Perazzi et al., *A Benchmark Dataset … for Video Object Segmentation*, CVPR 2016 (boundary F). `PRESETS` has
the rules of mmsegmentation, detectron2, cityscapesScripts and torchmetrics. Named deviations: pixels are counted
exactly where mmsegmentation adds float32; ground truth of a label that is neither class nor ignored is refused where
mmsegmentation counts the prediction there as false; ``label_map`` comes after ``reduce_zero_label`` as in
mmsegmentation 1.x, where 0.x and Hugging Face's mean_iou apply it before; detectron2's BoundaryIoU, which erodes the
map of labels, is another figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Overlaps, image_of_rows, sums_by_image
from cvbench.errors import InputError, did_you_mean
from cvbench.kernels import Index
from cvbench.metrics.base import CONSTANT, IMAGE_ROWS, State, check_flags, image_weights, rows_of
from cvbench.metrics.boundary import boundary_f_counts, boundary_f_scores, region_bands
from cvbench.metrics.cityscapes import LABELS
from cvbench.metrics.overlaps import count_overlaps
from cvbench.result import Input, Result, Signature

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

ZERO_LABEL = 255
"""What ``reduce_zero_label`` makes of label 0, and leaves alone."""

PRESETS: dict[str, dict[str, Any]] = {
    "mmseg": {"ignore_index": 255, "absent": "skip", "pred_only": "zero", "aggregate": "dataset"},
    "detectron2": {"ignore_index": 255, "absent": "skip", "pred_only": "skip", "aggregate": "dataset"},
    "cityscapes": {
        "class_ids": tuple(label.id for label in LABELS if label.evaluated),
        "ignore_index": (-1, *(label.id for label in LABELS if not label.evaluated)),
        "absent": "skip",
        "pred_only": "zero",
        "aggregate": "dataset",
    },
    "torchmetrics": {"ignore_index": None, "absent": "skip", "pred_only": "zero", "aggregate": "image"},
}
"""The rules of other evaluators. ``cityscapes`` is for maps of label ids; maps of train ids are counted alike by
``mmseg`` with 19 classes.
"""


@dataclass(frozen=True)
class SemanticParams:
    """The rules of semantic figures; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    class_ids
        The labels that are classes, in the order of the confusion matrix.
    ignore_index
        Labels whose pixels are not looked at; one, several or None. Where a class is among them, its pixels in the
        ground truth are not looked at, and predictions of it remain false.
    exclude
        Classes whose figures are left out of the means.
    reduce_zero_label
        In the ground truth, 0 becomes 255 and 1 to 254 become one less, as data sets with 0 for "other" need it.
    label_map
        Pairs of an old and a new label, or a mapping: applied to the ground truth, after `reduce_zero_label`, each
        label at most once.
    pred_only
        A class that is predicted and nowhere in the ground truth has IoU 0 (``zero``) or is left out (``skip``).
    absent
        A class in neither map is left out (``skip``) or has all figures 0 (``zero``).
    aggregate
        Whether pixels are added up over the ``dataset`` or figures are taken by ``image``.
    boundary
        Also measure boundary IoU and boundary F.
    dilation_ratio
        Width of the boundary band as a fraction of the image diagonal.
    boundary_tolerance
        How far outlines may be apart for boundary F, as a fraction of the image diagonal rounded up to pixels; 1 or
        more are pixels.
    """

    class_ids: tuple[int, ...]
    ignore_index: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()
    reduce_zero_label: bool = False
    label_map: tuple[tuple[int, int], ...] = ()
    pred_only: Literal["zero", "skip"] = "zero"
    absent: Literal["skip", "zero"] = "skip"
    aggregate: Literal["dataset", "image"] = "dataset"
    boundary: bool = False
    dilation_ratio: float = 0.02
    boundary_tolerance: float = 0.008

    @classmethod
    def of(cls, preset: str | None = None, num_classes: int | None = None, **changes: Any) -> SemanticParams:
        """The rules of a preset, or of none, with `changes`.

        Parameters
        ----------
        preset : {"mmseg", "detectron2", "cityscapes", "torchmetrics"} or None
        num_classes
            Stands for ``class_ids`` of 0, 1, … num_classes − 1.
        **changes
            Any attribute. ``ignore_index`` and ``exclude`` may be single labels, ``label_map`` may be a mapping.

        Raises
        ------
        InputError
            A preset or rule is unknown, a value impossible, or there is not one statement of the classes.

        Examples
        --------
        >>> SemanticParams.of("mmseg", 3).ignore_index
        (255,)
        """
        known = [field.name for field in fields(cls)]
        for name in changes:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        if preset is not None and preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}{did_you_mean(preset, PRESETS)}")
        rules = PRESETS[preset] if preset is not None else {}
        given = [name for name in ("class_ids",) if name in changes] + ["num_classes"] * (num_classes is not None)
        if "class_ids" in rules and given:
            raise InputError(
                f"preset {preset!r} has classes of its own, so {given[0]} cannot be given; "
                "for maps of train ids take preset 'mmseg' with 19 classes, which counts alike"
            )
        if len(given) + ("class_ids" in rules) != 1:
            raise InputError("expected the classes once, as num_classes or as class_ids")
        if num_classes is not None:
            number = _labels(num_classes, "num_classes")
            if len(number) != 1 or number[0] < 1:
                raise InputError(f"num_classes {num_classes!r}: expected an integer of 1 or more")
            changes["class_ids"] = tuple(range(number[0]))
        return cls(**(rules | changes))

    def __post_init__(self) -> None:
        check_flags(self)
        for name in ("class_ids", "ignore_index", "exclude"):
            object.__setattr__(self, name, _labels(getattr(self, name), name))
        given: Any = self.label_map
        pairs = list(given.items()) if isinstance(given, Mapping) else list(given or ())
        if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            raise InputError(f"label_map {given!r}: expected pairs of an old and a new label")
        object.__setattr__(self, "label_map", tuple((*map(int, _labels(pair, "label_map")),) for pair in pairs))
        self._check_choices()
        self._check_labels()

    def _check_choices(self) -> None:
        for name, choices in (
            ("pred_only", ("zero", "skip")),
            ("absent", ("skip", "zero")),
            ("aggregate", ("dataset", "image")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")
        for name in ("dilation_ratio", "boundary_tolerance"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not above 0")

    def _check_labels(self) -> None:
        if not self.class_ids:
            raise InputError("class_ids is empty; expected at least one label")
        for name, values in (("class_ids", self.class_ids), ("label_map", [old for old, _ in self.label_map])):
            if len(set(values)) < len(values):
                raise InputError(f"{name} names a label twice; expected each at most once")
        strange = sorted(set(self.exclude) - set(self.class_ids))
        if strange:
            raise InputError(f"exclude names {strange[0]}, which is no class; expected some of {_some(self.class_ids)}")
        if self.reduce_zero_label and ZERO_LABEL not in self.ignore_index:
            raise InputError("reduce_zero_label turns label 0 into 255, which is not ignored; set ignore_index=255")
        if self.reduce_zero_label and max(self.class_ids) >= ZERO_LABEL:
            raise InputError("reduce_zero_label is for labels of 8 bits; expected classes below 255")

    def gt_classes(self, labels: Int) -> Int:
        """The class of each label of the ground truth: its index, K where it is ignored, −1 where it is neither."""
        if self.reduce_zero_label:
            shifted = np.where((labels > 0) & (labels < ZERO_LABEL), labels - 1, labels)
            labels = np.where(labels == 0, ZERO_LABEL, shifted)
        old, new = np.array(self.label_map, np.int64).reshape(-1, 2).T
        place = _places(labels, old)
        labels = np.where(place >= 0, np.append(new, 0)[place], labels)
        return np.where(np.isin(labels, self.ignore_index), len(self.class_ids), _places(labels, self.class_ids))

    def pred_classes(self, labels: Int) -> Int:
        """The class of each predicted label: its index, K where it is an ignored label, −1 where it is neither."""
        place = _places(labels, self.class_ids)
        return np.where((place < 0) & np.isin(labels, self.ignore_index), len(self.class_ids), place)


def _labels(value: Any, name: str) -> tuple[int, ...]:
    """Labels given one by one, as one or as None."""
    array = np.asarray(() if value is None else value)
    if array.size and (array.dtype.kind not in "iu" or array.ndim > 1):
        raise InputError(f"{name} {value!r}: expected labels, which are integers")
    return tuple(array.reshape(-1).tolist())


def _places(values: Int, among: Any) -> Int:
    """Where each value stands in `among`, a sequence of distinct integers; −1 where it does not."""
    among = np.asarray(among, np.int64)
    if not len(among):
        return np.full(values.shape, -1, np.int64)
    order = np.argsort(among)
    nearest = order[np.minimum(np.searchsorted(among[order], values), len(among) - 1)]
    return np.where(among[nearest] == values, nearest, -1)


def _some(labels: Iterable[int]) -> str:
    """Labels for a message: a range, or the first few."""
    values = list(labels)
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")


def compare(gt: Any, pred: Any, params: SemanticParams, *, where: str = "pred") -> tuple[Overlaps, Int | None]:
    """What `count` needs to know of one image.

    Parameters
    ----------
    gt, pred : array of integers
        Label maps of equal shape, of any integer type; (H, W) where boundaries are measured.
    params
        The rules. Labels are mapped to classes, pixel by pixel, only where ``params.boundary`` asks for outlines.
    where
        What messages call `pred`.

    Returns
    -------
    overlaps
        Of one image, in the maps' own labels; its bands are those of the classes' regions.
    boundary_f : (K, 4) int64 or None
        As `cvbench.metrics.boundary.boundary_f_counts` counts.

    Raises
    ------
    InputError
        The maps differ in shape or hold no integers.
    """
    if not params.boundary:
        return count_overlaps(gt, pred, where=where), None
    if np.ndim(gt) != 2 or np.shape(gt) != np.shape(pred):
        found = f"{np.shape(gt)} and {np.shape(pred)}"
        raise InputError(f"maps have shapes {found}; boundaries need two maps of one shape (H, W)", where=where)
    classes = [_class_map(gt, params.gt_classes, len(params.class_ids))]
    classes.append(_class_map(pred, params.pred_classes, len(params.class_ids)))
    bands = tuple(region_bands(regions, params.dilation_ratio) for regions in classes)
    overlaps = count_overlaps(gt, pred, bands=(bands[0], bands[1]), where=where)
    numbers, valid = np.arange(len(params.class_ids)), classes[0] < len(params.class_ids)
    return overlaps, boundary_f_counts(classes[0], classes[1], numbers, params.boundary_tolerance, valid)


def _class_map(labels: NDArray[Any], classify: Callable[[Int], Int], none: int) -> Index:
    """(H, W) the class of each pixel; `none` where it is ignored or no class."""
    if labels.dtype.kind not in "iub":
        raise InputError(f"a map holds {labels.dtype}; expected integers, take the argmax of logits first")
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if high > np.iinfo(np.int64).max:
        raise InputError(f"a map holds {high}; expected values below 2**63")
    if high - low < MANY_LABELS:  # looked up in a table: a twentieth of the time that sorting takes
        values, place = np.arange(low, high + 1), labels.astype(np.int64) - low
    else:
        values, place = np.unique(labels.astype(np.int64), return_inverse=True)
    classes = classify(values)
    return np.where(classes < 0, none, classes).astype(np.int32)[place.reshape(labels.shape)]


MANY_LABELS = 1 << 16
"""Beyond this range of labels, a table of all of them is too large."""


def label_problems(overlaps: Overlaps, params: SemanticParams) -> tuple[list[str], list[str]]:
    """What is wrong with the labels of the ground truth, and with those of the predictions, in sentences.

    Predictions on ignored ground truth may be anything.

    Parameters
    ----------
    overlaps
    params

    Returns
    -------
    gt, pred : list of str
        One sentence for each label that is neither a class nor ignored, with its pixels. Empty where all is well.

    Examples
    --------
    >>> overlaps = count_overlaps(np.array([[0, 1, 7]]), np.array([[0, 1, 1]]))
    >>> label_problems(overlaps, SemanticParams.of(num_classes=2))[0][0]
    'has label 7 in 1 pixels; expected a class (0, 1) or an ignored label (none)'
    """
    gt, pred = params.gt_classes(overlaps.gt), params.pred_classes(overlaps.pred)
    counted = gt != len(params.class_ids)
    return _strange(overlaps.gt, gt < 0, overlaps, params), _strange(
        overlaps.pred, counted & (pred < 0), overlaps, params
    )


def _strange(labels: Int, chosen: Bool, overlaps: Overlaps, params: SemanticParams) -> list[str]:
    values, place = np.unique(labels[chosen], return_inverse=True)
    pixels = np.zeros(len(values), np.int64)
    np.add.at(pixels, place, overlaps.pixels[chosen])
    expected = f"a class ({_some(params.class_ids)}) or an ignored label ({_some(params.ignore_index) or 'none'})"
    return [f"has label {value} in {n:,} pixels; expected {expected}" for value, n in zip(values, pixels, strict=True)]


@dataclass(frozen=True)
class SemanticState(State):
    """Which classes meet in which image.

    Attributes
    ----------
    image, gt, pred : (N,) int32
        Index of the image and of the two classes. `pred` is K where an ignored label is predicted; pixels of ignored
        ground truth have no rows.
    pixels : (N,) int64
    bands : (N, 3) int64
        As `cvbench.columns.Overlaps` has them; no rows where boundaries are not measured.
    outline_image, outline_class : (M,) int32
        One row per image and class that either map has; none where boundaries are not measured.
    outline : (M, 4) int64
        Outline pixels: matched predicted ones, predicted ones, matched ones of the ground truth, those of the ground
        truth.
    tallies
        Pixels, how many of them are ignored, and how many are predicted as an ignored label.
    params
        The rules.
    """

    image: Index = field(metadata=IMAGE_ROWS)
    gt: Index = field(metadata=rows_of("image"))
    pred: Index = field(metadata=rows_of("image"))
    pixels: Int = field(metadata=rows_of("image"))
    bands: Int = field(metadata=rows_of("image"))
    outline_image: Index = field(metadata=IMAGE_ROWS)
    outline_class: Index = field(metadata=rows_of("outline_image"))
    outline: Int = field(metadata=rows_of("outline_image"))
    params: SemanticParams = field(metadata=CONSTANT)


def count(
    overlaps: Overlaps, image_ids: NDArray[Any], params: SemanticParams, boundary_f: Int | None = None
) -> SemanticState:
    """Count pixels by class.

    Parameters
    ----------
    overlaps
        Of I pairs of label maps, see `compare`.
    image_ids : (I,) int64 or str
    params
        The rules.
    boundary_f : (I, K, 4) int64
        Needed where boundaries are measured, as the bands of `overlaps` are.

    Raises
    ------
    InputError
        A label is neither a class nor ignored, see `label_problems`; boundaries are asked for and not there.
    """
    for side, problems in zip(("gt", "pred"), label_problems(overlaps, params), strict=True):
        if problems:
            raise InputError(problems[0], where=side)
    n_classes, image = len(params.class_ids), image_of_rows(overlaps.offsets)
    gt, pred = params.gt_classes(overlaps.gt), params.pred_classes(overlaps.pred)
    rows = np.flatnonzero(gt < n_classes)
    bands, seen, outline = np.zeros((0, 3), np.int64), np.zeros((len(image_ids), n_classes), np.bool_), boundary_f
    if params.boundary:
        if overlaps.bands is None or outline is None:
            raise InputError("boundaries are to be measured, and the columns have no bands or outlines")
        bands = overlaps.bands[rows]
        seen[image[rows], gt[rows]] = True
        predicted = rows[pred[rows] < n_classes]
        seen[image[predicted], pred[predicted]] = True
    outline_image, outline_class = np.nonzero(seen)
    return SemanticState(
        image_ids=image_ids,
        digests=np.zeros(len(image_ids), np.int64),
        image=image[rows].astype(np.int32),
        gt=gt[rows].astype(np.int32),
        pred=pred[rows].astype(np.int32),
        pixels=overlaps.pixels[rows],
        bands=bands,
        outline_image=outline_image.astype(np.int32),
        outline_class=outline_class.astype(np.int32),
        outline=np.zeros((0, 4), np.int64) if outline is None else outline[seen],
        tallies={
            "pixels": sums_by_image(overlaps.pixels, overlaps.offsets),
            "ignored_pixels": sums_by_image(overlaps.pixels * (gt == n_classes), overlaps.offsets),
            "predicted_as_ignored": sums_by_image(
                overlaps.pixels * ((gt < n_classes) & (pred == n_classes)), overlaps.offsets
            ),
        },
        params=params,
    )


def confusion(state: SemanticState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Int:
    """(K, K + 1) pixels by class of the ground truth and predicted class; the last column is that of ignored labels.

    Parameters
    ----------
    state
    weights
        How many times each image counts, see `cvbench.metrics.base.image_weights`.
    """
    matrix = np.zeros((len(state.params.class_ids), len(state.params.class_ids) + 1), np.int64)
    np.add.at(matrix, (state.gt, state.pred), state.pixels * image_weights(state, weights)[state.image])
    return matrix


@dataclass(frozen=True)
class Summary:
    """Figures of a state; `cvbench.result.Result` holds the same and where they come from."""

    values: dict[str, float]
    tables: dict[str, list[dict[str, Any]]]
    arrays: dict[str, NDArray[Any]]


def summarize(
    state: SemanticState,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    names: Mapping[int, str] | None = None,
) -> Summary:
    """The figures of the data set and of each class.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image: the figures are those of a data set in which each image stands as often as its weight
        says.
    names
        Class names by label.

    Returns
    -------
    Summary
        ``values`` hold mIoU, fwIoU, aAcc, mAcc, mDice, mPrecision and, where boundaries are measured, mBoundaryIoU and
        mBoundaryF. ``arrays`` hold the ``confusion`` matrix, see `confusion`.

    Examples
    --------
    >>> overlaps = count_overlaps(np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]]))
    >>> state = count(overlaps, np.array([1]), SemanticParams.of(num_classes=2))
    >>> round(summarize(state).values["mIoU"], 6)
    0.583333
    """
    weights, params = image_weights(state, weights), state.params
    sums = _Sums.of(state, weights)
    truth, found = sums.by(state.gt, state.pixels), sums.by(state.pred, state.pixels)
    both = sums.by(state.gt, state.pixels, state.gt == state.pred)
    figures = {
        "IoU": _ratio(both, truth + found - both),
        "Acc": _ratio(both, truth),
        "Precision": _ratio(both, found),
        "Dice": _ratio(2 * both, truth + found),
    }
    if params.boundary:
        inside = sums.by(state.gt, state.bands[:, 2], state.gt == state.pred)
        outside = sums.by(state.gt, state.bands[:, 0]) + sums.by(state.pred, state.bands[:, 1])
        figures["BoundaryIoU"] = _ratio(inside, outside - inside)
    for figure in figures.values():
        _settle(figure, truth, found, params)
    counted = ~np.isin(params.class_ids, params.exclude)
    means = {f"m{name}": _mean(values[:, counted], sums.repeats) for name, values in figures.items()}
    frequency = np.where(counted & ~np.isnan(figures["IoU"]), truth, 0)
    weighted = np.nansum(figures["IoU"] * frequency, axis=1)
    overall = _ratio(both.sum(axis=1), truth.sum(axis=1))
    values = {
        "mIoU": means.pop("mIoU"),
        "fwIoU": _mean(_ratio(weighted, frequency.sum(axis=1))[:, None], sums.repeats),
        "aAcc": _mean(overall[:, None], sums.repeats),
        "mAcc": means["mAcc"],
        "mDice": means["mDice"],
        "mPrecision": means["mPrecision"],
    }
    columns = {name: [_mean(column[:, None], sums.repeats) for column in rows.T] for name, rows in figures.items()}
    matrix = confusion(state, weights)
    if params.boundary:
        f = _boundary_f(state, weights)
        _settle(f[None], matrix.sum(axis=1)[None], matrix[:, :-1].sum(axis=0)[None], params)
        columns["BoundaryF"] = f.tolist()
        values |= {"mBoundaryIoU": means["mBoundaryIoU"], "mBoundaryF": _mean(f[None, counted], np.ones(1, np.int64))}
    rows = [
        {
            "id": label,
            "name": (names or {}).get(label, str(label)),
            **{name: column[k] for name, column in columns.items()},
            "gt_pixels": int(matrix[k].sum()),
            "pred_pixels": int(matrix[:, k].sum()),
        }
        for k, label in enumerate(params.class_ids)
    ]
    return Summary(values, {"per_category": rows}, {"confusion": matrix})


@dataclass(frozen=True)
class _Sums:
    """How rows are added up: over the data set, as often as their images weigh, or image by image.

    Attributes
    ----------
    group : (N,) int64
        The sum that each row belongs to.
    times : (N,) int64
        How often the row counts in it.
    repeats : (n,) int64
        How often each sum counts in a mean.
    classes
        Number of classes.
    """

    group: Int
    times: Int
    repeats: Int
    classes: int

    @classmethod
    def of(cls, state: SemanticState, weights: Int) -> _Sums:
        classes = len(state.params.class_ids)
        if state.params.aggregate == "image":
            return cls(state.image.astype(np.int64), np.ones(len(state.image), np.int64), weights, classes)
        return cls(np.zeros(len(state.image), np.int64), weights[state.image], np.ones(1, np.int64), classes)

    def by(self, classes: Index, amounts: Int, chosen: Bool | None = None) -> Int:
        """(n, K) the amounts of all rows, or of the chosen ones, by class."""
        sums = np.zeros((len(self.repeats), self.classes), np.int64)
        rows = np.flatnonzero(classes < self.classes if chosen is None else chosen)
        np.add.at(sums, (self.group[rows], classes[rows]), amounts[rows] * self.times[rows])
        return sums


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Float:
    """The quotient, NaN where the divisor is 0."""
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient


def _settle(figure: Float, truth: Int, found: Int, params: SemanticParams) -> None:
    """Apply the rules on classes that are absent, or only predicted; all arguments are (n, K)."""
    if params.absent == "zero":
        figure[truth + found == 0] = 0
    if params.pred_only == "skip":
        figure[(truth == 0) & (found > 0)] = np.nan


def _mean(values: Float, repeats: Int) -> float:
    """Mean of what is defined in (n, k), where row *i* stands ``repeats[i]`` times; NaN of nothing.

    The sum is exact before it is rounded, so that the order of images cannot matter.
    """
    every = np.repeat(values, repeats, axis=0)
    defined = every[~np.isnan(every)].tolist()
    return math.fsum(defined) / len(defined) if defined else math.nan


def _boundary_f(state: SemanticState, weights: Int) -> Float:
    """(K,) boundary F, averaged over the images that have the class in either map.

    As DAVIS has it: an outline without a counterpart in the other map gives 0, two missing ones give 1.
    """
    f = boundary_f_scores(state.outline)
    of_class = (np.flatnonzero(state.outline_class == k) for k in range(len(state.params.class_ids)))
    return np.array([_mean(f[rows, None], weights[state.outline_image[rows]]) for rows in of_class])


def result_of(
    state: SemanticState,
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
    conventions
        Further pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    """
    params = state.params
    summary = summarize(state, weights, names)
    task = f"semantic.miou@{VERSION}"
    rows = summary.tables["per_category"]
    said = [*notes, *_remarks(rows, params)]
    if state.counts["predicted_as_ignored"]:
        said.append(
            f"{state.counts['predicted_as_ignored']:,} pixels of a class are predicted as an ignored label: they are "
            "misses, and nobody's false positives"
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


def _remarks(rows: list[dict[str, Any]], params: SemanticParams) -> list[str]:
    """What the rules on absent classes did to the means."""
    absent = [row["name"] for row in rows if row["gt_pixels"] + row["pred_pixels"] == 0]
    pred_only = [row["name"] for row in rows if row["gt_pixels"] == 0 and row["pred_pixels"] > 0]
    said = []
    for names, fact, rule, outcome in (
        (absent, "in neither map", "absent", params.absent),
        (pred_only, "predicted and nowhere in the ground truth", "pred_only", params.pred_only),
    ):
        if names:
            listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            effect = "left out of the means" if outcome == "skip" else "counted with IoU 0"
            said.append(f"{len(names)} of {len(rows)} classes are {fact}, {effect} ({rule}={outcome}): {listed}")
    return said


def _conventions(params: SemanticParams) -> list[tuple[str, str]]:
    """The rules as pairs for a signature; those of boundaries only where they are measured."""
    pairs = [
        ("classes", _list(params.class_ids)),
        ("ignore", _list(params.ignore_index)),
        ("exclude", _list(params.exclude)),
        ("reduce_zero_label", "yes" if params.reduce_zero_label else "no"),
        ("label_map", ",".join(f"{old}>{new}" for old, new in params.label_map) or "none"),
        ("pred_only", params.pred_only),
        ("absent", params.absent),
        ("aggregate", params.aggregate),
    ]
    if params.boundary:
        pairs.append(("dilation_ratio", repr(params.dilation_ratio)))
        pairs.append(("boundary_tolerance", repr(params.boundary_tolerance)))
    return pairs


def _list(labels: tuple[int, ...]) -> str:
    """Labels as ``first-last`` where they count up, else one by one."""
    if len(labels) > 2 and labels == tuple(range(labels[0], labels[-1] + 1)):
        return f"{labels[0]}-{labels[-1]}"
    return ",".join(map(str, labels)) or "none"
