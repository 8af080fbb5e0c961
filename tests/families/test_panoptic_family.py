"""Panoptic files, as a user scores and checks them."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cvbench
from cvbench.errors import FormatError
from cvbench.metrics.panoptic_quality import PanopticQuality
from cvbench.result import Result
from cvbench.scoring import check
from families.map_files import MODES, coloured, exit_code, save_json, save_map, save_panoptic
from generated import Knobs
from panoptic_cases import CATEGORIES, Pair, panoptic_images

TASK = "coco.panoptic"


def pairs(seed: int = 5) -> list[Pair]:
    return panoptic_images(Knobs(seed, 6, 4, 8, 12, 5, True, True, 1, True))


def save(folder: Path, images: list[Pair], mode: str = "RGB") -> tuple[Path, Path]:
    truths = [gt for gt, _ in images]
    found = [{"image_id": gt["image_id"], **pred} for gt, pred in images]
    gt, pred = folder / "gt.json", folder / "pred.json"
    return save_panoptic(gt, truths, CATEGORIES, mode), save_panoptic(pred, found[::-1], CATEGORIES, mode)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return save(tmp_path, pairs())


def edited(path: Path, edit: Any) -> None:
    content = json.loads(path.read_text())
    edit(content)
    save_json(path, content)


REAL = [
    ("panoptic_deeplab2", "pred", {}, "all"),
    ("panoptic_deeplab2", "pred", {"boundary": True}, "boundary_pq_dilation_0.02"),
    ("panoptic_deeplab2", "pred", {"boundary": True, "dilation_ratio": 0.008}, "boundary_pq_dilation_0.008"),
    ("panoptic_coco_sample", "synthetic_pred", {}, "pq"),
    ("panoptic_coco_sample", "synthetic_pred", {"boundary": True}, "boundary_pq_0.02"),
]


@pytest.mark.parametrize(("name", "pred", "rules", "key"), REAL)
def test_recorded_figures(real_data: Path, name: str, pred: str, rules: dict[str, Any], key: str) -> None:
    folder = real_data / name
    official = json.loads((folder / "expected.json").read_text())[key]
    result = cvbench.score(TASK, folder / "gt.json", folder / f"{pred}.json", **rules)
    for group, suffix in (("All", ""), ("Things", "_things"), ("Stuff", "_stuff")):
        for figure in ("PQ", "SQ", "RQ") if group in official else ():
            # panopticapi adds floats in the order of its processes
            assert result.values[figure + suffix] == pytest.approx(official[group][figure.lower()], abs=1e-9)
    for row in result.per_category:
        figure = 0.0 if math.isnan(float(row["PQ"])) else row["PQ"]  # panopticapi says 0 of what does not occur
        assert figure == pytest.approx(official["per_class"][str(row["id"])]["pq"], abs=1e-9)
    assert check(TASK, [folder / "gt.json", folder / f"{pred}.json"]) == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rules", [{}, {"boundary": True, "dilation_ratio": 0.06}, {"area": "png"}])
def test_files_score_as_maps_in_memory(tmp_path: Path, rules: dict[str, Any], threads: int) -> None:
    metric = PanopticQuality(CATEGORIES, threads=threads, **({"area": "json"} | rules))
    for gt, pred in pairs():
        metric.update(gt, pred)
    expected = metric.compute()
    result = cvbench.score(TASK, *save(tmp_path, pairs()), threads=threads, **rules)
    assert result.values == pytest.approx(expected.values, rel=0, abs=0, nan_ok=True)
    assert str(result.per_category) == str(expected.per_category)
    assert 0 < result.values["PQ"] < 1, "a figure that tells files apart"


@pytest.mark.parametrize("mode", MODES)
def test_ids_in_any_png(tmp_path: Path, mode: str) -> None:
    images = pairs()
    assert max(pred["map"].max() for _, pred in images) < 256
    expected = cvbench.score(TASK, *save(tmp_path / "colours", images))
    result = cvbench.score(TASK, *save(tmp_path / "others", images, mode))
    assert result.same_scores(expected)


# What is wrong


def of(data: Any, image: int) -> Any:
    """The segments of an image."""
    return next(record for record in data["annotations"] if record["image_id"] == image)["segments_info"]


def smaller(gt: Path, pred: Path, image: int) -> None:
    save_map(pred.with_suffix("") / f"{image}.png", np.zeros((11, 16), np.int64), "RGB")


def both_smaller(gt: Path, pred: Path, image: int) -> None:
    for side in (gt, pred):
        path = side.with_suffix("") / f"{image}.png"
        save_map(path, np.zeros((11, 16), np.int64), "RGB")
        edited(side, lambda data: of(data, image).clear())


def no_file(gt: Path, pred: Path, image: int) -> None:
    (pred.with_suffix("") / f"{image}.png").unlink()


def stray_id(gt: Path, pred: Path, image: int) -> None:
    edited(pred, lambda data: of(data, image).clear())
    save_map(pred.with_suffix("") / f"{image}.png", np.full((12, 16), 70_000), "RGB")


def absent_id(gt: Path, pred: Path, image: int) -> None:
    segment = {"id": 1234, "category_id": 1}
    edited(pred, lambda data: of(data, image).append(segment))


def cut(gt: Path, pred: Path, image: int) -> None:
    path = gt.with_suffix("") / f"{image}.png"
    path.write_bytes(path.read_bytes()[:60])


WRONG = {
    "size": (smaller, "16 x 11 pixels; ", "pred"),
    "size that images do not state": (both_smaller, "16 x 11 pixels; the ground truth's `images` say 16 x 12", "gt"),
    "missing file": (no_file, "there is no file", "pred"),
    "id that is not listed": (stray_id, "the map has id 70000 in 192 pixels and no segment lists it", "pred"),
    "id that is not painted": (absent_id, "segment 1234 is listed and the map does not have it", "pred"),
    "truncated map": (cut, "the file is cut short", "gt"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(files: tuple[Path, Path], name: str, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, message, side = WRONG[name]
    for gt, _ in pairs()[:2]:
        spoil(*files, gt["image_id"])
    problems = check(TASK, files)
    about = [problem for problem in problems if message in problem.message]
    assert len(about) == 2, "both of the files"
    where = [str(files[0].parent / side), str(files[0].parent / f"{side}.json")]
    assert all(problem.where.startswith(tuple(where)) for problem in problems)
    with pytest.raises(FormatError, match="more problem"):
        cvbench.score(TASK, *files)
    alone = check(TASK, files[:1])
    assert {problem for problem in problems if message in problem.message and side == "gt"} == set(alone)
    assert exit_code("score", TASK, *files) == 2
    err = capfd.readouterr().err
    assert str(problems[0]) in err
    assert exit_code("check", TASK, *files) == 2
    assert capfd.readouterr().out.splitlines() == [str(problem) for problem in problems]


def test_a_ground_truth_in_memory_is_looked_at_once(files: tuple[Path, Path]) -> None:
    content = json.loads(files[0].read_text())
    content["annotations"][0]["segments_info"][0]["category_id"] = 99
    problems = check(TASK, [content], gt_folder=files[0].with_suffix(""))
    assert [problem.where for problem in problems] == ["gt.annotations[0].segments_info[0].category_id"]


# What a result says


def test_extra_predictions_are_counted(files: tuple[Path, Path]) -> None:
    expected = cvbench.score(TASK, *files)
    extra = {"image_id": 999, "file_name": "x.png", "segments_info": []}
    edited(files[1], lambda data: data["annotations"].append(extra))
    result = cvbench.score(TASK, *files)
    assert (result.values, str(result.tables)) == (expected.values, str(expected.tables))
    assert result.counts["extra_predictions"] == 1
    assert any("1 predictions of images" in note for note in result.notes)


def test_inputs_are_hashed_by_content(tmp_path: Path, files: tuple[Path, Path]) -> None:
    first = cvbench.score(TASK, *files).inputs
    again = cvbench.score(TASK, *save(tmp_path / "again", pairs())).inputs
    assert [first[side]["sha256"] for side in ("gt", "pred")] == [again[side]["sha256"] for side in ("gt", "pred")]
    path = files[1].with_suffix("") / f"{pairs()[0][0]['image_id']}.png"
    path.with_name("other.png").write_bytes(b"of no image")
    assert cvbench.score(TASK, *files).inputs == first, "what is not read is not hashed"
    size = path.stat().st_size
    Image.fromarray(coloured(pairs()[0][1]["map"])).save(path, compress_level=0)
    other = cvbench.score(TASK, *files).inputs
    assert other["pred"]["sha256"] != first["pred"]["sha256"]
    assert other["pred"]["bytes"] - first["pred"]["bytes"] == path.stat().st_size - size
    assert other["gt"] == first["gt"]


def test_a_result_comes_back_from_json(files: tuple[Path, Path]) -> None:
    result = cvbench.score(TASK, *files, boundary=True)
    back = Result.from_json(result.to_json())
    assert back.same_scores(result)
    assert (back.inputs, back.notes, back.counts) == (result.inputs, result.notes, result.counts)


def test_no_images(tmp_path: Path) -> None:
    gt, pred = save(tmp_path, [])
    for rules in ({}, {"boundary": True}):
        result = cvbench.score(TASK, gt, pred, **rules)
        assert all(math.isnan(value) for value in result.values.values())
        assert result.counts["images"] == 0
    assert check(TASK, [gt, pred]) == []


def test_every_form_of_output(files: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = cvbench.score(TASK, *files)
    assert exit_code("score", TASK, *files, "--per-category") == 0
    text = capfd.readouterr().out
    assert all(str(category["name"]) in text for category in CATEGORIES.values())
    assert exit_code("score", TASK, *files, "--format", "md") == 0
    assert "| PQ" in capfd.readouterr().out
    assert exit_code("score", TASK, *files, "--format", "csv") == 0
    rows = list(csv.reader(io.StringIO(capfd.readouterr().out)))
    assert any(str(result.values["PQ"]) in row for row in rows)
    assert exit_code("score", TASK, *files, "--format", "json") == 0
    assert Result.from_json(capfd.readouterr().out).same_scores(result)
    assert exit_code("score", TASK, *files, "-o", tmp_path / "result.json") == 0
    assert Result.load(tmp_path / "result.json").same_scores(result)
