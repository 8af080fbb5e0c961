"""Errors of 3-D poses, slowly: one pose at a time, rotations from NumPy's singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Used = NDArray[np.bool_]


def align(pred: Points, gt: Points, used: Used | None = None) -> Points:
    """Umeyama, *Least-squares estimation of transformation parameters between two point patterns*, PAMI 1991.

    ``compute_similarity_transform`` in mmpose/evaluation/functional/mesh_eval.py is the same for all joints in use, and
    divides by 0 where these are at one place.
    """
    used = np.ones(len(pred), bool) if used is None else used
    origin, target = pred[used].mean(axis=0), gt[used].mean(axis=0)
    x, y = pred[used] - origin, gt[used] - target
    if not x.any():
        return np.tile(target, (len(pred), 1))
    u, d, vt = np.linalg.svd(y.T @ x)
    proper = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation, scale = u * proper @ vt, (d * proper).sum() / (x**2).sum()
    return scale * (pred - origin) @ rotation.T + target


def scale(pred: Points, gt: Points, used: Used | None = None) -> Points:
    """The prediction times the factor that makes the sum of squared distances least."""
    used = np.ones(len(pred), bool) if used is None else used
    own = (pred[used] ** 2).sum()
    return pred * ((pred[used] * gt[used]).sum() / own if own else 0)


def errors(pred: Points, gt: Points, method: str = "none", used: Any = None) -> NDArray[np.float64]:
    """(N, J) distances after ``none``, ``procrustes`` or ``scale``, as the errors in mmpose's ``keypoint_mpjpe``."""
    moved = {"none": lambda p, *_: p, "procrustes": align, "scale": scale}[method]
    used = [None] * len(pred) if used is None else used
    rows = [np.linalg.norm(moved(p, g, u) - g, axis=-1) for p, g, u in zip(pred, gt, used, strict=True)]
    return np.array(rows).reshape(pred.shape[:2])
