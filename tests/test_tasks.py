"""The table of tasks: what it says is what results have, and texts become values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvbench import TASKS, InputError, score
from cvbench.metrics.detection import AREAS, VERSION, DetectionParams
from cvbench.tasks import COCO_AREAS, find
from generated import Knobs, coco

KNOBS = Knobs(0, 2, 2, 4, 6, 5, True, True, 1, False)


@pytest.mark.parametrize("name", TASKS)
def test_figures_are_those_of_results(name: str) -> None:
    task = TASKS[name]
    for texts in ({}, {"max_dets": "3,7", "areas": "all:0:1e10,tiny:0:50,large:9216:1e10", "iou_thresholds": "0.5"}):
        parameters = task.parse(texts)
        result = score(name, *coco(KNOBS, task.settings["iou_type"]), **parameters)
        assert list(task.describe(parameters)) == list(result.values)
        assert set(task.headline) <= set(result.values)
        assert result.task == task.id


@pytest.mark.parametrize("name", TASKS)
def test_default_texts_say_what_the_defaults_are(name: str) -> None:
    task = TASKS[name]
    official = DetectionParams.of(task.settings["iou_type"])
    for parameter in task.parameters:
        if hasattr(official, parameter.name) and parameter.name != "sigmas":
            changed = DetectionParams.of(
                task.settings["iou_type"], **{parameter.name: parameter.parse(parameter.default_text)}
            )
            assert changed == official, parameter.name


def test_one_fact_in_two_layers() -> None:
    # the table of tasks does not import Numba, so it repeats what the metric knows
    assert COCO_AREAS == AREAS
    assert {task.version for task in TASKS.values()} == {VERSION}


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
