"""The Cityscapes benchmark of pixel-level labels: IoU and instance-weighted IoU, by class and by category.

All figures come from the overlaps of the ground truth's instance ids (``*_gtFine_instanceIds.png``) with the predicted
label ids: an instance id of 1000 or more is 1000 times the label plus a running number, a smaller one is the label
itself, of stuff or of a group that nobody took apart.

Conventions
-----------
Maps hold label ids 0 to 33, not train ids. Pixels whose ground truth is not evaluated count nowhere; a prediction of a
label that is not evaluated is a miss for the class that is there. Figures are fractions.

IoU of a class is TP / (TP + FP + FN) over the pixels of the data set. iIoU weights the pixels of each instance by the
average size of its class over its own size, so that small instances count as much as large ones: iTP and iFN are
weighted, FP is not, as false pixels belong to no instance; groups give neither iTP nor iFN. A category (flat, human,
vehicle, …) is judged alike on labels joined; it has an iIoU where all of its labels have instances.

Undefined: a class or category without TP, FP and FN is NaN and left out of the means; so is the iIoU of what has no
instances.

Reference: Cordts et al., *The Cityscapes Dataset for Semantic Urban Scene Understanding*, CVPR 2016; cityscapesScripts,
``evaluation/evalPixelLevelSemanticLabeling.py``, whose own instance part no longer runs on NumPy 2.4. Weighted pixels
are summed exactly here and in file order there, which may change the last bits of an iIoU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Int, Overlaps, image_of_rows, sums_by_image
from cvbench.errors import InputError
from cvbench.metrics.base import IMAGE_ROWS, State, image_weights, rows_of
from cvbench.result import Input, Result, Signature

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""


class Label(NamedTuple):
    """A label of Cityscapes: what is painted into the maps.

    Attributes
    ----------
    name, id, category
    train_id
        The number that networks are trained with; 255 for labels that are not evaluated.
    instances
        Whether its objects are told apart.
    """

    name: str
    id: int
    train_id: int
    category: str
    instances: bool = False

    @property
    def evaluated(self) -> bool:
        """Whether pixels of this ground truth count."""
        return self.train_id != 255


LABELS = (
    Label("unlabeled", 0, 255, "void"),
    Label("ego vehicle", 1, 255, "void"),
    Label("rectification border", 2, 255, "void"),
    Label("out of roi", 3, 255, "void"),
    Label("static", 4, 255, "void"),
    Label("dynamic", 5, 255, "void"),
    Label("ground", 6, 255, "void"),
    Label("road", 7, 0, "flat"),
    Label("sidewalk", 8, 1, "flat"),
    Label("parking", 9, 255, "flat"),
    Label("rail track", 10, 255, "flat"),
    Label("building", 11, 2, "construction"),
    Label("wall", 12, 3, "construction"),
    Label("fence", 13, 4, "construction"),
    Label("guard rail", 14, 255, "construction"),
    Label("bridge", 15, 255, "construction"),
    Label("tunnel", 16, 255, "construction"),
    Label("pole", 17, 5, "object"),
    Label("polegroup", 18, 255, "object"),
    Label("traffic light", 19, 6, "object"),
    Label("traffic sign", 20, 7, "object"),
    Label("vegetation", 21, 8, "nature"),
    Label("terrain", 22, 9, "nature"),
    Label("sky", 23, 10, "sky"),
    Label("person", 24, 11, "human", instances=True),
    Label("rider", 25, 12, "human", instances=True),
    Label("car", 26, 13, "vehicle", instances=True),
    Label("truck", 27, 14, "vehicle", instances=True),
    Label("bus", 28, 15, "vehicle", instances=True),
    Label("caravan", 29, 255, "vehicle", instances=True),
    Label("trailer", 30, 255, "vehicle", instances=True),
    Label("train", 31, 16, "vehicle", instances=True),
    Label("motorcycle", 32, 17, "vehicle", instances=True),
    Label("bicycle", 33, 18, "vehicle", instances=True),
)
"""All labels that occur in maps, by id. (License plates, id -1, are painted as what is around them.)"""

AVERAGE_SIZE = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
"""Pixels of an average instance of each evaluated class with instances, as the benchmark fixes them."""

INSTANCE = 1000
"""Instance ids are this times the label, plus a number."""

_EVALUATED = np.array([label.evaluated for label in LABELS])
_WITH_INSTANCES = np.array([label.instances for label in LABELS])
_CATEGORIES = tuple(dict.fromkeys(label.category for label in LABELS))
_CATEGORY = np.array([_CATEGORIES.index(label.category) for label in LABELS])


@dataclass(frozen=True)
class CityscapesState(State):
    """Which labels meet in which image, and how well each instance is covered.

    Attributes
    ----------
    image, gt, pred : (N,) int32
        Index of the image, and label ids.
    pixels : (N,) int64
    instance_image, instance_label : (M,) int32
        One row per instance of an evaluated class: index of the image, and label id.
    instance_pixels : (M, 3) int64
        Pixels of the instance, those of them predicted as its class, and those predicted as any label of its category.
    tallies
        Pixels, pixels of ground truth that is not evaluated, instances.
    """

    image: NDArray[np.int32] = field(metadata=IMAGE_ROWS)
    gt: NDArray[np.int32] = field(metadata=rows_of("image"))
    pred: NDArray[np.int32] = field(metadata=rows_of("image"))
    pixels: Int = field(metadata=rows_of("image"))
    instance_image: NDArray[np.int32] = field(metadata=IMAGE_ROWS)
    instance_label: NDArray[np.int32] = field(metadata=rows_of("instance_image"))
    instance_pixels: Int = field(metadata=rows_of("instance_image"))


def label_problems(overlaps: Overlaps) -> tuple[list[str], list[str]]:
    """What is wrong with the ids of the ground truth, and with the labels of the predictions, in sentences.

    Returns
    -------
    gt, pred : list of str
        One sentence for each value: what it is, and in how many pixels. Empty where all is well.
    """
    gt, pred = [], []
    label = _label_of(overlaps.gt)
    for value, pixels in _totals(overlaps.gt, overlaps.pixels, (label < 0) | (label >= len(LABELS))):
        gt.append(
            f"has the id {value} in {pixels:,} pixels; expected a label of 0 to 33, or 1000 times one and a number"
        )
    lonely = (overlaps.gt > INSTANCE) & (label < len(LABELS))
    lonely[lonely] &= (_EVALUATED & ~_WITH_INSTANCES)[label[lonely]]
    for value, pixels in _totals(overlaps.gt, overlaps.pixels, lonely):
        name = LABELS[value // INSTANCE].name
        gt.append(f"has the id {value} in {pixels:,} pixels, an instance of {name!r}, a label without instances")
    for value, pixels in _totals(overlaps.pred, overlaps.pixels, (overlaps.pred < 0) | (overlaps.pred >= len(LABELS))):
        pred.append(f"has the label {value} in {pixels:,} pixels; expected label ids of 0 to 33, not train ids")
    return gt, pred


def _label_of(ids: Int) -> Int:
    return np.where(ids < INSTANCE, ids, ids // INSTANCE)


def _totals(values: Int, pixels: Int, chosen: Bool) -> list[tuple[int, int]]:
    """The distinct chosen values, ascending, each with its number of pixels."""
    found, place = np.unique(values[chosen], return_inverse=True)
    totals = np.zeros(len(found), np.int64)
    np.add.at(totals, place, pixels[chosen])
    return list(zip(found.tolist(), totals.tolist(), strict=True))


def count(overlaps: Overlaps, image_ids: NDArray[Any]) -> CityscapesState:
    """Count pixels by label, and by instance.

    Parameters
    ----------
    overlaps
        Of instance ids with predicted label ids, for I images.
    image_ids : (I,) int64 or str

    Raises
    ------
    InputError
        An id or label is none of Cityscapes; see `label_problems`.
    """
    problems = label_problems(overlaps)
    for side, found in zip(("gt", "pred"), problems, strict=True):
        if found:
            raise InputError(found[0], where=side)
    image, label = image_of_rows(overlaps.offsets), _label_of(overlaps.gt)
    counted = (overlaps.gt > INSTANCE) & (_EVALUATED & _WITH_INSTANCES)[label]
    rows = np.flatnonzero(counted)
    # rows ascend by image and id, so those of an instance stand together
    fresh = np.ones(len(rows), np.bool_)
    fresh[1:] = (image[rows][1:] != image[rows][:-1]) | (overlaps.gt[rows][1:] != overlaps.gt[rows][:-1])
    first, pixels = np.flatnonzero(fresh), overlaps.pixels[rows]
    same_class = overlaps.pred[rows] == label[rows]
    same_category = _CATEGORY[overlaps.pred[rows]] == _CATEGORY[label[rows]]
    covered = np.column_stack([pixels, pixels * same_class, pixels * same_category])
    return CityscapesState(
        image_ids=image_ids,
        digests=np.zeros(len(image_ids), np.int64),
        image=image.astype(np.int32),
        gt=label.astype(np.int32),
        pred=overlaps.pred.astype(np.int32),
        pixels=overlaps.pixels,
        instance_image=image[rows][first].astype(np.int32),
        instance_label=label[rows][first].astype(np.int32),
        instance_pixels=np.add.reduceat(covered, first, axis=0) if len(first) else covered,
        tallies={
            "pixels": sums_by_image(overlaps.pixels, overlaps.offsets),
            "ignored_pixels": sums_by_image(overlaps.pixels * ~_EVALUATED[label], overlaps.offsets),
            "instances": np.bincount(image[rows][first], minlength=len(image_ids)),
        },
    )


@dataclass(frozen=True)
class Summary:
    """Figures of a state; `cvbench.result.Result` holds the same and where they come from."""

    values: dict[str, float]
    tables: dict[str, list[dict[str, Any]]]
    arrays: dict[str, NDArray[Any]]


def summarize(state: CityscapesState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """The benchmark's four means, and the figures of each class and category.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.

    Returns
    -------
    Summary
        ``values`` hold mIoU and iIoU, means over classes, and mIoU_category and iIoU_category, means over categories.
    """
    weights = image_weights(state, weights)
    confusion = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(confusion, (state.gt, state.pred), state.pixels * weights[state.image])
    instances = np.bincount(state.instance_label, weights[state.instance_image], len(LABELS))
    classes: list[dict[str, Any]] = []
    for label in LABELS:
        if label.evaluated:
            members = np.isin(np.arange(len(LABELS)), label.id)
            row: dict[str, Any] = {"id": label.id, "name": label.name, "category": label.category}
            row |= _scores(state, weights, confusion, members, members, 1 if label.instances else None)
            row |= {"gt_pixels": int(confusion[label.id].sum())}
            row |= {"pred_pixels": int(confusion[_EVALUATED, label.id].sum()), "instances": int(instances[label.id])}
            classes.append(row)
    categories: list[dict[str, Any]] = []
    for number, name in enumerate(_CATEGORIES):
        members = np.isin(_CATEGORY, number)
        if (members & _EVALUATED).any():
            weighted = 2 if _WITH_INSTANCES[members].all() else None
            scores = _scores(state, weights, confusion, members & _EVALUATED, members, weighted)
            categories.append({"category": name, **scores})
    values = {
        "mIoU": _mean(row["IoU"] for row in classes),
        "iIoU": _mean(row["iIoU"] for row in classes),
        "mIoU_category": _mean(row["IoU"] for row in categories),
        "iIoU_category": _mean(row["iIoU"] for row in categories),
    }
    return Summary(values, {"per_category": classes, "per_group": categories}, {"confusion": confusion})


def _scores(
    state: CityscapesState, weights: Int, confusion: Int, members: Bool, all_members: Bool, column: int | None
) -> dict[str, float]:
    """IoU and iIoU of labels taken as one.

    Parameters
    ----------
    members
        The evaluated ones of the labels.
    all_members
        Those and the ones that are not evaluated: the iIoU of a category takes predictions of all of them.
    column
        Where `CityscapesState.instance_pixels` has the pixels that are right; None for labels without instances.
    """
    others = _EVALUATED & ~members
    true = int(confusion[np.ix_(members, members)].sum())
    truth, false = int(confusion[members].sum()), int(confusion[np.ix_(others, members)].sum())
    scores = {"IoU": _ratio(true, truth + false), "iIoU": math.nan}
    if column is not None:
        rows = np.flatnonzero(members[state.instance_label])
        size = state.instance_pixels[rows, 0]
        average = np.array([AVERAGE_SIZE.get(label.name, math.nan) for label in LABELS])
        factor = average[state.instance_label[rows]] / size
        copies = weights[state.instance_image[rows]]
        right = state.instance_pixels[rows, column]
        weighted_true = math.fsum(np.repeat(right * factor, copies).tolist())
        weighted_miss = math.fsum(np.repeat((size - right) * factor, copies).tolist())
        false = int(confusion[np.ix_(others, all_members)].sum())
        scores["iIoU"] = _ratio(weighted_true, weighted_true + false + weighted_miss)
    return scores


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Iterable[float]) -> float:
    """Mean of what is defined, or NaN."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def result_of(
    state: CityscapesState,
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state.

    Parameters
    ----------
    state, weights
        See `summarize`.
    conventions
        Pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    """
    summary = summarize(state, weights)
    task = f"cityscapes.semantic@{VERSION}"
    said = list(notes)
    missing = [str(row["name"]) for row in summary.tables["per_category"] if math.isnan(row["IoU"])]
    if missing:
        said.append(
            f"{len(missing)} of 19 classes are neither there nor predicted, left out of the means: {', '.join(missing)}"
        )
    return Result(
        task=task,
        values=summary.values,
        signature=Signature(task, tuple(conventions)),
        tables=summary.tables,
        counts=state.counts | dict(counts or {}),
        notes=said,
        inputs=inputs or {},
        arrays=summary.arrays,
    )
