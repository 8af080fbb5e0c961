"""Panoptic quality, slowly, from its definition: one image at a time, one segment after another.

The rules are those of panopticapi's evaluation.py, ``pq_compute_single_core`` (which part of it stands beside each
step), and of ``coco_panoptic_api/evaluation.py`` in boundary-iou-api, said again in plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbench.columns import Int, Overlaps

VOID = 0


def overlaps_of(gt: Any, pred: Any) -> Overlaps:
    """The joint histogram of two maps, by sorting their pairs."""
    pairs = np.stack([np.asarray(gt, np.int64).ravel(), np.asarray(pred, np.int64).ravel()], axis=1)
    values, pixels = np.unique(pairs, axis=0, return_counts=True)
    ends: Int = np.array([0, len(values)], np.int64)
    return Overlaps(ends, values[:, 0].copy(), values[:, 1].copy(), pixels.astype(np.int64))
