"""CrowdPose and COCO-WholeBody files, as a user scores and checks them, and their rules on other people's keypoints."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import FormatError, InputError, score
from cvbench.metrics.sigmas import SIGMAS
from cvbench.scoring import check
from cvbench.tasks import find
from generated import Knobs, coco
from keypoint_ap_cases import Data, crowdpose, wholebody

KNOBS = Knobs(11, 4, 2, 5, 9, 5, False, True, 1, True)
DATA = {"crowdpose.keypoints": crowdpose, "coco.wholebody": wholebody}


def save(folder: Path, data: Data) -> list[Path]:
    paths = [folder / "gt.json", folder / "pred.json"]
    for path, content in zip(paths, data, strict=True):
        path.write_text(json.dumps(content))
    return paths


def without(records: list[dict[str, Any]], row: int, name: str) -> None:
    del records[row][name]


@pytest.mark.parametrize("task", DATA)
def test_files_and_what_they_hold_score_the_same(task: str, tmp_path: Path) -> None:
    data = DATA[task](KNOBS)
    before = copy.deepcopy(data)
    files = save(tmp_path, data)
    assert check(task, files) == []
    by_file, by_data = score(task, *files), score(task, *data)
    assert by_file.same_scores(by_data)
    np.testing.assert_equal(data, before)
    assert by_file.task == find(task).id
    assert str(by_file.signature).startswith(f"{task}@1|")


REFUSED = [
    ("crowdpose.keypoints", 0, ("images", 1), "crowdIndex", "images[1].crowdIndex"),
    ("crowdpose.keypoints", 0, ("annotations", 2), "bbox", "annotations[2].bbox"),
    ("coco.wholebody", 0, ("annotations", 0), "foot_kpts", "annotations[0].foot_kpts"),
    ("coco.wholebody", 0, ("annotations", 1), "area", "annotations[1].area"),
    ("coco.wholebody", 1, (3,), "lefthand_kpts", "[3].lefthand_kpts"),
]


@pytest.mark.parametrize(("task", "side", "path", "name", "place"), REFUSED, ids=[case[4] for case in REFUSED])
def test_what_is_missing_is_named_with_the_task_that_lists_the_rest(
    task: str, side: int, path: tuple[Any, ...], name: str, place: str, tmp_path: Path
) -> None:
    data = DATA[task](KNOBS)
    for row in (path[-1], path[-1] + 1):
        owner: Any = data[side]
        for step in path[:-1]:
            owner = owner[step]
        without(owner, row, name)
    files = save(tmp_path, data)
    with pytest.raises(FormatError) as raised:
        score(task, *files)
    assert raised.value.where == f"{files[side]}{'' if side else '.'}{place}"
    assert f"cvbench check {task} " in raised.value.message
    problems = check(task, files)
    assert next(problem.where for problem in problems) == raised.value.where
    assert len(problems) == 2


def test_the_number_of_keypoints_is_that_of_the_part() -> None:
    gt, dt = wholebody(KNOBS)
    dt[0]["foot_kpts"] += [1.0, 1.0, 1.0]
    with pytest.raises(FormatError, match=r"pred\[0\]\.foot_kpts: found 7 keypoints \(21 numbers\), expected 6"):
        score("coco.wholebody", gt, dt)


def test_images_may_be_chosen() -> None:
    gt, dt = crowdpose(KNOBS)
    chosen = [image["id"] for image in gt["images"][1:3]]
    result = score("crowdpose.keypoints", gt, dt, images=chosen)
    part = {
        "images": [image for image in gt["images"] if image["id"] in chosen],
        "annotations": [record for record in gt["annotations"] if record["image_id"] in chosen],
    }
    alone = score("crowdpose.keypoints", gt | part, [record for record in dt if record["image_id"] in chosen])
    np.testing.assert_equal(result.values, alone.values)
    assert sum(row["images"] for row in result.tables["per_level"]) == 2


def test_what_was_dropped_or_completed_is_said() -> None:
    gt, dt = wholebody(KNOBS)
    for record in dt[:3]:
        record["foot_kpts"][2::3] = [0.0] * 6
    for record in dt:
        record.pop("face_score", None)
    result = score("coco.wholebody", gt, dt)
    assert result.counts["dropped_zero_keypoints_foot"] >= 3
    assert result.counts["missing_face_score"] == len(dt)
    assert any(f"{len(dt)} of {len(dt)} detections have no face_score" in note for note in result.notes)
    gt, dt = crowdpose(KNOBS)
    dt[0]["keypoints"][2::3] = [-1.0] * 14
    dropped, kept = (score("crowdpose.keypoints", gt, dt, zero_keypoints=rule) for rule in ("drop", "keep"))
    assert any("no keypoint with a third value above 0 and are dropped" in note for note in dropped.notes)
    assert dropped.counts["dropped_zero_keypoints"] >= 1
    assert "dropped_zero_keypoints" not in kept.counts


def test_rules_of_other_benchmarks_serve_coco_keypoints() -> None:
    gt, dt = crowdpose(KNOBS)
    task = find("coco.keypoints")
    rules = {"sigmas": "crowdpose14", "scale_area": "box053", "zero_keypoints": "drop", "areas": "all:0:1e10"}
    result = score("coco.keypoints", gt, dt, **task.parse(rules))
    official = score("crowdpose.keypoints", gt, dt)
    np.testing.assert_equal(result.values, {name: official.values[name] for name in result.values})
    for part in ("sigmas:crowdpose14", "scale_area:box053", "zero_keypoints:drop"):
        assert f"|{part}" in str(result.signature)
    assert "ignore_rule" not in str(result.signature)


def test_rules_that_have_no_effect_are_refused() -> None:
    gt, dt = crowdpose(KNOBS)
    with pytest.raises(InputError, match="missing_area has no effect: scale_area=box053"):
        score("crowdpose.keypoints", gt, dt, missing_area="box")


def test_sets_of_sigmas_have_names_in_the_shell_too() -> None:
    task = find("coco.keypoints")
    assert task.parse({"sigmas": "halpe26"})["sigmas"] == SIGMAS["halpe26"]
    assert task.parse({"sigmas": "0.1,0.2"})["sigmas"] == (0.1, 0.2)
    with pytest.raises(InputError, match="sigmas=halp26: there are no sigmas 'halp26'; did you mean 'halpe26'"):
        task.parse({"sigmas": "halp26"})


def test_the_rules_of_coco_leave_its_signature_as_it_was() -> None:
    gt, dt = coco(KNOBS, "keypoints")
    assert str(score("coco.keypoints", gt, dt).signature) == (
        "coco.keypoints@1|iou:0.5:0.95:0.05|recall:0:1:0.01|areas:coco|max_dets:20|class_agnostic:no|id_zero:match|"
        "explicit_ignore:no|sigmas:coco17|detection_area:keypoints"
    )
