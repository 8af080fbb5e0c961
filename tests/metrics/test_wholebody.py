"""COCO-WholeBody: parts are problems of their own, and dicts of arrays give the figures of files."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from cvbench import InputError, score
from cvbench.columns import Detections, GroundTruth
from cvbench.io import read_detections, read_ground_truth
from cvbench.metrics import detection, wholebody
from cvbench.metrics.base import merge
from cvbench.metrics.detection import DetectionParams
from cvbench.metrics.keypoint_ap import WholeBodyAP
from generated import Knobs
from keypoint_ap_cases import PARTS, wholebody as data_set, wholebody_images

KNOBS = Knobs(5, 5, 2, 6, 12, 5, False, True, 1, True)
RULES = DetectionParams.of("keypoints", **wholebody.RULES)


def columns(knobs: Knobs) -> tuple[GroundTruth, Detections]:
    gt, dt = data_set(knobs)
    truth = read_ground_truth(gt, "keypoints", keypoints=PARTS).columns
    return truth, read_detections(dt, truth, "keypoints", keypoints=PARTS, part_scores=wholebody.PART_SCORES).columns


def assert_same_state(a: detection.DetectionState, b: detection.DetectionState) -> None:
    for field in fields(detection.DetectionState):
        if field.name != "tallies":
            np.testing.assert_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def test_the_state_of_a_part_is_that_of_its_keypoints_alone() -> None:
    gt, dt = columns(KNOBS)
    state = wholebody.count(gt, dt, RULES)
    for number, part in enumerate((wholebody.WHOLE, *wholebody.PARTS)):
        assert gt.keypoints is not None
        assert dt.keypoints is not None
        assert dt.part_scores is not None
        own_score = dt.score if part.name == "body" else dt.part_scores[:, [0, 0, 1, 2, 3, 4][number]]
        alone = detection.count(
            replace(gt, keypoints=gt.keypoints[:, part.joints]),
            replace(dt, keypoints=dt.keypoints[:, part.joints], score=own_score),
            replace(RULES, sigmas=RULES.sigmas[part.joints]),
        )
        assert_same_state(state.of_part(number), alone)


def test_parts_follow_one_another() -> None:
    stops = [part.joints.stop for part in wholebody.PARTS]
    assert [part.joints.start for part in wholebody.PARTS] == [0, *stops[:-1]]
    assert {part.keypoints: part.joints.stop - part.joints.start for part in wholebody.PARTS} == PARTS
    assert [wholebody.PART_SCORES[part.score] for part in wholebody.PARTS if part.score is not None] == [
        f"{part.name}_score" for part in wholebody.PARTS[1:]
    ]


def test_merged_states_keep_their_parts() -> None:
    images = wholebody_images(KNOBS)
    metrics = [WholeBodyAP(box_format="xywh").update(*pair) for pair in images]
    together = WholeBodyAP(box_format="xywh")
    for pair in images:
        together.update(*pair)
    state: Any = merge([metric.state for metric in reversed(metrics)])
    summary = wholebody.summarize(state)
    np.testing.assert_equal(summary.values, together.compute().values)
    np.testing.assert_equal(summary.tables, together.compute().tables)


def test_dicts_give_the_figures_of_files() -> None:
    gt, dt = data_set(KNOBS)
    metric = WholeBodyAP(box_format="xywh")
    for truth, found in wholebody_images(KNOBS):
        metric.update(truth, found)
    result = score("coco.wholebody", gt, dt)
    np.testing.assert_equal(metric.compute().values, result.values)
    assert len(set(result.values.values())) > 8, "parts differ"


def test_the_score_of_the_person_ranks_parts_without_their_own() -> None:
    gt, dt = columns(KNOBS)
    shared = replace(dt, part_scores=np.repeat(dt.score[:, None], 5, axis=1))
    without = wholebody.count(gt, replace(dt, part_scores=None), RULES)
    np.testing.assert_equal(wholebody.count(gt, shared, RULES).score, without.score)
    plain, given = WholeBodyAP(box_format="xywh"), WholeBodyAP(box_format="xywh")
    for truth, found in wholebody_images(KNOBS):
        plain.update(truth, {name: found[name] for name in found if name != "part_scores"})
        given.update(truth, found | {"part_scores": np.repeat(np.reshape(found["scores"], (-1, 1)), 5, axis=1)})
    assert plain.compute().same_scores(given.compute())


def test_what_does_not_fit_is_refused() -> None:
    gt, dt = columns(KNOBS)
    with pytest.raises(InputError, match="there are 17 sigmas; expected one for each of 133 keypoints"):
        wholebody.count(gt, dt, DetectionParams.of("keypoints"))
    with pytest.raises(InputError, match="do not have the 133 keypoints of a whole body"):
        wholebody.count(replace(gt, keypoints=gt.keypoints[:, :17]), dt, RULES)  # type: ignore[index]  # it has them
    (truth, found), *_ = wholebody_images(KNOBS)
    with pytest.raises(InputError, match=r"pred.part_scores: has shape .* expected"):
        WholeBodyAP().update(truth, found | {"part_scores": np.zeros((len(found["scores"]), 4))})
