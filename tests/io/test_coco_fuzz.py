"""Damaged data of every kind: reading ends in columns or in a FormatError, and checking agrees with reading."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.columns import Masks
from cvbench.errors import FormatError
from cvbench.io import (
    Reading,
    check_detections,
    check_ground_truth,
    coco,
    diagnosis,
    read_detections,
    read_ground_truth,
)
from cvbench.io.fields import GroundTruthOptions
from input_cases import ground_truth, predictions

pytestmark = pytest.mark.usefixtures("each_way_of_reading")

TASKS = ("bbox", "segm", "keypoints")
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 1.0, 2.5, -0.0, -3.5, 1e300, 2**70, 10**400, float("nan"), float("inf")),
    *(
        "",
        "1",
        "2",
        "é",
        "0123",
        [],
        {},
        [1, 2],
        [[]],
        [[1, 2, 3, 4]],
        [1, 2, 3, 4],
        [1, 2, -3, 4],
        [[5, 5, 9, 5, 9, 9]],
    ),
    *({"size": [80, 100]}, {"size": [80, 100], "counts": [8000]}, {"size": [100, 80], "counts": "PQ1"}),
)
DROP = object()


def places(data: Any, depth: int = 4) -> list[tuple[Any, ...]]:
    """Every place in the data, but only the first few of a long list."""
    if depth == 0 or not isinstance(data, (dict, list)):
        return []
    steps = list(data) if isinstance(data, dict) else list(range(min(len(data), 4)))
    return [place for step in steps for place in ((step,), *((step, *rest) for rest in places(data[step], depth - 1)))]


@st.composite
def damaged(draw: st.DrawFn, data: Any) -> Any:
    """The data with up to three values replaced, dropped or given twice."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(0, 3))):
        found = places(data)
        if not found:
            break
        *path, last = draw(st.sampled_from(found))
        owner = data
        for step in path:
            owner = owner[step]
        value = draw(st.sampled_from((DROP, *VALUES)))
        if value is not DROP:
            owner[last] = copy.deepcopy(value)
        elif isinstance(owner, list) and draw(st.booleans()):
            owner.append(copy.deepcopy(owner[last]))
        else:
            del owner[last]
    return data


def same(a: Any, b: Any) -> bool:
    """Whether two readings hold the same columns, counts and sizes."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Masks) or type(a).__name__ in ("GroundTruth", "Detections"):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b)


def outcome(read: Any, source: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """The reading, or the error as text in which the input is called `name`."""
    try:
        return read(source, *arguments, **options)
    except FormatError as error:
        # what lists the other problems differs between files and data from memory
        return unnamed(error.where, name), unnamed(error.message, name).split(" (and ")[0]


def unnamed(text: str, name: str) -> str:
    """Places in the input without its name."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?=[.[]|$)", "", text)


def agree(a: Any, b: Any) -> None:
    assert isinstance(a, Reading) == isinstance(b, Reading)
    if isinstance(a, Reading):
        assert same(a.columns, b.columns)
        assert same(a.crowd_index, b.crowd_index)
        assert a.counts == b.counts
        assert a.detection_area == b.detection_area
    else:
        assert a == b


def in_parts(records: list[Any]) -> list[Any]:
    """The records with their last 12 keypoints in a field of their own."""
    return [
        record | {"keypoints": record["keypoints"][:15], "hand_kpts": record["keypoints"][15:]} for record in records
    ]


def parts_of_ground_truth() -> Any:
    gt = ground_truth()
    images = [image | {"crowdIndex": 0.5 * n} for n, image in enumerate(gt["images"])]
    return gt | {"images": images, "annotations": in_parts(gt["annotations"])}


def parts_of_predictions() -> Any:
    records = in_parts(predictions(ground_truth()))
    return [record | ({"hand_score": 0.1} if n else {}) for n, record in enumerate(records)]


PARTS = {"keypoints": 5, "hand_kpts": 12}


@pytest.mark.parametrize("task", [*TASKS, "parts"])
@given(data=st.data())
def test_damaged_ground_truth(task: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    options: dict[str, Any] = {"missing_area": data.draw(st.sampled_from(("refuse", "box")))}
    parts: Any = (("keypoints", 17),)
    sound, iou_type = ground_truth(), task
    if task == "parts":
        sound, iou_type, parts = parts_of_ground_truth(), "keypoints", tuple(PARTS.items())
        options["missing_area"] = data.draw(st.sampled_from(("refuse", "box", "unused")))
        options |= {"keypoints": PARTS, "crowd_index": True}
    tree = data.draw(damaged(sound))
    path = str(write(tmp_path_factory, tree))
    by_file = outcome(read_ground_truth, path, path, iou_type, **options)
    slow = GroundTruthOptions(iou_type, options["missing_area"], parts, task == "parts")
    found = list(diagnosis.ground_truth_problems(tree, path, slow))
    first = [(unnamed(problem.where, path), unnamed(problem.message, path)) for problem in found[:1]]
    assert first == ([] if isinstance(by_file, Reading) else [by_file])
    assert check_ground_truth(path, iou_type, **options) == found
    if isinstance(tree, dict):
        agree(by_file, outcome(read_ground_truth, tree, "gt", iou_type, **options))


@pytest.mark.parametrize("task", [*TASKS, "parts"])
@given(data=st.data())
def test_damaged_detections(task: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    parts: dict[str, Any] = {}
    if task == "parts":
        task, parts = "keypoints", {"keypoints": PARTS, "part_scores": ("hand_score", "foot_score")}
    gt = read_ground_truth(ground_truth(), task)
    sound = parts_of_predictions() if parts else predictions(ground_truth())
    left_out = data.draw(st.sampled_from(((), ("bbox",), ("segmentation",), ("bbox", "segmentation"))))
    tree = data.draw(
        damaged([{key: value for key, value in record.items() if key not in left_out} for record in sound])
    )
    options: dict[str, Any] = {"sizes": gt.image_sizes, **parts}
    options["detection_area"] = data.draw(st.sampled_from(coco.AREAS[task]))
    options["box_masks"] = task == "segm" and data.draw(st.booleans())
    path = str(write(tmp_path_factory, tree))
    by_file = outcome(read_detections, path, path, gt.columns, task, **options)
    found = check_detections(path, gt.columns, task, **options)
    first = [(unnamed(problem.where, path), unnamed(problem.message, path)) for problem in found[:1]]
    assert first == ([] if isinstance(by_file, Reading) else [by_file])
    agree(by_file, outcome(read_detections, tree, "pred", gt.columns, task, **options))
    alone = check_detections(path, None, task, **options)
    assert isinstance(by_file, tuple) or alone == []


def write(folders: pytest.TempPathFactory, tree: Any) -> Path:
    path = folders.getbasetemp() / "damaged.json"
    path.write_text(json.dumps(tree))
    return path
