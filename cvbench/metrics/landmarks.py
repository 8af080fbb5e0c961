"""NME of landmarks: how far predicted landmarks are from annotated ones, over the size of the face.

Each annotated face has one prediction; nothing is matched. Data sets disagree on what distances are divided by, and so
do evaluators on means and areas: each is a choice of `NmeParams`, and `PRESETS` has those of data sets by their names.

Conventions
-----------
Landmarks (N, J, 2) in pixels. The error of a face is the mean of the distances of its landmarks that count, over the
size of the face. NME is the mean over faces, of which each counts alike; with ``mean="points"``, as in mmpose, the mean
over all landmarks of all faces. Figures are fractions, where papers print percent.

``FR@t``, the failure rate, is the share of faces with an error above *t*. ``AUC@t`` is the area under the curve of
cumulative errors (CED), the share of faces with an error of at most x for x from 0 to *t*, over *t*. With
``curve="exact"`` that is the mean of max(0, 1 - error / t), without steps. With ``curve="pipnet"`` the curve is sampled
every 0.0001 and integrated by Simpson's rule, as PIPNet and those after it do. Where rounding adds a sample beyond *t*,
which it does for 0.05 and 0.07, FR is that of this sample, and the AUC of perfect predictions is 1.002 or 1.0014.

Landmarks that are annotated as occluded count like others unless they are marked as not visible. With
``missing="miss"``, a face with a landmark that was not predicted has an infinite error: it fails, has no area, and
leaves NME undefined.

The curve of all faces and of each group is in the arrays ``x`` (T,), ``y`` (L, T) and ``lines`` (L,).

Undefined (NaN): figures of a landmark, a group or a data set without a landmark that counts; NME of what is infinite.

Reference: Sagonas et al., *300 Faces In-The-Wild Challenge*, IMAVIS 2016. Evaluators:
HRNet-Facial-Landmark-Detection, ``lib/core/evaluation.py``; PIPNet, ``lib/functions.py``; mmpose 759b39c,
``keypoint_nme``; MenpoBenchmark, ``compute_diag_error.m`` and ``compute_eye_corner_error.m``. Named deviations:
``curve="pipnet"`` has the Simpson rule of SciPy before 1.11, from PIPNet's time; later ones integrate an even number of
samples (0.05 and 0.07) otherwise, and AUC differs by some 1e-5. mmpose computes in float32, gives 0 where nothing
counts, and divides by a million where a size is negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Float, Int, Keypoints
from cvbench.errors import InputError, did_you_mean
from cvbench.metrics.instances import (
    InstanceMetric,
    InstanceState,
    Normalizer,
    Summary,
    Trouble,
    Weights,
    described,
    distances,
    indices_of,
    names_of,
    normalizers,
    problems_of,
    row_weights,
    state_of,
    thresholds_of,
)
from cvbench.metrics.sums import exact_means
from cvbench.result import Input, Result

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

STEP = 1e-4
"""Between the samples of PIPNet's curve."""

CURVE_POINTS = 1001
"""Points of the curve in a result's arrays."""


def _of(landmarks: int, normalizer: str, threshold: float = 0.1, **more: Any) -> dict[str, Any]:
    thresholds = {"failure_thresholds": (threshold,), "auc_thresholds": (threshold,)}
    return {"landmarks": landmarks, "normalizer": Normalizer.parse(normalizer), **thresholds, **more}


PRESETS: dict[str, dict[str, Any]] = {
    "300w": _of(68, "joints:36-45", 0.08, failure_thresholds=(0.08, 0.1)),
    "300w-pupil": _of(68, "joints:36+37+38+39+40+41-42+43+44+45+46+47", 0.08, failure_thresholds=(0.08, 0.1)),
    "wflw": _of(98, "joints:60-72"),
    "wflw-pupil": _of(98, "joints:96-97"),
    "cofw": _of(29, "joints:8-9"),
    "cofw-pupil": _of(29, "joints:16-17"),
    "aflw": _of(19, "size", 0.07),
    "aflw-bbox": _of(19, "bbox", 0.07),
    "lapa": _of(106, "joints:66-79"),
    "menpo": _of(68, "extent_diagonal", 0.03),
    "menpo-profile": _of(39, "extent_diagonal", 0.03),
    "horse10": _of(22, "joints:0-1"),
}
"""How many landmarks data sets have, what their distances are divided by, and the usual thresholds.

By the outer corners of the eyes, or by the pupils: the annotated ones of COFW and WFLW, and in 300W the means of the
points around each eye. ``aflw`` divides by the annotated ``size`` as HRNet does, ``aflw-bbox`` by the longer side of
the box as mmpose does.
"""


@dataclass(frozen=True)
class NmeParams:
    """The rules of NME; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    normalizer
        What distances are divided by; may be given as text, see `cvbench.metrics.instances.Normalizer`.
    landmarks
        How many landmarks there have to be; None for any number.
    counted
        The landmarks that are looked at; None for all. Those of the normalizer need not be among them.
    mean
        NME is the mean over ``faces``, or over all their ``points``.
    failure_thresholds, auc_thresholds
        The errors *t* of ``FR@t`` and ``AUC@t``.
    curve
        ``exact``, or sampled as ``pipnet`` does, which changes FR and AUC.
    missing
        Whether a landmark that is not predicted makes the error of its face infinite (``miss``), or is an error raised
        (``refuse``).
    zero_size
        What to do with a face whose size is not above 0: raise an error (``refuse``), or leave it out (``skip``).

    Examples
    --------
    >>> params = NmeParams.of("wflw", auc_thresholds=0.08)
    >>> str(params.normalizer), params.auc_thresholds
    ('joints:60-72', (0.08,))
    """

    normalizer: Normalizer
    landmarks: int | None = None
    counted: tuple[int, ...] | None = None
    mean: Literal["faces", "points"] = "faces"
    failure_thresholds: tuple[float, ...] = (0.1,)
    auc_thresholds: tuple[float, ...] = (0.1,)
    curve: Literal["exact", "pipnet"] = "exact"
    missing: Literal["refuse", "miss"] = "refuse"
    zero_size: Literal["refuse", "skip"] = "refuse"

    @classmethod
    def of(cls, preset: str | None = None, **changes: Any) -> NmeParams:
        """The rules of a data set, or of none, with `changes`.

        Parameters
        ----------
        preset
            One of `PRESETS`.
        **changes
            Any attribute; without a preset, `normalizer` at least. A single threshold may be a number.

        Raises
        ------
        InputError
            A preset or rule is unknown, or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in changes:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        if preset is not None and preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}{did_you_mean(preset, PRESETS)}")
        if preset is None and "normalizer" not in changes:
            raise InputError(f"expected a normalizer, or a preset, which has one: {', '.join(PRESETS)}")
        return cls(**{**(PRESETS[preset] if preset is not None else {}), **changes})

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalizer", Normalizer.parse(self.normalizer))
        for name in ("failure_thresholds", "auc_thresholds"):
            object.__setattr__(self, name, thresholds_of(getattr(self, name), name, "distinct", above_0=True))
        if self.counted is not None:
            counted = indices_of(self.counted, "counted", "landmarks, or None for all")
            object.__setattr__(self, "counted", counted)
        for name, choices in (
            ("mean", ("faces", "points")),
            ("curve", ("exact", "pipnet")),
            ("missing", ("refuse", "miss")),
            ("zero_size", ("refuse", "skip")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")

    def check_landmarks(self, number: int) -> None:
        """Refuse another number of landmarks than the data set has, and indices that are not there."""
        if self.landmarks not in (None, number):
            others = [name for name, rules in PRESETS.items() if rules["landmarks"] == number]
            hint = f"; presets for {number}: {', '.join(others)}" if others else ""
            raise InputError(f"there are {number} landmarks, and the rules are for {self.landmarks}{hint}")
        if max(self.counted or (-1,)) >= number:
            raise InputError(f"counted names landmark {max(self.counted or ())}; there are {number}, counted from 0")

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [
            ("normalizer", str(self.normalizer)),
            ("landmarks", "all" if self.counted is None else ",".join(map(str, self.counted))),
            ("mean", self.mean),
            ("failure", ",".join(map(repr, self.failure_thresholds)) or "none"),
            ("auc", ",".join(map(repr, self.auc_thresholds)) or "none"),
            ("curve", self.curve),
            ("missing", self.missing),
            ("zero_size", self.zero_size),
        ]


def problems(columns: Keypoints, params: NmeParams) -> list[Trouble]:
    """What keeps faces from being scored by these rules; empty if all can be."""
    params.check_landmarks(columns.gt.shape[1])
    size = normalizers(columns, params.normalizer)
    return problems_of(columns, size, missing=params.missing, zero_scale=params.zero_size, rule=params.normalizer)


def count(
    columns: Keypoints, params: NmeParams, names: Sequence[str] = (), threads: int | None = None
) -> InstanceState:
    """The normalised distances of all faces, which must have no `problems`.

    Parameters
    ----------
    columns
    params
    names
        Of the J landmarks; none: their indices.
    threads
        None for all processors.

    Raises
    ------
    InputError
        There are not as many landmarks as the rules are for, or the ground truth lacks what distances are divided by.
    """
    if not len(columns):
        known = [name for j, name in enumerate(names) if params.counted is None or j in params.counted]
        none = {"instances_without_size": np.zeros(0, np.bool_)}
        return state_of(InstanceState, columns, np.zeros((0, len(known))), known, params, none)
    params.check_landmarks(columns.gt.shape[1])
    size = normalizers(columns, params.normalizer)
    distance, names = distances(columns, size, threads=threads), names_of(names, columns.gt.shape[1])
    chosen = list(range(len(names)) if params.counted is None else params.counted)
    distance = np.ascontiguousarray(distance[:, chosen])  # rows are added up in the order of memory
    without = ~(size > 0) & columns.visible.any(axis=1)
    numbers = {"instances_without_size": without}
    return state_of(InstanceState, columns, distance, [names[c] for c in chosen], params, numbers)


# Figures -------------------------------------------------------------------------------------------------------------


def figures(params: NmeParams) -> dict[str, str]:
    """What each figure is, by name, in the order of results."""
    what = "faces" if params.mean == "faces" else "landmarks"
    how = "" if params.curve == "exact" else ", sampled as PIPNet does"
    return {
        "NME": f"mean normalised distance of landmarks, over {what}",
        **{f"FR@{t:.12g}": f"share of faces with an error above {t:.12g}{how}" for t in params.failure_thresholds},
        **{
            f"AUC@{t:.12g}": f"area under the curve of cumulative errors up to {t:.12g}{how}"
            for t in params.auc_thresholds
        },
    }


def summarize(state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """Errors of all faces, of each landmark and of each group, and the curves of cumulative errors.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    """
    params: NmeParams = state.params
    times, faces = row_weights(state, weights), _faces(state.distance)
    limit = max((*params.failure_thresholds, *params.auc_thresholds), default=0.0)
    x = np.linspace(0.0, limit, CURVE_POINTS) if limit else np.zeros(0)
    values, *lines = _figures(state, faces, times, x)
    means, _ = _means(state.distance, times)
    numbers = times @ ~np.isnan(state.distance)
    ids = range(len(means)) if params.counted is None else params.counted
    tables: dict[str, list[dict[str, Any]]] = {
        "per_joint": [
            {"id": c, "name": name, "instances": int(number), "NME": float(mean)}
            for c, name, number, mean in zip(ids, state.columns, numbers, means, strict=False)
        ]
    }
    if state.group_names:
        tables["per_group"] = []
    for s, name in enumerate(state.group_names):
        within = times * state.member[:, s]
        row, line = _figures(state, faces, within, x)
        tables["per_group"].append({"name": name, "instances": int(within.sum()), **row})
        lines.append(line)
    arrays: dict[str, NDArray[Any]] = {}
    if limit:
        arrays = {"x": x, "y": np.array(lines), "lines": np.array(["all", *state.group_names])}
    return Summary(values, tables, arrays)


def _faces(distance: Float) -> Float:
    """(N,) the error of each face; NaN where it has no landmark that counts."""
    number = np.count_nonzero(~np.isnan(distance), axis=1)
    error = np.full(len(distance), np.nan)
    np.divide(np.nansum(distance, axis=1), number, out=error, where=number > 0)
    return error


def _figures(state: InstanceState, faces: Float, times: Int, x: Float) -> tuple[dict[str, float], Float]:
    """The figures of faces that count so many times, and their share with an error of at most `x`."""
    params: NmeParams = state.params
    kept = np.flatnonzero((times > 0) & ~np.isnan(faces))
    order = kept[np.argsort(faces[kept])]
    error, times = faces[order], times[order]
    nme = _means(error[:, None] if params.mean == "faces" else state.distance[order], times)[1]
    reached, number = np.concatenate([[0], np.cumsum(times)]), int(times.sum())

    def within(limits: Float) -> Int:
        """How many faces have an error of at most each of the limits."""
        return reached[np.searchsorted(error, limits, side="right")]

    values = {"NME": nme}
    for t in params.failure_thresholds:
        last = t if params.curve == "exact" else _samples(t)[-1]
        values[f"FR@{t:.12g}"] = int(number - within(np.array([last]))[0]) / number if number else math.nan
    for t in params.auc_thresholds:
        if params.curve == "exact":
            area = exact_means(np.maximum(0.0, 1.0 - error / t)[:, None], times)[1]
        else:
            hits = within(_samples(t))
            area = int(simpson_weights(len(hits)) @ hits) * STEP / 12 / t / number if number else math.nan
        values[f"AUC@{t:.12g}"] = area
    return values, within(x) / number if number else np.full(len(x), np.nan)


def _means(distance: Float, times: Int) -> tuple[Float, float]:
    """The mean of each column and of all, NaN where a number is infinite."""
    endless = (np.isinf(distance) & (times > 0)[:, None]).any(axis=0)
    if not endless.any():
        return exact_means(distance, times)
    means, _ = exact_means(np.where(endless, np.nan, distance), times)
    return means, math.nan


def _samples(threshold: float) -> Float:
    """Where PIPNet samples the curve. Rounding decides whether the last sample is the threshold or one step more."""
    return np.arange(0, threshold + STEP, STEP)


def simpson_weights(points: int) -> Int:
    """Weights of Simpson's rule for evenly spaced points, in twelfths of a step.

    The rule joins two intervals to one parabola. Of an odd number of intervals it takes the mean of two sums, in which
    the first or the last interval is a trapezoid, as SciPy's ``simps`` did by default.

    Parameters
    ----------
    points
        2 or more.

    Returns
    -------
    (points,) int64

    Examples
    --------
    >>> simpson_weights(5).tolist(), simpson_weights(4).tolist()
    ([4, 16, 8, 16, 4], [5, 13, 13, 5])
    """
    if points % 2 == 0:
        weights = np.zeros(points, np.int64)
        weights[:2] += 3
        weights[-2:] += 3
        if points > 2:
            part = simpson_weights(points - 1) // 2
            weights[1:] += part
            weights[:-1] += part
        return weights
    weights = np.full(points, 8, np.int64)
    weights[1::2] = 16
    weights[[0, -1]] = 4
    return weights


def result_of(
    state: InstanceState,
    task: str = f"landmarks.nme@{VERSION}",
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
    state, weights
        See `summarize`.
    task
        Name and version.
    conventions
        Further pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    """
    summary = summarize(state, weights)
    own = "a face with a landmark that is not predicted has an infinite error, so that NME is undefined"
    last = [own] if state.counts["missing_keypoints"] else []
    return described(state, summary, task, conventions, counts=counts, notes=notes, last_notes=last, inputs=inputs)


class NME(InstanceMetric[InstanceState]):
    """Normalised mean error of landmarks, with failure rates and areas under the curve of cumulative errors.

    Parameters
    ----------
    preset : str or None
        The data set, one of `PRESETS`; None: rules say at least what the ``normalizer`` is.
    names
        Of the landmarks; None: their indices.
    box_format
        Whether ``boxes`` are two corners, or corner and size.
    threads
        None for all processors.
    **rules
        Changes to the rules: any attribute of `NmeParams`.

    Examples
    --------
    >>> gt = [[[30, 40], [70, 40], [50, 80]]]
    >>> result = NME(normalizer="joints:0-1").update(gt, [[[30, 40], [70, 43], [53, 84]]]).compute()
    >>> [round(value, 9) for value in result.values.values()]
    [0.066666667, 0.0, 0.333333333]

    See Also
    --------
    cvbench.metrics.landmarks : conventions, what is undefined, references.
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        names: Sequence[str] | None = None,
        box_format: Literal["xyxy", "xywh"] = "xyxy",
        threads: int | None = None,
        **rules: Any,
    ) -> None:
        self.params = NmeParams.of(preset, **rules)
        self.names = tuple(names or ())
        self.box_format, self.threads = box_format, threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params) if len(columns) else ()

    def _counted(self, columns: Keypoints) -> InstanceState:
        return count(columns, self.params, self.names, self.threads)


def nme(gt: Any, pred: Any, preset: str | None = None, **options: Any) -> Result:
    """Normalised mean error of landmarks, with failure rates and areas under the curve of cumulative errors.

    Parameters
    ----------
    gt, pred
        Landmarks (N, J, 2) of all faces, or dicts, as `NME.update` takes them.
    preset
    **options
        As `NME` takes them.

    Returns
    -------
    Result
        What `NME` computes after seeing these faces.

    Examples
    --------
    >>> nme([[[30, 40], [70, 40]]], [[[30, 40], [70, 48]]], normalizer="joints:0-1").values
    {'NME': 0.1, 'FR@0.1': 0.0, 'AUC@0.1': 0.0}
    """
    return NME(preset, **options).update(gt, pred).compute()
