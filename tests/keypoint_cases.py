"""Generated keypoints that crowd around the edges: distances exactly on thresholds, nobody visible, nothing predicted.

What a strategy draws are knobs and a seed, so that a failing example shrinks to a few instances that still fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cvbench.columns import Bool, Float
from mode import JIT

STEPS = np.array([[0, 0], [3, 4], [0, 1], [1, 0], [0, 2], [6, 8], [0, 5], [-3, 4], [30, 40]])
"""Errors whose length is an integer, so that many distances are exactly on a threshold."""

Pair = tuple[dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class KeypointKnobs:
    """How instances are to be."""

    seed: int
    images: int
    instances: int  # per image, at most
    joints: int
    grid: bool  # integer coordinates and sizes of 10 or 20, which put distances on thresholds
    hidden: float  # share of keypoints that are not annotated
    missing: float  # share of keypoints that are not predicted
    grouped: bool
    dims: int = 2


def keypoint_knobs(joints: int | None = None, missing: bool = False) -> st.SearchStrategy[KeypointKnobs]:
    """Strategy for a few images, with so many joints, and with keypoints that are not predicted or without."""
    return st.builds(
        KeypointKnobs,
        seed=st.integers(0, 2**32 - 1),
        images=st.integers(1, 5 if JIT else 2),
        instances=st.integers(0, 6 if JIT else 3),
        joints=st.integers(1, 17) if joints is None else st.just(joints),
        grid=st.booleans(),
        hidden=st.sampled_from((0.0, 0.3, 0.9)),
        missing=st.sampled_from((0.0, 0.2, 0.9)) if missing else st.just(0.0),
        grouped=st.booleans(),
    )


@dataclass(frozen=True)
class Instances:
    """All instances of a data set, as the slow twins take them; see `cvbench.columns.Keypoints`."""

    gt: Float
    pred: Float
    visible: Bool
    boxes: Float  # two corners
    head_boxes: Float
    size: Float


def keypoint_images(knobs: KeypointKnobs) -> list[Pair]:
    """Ground truth and prediction of each image, as metrics take them; hidden ground truth is NaN now and then."""
    rng = np.random.default_rng(knobs.seed)
    pairs = []
    for image in range(knobs.images):
        number = int(rng.integers(0, knobs.instances + 1))
        gt = rng.integers(0, 200, (number, knobs.joints, knobs.dims)).astype(float)
        if not knobs.grid:
            gt += rng.random(gt.shape)
        pred = gt + rng.normal(0, 6, gt.shape)
        if knobs.grid:
            pred = gt.copy()
            pred[:, :, :2] += STEPS[rng.integers(0, len(STEPS), gt.shape[:2])]
        visible = rng.random(gt.shape[:2]) >= knobs.hidden
        gt[~visible & (rng.random(gt.shape[:2]) < 0.5)] = np.nan
        pred[rng.random(gt.shape[:2]) < knobs.missing] = np.nan
        corner = rng.integers(0, 50, (number, 2))
        sides = rng.choice([10.0, 20.0], (number, 2)) if knobs.grid else rng.uniform(0.5, 60, (number, 2))
        truth: dict[str, Any] = {"image_id": 3 * image + 1, "keypoints": gt, "visible": visible}
        truth["boxes"] = np.concatenate([corner, corner + sides], axis=1)
        truth["head_boxes"] = np.concatenate([corner, corner + sides * [3, 4] / sides], axis=1)
        truth["size"] = sides.max(axis=1)
        if knobs.grouped:
            truth["groups"] = [sorted(rng.choice(["a", "b", "c"], rng.integers(0, 3))) for _ in range(number)]
        pairs.append((truth, {"keypoints": pred}))
    return pairs


def together(images: list[Pair]) -> Instances:
    """The instances of all images."""
    truths = [gt for gt, _ in images]
    columns = {name: np.concatenate([gt[name] for gt in truths]) for name in ("visible", "boxes", "head_boxes", "size")}
    return Instances(
        np.concatenate([gt["keypoints"] for gt in truths]),
        np.concatenate([pred["keypoints"] for _, pred in images]),
        **columns,
    )
