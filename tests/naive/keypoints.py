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
from itertools import pairwise

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

MPII = {
    "Head": (9,),
    "Shoulder": (13, 12),
    "Elbow": (14, 11),
    "Wrist": (15, 10),
    "Hip": (3, 2),
    "Knee": (4, 1),
    "Ankle": (5, 0),
}
COUNTED = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)


def head_sizes(head_boxes: Float) -> Float:
    return np.array([0.6 * np.linalg.norm(box[2:] - box[:2]) for box in head_boxes])


def parts(by_joint: Rates, members: dict[str, tuple[int, ...]]) -> dict[str, float]:
    """The plain mean of each part's joints; NaN where one of them is undefined."""
    return {name: _mean([by_joint[j] for j in joints]) for name, joints in members.items()}


def _weighted(by_joint: Rates, visible: Bool) -> float:
    """The mean over the 14 joints, each weighted by how many people have it."""
    total = sum(int(visible[:, j].sum()) for j in COUNTED)
    with_people = [j for j in COUNTED if visible[:, j].any()]
    return sum(by_joint[j] * visible[:, j].sum() / total for j in with_people) if total else math.nan


def mpii_mmpose(pred: Float, gt: Float, visible: Bool, sizes: Float) -> dict[str, float]:
    half, tenth = (mmpose_pck(pred + 1.0, gt, visible, threshold, sizes)[0] for threshold in (0.5, 0.1))
    means = {"PCKh@0.5": _weighted(half, visible), "PCKh@0.1": _weighted(tenth, visible)}
    return parts(half, MPII) | means


def _by_joint(pred: Float, gt: Float, visible: Bool, sizes: Float, threshold: float, strict: bool) -> Rates:
    """What HRNet and pytorch-pose share: Euclidean distance over head size, in double precision."""
    rates = []
    for j in range(gt.shape[1]):
        scaled = [np.linalg.norm(pred[n, j] - gt[n, j]) / sizes[n] for n in np.flatnonzero(visible[:, j])]
        rates.append(_rate([d < threshold if strict else d <= threshold for d in scaled]))
    return rates


def mpii_hrnet(pred: Float, gt: Float, visible: Bool, sizes: Float) -> dict[str, float]:
    """`PCKh@0.11` is what HRNet prints as Mean@0.1: the twelfth of the thresholds 0, .01, …"""
    half, tenth, eleventh = (_by_joint(pred + 1.0, gt, visible, sizes, t, strict=False) for t in (0.5, 0.1, 0.11))
    means = {"PCKh@0.5": half, "PCKh@0.1": tenth, "PCKh@0.11": eleventh}
    return parts(half, MPII) | {name: _weighted(rates, visible) for name, rates in means.items()}


def mpii_pytorch_pose(pred: Float, gt: Float, visible: Bool, sizes: Float) -> dict[str, float]:
    half = _by_joint(pred, gt, visible, sizes, 0.5, strict=True)
    return parts(half, MPII) | {"PCKh@0.5": _mean([half[j] for j in COUNTED if not math.isnan(half[j])])}


def mpii_matlab(pred: Float, gt: Float, visible: Bool, sizes: Float) -> dict[str, float]:
    """With joints in MATLAB's own order: 6 of the legs, 6 of the arms, neck, top of the head."""
    order = (0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9)
    missing = np.isnan(pred).any(axis=2)
    distances = np.full((len(gt), 14), np.nan)
    for n in range(len(gt)):
        for k, j in enumerate(order):
            if visible[n, j]:
                distances[n, k] = math.inf if missing[n, j] else np.linalg.norm(pred[n, j] - gt[n, j]) / sizes[n]

    def rate(columns: Sequence[int], threshold: float) -> float:
        return _rate([d <= threshold for k in columns for d in distances[:, k] if not math.isnan(d)])

    half = [rate([k], 0.5) for k in range(14)]
    pairs = {"Head": (12, 13), "Shoulder": (8, 9), "Elbow": (7, 10), "Wrist": (6, 11)}
    pairs |= {"Hip": (2, 3), "Knee": (1, 4), "Ankle": (0, 5)}
    curve = [rate(range(14), k / 100) for k in range(51)]
    return parts(half, pairs) | {
        "UpperBody": rate(range(6, 12), 0.5),
        "PCKh@0.5": rate(range(14), 0.5),
        "PCKh@0.1": rate(range(14), 0.1),
        "AUC": trapezoid(curve),
    }


def trapezoid(curve: Rates) -> float:
    """The area under straight lines between points that are spread evenly from 0 to 1."""
    return sum((left + right) / 2 for left, right in pairwise(curve)) / (len(curve) - 1)


def lsp_pck(pred: Float, gt: Float, torso: tuple[int, int], mirror: Sequence[int]) -> tuple[Rates, float, float]:
    """PCK@0.2 of eval_pose by pair of symmetric joints, over all joints, and its area up to .2; all joints count."""
    distances = _over_torso(pred, gt, torso)
    by_joint = [_rate([d <= 0.2 for d in column]) for column in distances.T]
    shown = [(by_joint[j] + by_joint[other]) / 2 for j, other in enumerate(mirror) if other >= j]
    curve = [_rate([d <= k / 100 for d in distances.reshape(-1)]) for k in range(21)]
    return shown, curve[20], trapezoid(curve)


def pdj(pred: Float, gt: Float, torso: tuple[int, int], mirror: Sequence[int], threshold: float) -> Rates:
    """By pair of symmetric joints."""
    by_joint = [_rate([d <= threshold for d in column]) for column in _over_torso(pred, gt, torso).T]
    return [(by_joint[j] + by_joint[other]) / 2 for j, other in enumerate(mirror) if other >= j]


def _over_torso(pred: Float, gt: Float, torso: tuple[int, int]) -> Float:
    lengths = [np.linalg.norm(points[torso[0]] - points[torso[1]]) for points in gt]
    rows = [[np.linalg.norm(step) / length for step in p - g] for p, g, length in zip(pred, gt, lengths, strict=True)]
    return np.array(rows).reshape(gt.shape[:2])


LSP_TORSO, LSP_MIRROR = (9, 2), (5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 13, 12)
FLIC_TORSO, FLIC_MIRROR = (6, 5), (1, 0, 6, 7, 8, 9, 2, 3, 4, 5)


def sticks(points: Float) -> Float:
    """(N, L, 2, 2) the two ends of each limb: 10 of LSP's 14 joints, 6 of FLIC's 10."""
    if points.shape[1] == 14:
        hips, shoulders = (points[:, 2] + points[:, 3]) / 2, (points[:, 8] + points[:, 9]) / 2
        pairs = ((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13))
        limbs = [np.stack([points[:, a], points[:, b]], axis=1) for a, b in pairs]
        return np.stack([*limbs, np.stack([hips, shoulders], axis=1)], axis=1)
    hips = (points[:, 5] + points[:, 9]) / 2
    pairs = ((0, 1), (2, 3), (3, 4), (6, 7), (7, 8))
    limbs = [np.stack([points[:, a], points[:, b]], axis=1) for a, b in pairs]
    return np.stack([np.stack([points[:, 1], hips], axis=1), *limbs], axis=1)


def strict_pcp(pred: Float, gt: Float, threshold: float = 0.5) -> tuple[Rates, float]:
    """By limb, and over all limbs, of sticks (N, L, 2, 2): both ends within the threshold; length 0 is a miss."""
    hits = [[_both(p, g, threshold) for p, g in zip(*pair, strict=True)] for pair in zip(pred, gt, strict=True)]
    return [_rate([row[k] for row in hits]) for k in range(gt.shape[1])], _rate([hit for row in hits for hit in row])


def _both(pred: Float, gt: Float, threshold: float) -> bool:
    length = float(np.linalg.norm(gt[0] - gt[1]))
    return length > 0 and all(float(np.linalg.norm(p - g)) / length <= threshold for p, g in zip(pred, gt, strict=True))


def loose_pcp(pred: Float, gt: Float, threshold: float = 0.5) -> tuple[Rates, float]:
    """The same for the mean of the distances of both ends, among people of whom anything is predicted."""
    hits: list[list[bool]] = [[] for _ in range(gt.shape[1])]
    for found, annotated in zip(pred, gt, strict=True):
        if not np.isnan(found).all():
            for k, (p, g) in enumerate(zip(found, annotated, strict=True)):
                error = (np.linalg.norm(p[0] - g[0]) + np.linalg.norm(p[1] - g[1])) / 2
                hits[k].append(bool(error / np.linalg.norm(g[0] - g[1]) <= threshold))
    return [_rate(limb) for limb in hits], _rate([hit for limb in hits for hit in limb])
