"""Label maps, as a user scores and checks them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cvbench
from cvbench.errors import CvbenchError, FormatError, InputError
from cvbench.metrics.mean_iou import MeanIoU
from cvbench.result import Result
from cvbench.scoring import check
from families.map_files import MODES, coloured, exit_code, save_folder, save_map
from semantic_cases import IGNORED, MapKnobs, label_maps

TASK = "semantic.miou"
PAIRS = label_maps(MapKnobs(7, 4, 5, 24, 5, 0.3, True))
GT, PRED = ({f"{'dbca'[i]}": pair[side] for i, pair in enumerate(PAIRS)} for side in (0, 1))
RULES: dict[str, Any] = {"num_classes": 5, "ignore_index": IGNORED}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return save_folder(tmp_path / "gt", GT), save_folder(tmp_path / "pred", PRED)


def in_memory(**rules: Any) -> Result:
    metric = MeanIoU(5, **{"ignore_index": IGNORED, **rules})
    for name in sorted(GT):
        metric.update(GT[name], PRED[name], name)
    return metric.compute()


@pytest.mark.parametrize(
    ("key", "rules"), [("gt0_is_a_class", {}), ("gt0_ignored", {"ignore_index": (0,), "exclude": (0,)})]
)
def test_recorded_figures(real_data: Path, tmp_path: Path, key: str, rules: dict[str, Any]) -> None:
    folder = real_data / "panoptic_deeplab2"
    for side in ("gt", "pred"):
        for record in json.loads((folder / f"{side}.json").read_text())["annotations"]:
            ids = np.asarray(Image.open(folder / side / record["file_name"])).astype(np.int64) @ (1, 256, 65536)
            classes = np.zeros_like(ids)
            for segment in record["segments_info"]:
                classes[ids == segment["id"]] = segment["category_id"]
            save_map(tmp_path / side / record["file_name"], classes, "P")
    result = cvbench.score(TASK, tmp_path / "gt", tmp_path / "pred", num_classes=7, **rules)
    official = json.loads((folder / "expected.json").read_text())["semantic"][key]
    for figure, recorded in (("mIoU", "mIoU"), ("fwIoU", "fwIoU"), ("aAcc", "pixel_acc")):
        # recorded with all digits; their sums were taken in another order
        assert result.values[figure] == pytest.approx(official[recorded], abs=1e-9)
    assert [row["IoU"] for row in result.per_category] == pytest.approx(official["IoU"], abs=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rules", [{}, {"preset": "torchmetrics"}, {"boundary": True}])
def test_files_score_as_maps_in_memory(files: tuple[Path, Path], rules: dict[str, Any], threads: int) -> None:
    result = cvbench.score(TASK, *files, threads=threads, **RULES, **rules)
    assert result.same_scores(in_memory(**rules))
    assert 0 < result.values["mIoU"] < 1, "a figure that tells files apart"


def test_every_form_of_maps(tmp_path: Path, files: tuple[Path, Path]) -> None:
    expected = in_memory()
    for mode in set(MODES) - {"RGB"}:
        folders = save_folder(tmp_path / mode / "gt", GT, mode), save_folder(tmp_path / mode / "pred", PRED, mode)
        assert cvbench.score(TASK, *folders, **RULES).same_scores(expected), mode
    sides = []
    for side, maps in (("gt", GT), ("pred", PRED)):
        (tmp_path / "npy" / side).mkdir(parents=True)
        for name, labels in maps.items():
            np.save(tmp_path / "npy" / side / f"{name}.npy", labels)
        np.savez(tmp_path / f"{side}.npz", **maps)
        sides.append(tmp_path / "npy" / side)
    assert cvbench.score(TASK, *sides, **RULES).same_scores(expected)
    assert cvbench.score(TASK, tmp_path / "gt.npz", tmp_path / "pred.npz", **RULES).same_scores(expected)
    assert cvbench.score(TASK, GT, PRED, **RULES).same_scores(expected)
    assert cvbench.score(TASK, tmp_path / "gt.npz", files[1], **RULES).same_scores(expected)


def test_stacks(tmp_path: Path) -> None:
    stacks = [np.stack([labels[:1, :1] for labels in maps.values()]) for maps in (GT, PRED)]
    expected = cvbench.score(TASK, list(stacks[0]), list(stacks[1]), **RULES)
    assert cvbench.score(TASK, *stacks, **RULES).same_scores(expected)
    for side, stack in zip(("gt", "pred"), stacks, strict=True):
        np.save(tmp_path / f"{side}.npy", stack)
    assert cvbench.score(TASK, tmp_path / "gt.npy", tmp_path / "pred.npy", **RULES).same_scores(expected)


def test_names_of_files(tmp_path: Path) -> None:
    gt = save_folder(tmp_path / "gt" / "city", GT, suffix="_gt")
    pred = save_folder(tmp_path / "pred" / "city", PRED, suffix="_pred")
    suffixes = {"gt_suffix": "_gt", "pred_suffix": "_pred"}
    assert cvbench.score(TASK, gt, pred, **RULES, **suffixes).same_scores(in_memory())
    by_path = cvbench.score(TASK, gt.parent, pred.parent, match="path", **RULES, **suffixes)
    assert by_path.values == in_memory().values
    assert check(TASK, [gt], gt_suffix="_gt", **RULES) == []


# What is wrong


def small(gt: Path, pred: Path, name: str) -> None:
    save_map(pred / f"{name}.png", np.zeros((30, 31), np.int64), "L")


def gone(gt: Path, pred: Path, name: str) -> None:
    (pred / f"{name}.png").unlink()


def strange(gt: Path, pred: Path, name: str) -> None:
    labels = GT[name].copy()
    labels[0, 0] = 77
    save_map(gt / f"{name}.png", labels, "L")


def strange_prediction(gt: Path, pred: Path, name: str) -> None:
    save_map(pred / f"{name}.png", np.full_like(PRED[name], 9), "L")


def colours(gt: Path, pred: Path, name: str) -> None:
    save_map(gt / f"{name}.png", GT[name], "RGB")


def cut(gt: Path, pred: Path, name: str) -> None:
    path = gt / f"{name}.png"
    path.write_bytes(path.read_bytes()[:50])


WRONG = {
    "size": (small, "31 x 30 pixels; ", "pred/a.png"),
    "missing prediction": (gone, "there is no map `a`", "pred"),
    "label": (strange, "has label 77 in 1 pixels; expected a class (0 to 4)", "gt/a.png"),
    "predicted label": (strange_prediction, f"has label 9 in {(GT['a'] != IGNORED).sum():,} pixels", "pred/a.png"),
    "colours": (colours, "this is an image of colours", "gt/a.png"),
    "truncated map": (cut, "the file is cut short", "gt/a.png"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(files: tuple[Path, Path], name: str, capfd: pytest.CaptureFixture[str]) -> None:
    spoil, message, place = WRONG[name]
    for image in ("a", "b"):
        spoil(*files, image)
    problems = check(TASK, files, **RULES)
    assert len(problems) == 2, "both of the files"
    assert problems[0].where == str(files[0].parent / place)
    assert message in problems[0].message
    with pytest.raises(FormatError) as refusal:
        cvbench.score(TASK, *files, **RULES)
    assert str(refusal.value).startswith(str(problems[0]))
    assert "1 more problem;" in str(refusal.value)
    assert check(TASK, files[:1], **RULES) == (problems if place.startswith("gt") else [])
    rules = ("-p", "num_classes=5", "-p", f"ignore_index={IGNORED}")
    assert exit_code("score", TASK, *files, *rules) == 2
    assert str(problems[0]) in capfd.readouterr().err
    assert exit_code("check", TASK, *files, *rules) == 2
    assert capfd.readouterr().out.splitlines() == [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"preset": "mmsge", "num_classes": 5}, "there is no preset 'mmsge'; did you mean 'mmseg'"),
        ({"num_classes": 5, "names": ["road", "sky"]}, "names: there are 2 names for 5 classes"),
        ({"names": "road"}, "names: found 'road', expected a list of names"),
        ({"preset": "mmseg"}, "expected the classes once, as num_classes or as class_ids"),
        ({"num_clases": 5}, "has no parameter 'num_clases'"),
    ],
)
def test_rules_that_are_none(files: tuple[Path, Path], rules: dict[str, Any], message: str) -> None:
    for call in (lambda: cvbench.score(TASK, *files, **rules), lambda: check(TASK, files, **rules)):
        with pytest.raises(InputError, match=message):
            call()


def test_folders_without_maps(tmp_path: Path, files: tuple[Path, Path]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CvbenchError, match=r"there are no maps .* it is empty"):
        cvbench.score(TASK, tmp_path / "empty", files[1], **RULES)
    problems = check(TASK, [tmp_path / "empty", tmp_path / "nowhere"], **RULES)
    assert [problem.where for problem in problems] == [str(tmp_path / "empty"), str(tmp_path / "nowhere")]
    assert problems[1].message == "there is no such file or folder"
    assert [problem.where for problem in check(TASK, [tmp_path / "empty"], **RULES)] == [str(tmp_path / "empty")]


# What a result says


def test_extra_predictions_are_counted(files: tuple[Path, Path]) -> None:
    save_map(files[1] / "zusatz.png", np.full((2, 2), 200), "L")
    result = cvbench.score(TASK, *files, **RULES)
    assert result.values == in_memory().values
    assert result.counts["extra_predictions"] == 1
    assert "1 predicted maps have no ground truth and are not scored" in result.notes


def test_inputs_are_hashed_by_content(tmp_path: Path, files: tuple[Path, Path]) -> None:
    first = cvbench.score(TASK, *files, **RULES).inputs
    again = cvbench.score(TASK, save_folder(tmp_path / "again", GT), files[1], **RULES).inputs
    assert again["gt"]["sha256"] == first["gt"]["sha256"]
    assert again["gt"]["bytes"] == sum(path.stat().st_size for path in files[0].iterdir())
    save_map(files[1] / "a.png", (PRED["a"] + 1) % 5, "L")
    other = cvbench.score(TASK, *files, **RULES).inputs
    assert other["gt"] == first["gt"]
    assert other["pred"]["sha256"] != first["pred"]["sha256"]
    renamed = cvbench.score(TASK, *({f"x{name}": maps[name] for name in maps} for maps in (GT, PRED)), **RULES).inputs
    assert renamed["gt"]["sha256"] != cvbench.score(TASK, GT, PRED, **RULES).inputs["gt"]["sha256"], "names are content"


def test_every_form_of_output(files: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ["road", "sky", "car", "tree", "wall"]
    result = cvbench.score(TASK, *files, ignore_index=IGNORED, names=names, boundary=True)
    said = (*files, "-p", f"ignore_index={IGNORED}", "-p", f"names={','.join(names)}", "-p", "boundary=yes")
    assert exit_code("score", TASK, *said, "--per-category") == 0
    text = capfd.readouterr().out
    assert all(name in text for name in names)
    assert exit_code("score", TASK, *said, "--format", "md") == 0
    assert "| mIoU" in capfd.readouterr().out
    assert exit_code("score", TASK, *said, "--format", "csv") == 0
    rows = list(csv.reader(io.StringIO(capfd.readouterr().out)))
    assert any(str(result.values["mBoundaryF"]) in row for row in rows)
    assert exit_code("score", TASK, *said, "--format", "json") == 0
    back = Result.from_json(capfd.readouterr().out)
    assert back.same_scores(result)
    assert (back.inputs["gt"]["sha256"], back.notes) == (result.inputs["gt"]["sha256"], result.notes)
    assert exit_code("score", TASK, *said, "-o", tmp_path / "result.json") == 0
    assert Result.load(tmp_path / "result.json").same_scores(result)


def test_colours_in_memory_are_refused() -> None:
    with pytest.raises(FormatError, match=r"gt\[0\]: this is an image of colours"):
        cvbench.score(TASK, [coloured(GT["a"])], [PRED["a"]], **RULES)
