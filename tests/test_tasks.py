"""The table of tasks: what it says is what results have, and texts become values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import TASKS, InputError, PanopticParams, SemanticParams, score
from cvbench.families.coco import BENCHMARKS
from cvbench.metrics import cityscapes, endpoint_error, keypoints, landmarks, limbs, mpii, pose3d, semantic
from cvbench.metrics.detection import AREAS, VERSION, DetectionParams
from cvbench.metrics.paired import METRICS
from cvbench.tasks import Task, find
from cvbench.tasks.coco import COCO_AREAS
from generated import Knobs, coco
from keypoint_ap_cases import crowdpose, wholebody
from keypoint_cases import KeypointKnobs, keypoint_images
from panoptic_cases import CATEGORIES, panoptic_images
from semantic_cases import MapKnobs, city_maps, label_maps

KNOBS = Knobs(0, 2, 2, 4, 6, 5, True, True, 1, False)


CHANGES: dict[str, tuple[dict[str, str], ...]] = {
    "coco": ({"max_dets": "3,7", "areas": "all:0:1e10,tiny:0:50,large:9216:1e10", "iou_thresholds": "0.5"},),
    "panoptic": ({"boundary": "yes"}, {"area": "png"}),
    "semantic": ({"boundary": "yes"}, {"aggregate": "image"}, {"preset": "mmseg"}),
    "cityscapes": (),
    "points": (),
    "pose.pck": ({"thresholds": "0.1,0.2", "parts": "Arm=1+2", "curve": "0:0.5:0.1"}, {"preset": "lsp"}),
    "mpii.pckh": ({"protocol": "hrnet"}, {"protocol": "mmpose"}, {"thresholds": "0.3"}),
    "pose.pdj": ({"normalizer": "joints:0-1"},),
    "landmarks.nme": ({"failure_thresholds": "0.2,0.3", "normalizer": "bbox"},),
    "pose.mpjpe": ({"thresholds": "50,100"},),
}
"""Parameters under which figures may be others."""

NEEDED = {
    "semantic": {"num_classes": "4", "ignore_index": "255"},
    "pose.pdj": {"preset": "lsp"},
    "pose.pcp": {"preset": "lsp"},
    "landmarks.nme": {"preset": "aflw"},
}
OWN: dict[str, Any] = {
    "pose.pdj": {"normalizer": "joints:0-1"},
    "pose.pcp": {"limbs": ["arm=0-1"]},
    "landmarks.nme": {"normalizer": "bbox"},
}
"""What tasks need to be told beside their defaults."""

JOINTS = {"mpii.pckh": 16, "landmarks.nme": 19}


def inputs_of(task: Task, folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Ground truth, predictions, and where else their parts are."""
    if task.family == "coco":
        benchmarks = {"coco": lambda knobs: coco(knobs, task.settings["iou_type"])}
        benchmarks |= {"crowdpose": crowdpose, "wholebody": wholebody}
        return *benchmarks[task.settings["benchmark"]](KNOBS), {}
    if task.family == "panoptic":
        gt, pred = panoptic_files(panoptic_images(KNOBS), folder)
        return gt, pred, {"gt_folder": folder, "pred_folder": folder}
    if task.family == "points":
        dims = 3 if task.name == "pose.mpjpe" else 2
        return *instances(KeypointKnobs(4, 3, 4, JOINTS.get(task.name, 14), False, 0.0, 0.0, False, dims)), {}
    pairs = (city_maps if task.family == "cityscapes" else label_maps)(MapKnobs(3, 2, 4, 9, 4, 0.2, True))
    return [gt for gt, _ in pairs], [pred for _, pred in pairs], {}


def instances(knobs: KeypointKnobs) -> tuple[dict[str, Any], Any]:
    """The instances of all images as arrays of one file each."""
    images = keypoint_images(knobs)
    gt = {
        name: np.concatenate([truth[name] for truth, _ in images])
        for name in ("keypoints", "visible", "boxes", "head_boxes", "size")
    }
    return gt, np.concatenate([pred["keypoints"] for _, pred in images])


def panoptic_files(images: list[Any], folder: Path) -> list[dict[str, Any]]:
    sides: list[dict[str, Any]] = [
        {"annotations": [], "categories": [{"id": number, **category} for number, category in CATEGORIES.items()]}
        for _ in range(2)
    ]
    for i, pair in enumerate(images):
        for name, image, side in zip(("gt", "pred"), pair, sides, strict=True):
            np.save(folder / f"{name}{i}.npy", image["map"])
            record = {"image_id": i, "file_name": f"{name}{i}.npy", "segments_info": image["segments"]}
            side["annotations"].append(record)
    return sides


@pytest.mark.parametrize("name", TASKS)
def test_figures_are_those_of_results(name: str, tmp_path: Path) -> None:
    task = TASKS[name]
    gt, pred, places = inputs_of(task, tmp_path)
    for texts in ({}, *CHANGES.get(name, CHANGES[task.family])):
        needed = {} if "normalizer" in texts else NEEDED.get(name, NEEDED.get(task.family, {}))
        parameters = task.parse(needed | texts)
        result = score(name, gt, pred, **places, **parameters)
        assert list(task.describe(parameters)) == list(result.values)
        assert set(task.headline) <= set(result.values) or "thresholds" in texts
        assert result.task == task.id


@pytest.mark.parametrize("name", TASKS)
def test_default_texts_say_what_the_defaults_are(name: str) -> None:
    task = TASKS[name]
    official: Any = {
        "coco": lambda: DetectionParams.of(task.settings["iou_type"], **BENCHMARKS[task.settings["benchmark"]].rules),
        "panoptic": lambda: PanopticParams(dilation_ratio=task.settings["dilation_ratio"]),
        "semantic": lambda: SemanticParams.of(num_classes=3),
        "cityscapes": lambda: None,
        "points": lambda: METRICS[task.settings["metric"]].rules(**OWN.get(name, {})),
    }[task.family]()
    for parameter in task.parameters:
        own = parameter.name in ("sigmas", "class_ids", "label_map")  # their defaults are said in words
        own |= parameter.default_text in ("all", "none") and task.family != "points"
        own |= " of " in f" {parameter.default_text}"
        if hasattr(official, parameter.name) and not own:
            changed = replace(official, **{parameter.name: parameter.parse(parameter.default_text)})
            assert changed == official, parameter.name


def test_one_fact_in_two_layers() -> None:
    # the table of tasks does not import Numba, so it repeats what the metrics know
    assert COCO_AREAS == AREAS
    versions = {
        "coco": VERSION,
        "panoptic": 1,
        "semantic": semantic.VERSION,
        "cityscapes": cityscapes.VERSION,
    }
    versions_of_points = {
        "pose.pck": keypoints.VERSION,
        "mpii.pckh": mpii.VERSION,
        "pose.pdj": keypoints.VERSION,
        "pose.pcp": limbs.VERSION,
        "pose.auc": keypoints.VERSION,
        "pose.epe": endpoint_error.VERSION,
        "landmarks.nme": landmarks.VERSION,
        "pose.mpjpe": pose3d.VERSION,
    }
    assert {task.name: task.version for task in TASKS.values() if task.family == "points"} == versions_of_points
    assert {task.family: task.version for task in TASKS.values() if task.family != "points"} == versions
    choices: dict[str, Any] = {
        "semantic.miou": semantic.PRESETS,
        "pose.pck": [preset for preset in keypoints.PRESETS if not preset.endswith(("-pdj", "-auc"))],
        "pose.pdj": [preset.removesuffix("-pdj") for preset in keypoints.PRESETS if preset.endswith("-pdj")],
        "pose.pcp": limbs.PRESETS,
        "mpii.pckh": mpii.PROTOCOLS,
        "landmarks.nme": landmarks.PRESETS,
    }
    for name, presets in choices.items():
        rule = next(rule for rule in TASKS[name].parameters if rule.name in ("preset", "protocol"))
        for preset in presets:
            assert rule.parse(preset) == preset


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ({"iou_thresholds": "0.5"}, (0.5,)),
        ({"iou_thresholds": "0.5:0.95:0.05"}, tuple(np.linspace(0.5, 0.95, 10).tolist())),
        ({"max_dets": "1,10,1000"}, (1, 10, 1000)),
        ({"areas": "all:0:1e5,tiny:0:16"}, (("all", 0.0, 1e5), ("tiny", 0.0, 16.0))),
        ({"class_agnostic": "yes"}, True),
        ({"class_agnostic": "False"}, False),
        ({"categories": "1,person,-3"}, (1, "person", -3)),
        ({"id_zero": "unmatched"}, "unmatched"),
    ],
)
def test_texts_become_values(text: dict[str, str], value: Any) -> None:
    assert list(find("coco.bbox").parse(text).values()) == [value]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"max_det": "5"}, "coco.bbox has no parameter 'max_det'; did you mean 'max_dets'"),
        ({"max_dets": "1,x"}, "max_dets=1,x: expected an integer, found 'x'"),
        ({"iou_thresholds": "half"}, "expected a number, found 'half'"),
        ({"iou_thresholds": "0.5:0.9"}, "expected first:last:step, found '0.5:0.9'"),
        ({"iou_thresholds": "0.5:0.9:0.3"}, "steps of 0.3 lead from 0.5 to 0.9"),
        ({"iou_thresholds": "0:1:1e-9"}, "expected 100,000 numbers or fewer, found 1,000,000,001"),
        ({"iou_thresholds": "0:1:0"}, "steps of 0 lead from 0 to 1"),
        ({"areas": "small:5"}, "expected label:low:high"),
        ({"class_agnostic": "maybe"}, "expected yes or no"),
        ({"id_zero": "skip"}, "expected one of match, unmatched"),
    ],
)
def test_texts_that_mean_nothing(text: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find("coco.bbox").parse(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco.box", "there is no task 'coco.box'; did you mean 'coco.bbox'"),
        ("coco.bbox@0", "coco.bbox is at version 1, not 0"),
    ],
)
def test_tasks_that_are_none(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find(name)


def test_a_task_may_be_named_with_its_version() -> None:
    assert find("coco.bbox@1") is TASKS["coco.bbox"]
