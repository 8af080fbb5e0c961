"""People in memory: paired keypoints in the plane and in space, and heatmaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbench.columns import Keypoints
from cvbench.metrics.heatmaps import encode_heatmaps

JOINTS, INPUT, HEATMAP = 17, (192, 256), (48, 64)


def people(number: int, seed: int = 0) -> Keypoints:
    """People with four of five joints annotated, in boxes of 50 to 300 pixels, and predictions 20 pixels away."""
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 500, (number, JOINTS, 2))
    return Keypoints(
        image_ids=np.arange(number),
        offsets=np.arange(number + 1),
        gt=gt.astype(np.float32).astype(np.float64),
        pred=(gt + rng.normal(0, 20, gt.shape)).astype(np.float32).astype(np.float64),
        visible=rng.random((number, JOINTS)) < 0.8,
        boxes=np.concatenate([np.zeros((number, 2)), rng.integers(50, 300, (number, 2))], axis=1),
    )


def poses(number: int, seed: int = 0) -> Keypoints:
    """Poses of some 600 mm, and predictions 40 mm away, all joints annotated as in Human3.6M."""
    rng = np.random.default_rng(seed)
    gt = rng.normal(0, 300, (number, JOINTS, 3))
    return Keypoints(
        image_ids=np.arange(number),
        offsets=np.arange(number + 1),
        gt=gt,
        pred=gt + rng.normal(0, 40, gt.shape),
        visible=np.ones((number, JOINTS), np.bool_),
    )


def heatmaps(number: int, seed: int = 1) -> tuple[Any, Any]:
    """Keypoints in the input, and what a network might say of them."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 1, (number, JOINTS, 2)) * INPUT
    maps, _ = encode_heatmaps(keypoints, input_size=INPUT, heatmap_size=HEATMAP, method="unbiased")
    return keypoints, maps + rng.normal(0, 0.02, maps.shape).astype(np.float32)
