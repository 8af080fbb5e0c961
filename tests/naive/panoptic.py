"""Panoptic quality, slowly, from its definition: one image at a time, one segment after another.

The rules are those of panopticapi's evaluation.py, ``pq_compute_single_core`` (which part of it stands beside each
step), and of ``coco_panoptic_api/evaluation.py`` in boundary-iou-api, said again in plain Python.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cvbench.columns import Int, Overlaps

VOID = 0


@dataclass
class Tally:
    """What is counted for a category."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    ious: list[float] = field(default_factory=list)
    region_ious: list[float] = field(
        default_factory=list
    )  # of all its pixels, by image that has it in the ground truth
    shared: int = 0
    union: int = 0


def add_image(
    found: dict[int, Tally], gt: dict[str, Any], pred: dict[str, Any], area: str = "json", ratio: float | None = None
) -> None:
    gt_masks, pred_masks = masks_of(gt), masks_of(pred)
    void = np.asarray(gt["map"]) == VOID
    gt_matched, pred_matched = set(), set()
    for g in gt["segments"]:  # "count all matched pairs"
        for p in pred["segments"]:
            gt_mask, pred_mask = gt_masks[g["id"]], pred_masks[p["id"]]
            if g.get("iscrowd") or g["category_id"] != p["category_id"] or not (gt_mask & pred_mask).any():
                continue
            # the size of a ground truth is the JSON's word; of a prediction it is counted
            size = g["area"] if area == "json" else gt_mask.sum()
            iou = overlap(gt_mask, pred_mask, void, size)
            if ratio is not None:
                gt_band, pred_band = band(gt_mask, ratio), band(pred_mask, ratio)
                iou = min(iou, overlap(gt_band, pred_band, void, gt_band.sum()))
            if iou > 0.5:
                found[g["category_id"]].tp += 1
                found[g["category_id"]].ious.append(float(iou))
                gt_matched.add(g["id"])
                pred_matched.add(p["id"])
    crowds = {}
    for g in gt["segments"]:  # the first "count false positives", which counts false negatives
        if g.get("iscrowd"):
            crowds[g["category_id"]] = gt_masks[g["id"]]  # a later crowd of the category takes an earlier one's place
        elif g["id"] not in gt_matched:
            found[g["category_id"]].fn += 1
    for p in pred["segments"]:  # "count false positives"
        if p["id"] not in pred_matched:
            mask = pred_masks[p["id"]]
            excused = (mask & void).sum()
            if p["category_id"] in crowds:
                excused += (mask & crowds[p["category_id"]]).sum()
            found[p["category_id"]].fp += not excused / mask.sum() > 0.5


def masks_of(side: dict[str, Any]) -> dict[int, np.ndarray]:
    return {segment["id"]: np.asarray(side["map"]) == segment["id"] for segment in side["segments"]}


def overlap(gt: np.ndarray, pred: np.ndarray, void: np.ndarray, gt_size: float) -> float:
    """IoU where void is left out of the prediction, and out of nothing else."""
    shared = (gt & pred).sum()
    return float(shared / (pred.sum() + gt_size - shared - (pred & void).sum()))


def band(mask: np.ndarray, ratio: float) -> np.ndarray:
    """What d erosions by 3 x 3 squares take from a mask, d being a share of the diagonal (``mask_to_boundary``)."""
    height, width = mask.shape
    left = np.pad(mask, 1)
    for _ in range(max(1, round(ratio * math.sqrt(height**2 + width**2)))):
        steps = [np.roll(left, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        left = np.logical_and.reduce(steps)
    return np.asarray(mask & ~left[1:-1, 1:-1])


def overlaps_of(gt: Any, pred: Any) -> Overlaps:
    """The joint histogram of two maps, by sorting their pairs."""
    pairs = np.stack([np.asarray(gt, np.int64).ravel(), np.asarray(pred, np.int64).ravel()], axis=1)
    values, pixels = np.unique(pairs, axis=0, return_counts=True)
    ends: Int = np.array([0, len(values)], np.int64)
    return Overlaps(ends, values[:, 0].copy(), values[:, 1].copy(), pixels.astype(np.int64))
