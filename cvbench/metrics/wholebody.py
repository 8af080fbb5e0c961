"""COCO-WholeBody: keypoint AP of the whole body's 133 joints, and of body, feet, face and hands by themselves.

The same matching and curves as COCO's keypoints (`cvbench.metrics.detection`), six times over the same people: once for
all joints, once for each part. A part is a detection problem of its own. It has its own sigmas and its own scores,
people without a labelled joint in it are ignored, and detections without a joint in it that has a third value above 0
are dropped. Areas are those of the person in all parts: of the ground truth as annotated, of the detection by its box
or by the extent of its 17 body joints.

Undefined: as in COCO; so ``AP_foot`` is NaN where nobody has a labelled foot.

Reference: Jin et al., *Whole-Body Human Pose Estimation in the Wild*, ECCV 2020; xtcocotools 1.14.3 with
``keypoints_wholebody``, ``keypoints_body``, ``keypoints_foot`` and so on, which mmpose uses.

Named deviation: NaN where the evaluator prints −1. halpecocotools scores the same data with other sigmas, see
`cvbench.metrics.sigmas`; its figures do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Detections, GroundTruth, Int
from cvbench.errors import InputError
from cvbench.metrics import detection
from cvbench.metrics.base import image_weights, rows_of
from cvbench.metrics.detection import DetectionParams, DetectionState, Progress, Scored, Summary, scored

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

TASK = f"coco.wholebody@{VERSION}"

RULES: dict[str, Any] = {"sigmas": "wholebody133", "ignore_rule": "labelled", "zero_keypoints": "drop"}
"""Where COCO-WholeBody departs from COCO's rules for keypoints."""


@dataclass(frozen=True)
class Part:
    """A part of the body.

    Attributes
    ----------
    name
    joints
        Where its joints stand among the 133.
    keypoints
        The field of a record that holds them.
    score
        The column of `Detections.part_scores` that ranks it; None: the score of the person.
    """

    name: str
    joints: slice
    keypoints: str
    score: int | None


PARTS = (
    Part("body", slice(0, 17), "keypoints", None),
    Part("foot", slice(17, 23), "foot_kpts", 1),
    Part("face", slice(23, 91), "face_kpts", 2),
    Part("lefthand", slice(91, 112), "lefthand_kpts", 3),
    Part("righthand", slice(112, 133), "righthand_kpts", 4),
)
WHOLE = Part("wholebody", slice(0, 133), "", 0)
JOINTS = WHOLE.joints.stop

PART_SCORES = ("wholebody_score", "foot_score", "face_score", "lefthand_score", "righthand_score")
"""The fields of a detection with scores of their own, the columns of `Detections.part_scores`; the body has none."""


@dataclass(frozen=True)
class WholeBodyState(DetectionState):
    """What matching found: the rows of `DetectionState`, for the whole body and for each part.

    Attributes
    ----------
    part, gt_part : (N,) and (G,) int8
        0 for the rows of the whole body, *n* for those of ``PARTS[n - 1]``.
    """

    part: NDArray[np.int8] = field(metadata=rows_of("image"))
    gt_part: NDArray[np.int8] = field(metadata=rows_of("gt_image"))

    def of_part(self, number: int) -> DetectionState:
        """The state of one part as if there were no others."""
        changes: dict[str, Any] = {}
        for f in fields(DetectionState):
            value = getattr(self, f.name)
            if f.name in ROWS_OF_DETECTIONS:
                changes[f.name] = value[self.part == number]
            elif f.name in ROWS_OF_GROUND_TRUTHS:
                changes[f.name] = value[self.gt_part == number]
            else:
                changes[f.name] = value
        return DetectionState(**changes | {"params": params_of((WHOLE, *PARTS)[number], self.params)})


ROWS_OF_DETECTIONS = ("image", "category", "rank", "score", "true", "ignored")
ROWS_OF_GROUND_TRUTHS = ("gt_image", "gt_category", "gt_counted")


def params_of(part: Part, params: DetectionParams) -> DetectionParams:
    """The rules of one part."""
    return replace(params, sigmas=params.sigmas[part.joints])


def columns_of(part: Part, gt: GroundTruth, dt: Detections) -> tuple[GroundTruth, Detections]:
    """The columns of one part."""
    points, found = gt.keypoints, dt.keypoints
    if points is None or found is None or {points.shape[1:], found.shape[1:]} != {(JOINTS, 3)}:
        raise InputError(f"the columns do not have the {JOINTS} keypoints of a whole body")
    score = dt.score if part.score is None or dt.part_scores is None else dt.part_scores[:, part.score]
    return (
        replace(gt, keypoints=points[:, part.joints]),
        replace(dt, keypoints=found[:, part.joints], score=np.ascontiguousarray(score), part_scores=None),
    )


def count(
    gt: GroundTruth,
    dt: Detections,
    params: DetectionParams,
    threads: int | None = None,
    progress: Progress | None = None,
) -> WholeBodyState:
    """Match detections with ground truths in the whole body and in each part; arguments as of
    `cvbench.metrics.detection.count`.

    Parameters
    ----------
    gt, dt
        Columns with the 133 keypoints of the whole body; without `Detections.part_scores`, the score of the person
        ranks all parts.
    params
        Rules with 133 sigmas.
    """
    if len(params.sigmas) != JOINTS:
        raise InputError(f"there are {len(params.sigmas)} sigmas; expected one for each of {JOINTS} keypoints")
    states = [
        detection.count(*columns_of(part, gt, dt), params_of(part, params), threads, progress)
        for part in (WHOLE, *PARTS)
    ]
    joined = {
        name: np.concatenate([getattr(state, name) for state in states])
        for name in (*ROWS_OF_DETECTIONS, *ROWS_OF_GROUND_TRUTHS)
    }
    numbers = np.arange(len(states), dtype=np.int8)
    tallies = dict(states[0].tallies)
    if params.zero_keypoints == "drop":
        for part, state in zip(PARTS, states[1:], strict=True):
            tallies[f"dropped_zero_keypoints_{part.name}"] = state.tallies["dropped_zero_keypoints"]
    return WholeBodyState(
        **vars(states[0]) | joined | {"tallies": tallies, "params": params},
        part=np.repeat(numbers, [len(state.image) for state in states]),
        gt_part=np.repeat(numbers, [len(state.gt_image) for state in states]),
    )


def summarize(
    state: WholeBodyState,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    threads: int | None = None,
    names: Mapping[int, str] | None = None,
) -> Summary:
    """The official figures of the whole body and of its parts; arguments as of `cvbench.metrics.detection.summarize`.

    Returns
    -------
    Summary
        ``values`` hold the figures of COCO's keypoints for the whole body, and AP, AP50, AP75 and AR with the name of
        each part (``AP_body``); the table ``per_part`` all figures of all parts. Other tables and arrays are those of
        the whole body.
    """
    return figures([scored(*view, threads) for view in views(state, image_weights(state, weights))], names)


def views(state: WholeBodyState, weights: Int) -> list[tuple[DetectionState, Int]]:
    """The states, with weights of their images, which `figures` wants to be scored: the whole body, then its parts."""
    return [(state.of_part(number), weights) for number in range(1 + len(PARTS))]


def figures(found: Sequence[Scored], names: Mapping[int, str] | None = None) -> Summary:
    """The figures of what was scored of `views`; see `summarize`."""
    whole = detection.figures(found[:1], names)
    values, rows = dict(whole.values), []
    for part, of_part in zip((WHOLE, *PARTS), found, strict=True):
        own = detection.figures([of_part]).values
        counted = {"ground_truths": int(of_part.positives[:, 0].sum()), "detections": int(of_part.detections.sum())}
        joints = part.joints.stop - part.joints.start
        rows.append({"part": part.name, "joints": joints, **own, **counted})
        if part is not WHOLE:
            values |= {f"{name}_{part.name}": own[name] for name in ("AP", "AP50", "AP75", "AR")}
    return Summary(values, {"per_part": rows, **whole.tables}, whole.arrays)


result_of = partial(detection.result_of, task=TASK, summarize=summarize)
"""Score a state and say under which rules; arguments as of `cvbench.metrics.detection.result_of`."""
