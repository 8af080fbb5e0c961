"""Errors of 3-D poses, slowly: one pose at a time, rotations from NumPy's singular value decomposition."""

from __future__ import annotations

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
