"""CrowdPose: what belongs to easy, medium and hard, and dicts of arrays instead of files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvbench import InputError, score
from cvbench.metrics import crowdpose, detection
from cvbench.metrics.detection import DetectionParams
from cvbench.metrics.keypoint_ap import CrowdPoseAP
from generated import Knobs
from keypoint_ap_cases import crowdpose as data_set, crowdpose_images

KNOBS = Knobs(7, 5, 1, 6, 12, 5, False, True, 1, True)


def test_levels_begin_at_their_limits() -> None:
    points = np.full((1, 14, 3), 20.0)
    pred = {"labels": [1], "keypoints": points, "scores": [0.9]}
    for index, level in ((0.0, 0), (np.nextafter(0.2, 0), 0), (0.2, 1), (np.nextafter(0.8, 0), 1), (0.8, 2), (1.0, 2)):
        gt = {"boxes": [[10, 10, 50, 50]], "labels": [1], "keypoints": points, "crowd_index": index}
        result = CrowdPoseAP().update(gt, pred).compute()
        assert [row["images"] for row in result.tables["per_level"]] == [int(n == level) for n in range(3)]
        defined = ~np.isnan([result.values[f"AP_{name}"] for name in crowdpose.LEVELS])
        assert defined.tolist() == [n == level for n in range(3)]


def test_figures_of_a_level_are_those_of_its_images_alone() -> None:
    gt, dt = data_set(KNOBS)
    whole = score("crowdpose.keypoints", gt, dt)
    limits = {"easy": (-1, 0.2), "medium": (0.2, 0.8), "hard": (0.8, 2)}
    for row in whole.tables["per_level"]:
        low, high = limits[row["level"]]
        images = [image["id"] for image in gt["images"] if low <= image["crowdIndex"] < high]
        assert row["images"] == len(images)
        if images:
            alone = score("crowdpose.keypoints", gt, dt, images=images)
            np.testing.assert_equal(alone.values["AP"], row["AP"])
            np.testing.assert_equal(alone.values["AR50"], row["AR50"])
            np.testing.assert_equal(alone.values["AP"], whole.values[f"AP_{row['level']}"])
            assert alone.tables["per_area"][0]["ground_truths"] == row["ground_truths"]
    assert sum(row["ground_truths"] for row in whole.tables["per_level"]) > 5


def test_dicts_give_the_figures_of_files() -> None:
    metric = CrowdPoseAP(box_format="xywh")
    for truth, found in crowdpose_images(KNOBS):
        metric.update(truth, found)
    gt, dt = data_set(KNOBS)
    np.testing.assert_equal(metric.compute().values, score("crowdpose.keypoints", gt, dt).values)
    assert str(metric.compute().signature).startswith("crowdpose.keypoints@1|")


def test_areas_are_not_asked_for_and_not_read() -> None:
    images = crowdpose_images(KNOBS)
    plain, given = CrowdPoseAP(box_format="xywh"), CrowdPoseAP(box_format="xywh")
    for truth, found in images:
        plain.update(truth, found)
        given.update(truth | {"area": [float("nan")] * len(truth["labels"])}, found)
    assert plain.compute().same_scores(given.compute())


def test_how_crowded_an_image_is_must_be_said() -> None:
    (truth, found), *_ = crowdpose_images(KNOBS)
    for value, message in ((None, "has no 'crowd_index'"), ([0.1, 0.2], "expected \\(1\\)"), (np.nan, "finite")):
        image = {name: truth[name] for name in truth if name != "crowd_index"}
        image |= {} if value is None else {"crowd_index": value}
        with pytest.raises(InputError, match=message):
            CrowdPoseAP().update(image, found)
    columns = CrowdPoseAP().update(truth, found).state
    assert isinstance(columns, crowdpose.CrowdPoseState)


def test_columns_need_an_index_for_each_image() -> None:
    gt = detection.GroundTruth(
        *(np.array([1, 2]), np.array([1]), ("person",), np.zeros(3, np.int64), np.zeros(0, np.int64), np.zeros(0)),
        *(np.zeros(0, np.bool_), np.zeros(0, np.bool_), np.zeros(0, np.bool_), np.zeros((0, 4)), None),
        *(np.zeros((0, 14, 3)), np.zeros(0, np.int64)),
    )
    dt = detection.Detections(np.zeros(3, np.int64), gt.category, gt.area, gt.area, keypoints=gt.keypoints)
    params = DetectionParams.of("keypoints", **crowdpose.RULES)
    with pytest.raises(InputError, match=r"crowd_index has shape \(1,\); expected \(2,\)"):
        crowdpose.count(gt, dt, np.zeros(1), params)
    state = crowdpose.count(gt, dt, np.array([0.5, 0.9]), replace(params, zero_keypoints="keep"))
    assert np.isnan(crowdpose.summarize(state).values["AP_hard"])
