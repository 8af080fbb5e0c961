"""Semantic figures, slowly, by the rules of each evaluator, over whole maps with masks and loops.

Said again in plain NumPy: mmsegmentation (``mmseg/evaluation/metrics/iou_metric.py``: ``intersect_and_union`` and
``total_area_to_metrics``; ``datasets/transforms/loading.py``: ``_load_seg_map``), detectron2
(``evaluation/sem_seg_evaluation.py``: ``process`` and ``evaluate``), torchmetrics 1.9 (``segmentation/mean_iou.py``:
``update`` and ``compute``) and cityscapesScripts (``evaluation/evalPixelLevelSemanticLabeling.py``: ``evaluatePair``,
the functions for scores).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cvbench.columns import Float, Int
from cvbench.metrics.cityscapes import AVERAGE_SIZE, LABELS
from naive.grids import boundary, boundary_f_counts, boundary_f_score

Pairs = list[tuple[Int, Int]]
"""Ground truth and prediction of each image."""


def loaded(gt: Int, reduce_zero_label: bool, label_map: Mapping[int, int]) -> Int:
    """The ground truth as mmsegmentation 1.x loads it, for labels of 8 bits."""
    labels = gt.astype(np.uint8)
    if reduce_zero_label:
        labels[labels == 0] = 255
        labels = labels - np.uint8(1)
        labels[labels == 254] = 255
    before = labels.copy()
    for old, new in label_map.items():
        labels[before == old] = new
    return labels.astype(np.int64)


def mmseg(pairs: Pairs, classes: int, ignore: int) -> tuple[dict[str, float], dict[str, Float]]:
    """Figures of the data set and of each class; 0 / 0 is NaN and left out by ``nanmean``."""
    both, found, truth = np.zeros((3, classes))
    for gt, pred in pairs:
        kept = gt != ignore
        for k in range(classes):
            both[k] += np.count_nonzero(kept & (gt == k) & (pred == k))
            found[k] += np.count_nonzero(kept & (pred == k))
            truth[k] += np.count_nonzero(kept & (gt == k))
    with np.errstate(invalid="ignore"):
        columns = {
            "IoU": both / (found + truth - both),
            "Acc": both / truth,
            "Dice": 2 * both / (found + truth),
            "Precision": both / found,
        }
    values = {f"m{name}": nanmean(column) for name, column in columns.items()}
    values["aAcc"] = both.sum() / truth.sum() if truth.sum() else math.nan
    return values, columns


def detectron2(pairs: Pairs, classes: int, ignore: int) -> tuple[dict[str, float], dict[str, Float]]:
    """The same by the rules of detectron2: rows are predictions, and the last column is ignored ground truth."""
    matrix = np.zeros((classes + 1, classes + 1))
    for gt, pred in pairs:
        for truth, found in zip(gt.ravel().tolist(), pred.ravel().tolist(), strict=True):
            matrix[found, classes if truth == ignore else truth] += 1
    right, kept = np.diag(matrix)[:-1], matrix[:-1, :-1]
    truth, found = kept.sum(axis=0), kept.sum(axis=1)
    valid = truth > 0
    iou, acc = np.full((2, classes), np.nan)
    acc[valid] = right[valid] / truth[valid]
    iou[valid] = right[valid] / (truth + found - right)[valid]
    values = {"mIoU": nanmean(iou), "mAcc": nanmean(acc), "fwIoU": math.nan, "aAcc": math.nan}
    if truth.sum():
        values |= {"fwIoU": float((iou * truth)[valid].sum() / truth.sum()), "aAcc": right.sum() / truth.sum()}
    return values, {"IoU": iou, "Acc": acc}


def torchmetrics(pairs: Pairs, classes: int) -> tuple[float, Float]:
    """The mean over all images and classes with a union, and the mean of each class over images."""
    iou = np.full((len(pairs), classes), np.nan)
    for i, (gt, pred) in enumerate(pairs):
        for k in range(classes):
            union = np.count_nonzero((gt == k) | (pred == k))
            if union:
                iou[i, k] = np.count_nonzero((gt == k) & (pred == k)) / union
    return nanmean(iou), np.array([nanmean(column) for column in iou.T])


def nanmean(values: Float) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def boundary_iou(pairs: Pairs, classes: int, ignore: int, dilation_ratio: float) -> Float:
    """(K,) IoU of the bands of each class, pooled; a band is the mask less erosions of it."""
    both, union = np.zeros((2, classes))
    for gt, pred in pairs:
        for k in range(classes):
            ours, theirs = (boundary(labels == k, dilation_ratio) & (gt != ignore) for labels in (gt, pred))
            both[k] += np.count_nonzero(ours & theirs)
            union[k] += np.count_nonzero(ours | theirs)
    with np.errstate(invalid="ignore"):
        return both / union


def boundary_f(pairs: Pairs, classes: int, ignore: int, tolerance: float) -> Float:
    """(K,) F of each class, a mean over the images that have it in either map."""
    scores: list[list[float]] = [[] for _ in range(classes)]
    for gt, pred in pairs:
        kept = gt != ignore
        for k, counts in enumerate(boundary_f_counts(gt, pred, list(range(classes)), tolerance, kept)):
            if (((gt == k) | (pred == k)) & kept).any():
                scores[k].append(boundary_f_score(*counts))
    return np.array([sum(column) / len(column) if column else math.nan for column in scores])


def cityscapes(pairs: Pairs) -> dict[str, dict[str, float]]:
    """IoU and iIoU by class and by category; pairs are of instance ids and predicted label ids."""
    joint, instances = np.zeros((len(LABELS), len(LABELS))), []
    for ids, pred in pairs:
        for number, found in zip(ids.ravel().tolist(), pred.ravel().tolist(), strict=True):
            joint[number if number < 1000 else number // 1000, found] += 1
        for number in np.unique(ids[ids > 1000]).tolist():
            label = LABELS[number // 1000]
            if label.evaluated:
                instances.append((label, pred[ids == number]))
    tables: dict[str, dict[str, float]] = {name: {} for name in ("IoU", "iIoU", "category IoU", "category iIoU")}
    for label in LABELS:
        if label.evaluated:
            false = sum(joint[o.id, label.id] for o in LABELS if o.evaluated and o is not label)
            tables["IoU"][label.name] = ratio(joint[label.id, label.id], joint[label.id].sum() + false)
            mine = [found for owner, found in instances if owner is label]
            right = sum(AVERAGE_SIZE[label.name] / len(f) * np.count_nonzero(f == label.id) for f in mine)
            whole = sum(AVERAGE_SIZE[label.name] for _ in mine)
            tables["iIoU"][label.name] = ratio(right, whole + false) if label.instances else math.nan
    for category in dict.fromkeys(label.category for label in LABELS if label.evaluated):
        every = [label.id for label in LABELS if label.category == category]
        valid = [k for k in every if LABELS[k].evaluated]
        others = [label.id for label in LABELS if label.evaluated and label.category != category]
        whole = joint[valid].sum() + joint[np.ix_(others, valid)].sum()
        tables["category IoU"][category] = ratio(joint[np.ix_(valid, valid)].sum(), whole)
        tables["category iIoU"][category] = math.nan
        if all(LABELS[k].instances for k in every):
            mine = [(AVERAGE_SIZE[o.name], found) for o, found in instances if o.category == category]
            right = sum(size / len(f) * np.count_nonzero(np.isin(f, every)) for size, f in mine)
            whole = sum(size for size, _ in mine) + joint[np.ix_(others, every)].sum()
            tables["category iIoU"][category] = ratio(right, whole)
    return tables


def ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
