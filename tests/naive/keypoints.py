"""Figures of keypoints, slowly, by the rules of each evaluator, instance by instance and joint by joint.

Said again in plain Python: mmpose (``mmpose/evaluation/functional/keypoint_eval.py``: ``_calc_distances``,
``_distance_acc``, ``keypoint_pck_accuracy``, ``keypoint_auc``, ``keypoint_epe``;
``mmpose/evaluation/metrics/keypoint_2d_metrics.py``: ``PCKAccuracy``, ``MpiiPCKAccuracy``), HRNet
(``lib/dataset/mpii.py``: ``evaluate``), pytorch-pose (``evaluation/eval_PCKh.py``), MPII's own MATLAB
(``evaluatePCKh.m``, ``annolist2matrix.m``, ``getDistPCKh.m``, ``computePCK.m``, ``genTablePCK.m``,
``area_under_curve.m``) and eval_pose (``eval_pck.m``, ``eval_pdj.m``, ``eval_pcp.m``, ``keypoints2sticks.m``).

All arrays are as in `cvbench.columns.Keypoints`: points (N, J, 2), flags (N, J), sizes (N,). Figures are fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float

Rates = list[float]


def _rate(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def mmpose_distances(pred: Float, gt: Float, visible: Bool, sizes: Float) -> NDArray[np.float32]:
    """(N, J) in single precision throughout, −1 where the joint is not looked at."""
    pred, gt, sizes = pred.astype(np.float32), gt.astype(np.float32), sizes.astype(np.float32)
    distances = np.full(visible.shape, -1, np.float32)
    for n, size in enumerate(sizes):
        if size != 0:
            divisor = np.float32(1e6) if size < 0 else size
            for j in np.flatnonzero(visible[n]):
                step = (pred[n, j] - gt[n, j]) / divisor
                distances[n, j] = np.sqrt((step * step).sum())
    return distances


def mmpose_pck(pred: Float, gt: Float, visible: Bool, threshold: float, sizes: Float) -> tuple[Rates, float, int]:
    """By joint (NaN where mmpose has −1), their mean (NaN where mmpose has 0), and how many joints are in it."""
    distances = mmpose_distances(pred, gt, visible, sizes)
    by_joint = [_rate([d < np.float32(threshold) for d in column if d != -1]) for column in distances.T]
    defined = [rate for rate in by_joint if not math.isnan(rate)]
    return by_joint, _mean(defined), len(defined)


def mmpose_auc(pred: Float, gt: Float, visible: Bool, size: float = 30.0, steps: int = 20) -> float:
    sizes = np.full(len(gt), size)
    return sum(mmpose_pck(pred, gt, visible, i / steps, sizes)[1] / steps for i in range(steps))


def mmpose_epe(pred: Float, gt: Float, visible: Bool) -> float:
    distances = mmpose_distances(pred, gt, visible, np.ones(len(gt)))
    return _mean([float(d) for d in distances.reshape(-1) if d != -1])


def jhmdb_torso(pred: Float, gt: Float) -> Float:
    """(N,) the length of the annotated torso or, where that is less than a pixel, of the predicted one."""
    lengths = [(np.linalg.norm(g[4] - g[5]), np.linalg.norm(p[4] - p[5])) for g, p in zip(gt, pred, strict=True)]
    return np.array([found if annotated < 1 else annotated for annotated, found in lengths])


JHMDB = {
    "Head": (2,),
    "Shoulder": (3, 4),
    "Elbow": (7, 8),
    "Wrist": (11, 12),
    "Hip": (5, 6),
    "Knee": (9, 10),
    "Ankle": (13, 14),
}


def parts(by_joint: Rates, members: dict[str, tuple[int, ...]]) -> dict[str, float]:
    """The plain mean of each part's joints; NaN where one of them is undefined."""
    return {name: _mean([by_joint[j] for j in joints]) for name, joints in members.items()}
