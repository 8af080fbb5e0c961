"""Errors of 3-D poses: MPJPE as predicted and after alignment, 3DPCK and its area.

Each annotated pose has one prediction. Their distances, joint by joint, are averaged over all joints that count: MPJPE.
Two more errors forgive what a single camera cannot know. PA-MPJPE first moves, turns and scales each predicted pose so
that the sum of its squared distances is least (Procrustes); N-MPJPE only scales it, about the origin.

Conventions
-----------
Coordinates (N, J, 3) in any unit, millimetres as a rule: errors are in this unit, and so are the thresholds of 3DPCK,
the share of joints whose distance is below the threshold. AUC is the mean of 3DPCK over the thresholds ``curve``, 31 of
them from 0, which nothing is below, to 150. ``PA-PCK@150`` and ``PA-AUC`` are the same after Procrustes alignment.

Nothing is centred unless ``root`` names joints: then both poses are moved so that the mean of these joints is at the
origin, before all else. The root's own distance of 0 stays in all means, as it does in mmpose; ``joints`` can leave it
out. Alignment fits all ``joints``, whether they are visible or not; ``fit="visible"`` fits those that count. A mirrored
pose is not mirrored back.

Where poses belong to groups, such as the actions of Human3.6M, ``MPJPE_groups`` is the plain mean of the errors of
groups, the protocol's "average over actions", and ``per_group`` has the errors of each.

Where all joints of a pose are predicted at one place, no turn or scale is better than another: the aligned prediction
then has all joints at the mean of the ground truth, which is where every best alignment puts them. So a pose of one
joint is aligned without error.

Undefined (NaN): figures of a joint, a group or a data set without a joint that counts; means over groups where there
are none.

Reference: Ionescu et al., *Human3.6M*, PAMI 2014; Mehta et al., *Monocular 3D Human Pose Estimation In The Wild*, 3DV
2017 (3DPCK); Rhodin et al., *Unsupervised Geometry-Aware Representation*, ECCV 2018 (N-MPJPE). Evaluator: mmpose
759b39c, ``keypoint_mpjpe`` in ``evaluation/functional/keypoint_eval.py``, and ``keypoint_3d_pck`` and
``keypoint_3d_auc`` of its 0.x, which print percent. Named deviation: a pose predicted at one place (above) divides by 0
there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Keypoints
from cvbench.errors import InputError, did_you_mean
from cvbench.kernels import map_ranges
from cvbench.kernels.points import distances_rows
from cvbench.kernels.procrustes import align_rows, scale_rows
from cvbench.metrics.base import rows_of, to_numpy
from cvbench.metrics.hit_rates import grid, spaced
from cvbench.metrics.instances import (
    FARTHEST,
    InstanceMetric,
    InstanceState,
    Summary,
    Trouble,
    Weights,
    described,
    hits_of,
    indices_of,
    names_of,
    problems_of,
    row_weights,
    state_of,
    thresholds_of,
)
from cvbench.metrics.sums import exact_means
from cvbench.result import Input, Result

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

POSES_PER_TASK = 1024
"""Poses of one task of the thread pool: few enough for what it makes to stay in the cache."""

ERRORS = {"MPJPE": "distance", "PA-MPJPE": "aligned", "N-MPJPE": "scaled"}
"""The errors, and the rows of `PoseState` that they are means of."""


@dataclass(frozen=True)
class PoseParams:
    """The rules of errors of 3-D poses; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    root
        Joints whose mean is moved to the origin in both poses; none: poses stay where they are.
    joints
        The joints that take part, in alignment as in means; None for all. Indices of `root` count all joints.
    fit
        Whether alignment fits ``all`` of these, or those that are ``visible``.
    thresholds
        Of 3DPCK, in the unit of the coordinates.
    curve
        Rising thresholds whose mean 3DPCK is AUC; empty for none.

    Examples
    --------
    >>> params = PoseParams.of(root=0, thresholds=0.15, curve=spaced(0, 0.15, 31))  # in metres
    >>> params.root, params.thresholds
    ((0,), (0.15,))
    """

    root: tuple[int, ...] = ()
    joints: tuple[int, ...] | None = None
    fit: Literal["all", "visible"] = "all"
    thresholds: tuple[float, ...] = (150.0,)
    curve: tuple[float, ...] = spaced(0.0, 150.0, 31)

    @classmethod
    def of(cls, **rules: Any) -> PoseParams:
        """The default rules with changes; a single joint or threshold may stand for itself.

        Raises
        ------
        InputError
            A rule is unknown, or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in rules:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        return cls(**rules)

    def __post_init__(self) -> None:
        for name in ("root", "joints"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, indices_of(given, name, "joints, counted from 0", none=True))
        if self.joints == ():
            raise InputError("joints is empty; expected indices, or None for all")
        for name in ("thresholds", "curve"):
            object.__setattr__(self, name, thresholds_of(getattr(self, name), name, "rising"))
        if self.fit not in ("all", "visible"):
            raise InputError(f"fit {self.fit!r} is unknown; expected one of all, visible")

    def check_joints(self, number: int) -> None:
        """Refuse indices that are not there among so many joints."""
        highest = max([*self.root, *(self.joints or ())], default=-1)
        if highest >= number:
            raise InputError(f"the rules name joints up to index {highest}; there are {number}, counted from 0")

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [
            ("root", ",".join(map(str, self.root)) or "none"),
            ("joints", "all" if self.joints is None else ",".join(map(str, self.joints))),
            ("fit", self.fit),
            ("thresholds", grid(self.thresholds)),
            ("compare", "<"),
            ("curve", grid(self.curve)),
        ]


# Counting ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PoseState(InstanceState):
    """Distances of N poses.

    Attributes
    ----------
    distance, aligned, scaled : (N, C) float64
        As predicted, after Procrustes alignment, and after scaling; NaN where a joint does not count.
    """

    aligned: Float = field(metadata=rows_of("image"))
    scaled: Float = field(metadata=rows_of("image"))


def problems(columns: Keypoints, params: PoseParams) -> list[Trouble]:
    """What keeps poses from being scored by these rules; empty if all can be."""
    params.check_joints(columns.gt.shape[1])
    sound = _within_range(columns.gt) and _within_range(columns.pred)
    found = [] if sound else problems_of(columns)
    joints = _joints(columns, params)
    seen = columns.visible[:, joints].any(axis=1, keepdims=True)
    hidden = ~columns.visible[:, list(params.root)] & seen
    found += [
        Trouble("gt", row, f"keypoint {params.root[k]}, a root of the pose, is not visible; expected all roots visible")
        for row, k in np.argwhere(hidden).tolist()
    ]
    fitted = np.zeros_like(columns.visible)
    fitted[:, joints] = seen & (params.fit == "all")
    sides: tuple[tuple[Literal["gt", "pred"], Float], ...] = (("gt", columns.gt), ("pred", columns.pred))
    for side, points in () if sound else sides:
        usable = np.less(np.abs(points), FARTHEST).all(axis=2)
        bad = fitted & ~columns.visible & ~usable
        message = "is not visible and not finite, and alignment fits all keypoints; fit=visible leaves it out"
        found += [Trouble(side, row, f"keypoint {joint} {message}") for row, joint in np.argwhere(bad).tolist()]
    return found


def _within_range(points: Float) -> bool:
    """Whether all coordinates are numbers below `FARTHEST`, on either side of 0."""
    return not points.size or bool(points.min() > -FARTHEST and points.max() < FARTHEST)


def _joints(columns: Keypoints, params: PoseParams) -> list[int]:
    return list(range(columns.gt.shape[1]) if params.joints is None else params.joints)


def count(columns: Keypoints, params: PoseParams, names: Sequence[str] = (), threads: int | None = None) -> PoseState:
    """The distances of all poses, which must have no `problems`.

    Parameters
    ----------
    columns
        In three dimensions.
    params
    names
        Of the J joints; none: their indices.
    threads
        None for all processors.

    Raises
    ------
    InputError
        The rules name joints that are not there.
    """
    if not len(columns):
        known = [name for j, name in enumerate(names) if params.joints is None or j in params.joints]
        none = np.zeros((0, len(known)))
        return state_of(PoseState, columns, none, known, params, aligned=none, scaled=none)
    params.check_joints(columns.gt.shape[1])
    poses, used = _posed(columns, params)
    distance, aligned, scaled = (np.empty(used.shape) for _ in ERRORS)

    def measure(start: int, stop: int) -> None:
        rows, n = slice(start, stop), stop - start
        gt, pred, visible, fitted = poses.gt[rows], poses.pred[rows], poses.visible[rows], used[rows]
        size, moved = np.ones(n), np.empty_like(pred)
        distances_rows(0, n, gt, pred, visible, size, False, distance[rows])
        align_rows(0, n, pred, gt, fitted, np.empty((5, 4, 4)), moved)
        distances_rows(0, n, gt, moved, visible, size, False, aligned[rows])
        scale_rows(0, n, pred, gt, fitted, moved)
        distances_rows(0, n, gt, moved, visible, size, False, scaled[rows])

    map_ranges(measure, len(poses), threads, POSES_PER_TASK)
    names = names_of(names, columns.gt.shape[1])
    chosen = [names[joint] for joint in _joints(columns, params)]
    return state_of(PoseState, poses, distance, chosen, params, aligned=aligned, scaled=scaled)


def _posed(columns: Keypoints, params: PoseParams) -> tuple[Keypoints, Bool]:
    """The joints that take part, about the root, and which of them alignment fits: all others are at the origin."""
    joints = _joints(columns, params)
    visible = columns.visible[:, joints]
    used = visible if params.fit == "visible" else np.repeat(visible.any(axis=1, keepdims=True), len(joints), axis=1)

    def posed(points: Float) -> Float:
        if not params.root and params.joints is None and used.all():
            return np.ascontiguousarray(points)
        with np.errstate(invalid="ignore", over="ignore"):  # in poses and joints that do not count
            about = points - points[:, list(params.root)].mean(axis=1, keepdims=True) if params.root else points
        return np.where(used[:, :, None], about[:, joints], 0.0)

    return replace(columns, gt=posed(columns.gt), pred=posed(columns.pred), visible=visible), used


# Figures -------------------------------------------------------------------------------------------------------------


def figures(params: PoseParams) -> dict[str, str]:
    """What each figure is, by name, in the order of results."""
    said = {
        "MPJPE": "mean distance of predicted from annotated joints",
        "PA-MPJPE": "the same after Procrustes alignment: turned, scaled and moved for the least squared distances",
        "N-MPJPE": "the same after scaling about the origin",
    }
    for prefix, when in (("", ""), ("PA-", " after Procrustes alignment")):
        for threshold in params.thresholds:
            said[f"{prefix}PCK@{threshold:.12g}"] = f"share of joints with a distance below {threshold:.12g}{when}"
        if params.curve:
            span = f"from {params.curve[0]:.12g} to {params.curve[-1]:.12g}"
            said[f"{prefix}AUC"] = f"mean PCK over {len(params.curve)} thresholds {span}{when}"
    return said | {f"{name}_groups": f"mean of the {name} of groups, such as actions" for name in ERRORS}


def summarize(state: PoseState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """Errors and rates of all poses, of each joint and of each group.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.

    Returns
    -------
    Summary
        ``values`` hold what `figures` lists. ``arrays`` hold PCK over the thresholds ``x`` of the curve, as predicted
        and aligned.
    """
    params: PoseParams = state.params
    times = row_weights(state, weights)
    values, curves, columns = _figures(state, times)
    numbers = times @ ~np.isnan(state.distance)
    joints = range(len(state.columns)) if params.joints is None else params.joints
    tables: dict[str, list[dict[str, Any]]] = {
        "per_joint": [
            {
                "id": joint,
                "name": name,
                "instances": int(numbers[c]),
                **{figure: float(column[c]) for figure, column in columns.items()},
            }
            for c, (joint, name) in enumerate(zip(joints, state.columns, strict=False))
        ]
    }
    rows: list[dict[str, Any]] = [
        {"name": name, "instances": int(within.sum()), **_figures(state, within)[0]}
        for name, within in zip(state.group_names, (times[:, None] * state.member).T, strict=True)
    ]
    if rows:
        tables["per_group"] = rows
    for name in ERRORS:
        defined = [row[name] for row in rows if not math.isnan(row[name])]
        values[f"{name}_groups"] = math.fsum(defined) / len(defined) if defined else math.nan
    arrays: dict[str, NDArray[Any]] = {}
    if params.curve:
        arrays = {"x": np.array(params.curve), "y": np.array(curves), "lines": np.array(["as predicted", "aligned"])}
    return Summary(values, tables, arrays)


def _figures(state: PoseState, times: Int) -> tuple[dict[str, float], list[Float], dict[str, Float]]:
    """The figures of rows that count so many times, the two curves, and the figures of columns."""
    params: PoseParams = state.params
    kept = np.flatnonzero(times)
    every, times, cut = len(kept) == len(times), times[kept], len(params.thresholds)
    rows = {name: getattr(state, error) if every else getattr(state, error)[kept] for name, error in ERRORS.items()}
    means = {name: exact_means(distance, times) for name, distance in rows.items()}
    values, columns = (
        {name: pooled for name, (_, pooled) in means.items()},
        {name: mean for name, (mean, _) in means.items()},
    )
    curves = []
    for prefix in ("", "PA-"):
        hits, counted = hits_of(rows[f"{prefix}MPJPE"], times, (*params.thresholds, *params.curve), strict=True)
        pooled, number = hits.sum(axis=0), int(counted.sum())
        line, rates = _shares(pooled, number), _shares(hits, counted[:, None])
        for t, threshold in enumerate(params.thresholds):
            name = f"{prefix}PCK@{threshold:.12g}"
            values[name], columns[name] = float(line[t]), rates[:, t]
        if params.curve:
            values[f"{prefix}AUC"] = float(_shares(pooled[cut:].sum(), number * len(params.curve)))
            curves.append(line[cut:])
    return values, curves, columns


def _shares(part: Any, whole: Any) -> Float:
    """The quotient of integers, NaN where the divisor is 0."""
    quotient = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=quotient, where=np.asarray(whole) > 0)
    return quotient


def result_of(
    state: PoseState,
    task: str = f"pose.mpjpe@{VERSION}",
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
    return described(state, summary, task, conventions, counts=counts, notes=notes, inputs=inputs)


class MPJPE(InstanceMetric[PoseState]):
    """Mean per-joint position error of 3-D poses, as predicted and after alignment, with 3DPCK.

    Parameters
    ----------
    names
        Of the joints; None: their indices.
    threads
        None for all processors.
    **rules
        Changes to the rules: any attribute of `PoseParams`, such as ``root=0``.

    Examples
    --------
    >>> gt = [[[0, 0, 0], [300, 0, 0], [0, 400, 0]]]
    >>> result = MPJPE().update(gt, [[[0, 0, 0], [150, 0, 0], [0, 200, 0]]]).compute()
    >>> result.values["MPJPE"], round(result.values["PA-MPJPE"], 9), result.values["PCK@150"]
    (116.66666666666667, 0.0, 0.3333333333333333)

    See Also
    --------
    cvbench.metrics.pose3d : conventions, what is undefined, references.
    """

    dims = 3

    def __init__(self, *, names: Sequence[str] | None = None, threads: int | None = None, **rules: Any) -> None:
        self.params = PoseParams.of(**rules)
        self.names = tuple(names or ())
        self.threads = threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params) if len(columns) else ()

    def _counted(self, columns: Keypoints) -> PoseState:
        return count(columns, self.params, self.names, self.threads)


def mpjpe(gt: Any, pred: Any, **options: Any) -> Result:
    """Mean per-joint position error of 3-D poses, as predicted and after alignment, with 3DPCK.

    Parameters
    ----------
    gt, pred
        Joints (N, J, 3) of all poses, or dicts, as `MPJPE.update` takes them.
    **options
        As `MPJPE` takes them.

    Returns
    -------
    Result
        What `MPJPE` computes after seeing these poses.

    Examples
    --------
    >>> mpjpe([[[0, 0, 0], [3, 4, 0]]], [[[0, 0, 0], [3, 4, 2]]]).values["MPJPE"]
    1.0
    """
    return MPJPE(**options).update(gt, pred).compute()


def procrustes_align(pred: Any, gt: Any, used: Any = None, *, threads: int | None = None) -> Float:
    """Move, turn and scale sets of points to where they are nearest to others, by the sum of squared distances.

    Parameters
    ----------
    pred, gt : (N, J, 3) or (J, 3) array
        Finite coordinates below 1e100, row by row belonging together.
    used : (N, J) or (J,) array of bool, optional
        The points to fit; the others are moved along. None: all.
    threads
        None for all processors.

    Returns
    -------
    float64 array of the shape of `pred`
        Turned by a proper rotation: never mirrored. Where all fitted points of a row are at one place, all its points
        are at the mean of those of `gt`; where none is fitted, they stay. Where several alignments are equally good (a
        mirrored pose that is symmetric about an axis), one of them.

    Raises
    ------
    InputError
        Shapes do not fit together, or a coordinate is not finite.

    References
    ----------
    Umeyama, *Least-squares estimation of transformation parameters between two point patterns*, PAMI 1991.

    Examples
    --------
    >>> gt = np.array([[0.0, 0, 0], [2, 0, 0], [0, 4, 0], [0, 0, 6]])
    >>> pred = gt[:, [1, 2, 0]] / 2 + 10  # axes in another order: turned, half as large, elsewhere
    >>> bool(np.allclose(procrustes_align(pred, gt), gt))
    True
    """
    points = [_poses(pred, "pred"), _poses(gt, "gt")]
    if points[0].shape != points[1].shape:
        raise InputError(f"pred and gt have shapes {points[0].shape} and {points[1].shape}; expected one shape")
    shape = points[0].shape
    fitted = np.ones(shape[:-1], np.bool_) if used is None else to_numpy(used).astype(np.bool_)
    if fitted.shape != shape[:-1]:
        raise InputError(f"used has shape {fitted.shape}; expected {shape[:-1]}")
    if len(shape) == 2:
        points, fitted = [side[None] for side in points], fitted[None]
    (found, truth), chosen = points, np.ascontiguousarray(fitted)
    aligned = np.empty(found.shape)
    map_ranges(
        lambda start, stop: align_rows(start, stop, found, truth, chosen, np.empty((5, 4, 4)), aligned),
        len(found),
        threads,
        POSES_PER_TASK,
    )
    return aligned.reshape(shape)


def _poses(value: Any, where: str) -> Float:
    try:
        points = np.ascontiguousarray(to_numpy(value), np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"is no array of numbers: {error}", where=where) from error
    if points.ndim not in (2, 3) or points.shape[-1] != 3:
        raise InputError(f"has shape {points.shape}; expected (N, J, 3) or (J, 3)", where=where)
    if not _within_range(points):
        raise InputError(f"holds a coordinate that is not finite, or beyond {FARTHEST:g}", where=where)
    return points
