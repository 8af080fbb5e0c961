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

Undefined (NaN): figures of a joint, a group or a data set without a joint that counts.

Reference: Ionescu et al., *Human3.6M*, PAMI 2014; Mehta et al., *Monocular 3D Human Pose Estimation In The Wild*, 3DV
2017 (3DPCK); Rhodin et al., *Unsupervised Geometry-Aware Representation*, ECCV 2018 (N-MPJPE). Evaluator: mmpose
759b39c, ``keypoint_mpjpe`` in ``evaluation/functional/keypoint_eval.py``, and ``keypoint_3d_pck`` and
``keypoint_3d_auc`` of its 0.x, which print percent. Named deviation: a pose predicted at one place (above) divides by 0
there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from cvbench.columns import Float
from cvbench.errors import InputError, did_you_mean
from cvbench.kernels import map_ranges
from cvbench.kernels.procrustes import align_rows
from cvbench.metrics.base import to_numpy
from cvbench.metrics.hit_rates import grid, spaced

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

LARGEST = 1e100
"""Coordinates from here on are refused, so that no product of theirs is infinite."""

POSES_PER_TASK = 1024
"""Poses of one task of the thread pool: few enough for what it makes to stay in the cache."""


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
                object.__setattr__(self, name, _indices(given, name))
        if self.joints == ():
            raise InputError("joints is empty; expected indices, or None for all")
        for name in ("thresholds", "curve"):
            object.__setattr__(self, name, _thresholds(getattr(self, name), name))
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


def _indices(value: Any, name: str) -> tuple[int, ...]:
    array = np.asarray(value).reshape(-1)
    if array.size and (array.dtype.kind not in "iu" or (array < 0).any() or len(np.unique(array)) < array.size):
        raise InputError(f"{name} {value!r}: expected distinct indices of joints, counted from 0")
    return tuple(array.tolist())


def _thresholds(value: Any, name: str) -> tuple[float, ...]:
    numbers = np.asarray(value, np.float64).reshape(-1)
    if not (np.isfinite(numbers) & (numbers >= 0)).all() or (np.diff(numbers) <= 0).any():
        raise InputError(f"{name} {value!r}: expected finite numbers of 0 or more that rise")
    return tuple(numbers.tolist())


# Counting ------------------------------------------------------------------------------------------------------------


def _within_range(points: Float) -> bool:
    """Whether all coordinates are numbers below `LARGEST`, on either side of 0."""
    return not points.size or bool(points.min() > -LARGEST and points.max() < LARGEST)


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
        raise InputError(f"holds a coordinate that is not finite, or beyond {LARGEST:g}", where=where)
    return points
