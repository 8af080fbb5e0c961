"""Errors of landmarks, slowly, face by face, as evaluators of data sets have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def face_errors(gt: Points, pred: Points, visible: NDArray[np.bool_], sizes: Any) -> list[float]:
    """``compute_nme`` in lib/core/evaluation.py of HRNet-Facial-Landmark-Detection, of the landmarks that count."""
    errors = []
    for truth, found, seen, size in zip(gt, pred, visible, sizes, strict=True):
        away = np.linalg.norm(found[seen] - truth[seen], axis=1)
        errors.append(away.sum() / (size * seen.sum()))
    return errors


def pooled_error(gt: Points, pred: Points, visible: NDArray[np.bool_], sizes: Any) -> float:
    """``keypoint_nme`` in mmpose/evaluation/functional/keypoint_eval.py, in double precision."""
    away = np.linalg.norm((pred - gt) / np.asarray(sizes)[:, None, None], axis=-1)[visible]
    return float(away.sum() / len(away))


def interocular(gt: Points, a: int, b: int) -> list[float]:
    return [float(np.linalg.norm(face[a] - face[b])) for face in gt]


def diagonal(gt: Points) -> list[float]:
    """``compute_diag_error.m`` of MenpoBenchmark."""
    return [float(np.linalg.norm(face.max(axis=0) - face.min(axis=0))) for face in gt]


def failure_rate_and_area(errors: Any, threshold: float, step: float = 1e-4) -> tuple[float, float]:
    """``compute_fr_and_auc`` in lib/functions.py of PIPNet, with SciPy's ``simps`` of that time."""
    xs = np.arange(0, threshold + step, step)
    ys = np.array([np.count_nonzero(np.asarray(errors) <= x) for x in xs]) / len(errors)
    return 1 - ys[-1], simps(ys, xs) / threshold


def simps(ys: Points, xs: Points) -> float:
    """Simpson's rule; of an even number of points the mean of two sums, which have a trapezoid at one end."""
    if len(ys) % 2 == 1:
        return sum(parabola(xs[i : i + 3], ys[i : i + 3]) for i in range(0, len(xs) - 2, 2))
    first, last = (simps(ys[part], xs[part]) if len(ys) > 2 else 0 for part in (slice(None, -1), slice(1, None)))
    ends = [(ys[i] + ys[i + 1]) / 2 * (xs[i + 1] - xs[i]) for i in (len(xs) - 2, 0)]
    return (first + ends[0] + last + ends[1]) / 2


def parabola(xs: Points, ys: Points) -> float:
    """The integral of the parabola through three points."""
    return float(np.polyval(np.polyint(np.polyfit(xs - xs[1], ys, 2)), xs - xs[1]) @ [-1, 0, 1])
