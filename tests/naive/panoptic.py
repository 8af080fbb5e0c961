"""Panoptic quality, slowly, from its definition: one image at a time, one segment after another.

The rules are those of panopticapi's evaluation.py, ``pq_compute_single_core`` (which part of it stands beside each
step), and of ``coco_panoptic_api/evaluation.py`` in boundary-iou-api, said again in plain Python.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
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


def tallies(
    images: list[tuple[dict[str, Any], dict[str, Any]]], categories: list[int], **rules: Any
) -> dict[int, Tally]:
    """The counts of all images, each a pair of dicts with ``map`` and ``segments``."""
    found = {category: Tally() for category in categories}
    for gt, pred in images:
        add_image(found, gt, pred, **rules)
        add_regions(found, gt, pred)
    return found


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


def add_regions(found: dict[int, Tally], gt: dict[str, Any], pred: dict[str, Any]) -> None:
    """What both PQ† ask for: a category's segments of an image as one region, without a threshold."""
    gt_masks, pred_masks = masks_of(gt), masks_of(pred)
    nothing = np.zeros(np.shape(gt["map"]), np.bool_)
    for category, tally in found.items():
        of = [segment for segment in gt["segments"] if segment["category_id"] == category]
        crowd = sum((gt_masks[s["id"]] for s in of if s.get("iscrowd")), nothing)
        truth = sum((gt_masks[s["id"]] for s in of if not s.get("iscrowd")), nothing)
        guess = sum((pred_masks[s["id"]] for s in pred["segments"] if s["category_id"] == category), nothing)
        guess = guess & (np.asarray(gt["map"]) != VOID) & ~crowd
        shared, union = int((truth & guess).sum()), int((truth | guess).sum())
        tally.shared += shared
        tally.union += union
        if truth.any():
            tally.region_ious.append(shared / union)


def figures(found: dict[int, Tally], things: set[int]) -> dict[str, float]:
    """PQ, SQ and RQ of all, things and stuff (``pq_average``), and both PQ†."""
    figures = {}
    quality = {category: averages(tally) for category, tally in found.items()}
    for suffix, chosen in (("", set(found)), ("_things", things), ("_stuff", set(found) - things)):
        for i, name in enumerate(("PQ", "SQ", "RQ")):
            figures[name + suffix] = mean([quality[category][i] for category in chosen if quality[category]])
    of_things = [quality[category][0] for category in things if quality[category]]
    stuff = [found[category] for category in set(found) - things]
    figures["PQ_dagger_porzi"] = mean(of_things + [mean(tally.region_ious) for tally in stuff if tally.region_ious])
    figures["PQ_dagger_kitti"] = mean(of_things + [tally.shared / tally.union for tally in stuff if tally.union])
    return figures


def averages(tally: Tally) -> tuple[float, ...]:
    """PQ, SQ, RQ of a category, or nothing where it does not occur."""
    objects = tally.tp + 0.5 * tally.fp + 0.5 * tally.fn
    if not objects:
        return ()
    total = exact_sum(tally.ious)
    return total / objects, total / tally.tp if tally.tp else 0.0, tally.tp / objects


def exact_sum(values: list[float]) -> float:
    """The sum, rounded once."""
    return float(sum(map(Fraction, values)))


def mean(values: list[float]) -> float:
    return exact_sum(values) / len(values) if values else math.nan


def overlaps_of(gt: Any, pred: Any) -> Overlaps:
    """The joint histogram of two maps, by sorting their pairs."""
    pairs = np.stack([np.asarray(gt, np.int64).ravel(), np.asarray(pred, np.int64).ravel()], axis=1)
    values, pixels = np.unique(pairs, axis=0, return_counts=True)
    ends: Int = np.array([0, len(values)], np.int64)
    return Overlaps(ends, values[:, 0].copy(), values[:, 1].copy(), pixels.astype(np.int64))
