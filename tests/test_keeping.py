"""Predictions that were kept score what the run says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cvbench import scenes, score
from cvbench.benchmarks import BENCHMARKS, find
from cvbench.records import Model
from cvbench.running import Candidate, Settings, run
from cvbench.running.keeping import Keeper
from mode import JIT
from perfect import cached, perfect
from runnable_models import Boxes

LIMIT = 3 if JIT else 1
TASKS = {
    "scenes.detection": ("coco.bbox", "instances.json", "AP", {}),
    "scenes.instance": ("coco.segm", "instances.json", "AP", {}),
    "scenes.semantic": ("semantic.miou", "labels", "mIoU", {"num_classes": 14, "ignore_index": 255}),
    "scenes.panoptic": ("coco.panoptic", "panoptic.json", "PQ", {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("scenes") / "val"
    scenes.write_folder(written, "val", LIMIT, threads=1)
    return written


@pytest.mark.parametrize("name", TASKS)
def test_files_score_what_the_predictions_do(name, folder, tmp_path):
    benchmark = cached(BENCHMARKS[name], LIMIT)
    keeper = Keeper(tmp_path, benchmark, "perfect")
    for picture in benchmark.pictures("val", LIMIT):
        (prediction,) = perfect(benchmark, picture)
        if "masks" in prediction and picture.id == 0:  # as pixels, too
            rows = np.flatnonzero(~np.asarray(picture.truth["iscrowd"]))
            prediction["masks"] = scenes.generate("val", 0).instances == rows[:, None, None] + 1
        keeper(picture, [prediction])
    keeper.close()
    task, truth, figure, rules = TASKS[name]
    kept = tmp_path / name / ("perfect" if name == "scenes.semantic" else "perfect.json")
    assert score(task, folder / truth, kept, **rules).values[figure] == 1


def test_joints_are_kept_by_person(tmp_path):
    benchmark = cached(BENCHMARKS["scenes.pose"], LIMIT)
    keeper, expected = Keeper(tmp_path, benchmark, "perfect"), []
    for picture in benchmark.pictures("val", LIMIT):
        keeper(picture, perfect(benchmark, picture))
        expected += [(picture.id, person, points.tolist()) for person, points in enumerate(picture.truth["keypoints"])]
    keeper.close()
    kept = json.loads((tmp_path / "scenes.pose" / "perfect.json").read_text(encoding="utf-8"))
    assert [(record["image_id"], record["person"], record["keypoints"]) for record in kept] == expected


def test_a_run_keeps_predictions_where_it_is_told(folder, tmp_path):
    settings = Settings(limit=LIMIT, plan=None, replicates=19, predictions=str(tmp_path / "kept"))
    boxes = Candidate(Model("boxes"), Boxes, "detection")
    (record,) = run([boxes], [find("scenes.detection")], tmp_path, settings)
    again = score("coco.bbox", folder / "instances.json", tmp_path / "kept" / "scenes.detection" / "boxes.json")
    np.testing.assert_equal(again.values, record.accuracy.values)
