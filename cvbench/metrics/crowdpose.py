"""CrowdPose: keypoint AP of 14 joints, over all images and over those that are easy, medium and hard.

The same matching and curves as COCO's keypoints (`cvbench.metrics.detection`) under other rules: CrowdPose's joints and
their sigmas, 0.53 times the box for a person's area, as no areas are annotated, and no area ranges. How crowded an
image is, its ``crowdIndex``, says where it belongs: easy below 0.2, medium below 0.8, hard from 0.8 on. (The paper's
text has 0.1 for 0.2; the evaluators' code is followed.)

Undefined: as in COCO; so ``AP_hard`` is NaN where no hard image has a ground truth that counts.

Reference: Li et al., *CrowdPose: Efficient Crowded Scenes Pose Estimation and a New Benchmark*, CVPR 2019;
crowdposetools, and xtcocotools 1.14.3 with ``keypoints_crowd``, which mmpose uses.

Named deviations: ``AP_easy``, ``AP_medium`` and ``AP_hard`` are not rounded to four decimals; they are means over
categories that have ground truth, where the evaluators average −1 in for the others, and NaN where the evaluators
print −1. Detections without a keypoint whose third value is above 0 are dropped, as in xtcocotools;
``zero_keypoints="keep"`` takes them, as crowdposetools does. A ground truth with id 0 can be matched, as in
xtcocotools; ``id_zero="unmatched"`` is crowdposetools' way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Detections, Float, GroundTruth, Int
from cvbench.errors import InputError
from cvbench.metrics import detection
from cvbench.metrics.base import PER_IMAGE, image_weights
from cvbench.metrics.detection import AREAS, DetectionParams, DetectionState, Progress, Scored, Summary, scored

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

TASK = f"crowdpose.keypoints@{VERSION}"

RULES: dict[str, Any] = {
    "areas": AREAS[:1],
    "sigmas": "crowdpose14",
    "scale_area": "box053",
    "zero_keypoints": "drop",
}
"""Where CrowdPose departs from COCO's rules for keypoints."""

LEVELS = ("easy", "medium", "hard")
LIMITS = (0.2, 0.8)
"""The crowd indices from which on an image is medium, and hard."""


@dataclass(frozen=True)
class CrowdPoseState(DetectionState):
    """What matching found, and how crowded each image is.

    Attributes
    ----------
    crowd_index : (I,) float64
    """

    crowd_index: Float = field(metadata=PER_IMAGE)


def count(
    gt: GroundTruth,
    dt: Detections,
    crowd_index: Float,
    params: DetectionParams,
    threads: int | None = None,
    progress: Progress | None = None,
) -> CrowdPoseState:
    """Match detections with ground truths; arguments as of `cvbench.metrics.detection.count`.

    Parameters
    ----------
    crowd_index : (I,) float64
        Of each of the ground truth's images.
    """
    if crowd_index.shape != (len(gt.image_ids),):
        raise InputError(f"crowd_index has shape {crowd_index.shape}; expected ({len(gt.image_ids)},), one per image")
    return CrowdPoseState(**vars(detection.count(gt, dt, params, threads, progress)), crowd_index=crowd_index)


def summarize(
    state: CrowdPoseState,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    threads: int | None = None,
    names: Mapping[int, str] | None = None,
) -> Summary:
    """The official figures, and the same by level; arguments as of `cvbench.metrics.detection.summarize`.

    Returns
    -------
    Summary
        ``values`` hold AP, AP50, AP75, AR, AR50, AR75, AP_easy, AP_medium, AP_hard; the table ``per_level`` the other
        figures of the levels.
    """
    return figures([scored(*view, threads) for view in views(state, image_weights(state, weights))], names)


def views(state: CrowdPoseState, weights: Int) -> list[tuple[DetectionState, Int]]:
    """The states, with weights of their images, which `figures` wants to be scored: all images, then each level."""
    level_of_image = np.searchsorted(LIMITS, state.crowd_index, side="right")
    return [(state, weights), *((state, weights * (level_of_image == number)) for number in range(len(LEVELS)))]


def figures(found: Sequence[Scored], names: Mapping[int, str] | None = None) -> Summary:
    """The figures of what was scored of `views`; see `summarize`."""
    whole, rows = detection.figures(found[:1], names), []
    for level, inside in zip(LEVELS, found[1:], strict=True):
        part = detection.figures([inside])
        ground_truths = part.tables["per_area"][0]["ground_truths"]
        rows.append({"level": level, **part.values, "images": inside.images, "ground_truths": ground_truths})
    values = whole.values | {f"AP_{row['level']}": row["AP"] for row in rows}
    return Summary(values, {"per_level": rows, **whole.tables}, whole.arrays)


result_of = partial(detection.result_of, task=TASK, summarize=summarize)
"""Score a state and say under which rules; arguments as of `cvbench.metrics.detection.result_of`."""
