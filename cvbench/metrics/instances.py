"""What metrics of paired keypoints share: each annotated person, face or hand has one prediction.

Nothing is matched. Every figure is a summary of one matrix, the distances of N instances and C columns over the size of
the instance, where a column is a joint, or a limb for PCP. A state holds this matrix; thresholds, means, curves,
subsets and weights come later.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Keypoints, image_of_rows, offsets_of, sums_by_image
from cvbench.errors import InputError, MismatchError, did_you_mean
from cvbench.kernels import Index, map_ranges
from cvbench.kernels.points import count_hits, count_instance_hits, distances_rows
from cvbench.metrics.base import (
    CONSTANT,
    IMAGE_ROWS,
    TABLE,
    Image,
    Metric,
    State,
    image_weights,
    rows_of,
    to_numpy,
)
from cvbench.result import Input, Result, Signature

Weights = NDArray[Any] | Mapping[Any, int] | None
"""How many times each image counts, see `cvbench.metrics.base.image_weights`."""

S = TypeVar("S", bound="InstanceState")
M = TypeVar("M", bound="InstanceMetric[Any]")

ROWS_PER_TASK = 8192
"""Instances of one task of the thread pool."""

KINDS = {
    "bbox": "the longer side of the instance's box",
    "bbox_diagonal": "the diagonal of the instance's box",
    "bbox_area": "the square root of the area of the instance's box",
    "head": "0.6 times the diagonal of the head box",
    "size": "the size that the annotation states",
    "joints": "the distance of two annotated joints, or of the means of two sets of them",
    "extent_diagonal": "the diagonal of the box around the visible annotated keypoints",
    "fixed": "a number of pixels",
    "none": "nothing",
}
"""What distances can be divided by."""

FARTHEST = 1e100
"""Coordinates from here on are refused, so that no product of theirs is infinite."""

HEAD_SHARE = 0.6
"""The head box's diagonal times this is the head size of MPII."""


@dataclass(frozen=True)
class Normalizer:
    """What distances are divided by.

    Attributes
    ----------
    kind
        One of `KINDS`.
    a, b
        For "joints": the indices of two sets of joints; the size is the distance of their means.
    value
        For "fixed": the size in pixels.

    Examples
    --------
    >>> str(Normalizer.parse("joints:36-45")), Normalizer.parse("joints:0+1-2").a
    ('joints:36-45', (0, 1))
    """

    kind: str = "bbox"
    a: tuple[int, ...] = ()
    b: tuple[int, ...] = ()
    value: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"there is no normalizer {self.kind!r}{did_you_mean(self.kind, KINDS)}")
        if self.kind == "joints" and not (self.a and self.b and min(*self.a, *self.b) >= 0):
            raise InputError(
                f"normalizer joints: found {self.a} and {self.b}, expected indices of joints on both sides"
            )
        if self.kind == "fixed" and not 0 < self.value < float("inf"):
            raise InputError(f"normalizer fixed: found {self.value}, expected a number above 0")

    def __str__(self) -> str:
        if self.kind == "joints":
            return f"joints:{'+'.join(map(str, self.a))}-{'+'.join(map(str, self.b))}"
        return f"fixed:{self.value!r}" if self.kind == "fixed" else self.kind

    @classmethod
    def parse(cls, text: str | Normalizer) -> Normalizer:
        """The normalizer that prints as `text`: ``bbox``, ``head``, ``joints:12-3``, ``joints:0+1-4``, ``fixed:30``.

        Raises
        ------
        InputError
            `text` is none.
        """
        if isinstance(text, Normalizer):
            return text
        if not isinstance(text, str):
            raise InputError(f"normalizer {text!r}: expected a Normalizer, or text such as 'bbox' or 'fixed:30'")
        kind, _, rest = text.partition(":")
        try:
            if kind == "joints":
                a, b = (tuple(int(joint) for joint in side.split("+")) for side in rest.split("-"))
                return cls(kind, a, b)
            if kind == "fixed":
                return cls(kind, value=float(rest))
        except ValueError:
            raise InputError(f"normalizer {text!r}: expected joints:12-3, joints:0+1-4 or fixed:30") from None
        if rest:
            raise InputError(f"normalizer {text!r}: {kind} takes no {rest!r}")
        return cls(kind)


def normalizers(columns: Keypoints, rule: Normalizer) -> Float:
    """(N,) what the distances of each instance are divided by; NaN where the ground truth lacks it.

    Raises
    ------
    InputError
        If no instance has what the rule asks for, or there is no such joint.
    """
    if not len(columns):
        return np.ones(0)
    if rule.kind.startswith("bbox"):
        width, height = np.maximum(_stated(columns, "boxes", rule)[:, 2:].T, 0)
        sizes: dict[str, Float] = {
            "bbox": np.maximum(width, height),
            "bbox_area": np.sqrt(width * height),
            "bbox_diagonal": np.sqrt(width**2 + height**2),
        }
        return sizes[rule.kind]
    if rule.kind == "head":
        corners = _stated(columns, "head_boxes", rule)
        diagonal: Float = np.linalg.norm(corners[:, 2:] - corners[:, :2], axis=1)
        diagonal *= HEAD_SHARE
        return diagonal
    if rule.kind == "size":
        return _stated(columns, "size", rule)
    if rule.kind == "joints":
        return _between(columns, rule)
    if rule.kind == "extent_diagonal":
        points = np.where(columns.visible[:, :, None], columns.gt, np.nan)
        seen = columns.visible.any(axis=1)
        extent = np.full((len(columns), columns.gt.shape[2]), np.nan)
        extent[seen] = np.nanmax(points[seen], axis=1) - np.nanmin(points[seen], axis=1)
        length: Float = np.linalg.norm(extent, axis=1)
        return length
    return np.full(len(columns), rule.value if rule.kind == "fixed" else 1.0)


STATED = {"boxes": ("boxes", "bbox"), "head_boxes": ("head boxes", "head"), "size": ("sizes", "size")}
"""What columns of lengths are called, and a normalizer that takes them."""


def _stated(columns: Keypoints, name: str, rule: Normalizer) -> Float:
    """A column of lengths, or of boxes; refused where the ground truth has none, with what it has."""
    value: Float | None = getattr(columns, name)
    if value is not None:
        return value
    held = [
        f"{said} (normalizer={kind})" for other, (said, kind) in STATED.items() if getattr(columns, other) is not None
    ]
    hint = f"; it has {' and '.join(held)}" if held else ""
    raise InputError(
        f"normalizer {rule.kind} is {KINDS[rule.kind]}, and the ground truth has no {STATED[name][0]}{hint}"
    )


def _between(columns: Keypoints, rule: Normalizer) -> Float:
    """Distance between the means of two sets of annotated joints; NaN where one of them is not visible."""
    joints = columns.gt.shape[1]
    if max(*rule.a, *rule.b) >= joints:
        raise InputError(f"normalizer {rule} names joint {max(*rule.a, *rule.b)}; there are {joints}, counted from 0")
    ends = [columns.gt[:, list(side)].mean(axis=1) for side in (rule.a, rule.b)]
    seen = columns.visible[:, [*rule.a, *rule.b]].all(axis=1)
    return np.where(seen, np.linalg.norm(ends[0] - ends[1], axis=1), np.nan)


def distances(
    columns: Keypoints, scale: Float | None = None, *, single: bool = False, threads: int | None = None
) -> Float:
    """(N, J) distances of predicted from annotated keypoints, over the `scale` (N,) of the instance.

    Parameters
    ----------
    columns
    scale
        None for distances in the unit of the coordinates.
    single
        Compute in float32 and divide coordinates first, as mmpose does.
    threads

    Returns
    -------
    (N, J) float64
        NaN where a keypoint does not count or the scale is not above 0, infinite where it was not predicted.
    """
    kind: type[np.floating[Any]] = np.float32 if single else np.float64
    usable = np.ones(len(columns), np.bool_) if scale is None else (scale > 0) & np.isfinite(scale)
    sizes = np.ones(len(columns), kind)
    if scale is not None:
        sizes[usable] = scale[usable]
    gt, pred = np.ascontiguousarray(columns.gt, kind), np.ascontiguousarray(columns.pred, kind)
    visible, out = columns.visible & usable[:, None], np.empty(columns.visible.shape)
    map_ranges(
        lambda start, stop: distances_rows(start, stop, gt, pred, visible, sizes, single, out),
        len(columns),
        threads,
        ROWS_PER_TASK,
    )
    return out


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps an instance from being scored: of which side and row, and what it is."""

    side: Literal["gt", "pred"]
    row: int
    message: str


def problems_of(
    columns: Keypoints,
    scale: Float | None = None,
    *,
    missing: str | None = None,
    zero_scale: str = "refuse",
    rule: Normalizer | None = None,
) -> list[Trouble]:
    """What keeps instances from being scored; empty if all can be.

    Parameters
    ----------
    columns
    scale : (N,) float64, optional
        What distances will be divided by.
    missing : {"refuse", "miss"} or None
        Whether a keypoint that counts may be missing (NaN) in the prediction; None: by these rules it never may. No
        coordinate may be infinite, or `FARTHEST`.
    zero_scale : {"refuse", "skip"}
        Whether an instance may have a scale that is not above 0.
    rule
        What the scale is, for the message.
    """
    found = []
    bad = columns.visible & ~every_coordinate(np.abs(columns.gt) < FARTHEST)
    hint = "; visible keypoints have finite coordinates"
    found += [_of_point("gt", columns.gt, row, joint, hint) for row, joint in _places(bad)]
    far = np.abs(columns.pred)
    bad = columns.visible & ~every_coordinate(~(far >= FARTHEST) if missing == "miss" else far < FARTHEST)
    for row, joint in _places(bad):
        may_miss = missing is not None and not (far[row, joint] >= FARTHEST).any()
        hint = "; missing=miss counts it as a miss" if may_miss else ""
        found.append(_of_point("pred", columns.pred, row, joint, hint))
    if scale is not None and zero_scale != "skip":
        usable = (scale > 0) & np.isfinite(scale)
        what = f" ({KINDS[rule.kind]})" if rule else ""
        for row in np.flatnonzero(~usable & columns.visible.any(axis=1)).tolist():
            size = "is missing" if np.isnan(scale[row]) else f"is {scale[row]:.6g}"
            message = f"the size to divide by{what} {size}; expected a number above 0 (zero_size=skip leaves such out)"
            found.append(Trouble("gt", row, message))
    return found


def every_coordinate(flags: Bool) -> Bool:
    """(N, J) where all of (N, J, D) hold; for so short a last axis 20 times as fast as ``flags.all(axis=2)``."""
    return reduce(np.logical_and, (flags[:, :, d] for d in range(flags.shape[2])))


def _places(flags: Bool) -> list[tuple[int, int]]:
    """Rows and joints that are set; looking whether there are any takes a thirtieth of the time of listing none."""
    return [(row, joint) for row, joint in np.argwhere(flags).tolist()] if flags.any() else []


def _of_point(side: Literal["gt", "pred"], points: Float, row: int, joint: int, hint: str) -> Trouble:
    at = ", ".join(f"{value:.6g}" for value in points[row, joint])
    far = np.isfinite(points[row, joint]).all()
    expected = f"numbers below {FARTHEST:.0e}" if far else "finite numbers"
    return Trouble(side, row, f"keypoint {joint} is at ({at}), expected {expected}{hint}")


# Rules ---------------------------------------------------------------------------------------------------------------


def indices_of(value: Any, name: str, what: str, *, none: bool = False) -> tuple[int, ...]:
    """The indices of `what` that the rule `name` states, distinct and of 0 or more; one may stand for itself.

    Raises
    ------
    InputError
        The value is something else, or empty where `none` is not allowed.
    """
    array = np.asarray(value).reshape(-1)
    sound = array.dtype.kind in "iu" and not (array < 0).any() and len(np.unique(array)) == len(array)
    if not (sound if len(array) else none):
        raise InputError(f"{name} {value!r}: expected distinct indices of {what}")
    return tuple(array.tolist())


def thresholds_of(
    value: Any, name: str, order: Literal["any", "distinct", "rising"] = "any", *, above_0: bool = False
) -> tuple[float, ...]:
    """The thresholds that the rule `name` states, finite and of 0 or more; one may stand for itself, and none will do.

    Raises
    ------
    InputError
        The value is something else, or not as asked for by `order` and `above_0`.
    """
    numbers = np.asarray(value, np.float64).reshape(-1)
    high = numbers > 0 if above_0 else numbers >= 0
    given = np.sort(numbers) if order == "distinct" else numbers
    if not (np.isfinite(numbers) & high).all() or (order != "any" and (np.diff(given) <= 0).any()):
        first, last = {"any": ("", ""), "distinct": ("distinct ", ""), "rising": ("", " that rise")}[order]
        limit = "above 0" if above_0 else "of 0 or more"
        raise InputError(f"{name} {value!r}: expected {first}finite numbers {limit}{last}")
    return tuple(numbers.tolist())


# States --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstanceState(State):
    """Distances of N instances.

    Attributes
    ----------
    image : (N,) int32
        Index of the image.
    distance : (N, C) float64
        NaN where a column does not count for an instance, infinite where it was not predicted.
    member : (N, S) bool
        Whether an instance belongs to a group.
    group_names : S names, ascending
    columns : C names
    tallies
        Instances, keypoints, and which of them are missing.
    params
    """

    image: Index = field(metadata=IMAGE_ROWS)
    distance: Float = field(metadata=rows_of("image"))
    member: Bool = field(metadata=rows_of("image"))
    group_names: tuple[str, ...] = field(metadata=TABLE)
    columns: tuple[str, ...] = field(metadata=CONSTANT)
    params: Any = field(metadata=CONSTANT)

    def align(self: S, others: list[S]) -> list[S]:
        """Give all states the groups of all, and those without instances the columns that others know."""
        parts = [self, *others]
        for part in parts:
            if part.params != self.params:
                raise MismatchError(
                    f"params differ: {self.params} and {part.params}; figures under different rules do not add"
                )
        columns = next((part.columns for part in parts if len(part.image)), self.columns)
        parts = [part if len(part.image) else replace(part, columns=columns) for part in parts]
        names = tuple(sorted(set().union(*(part.group_names for part in parts))))
        return [
            part
            if part.group_names == names
            else replace(part, member=_regrouped(part.member, part.group_names, names), group_names=names)
            for part in parts
        ]


def _regrouped(member: Bool, names: Sequence[str], union: Sequence[str]) -> Bool:
    """The membership columns in the order of the `union` of names; False for groups that were not known."""
    found = np.zeros((len(member), len(union)), np.bool_)
    found[:, [union.index(name) for name in names]] = member
    return found


def state_of(
    kind: type[S],
    columns: Keypoints,
    distance: Float,
    names: Sequence[str],
    params: Any,
    per_instance: Mapping[str, Int | Bool] | None = None,
    **rows: Any,
) -> S:
    """A state of the instances in `columns`.

    Parameters
    ----------
    kind
        `InstanceState` or a subclass, whose further fields are `rows`.
    columns
    distance : (N, C) float64
    names
        Of the C columns.
    params
    per_instance
        (N,) each: further numbers of every instance, to be counted beside ``instances``,
        ``instances_without_keypoints``, ``keypoints`` and ``missing_keypoints``.
    """
    order = sorted(range(len(columns.group_names)), key=columns.group_names.__getitem__)
    member = np.zeros((len(columns), 0), np.bool_) if columns.groups is None else columns.groups[:, order]
    unseen = columns.visible & ~every_coordinate(~np.isnan(columns.pred))
    keypoints = np.count_nonzero(columns.visible, axis=1)
    numbers = {
        "instances_without_keypoints": keypoints == 0,
        "keypoints": keypoints,
        "missing_keypoints": np.count_nonzero(unseen, axis=1),
        **(per_instance or {}),
    }
    return kind(
        image_ids=columns.image_ids,
        digests=np.zeros(len(columns.image_ids), np.int64),
        image=image_of_rows(columns.offsets).astype(np.int32),
        distance=distance,
        member=member,
        group_names=tuple(columns.group_names[i] for i in order),
        columns=tuple(names),
        tallies={"instances": np.diff(columns.offsets)}
        | {name: sums_by_image(value, columns.offsets) for name, value in numbers.items()},
        params=params,
        **rows,
    )


def names_of(given: Sequence[str] | None, number: int) -> tuple[str, ...]:
    """Names of keypoints: the given ones, or their indices."""
    if not given:
        return tuple(map(str, range(number)))
    if len(given) != number:
        raise InputError(f"there are {len(given)} names for {number} keypoints")
    return tuple(given)


def row_weights(state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Int:
    """(N,) how many times each instance counts; see `cvbench.metrics.base.image_weights`."""
    return image_weights(state, weights)[state.image]


def hits_of(
    distance: Float, weights: Int, thresholds: Sequence[float], strict: bool, threads: int | None = None
) -> tuple[Int, Int]:
    """How many distances reach each threshold, by column.

    Returns
    -------
    hits : (C, T) int64
    counted : (C,) int64
        How many are numbers, or infinite, at all.
    """
    rising, place = np.unique(np.asarray(thresholds, np.float64), return_inverse=True)
    chunks = -(-len(distance) // ROWS_PER_TASK)
    parts = np.zeros((chunks, distance.shape[1], len(rising) + 1), np.int64)

    def count(start: int, stop: int) -> None:
        count_hits(start, stop, distance, weights, rising, strict, parts[start // ROWS_PER_TASK])

    map_ranges(count, len(distance), threads, ROWS_PER_TASK)
    total = parts.sum(axis=0)
    return np.cumsum(total[:, :-1], axis=1)[:, place], total.sum(axis=1)


def instance_hits_of(distance: Float, weights: Int, thresholds: Sequence[float], strict: bool) -> Int:
    """(C + 1, C + 1, T): at v, k, t how many instances have *v* columns that count and *k* that reach threshold *t*."""
    rising, place = np.unique(np.asarray(thresholds, np.float64), return_inverse=True)
    size = distance.shape[1] + 1
    total = np.zeros((size, size, len(rising)), np.int64)
    count_instance_hits(0, len(distance), distance, weights, rising, strict, np.zeros(len(rising) + 1, np.int64), total)
    return total[:, :, place]


# Results -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """Figures of a state; `cvbench.result.Result` holds the same and where they come from."""

    values: dict[str, float]
    tables: dict[str, list[dict[str, Any]]]
    arrays: dict[str, NDArray[Any]]


def described(
    state: InstanceState,
    summary: Summary,
    task: str,
    conventions: Iterable[tuple[str, str]] = (),
    *,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    last_notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """The result that a summary of a state makes.

    Parameters
    ----------
    state
    summary
        Its figures.
    task
        Name and version.
    conventions
        Further pairs for the signature, after the rules: what the reader of the input decided.
    counts, inputs
        Further counts, and what the input was.
    notes, last_notes
        What to say before and after `remarks`.
    """
    return Result(
        task=task,
        values=summary.values,
        signature=Signature(task, (*state.params.conventions(), *conventions)),
        tables=summary.tables,
        counts=state.counts | dict(counts or {}),
        notes=[*notes, *remarks(state.counts), *last_notes],
        inputs=inputs or {},
        arrays=summary.arrays,
    )


def remarks(counts: Mapping[str, int]) -> list[str]:
    """What a reader of the figures should know of the instances."""
    said = []
    for name, whole, sentence in (
        ("missing_keypoints", "keypoints", "are not predicted and count as misses"),
        ("instances_without_keypoints", "instances", "have no keypoint that counts, left out of all figures"),
        ("instances_without_size", "instances", "have no size above 0, left out of all figures (zero_size=skip)"),
        ("instances_not_detected", "instances", "have no predicted keypoint, left out of all figures (rule=loose)"),
        ("predicted_sizes", "instances", "are divided by their predicted size, as the annotated one is below a pixel"),
    ):
        if counts.get(name):
            said.append(f"{counts[name]:,} of {counts[whole]:,} {whole} {sentence}")
    return said


# Instances in memory -------------------------------------------------------------------------------------------------

GT_KEYS = ("keypoints", "visible", "boxes", "head_boxes", "size", "groups", "image_id")
PRED_KEYS = ("keypoints", "scores", "image_id")


def columns_of(gt: Any, pred: Any, *, dims: int = 2, box_format: Literal["xyxy", "xywh"] = "xyxy") -> Keypoints:
    """Columns of one image's instances, from arrays; the arguments are copied and never changed.

    Parameters
    ----------
    gt
        Keypoints (N, J, `dims`) or, of one instance, (J, `dims`). With ``dims=2`` there may be a third number, the
        visibility: a keypoint counts where it is above 0. Or a dict with ``keypoints`` and any of ``visible`` (N, J),
        ``boxes`` (N, 4), ``head_boxes`` (N, 4) of two corners, ``size`` (N,), and ``groups``: for each instance a label
        or a list of labels.
    pred
        Keypoints like those of `gt`, in the same order; with ``dims=2`` a third number is not read. Or a dict with
        ``keypoints``.
    dims
    box_format
        Whether ``boxes`` are two corners, or corner and size.

    Raises
    ------
    InputError
        If shapes do not fit together, or a key is not known.
    """
    truth = _mapping(gt, "gt", GT_KEYS)
    points = _points(truth["keypoints"], "gt", dims)
    found = _points(_mapping(pred, "pred", PRED_KEYS)["keypoints"], "pred", dims)
    if points.shape[:2] != found.shape[:2]:
        raise InputError(
            f"gt has {len(points)} instances of {points.shape[1]} keypoints and pred {len(found)} of {found.shape[1]}; "
            "expected one prediction for each instance, in the same order"
        )
    number, joints = points.shape[:2]
    visible = points[:, :, dims] > 0 if points.shape[2] > dims else np.ones((number, joints), np.bool_)
    if truth.get("visible") is not None:
        visible = _shaped(truth["visible"], (number, joints), "gt.visible") > 0
    boxes = _optional(truth.get("boxes"), (number, 4), "gt.boxes")
    if boxes is not None and box_format == "xyxy":
        boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    groups, names = _groups(truth.get("groups"), number)
    return Keypoints(
        image_ids=np.zeros(1, np.int64),
        offsets=np.array([0, number]),
        gt=np.ascontiguousarray(points[:, :, :dims]),
        pred=np.ascontiguousarray(found[:, :, :dims]),
        visible=visible,
        boxes=boxes,
        head_boxes=_optional(truth.get("head_boxes"), (number, 4), "gt.head_boxes"),
        size=_optional(truth.get("size"), (number,), "gt.size"),
        groups=groups,
        group_names=names,
    )


def _mapping(value: Any, side: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        return {"keypoints": value}
    for name in value:
        if name not in keys:
            raise InputError(f"{side} has a key {name!r}{did_you_mean(str(name), keys)}; expected {', '.join(keys)}")
    if "keypoints" not in value:
        raise InputError(f"{side} has no 'keypoints'; it has {', '.join(map(str, value)) or 'nothing'}")
    return value


def _points(value: Any, side: str, dims: int) -> Float:
    try:
        points = np.array(to_numpy(value), np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{side}.keypoints are no array of numbers: {error}") from error
    points = points[None] if points.ndim == 2 else points
    wide = (dims, dims + 1) if dims == 2 else (dims,)
    if points.ndim != 3 or points.shape[2] not in wide:
        raise InputError(
            f"{side}.keypoints have shape {points.shape}; expected (N, J, {' or '.join(map(str, wide))}): "
            "instances, keypoints, coordinates"
        )
    return points


def _shaped(value: Any, shape: tuple[int, ...], where: str) -> Float:
    array = np.array(to_numpy(value), np.float64)
    array = array.reshape(shape) if array.size == np.prod(shape) and array.ndim == len(shape) - 1 else array
    if array.shape != shape:
        raise InputError(f"{where} has shape {array.shape}; expected {shape}")
    return array


def _optional(value: Any, shape: tuple[int, ...], where: str) -> Float | None:
    return None if value is None else _shaped(value, shape, where)


def _groups(value: Any, number: int) -> tuple[Bool | None, tuple[str, ...]]:
    """Membership and names from labels of instances."""
    if value is None:
        return None, ()
    if isinstance(value, str) or len(value) != number:
        raise InputError(f"gt.groups {value!r}: expected a label, or a list of labels, for each of {number} instances")
    labels = [(label,) if isinstance(label, str) else tuple(label) for label in value]
    names = tuple(sorted({str(name) for label in labels for name in label}))
    return np.array([[name in label for name in names] for label in labels], np.bool_).reshape(
        number, len(names)
    ), names


def joined(images: Sequence[Keypoints], image_ids: NDArray[Any], dims: int) -> Keypoints:
    """One set of columns of several images; what some images lack (boxes, sizes) is NaN there."""
    lengths = [len(image) for image in images]
    images = [image for image in images if len(image)]
    joints = images[0].gt.shape[1] if images else 0
    names = tuple(sorted(set().union(*(image.group_names for image in images))))

    def rows(name: str, tail: tuple[int, ...], fill: float) -> Any:
        parts = [getattr(image, name) for image in images]
        if all(part is None for part in parts):
            return None
        return np.concatenate(
            [
                np.full((len(image), *tail), fill) if part is None else part
                for image, part in zip(images, parts, strict=True)
            ]
        )

    return Keypoints(
        image_ids=image_ids,
        offsets=offsets_of(np.array(lengths, np.int64)),
        gt=np.concatenate([np.zeros((0, joints, dims)), *(image.gt for image in images)]),
        pred=np.concatenate([np.zeros((0, joints, dims)), *(image.pred for image in images)]),
        visible=np.concatenate([np.zeros((0, joints), np.bool_), *(image.visible for image in images)]),
        boxes=rows("boxes", (4,), np.nan),
        head_boxes=rows("head_boxes", (4,), np.nan),
        size=rows("size", (), np.nan),
        groups=np.concatenate([np.zeros((0, len(names)), np.bool_), *(_member(image, names) for image in images)])
        if names
        else None,
        group_names=names,
    )


def _member(image: Keypoints, names: tuple[str, ...]) -> Bool:
    groups = np.zeros((len(image), 0), np.bool_) if image.groups is None else image.groups
    return _regrouped(groups, image.group_names, names)


class InstanceMetric(Metric[S]):
    """What metrics of paired keypoints share: taking the instances of an image, and checking them.

    Subclasses set `dims`, refuse what they cannot score in `_problems`, count in `_counted` and score in `_result`.
    """

    dims = 2
    box_format: Literal["xyxy", "xywh"] = "xyxy"
    threads: int | None = None

    def reset(self: M) -> M:
        """Forget all images."""
        self._joints: int | None = None
        return super().reset()

    def update(self: M, gt: Any, pred: Any, image_id: int | str | None = None) -> M:
        """Add the instances of one image, each with its prediction.

        Parameters
        ----------
        gt, pred
            Arrays of keypoints, or dicts, see `cvbench.metrics.instances.columns_of`.
        image_id
            An integer or string; None: that of ``gt["image_id"]``, or else a running number.

        Raises
        ------
        InputError
            The two do not fit together, or an instance cannot be scored; the message says which.
        """
        if image_id is None and isinstance(gt, Mapping):
            image_id = gt.get("image_id")
        columns = columns_of(gt, pred, dims=self.dims, box_format=self.box_format)
        number, joints = columns.visible.shape
        if number and self._joints not in (None, joints):
            raise InputError(f"there are {joints} keypoints here and {self._joints} in images before")
        for trouble in self._problems(columns):
            raise InputError(trouble.message, where=f"{trouble.side}[{trouble.row}]")
        self._add([image_id], [_packed(columns)])
        self._joints = joints if number else self._joints
        return self

    def _count(self, images: list[Image]) -> S:
        ids = np.array([image.id for image in images]) if images else np.zeros(0, np.int64)
        order = np.argsort(ids, kind="stable").tolist()
        columns = joined([_unpacked(images[i].arrays) for i in order], ids[order], self.dims)
        state = self._counted(columns)
        return replace(state, digests=np.array([images[i].digest for i in order], np.int64))

    def compute(self, weights: Weights = None) -> Result:
        """Score all images so far; more may follow.

        Parameters
        ----------
        weights
            How many times each image counts: integers along ``metric.state.image_ids``, or a mapping from image id;
            None: once.
        """
        return self._result(weights)

    @abstractmethod
    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        """What keeps instances from being scored."""

    @abstractmethod
    def _counted(self, columns: Keypoints) -> S:
        """The state of instances without problems."""

    @abstractmethod
    def _result(self, weights: Weights) -> Result:
        """The result of the state."""


_PACKED = ("gt", "pred", "visible", "boxes", "head_boxes", "size", "groups")


def _packed(columns: Keypoints) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(columns, name) for name in _PACKED if getattr(columns, name) is not None}
    return arrays | {"group_names": np.array(columns.group_names, np.str_)}


def _unpacked(arrays: Mapping[str, NDArray[Any]]) -> Keypoints:
    given: dict[str, Any] = {name: arrays.get(name) for name in _PACKED}
    names = tuple(arrays["group_names"].tolist())
    return Keypoints(np.zeros(1, np.int64), np.array([0, len(arrays["gt"])]), **given, group_names=names)
