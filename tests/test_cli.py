"""Transcripts of the command line: what a person types, and what comes back on which stream with which exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import cvbench.scoring
from cvbench import cli, progress
from cvbench.result import Result, Signature
from cvbench.tasks import TASKS
from mode import JIT

GROUND_TRUTH = {
    "images": [{"id": 1, "width": 200, "height": 200}, {"id": 2, "width": 200, "height": 200}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [100, 20, 20, 20], "area": 400, "iscrowd": 0},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 100, 120], "area": 12000, "iscrowd": 0},
    ],
}
PREDICTIONS = [
    {"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 0.9},
    {"image_id": 1, "category_id": 7, "bbox": [100, 20, 20, 30], "score": 0.8},
    {"image_id": 2, "category_id": 1, "bbox": [0, 0, 100, 90], "score": 0.7},
    {"image_id": 2, "category_id": 7, "bbox": [150, 150, 20, 20], "score": 0.6},
]


class Answer(NamedTuple):
    """What the command line gave back."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in this process."""

    def call(*arguments: str | Path) -> Answer:
        with pytest.raises(SystemExit) as exit_:
            cli.app([str(argument) for argument in arguments], prog_name="cvbench")
        out, err = capfd.readouterr()
        said = [line for line in err.splitlines(keepends=True) if not line.startswith("compiling kernels")]
        assert "Traceback" not in err
        return Answer(int(exit_.value.code or 0), out, "".join(said))

    return call


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A ground truth and predictions."""
    return write(tmp_path / "gt.json", GROUND_TRUTH), write(tmp_path / "pred.json", PREDICTIONS)


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


# score


def test_score_on_a_cluster_that_is_none(run: Run, files: tuple[Path, Path]) -> None:
    code, out, err = run("score", "coco.bbox", *files, "--dask", "here")
    assert (code, out) == (2, "")
    assert err == (
        "error: dask='here': expected local, the address of a scheduler such as tcp://10.0.0.1:8786, or a client\n"
    )


def test_score_prints_a_table(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("score", "coco.bbox", *files)
    assert (answer.code, answer.err) == (0, "")
    figures, counts, signature = answer.out.split("\n\n")
    assert [line.split()[:2] for line in figures.splitlines()] == [
        ["AP", "0.60099"],
        ["AP50", "1.00000"],
        ["AP75", "0.50000"],
        ["APs", "0.40000"],
        ["APm", "1.00000"],
        ["APl", "0.60000"],
        ["AR1", "0.60000"],
        ["AR10", "0.60000"],
        ["AR100", "0.60000"],
        ["ARs", "0.40000"],
        ["ARm", "1.00000"],
        ["ARl", "0.60000"],
    ]
    meanings = TASKS["coco.bbox"].describe({}).values()
    assert [line.split(maxsplit=2)[2] for line in figures.splitlines()] == list(meanings)
    assert counts == "images 2, ground truths 3, detections 4"
    assert Signature.parse(signature.rstrip("\n")).task == "coco.bbox@1"


def test_per_category(run: Run, files: tuple[Path, Path]) -> None:
    plain = run("score", "coco.bbox", *files).out.split("\n\n")
    figures, table, *rest = run("score", "coco.bbox", *files, "--per-category").out.split("\n\n")
    assert [figures, *rest] == plain
    assert table.splitlines() == [
        "id  name       AP     AP50     AP75      APs      APm      APl       AR  ground_truths  detections",
        " 1  cat   0.80198  1.00000  1.00000      nan  1.00000  0.60000  0.80000              2           2",
        " 7  dog   0.40000  1.00000  0.00000  0.40000      nan      nan  0.40000              1           2",
    ]


def test_json_is_a_result(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("score", "coco.bbox", *files, "--format", "json")
    content = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert list(content)[:2] == ["task", "values"]
    assert {"per_category", "signature", "counts", "notes", "inputs", "made_by"} <= content.keys()
    assert Result.from_json(answer.out).same_scores(cvbench.scoring.score("coco.bbox", *map(str, files)))
    assert content["inputs"]["gt"]["path"] == str(files[0])


def test_csv_is_tidy(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("score", "coco.bbox", *files, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    values = {row["metric"]: row["value"] for row in rows if row["table"] == "values"}
    expected = cvbench.scoring.score("coco.bbox", *map(str, files)).values
    assert {name: float(value or "nan") for name, value in values.items()} == pytest.approx(
        expected, abs=0, nan_ok=True
    )
    assert {row["key"] for row in rows if row["table"] == "per_category"} == {"1 cat", "7 dog"}


def test_markdown_is_a_table(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("score", "coco.bbox", *files, "--format", "md", "--per-category")
    assert answer.out.startswith("## coco.bbox@1\n\n| figure |")
    assert "### per category" in answer.out


@pytest.mark.parametrize("name", ["result.json", "result.csv", "result.md", "result.text", "result"])
def test_the_name_of_the_file_says_the_form(run: Run, files: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    form = Path(name).suffix[1:] or "text"
    path = tmp_path / name
    assert run("score", "coco.bbox", *files, "-o", path) == (0, "", "")
    printed = run("score", "coco.bbox", *files, "--format", form).out
    if form == "json":
        assert Result.load(path).same_scores(Result.from_json(printed))
    else:
        assert path.read_text(encoding="utf-8") == printed


def test_the_form_may_be_said(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    run("score", "coco.bbox", *files, "-o", tmp_path / "result.txt", "--format", "json")
    assert Result.load(tmp_path / "result.txt").task == "coco.bbox@1"


def test_arrays_are_those_of_the_result(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "curves.npz"
    assert run("score", "coco.bbox", *files, "--arrays", path).code == 0
    expected = cvbench.scoring.score("coco.bbox", *map(str, files)).arrays
    with np.load(path) as arrays:
        assert set(arrays) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_plots_are_drawn_beside_the_result(
    run: Run, files: tuple[Path, Path], tmp_path: Path, name: str, start: bytes
) -> None:
    answer = run("score", "coco.bbox", *files, "--plot", tmp_path / name)
    assert answer == run("score", "coco.bbox", *files)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("coco.bbox", "a.gif", "a.gif: it ends in .gif; plots are files that end in .png, .pdf, .svg"),
        ("coco.bbox", "none/a.png", "a.png: there is no folder"),
        ("coco.panoptic", "a.png", "coco.panoptic has no curves to draw; these have: coco.bbox"),
        ("pose.pck", "a.png", "pose.pck has no curve under these rules; -p curve=0:0.5:0.01 gives it one"),
    ],
)
def test_plots_are_refused_before_anything_is_read(
    run: Run, tmp_path: Path, task: str, name: str, message: str
) -> None:
    answer = run("score", task, "no-such-gt.json", "no-such-pred.json", "--plot", tmp_path / name)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_a_plot_needs_matplotlib(
    run: Run, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = run("score", "coco.bbox", *files, "--plot", tmp_path / "a.png")
    assert (answer.code, answer.out) == (2, "")
    assert "pip install 'cvbench[plots]'" in answer.err
    assert run("score", "coco.bbox", *files).code == 0


def test_parameters_and_threads(run: Run, files: tuple[Path, Path]) -> None:
    answer = run(
        "score",
        "coco.bbox",
        *files,
        "-p",
        "max_dets=1,2",
        "-p",
        "class_agnostic=yes",
        "--threads",
        "1",
        "--format",
        "json",
    )
    expected = cvbench.scoring.score("coco.bbox", *map(str, files), max_dets=(1, 2), class_agnostic=True)
    assert Result.from_json(answer.out).same_scores(expected)


def test_notes_are_talk(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    pred = write(
        tmp_path / "unknown.json",
        [*PREDICTIONS, {"image_id": 1, "category_id": 99, "bbox": [0, 0, 1, 1], "score": 0.5}],
    )
    answer = run("score", "coco.bbox", files[0], pred)
    assert answer.code == 0
    assert answer.err.startswith("note: ")
    assert "note" not in answer.out
    for options in (["--format", "json"], ["--format", "csv"], ["-o", tmp_path / "result.md"]):
        assert run("score", "coco.bbox", files[0], pred, *options).err == answer.err
    assert "- 1 of" in run("score", "coco.bbox", files[0], pred, "--format", "md").out


# expectations


def test_expectations_that_are_met(run: Run, files: tuple[Path, Path]) -> None:
    values = cvbench.scoring.score("coco.bbox", *map(str, files)).values
    answer = run(
        "score", "coco.bbox", *files, "--expect", f"AP={values['AP'] + 5e-5}", "--expect", "APs=0.1", "--atol", "1"
    )
    assert (answer.code, answer.err) == (0, "")


def test_expectations_that_are_not_met_are_named(run: Run, files: tuple[Path, Path]) -> None:
    result = cvbench.scoring.score("coco.bbox", *map(str, files))
    answer = run(
        "score",
        "coco.bbox",
        *files,
        "--expect",
        "AP=0.1",
        "--expect",
        f"AP50={result.values['AP50']!r}",
        "--expect",
        "AR1=nan",
    )
    assert answer.code == 1
    assert answer.out == run("score", "coco.bbox", *files).out
    assert answer.err.splitlines() == [
        "expectation failed: AP is 0.600990099009901, expected 0.1 within 0.0001",
        "expectation failed: AR1 is 0.6, expected nan within 0.0001",
    ]


@pytest.mark.parametrize(
    ("expected", "atol", "code"), [("0.5", "0", 1), ("nan", "0", 0), ("nan", "9", 0), ("0.5", "9", 1)]
)
def test_nan_meets_only_nan(run: Run, tmp_path: Path, expected: str, atol: str, code: int) -> None:
    gt = write(tmp_path / "gt.json", GROUND_TRUTH | {"annotations": []})
    pred = write(tmp_path / "pred.json", PREDICTIONS)
    assert run("score", "coco.bbox", gt, pred, "--expect", f"AP={expected}", "--atol", atol).code == code


def test_every_expectation_counts(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("score", "coco.bbox", *files, "--expect", "AP=0.1", "--expect", "AP=0.600990099009901")
    assert (answer.code, answer.err.count("expectation failed: AP ")) == (1, 1)


def test_no_tolerance_is_no_tolerance(run: Run, files: tuple[Path, Path]) -> None:
    ap = cvbench.scoring.score("coco.bbox", *map(str, files)).values["AP"]
    assert run("score", "coco.bbox", *files, "--expect", f"AP={ap!r}", "--atol", "0").code == 0
    assert run("score", "coco.bbox", *files, "--expect", f"AP={np.nextafter(ap, 0)!s}", "--atol", "0").code == 1


# what goes wrong: exit code 2, one message, nothing on standard output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coco.bbx", "{gt}", "{pred}"], "did you mean 'coco.bbox'?"),
        (["coco.bbox@9", "{gt}", "{pred}"], "version 1"),
        (["coco.bbox", "{gt}", "{pred}", "-p", "maxdets=1"], "did you mean 'max_dets'?"),
        (["coco.bbox", "{gt}", "{pred}", "-p", "max_dets=many"], "expected an integer, found 'many'"),
        (["coco.bbox", "{gt}", "{pred}", "-p", "max_dets"], "expected NAME=VALUE; `cvbench tasks coco.bbox` lists"),
        (["coco.bbox", "{gt}", "{pred}", "-p", "max_dets=1", "-p", "max_dets=2"], "max_dets is 1 already"),
        (["coco.bbox", "{gt}", "{pred}", "--expect", "AP"], "expected NAME=NUMBER"),
        (["coco.bbox", "{gt}", "{pred}", "--expect", "AP=high"], "expected NAME=NUMBER"),
        (["coco.bbox", "{gt}", "{pred}", "--expect", "ap=0.5"], "no such figure; it has AP, AP50, AP75"),
        (["coco.bbox", "{gt}", "{pred}", "--expect", "=0.5"], "no such figure"),
        (["coco.bbox", "{gt}", "{pred}", "--format", "yaml"], "'text', 'json', 'csv', 'md'"),
        (["coco.bbox", "{gt}", "{pred}", "--threads", "0"], "--threads"),
        (["coco.bbox", "{gt}", "{pred}", "--atol", "-1"], "--atol"),
        (["coco.bbox", "{gt}", "{pred}", "--expct", "AP=1"], "--expect"),
        (["coco.bbox", "{gt}"], "PRED"),
        (["coco.bbox", "{gt}", "{folder}/none.json"], "none.json"),
        (["coco.bbox", "{folder}/none.json", "{pred}"], "none.json"),
        (["coco.bbox", "{folder}", "{pred}"], "{folder}"),
        (["coco.bbox", "{pred}", "{gt}"], "swap"),
        (["coco.bbox", "{gt}", "{pred}", "-o", "{folder}/none/result.json"], "result.json: there is no folder"),
        (["coco.bbox", "{gt}", "{pred}", "-o", "{folder}"], "{folder}"),
        (["coco.bbox", "{gt}", "{pred}", "--arrays", "{folder}/none/a.npz"], "a.npz: there is no folder"),
        (["coco.segm", "{gt}", "{pred}"], "segmentation"),
        (["coco.keypoints", "{gt}", "{pred}"], "keypoints"),
    ],
)
def test_what_is_wrong_is_said(
    run: Run, files: tuple[Path, Path], tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"gt": files[0], "pred": files[1], "folder": tmp_path}
    answer = run("score", *(argument.format(**places) for argument in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert message.format(**places) in answer.err
    assert "error: " in answer.err.lower()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"nothing", b"\xff\xfe", b"null", b'{"images": 1}', b"[[[[", b'[{"image_id": 1}]', b"\x1f\x8b"],
)
def test_files_that_are_nothing_are_named(run: Run, files: tuple[Path, Path], tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.json"
    broken.write_bytes(content)
    answer = run("score", "coco.bbox", broken, files[1])
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert str(broken) in answer.err


def test_an_interrupt_is_no_traceback(run: Run, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cvbench.scoring, "score", interrupted)
    assert run("score", "coco.bbox", *files) == (130, "", "")


def test_a_failed_run_leaves_the_old_file(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    assert run("score", "coco.bbox", *files, "-o", path, "--expect", "none=1").code == 2
    assert path.read_text() == "old"


# tasks


def test_tasks_lists_all(run: Run) -> None:
    answer = run("tasks")
    assert (answer.code, answer.err) == (0, "")
    assert [line.split()[0] for line in answer.out.splitlines()] == [
        "coco.bbox",
        "coco.segm",
        "coco.boundary",
        "coco.keypoints",
        "coco.wholebody",
        "crowdpose.keypoints",
        "coco.panoptic",
        "cityscapes.panoptic",
        "semantic.miou",
        "cityscapes.semantic",
        "pose.pck",
        "mpii.pckh",
        "pose.pdj",
        "pose.pcp",
        "pose.auc",
        "pose.epe",
        "landmarks.nme",
        "pose.mpjpe",
    ]


def test_tasks_describes_one(run: Run) -> None:
    out = run("tasks", "coco.bbox").out
    assert out.startswith("coco.bbox@1  ")
    for part in ("pycocotools", "  AP50 ", "  max_dets=1,10,100\n", "ground truth  COCO"):
        assert part in out


def test_tasks_as_json(run: Run) -> None:
    listed = json.loads(run("tasks", "--format", "json").out)
    described = json.loads(run("tasks", "coco.segm", "--format", "json").out)
    assert described == [task for task in listed if task["name"] == "coco.segm"]
    keys = ["name", "version", "summary", "reference", "inputs", "figures", "headline", "parameters"]
    assert all(list(task) == keys for task in listed)


def test_an_unknown_task_is_no_list(run: Run) -> None:
    answer = run("tasks", "coco.boxes")
    assert answer == (2, "", "error: there is no task 'coco.boxes'; did you mean 'coco.bbox'?\n")


# check


def test_check_finds_nothing(run: Run, files: tuple[Path, Path]) -> None:
    gt, pred = files
    assert run("check", "coco.bbox", gt, pred) == (0, "", f"no problems in {gt} and {pred}\n")
    assert run("check", "coco.bbox", gt) == (0, "", f"no problems in {gt}\n")


def test_check_lists_every_problem_with_its_record(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    records = [dict(record) for record in PREDICTIONS]
    del records[1]["score"]
    records[3]["bbox"] = [1, 2, -3, 4]
    pred = write(tmp_path / "wrong.json", records)
    answer = run("check", "coco.bbox", files[0], pred)
    assert answer.code == 2
    assert [line.split(":")[0] for line in answer.out.splitlines()] == [f"{pred}[1].score", f"{pred}[3].bbox"]
    assert answer.err == f"2 problems in {files[0]} and {pred}\n"


def test_check_takes_two_files_at_most(run: Run, files: tuple[Path, Path]) -> None:
    answer = run("check", "coco.bbox", *files, files[1])
    assert (answer.code, answer.out) == (2, "")
    assert "3 files" in answer.err


# as a program


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cvbench", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, **options)


def test_help_and_version() -> None:
    assert program("--version").stdout.startswith("cvbench 0.")
    for arguments in ([], ["--help"], ["score", "-h"], ["tasks", "--help"], ["check", "--help"]):
        answer = program(*arguments)
        assert "Usage: cvbench" in answer.stdout + answer.stderr
        assert "Examples:" in answer.stdout + answer.stderr


def test_an_unknown_verb_is_refused() -> None:
    answer = program("scor")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "score" in answer.stderr


def test_a_reader_that_leaves_is_no_error(files: tuple[Path, Path]) -> None:
    read, written = os.pipe()
    os.close(read)
    command = [
        sys.executable,
        "-m",
        "cvbench",
        "score",
        "coco.bbox",
        *map(str, files),
        "--format",
        "json",
        "--expect",
        "AP=2",
    ]
    with os.fdopen(written, "wb") as pipe:
        answer = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    said = [line for line in answer.stderr.splitlines() if not line.startswith("compiling")]
    assert answer.returncode == 1
    assert [line.split(":")[0] for line in said] == ["expectation failed"]


def test_compiling_is_said_once(files: tuple[Path, Path], tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    lines = [program("score", "coco.bbox", *map(str, files), env=environment).stderr.splitlines() for _ in range(2)]
    assert [len(said) for said in lines] == [1 if JIT else 0, 0]
    assert all(line.startswith("compiling kernels, once: ") and line.endswith(" s") for line in lines[0])


# the bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_work_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    bar = progress.Bar()
    bar._timer.join()
    bar("comparing", 30, 100)
    bar.close()
    assert "comparing" in screen.getvalue()
    assert "30%" in screen.getvalue()
    before = screen.getvalue()
    bar("comparing", 40, 100)
    assert screen.getvalue() == before


def test_short_work_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    bar = progress.Bar()
    bar("comparing", 30, 100)
    bar.close()
    bar._timer.join()
    assert screen.getvalue() == ""


def test_a_file_sees_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    bar = progress.Bar()
    bar("comparing", 30, 100)
    bar.close()
    assert not bar._timer.is_alive()
    assert file.getvalue() == ""


# profile

MODELS = """
import torch
from torch import nn
def small(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
def padded(): return nn.Conv2d(3, 4, 3, padding="same")
class Inverse(nn.Module):
    def forward(self, x): return torch.linalg.svdvals(x)
class Asks(nn.Module):
    def forward(self, x): return x if x.sum() > 0 else -x
def fails(): raise ValueError("no such size")
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with models."""
    (tmp_path / "command_models.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "command_models", raising=False)
    return tmp_path


@pytest.mark.usefixtures("models")
def test_profile_prints_figures_and_signature(run: Run) -> None:
    answer = run("profile", "command_models:small", "-i", "1x3x8x8")
    assert (answer.code, answer.err) == (0, "")
    figures, counts, signature = answer.out.split("\n\n")
    words = [line.split(maxsplit=3) for line in figures.splitlines()]
    assert [line[0] for line in words][:3] == ["params", "params_trainable", "macs"]
    assert words[2] == ["macs", "4.608", "k", "multiply-accumulates of convolution, matrix product and attention"]
    assert counts == "operators 5"
    assert signature.startswith("model.cost@1|counter:cvbench@1|input:1x3x8x8|counts:macs: convolution,")


@pytest.mark.usefixtures("models")
def test_profile_shows_modules_and_operators_on_request(run: Run) -> None:
    answer = run("profile", "command_models:small", "-i", "1x3x8x8", "--depth", "1", "--per-operator")
    _, modules, operators, *_ = answer.out.split("\n\n")
    assert [line.split()[0] for line in modules.splitlines()] == ["module", "(model)", "0", "1", "2", "3"]
    listed = [line.split()[0] for line in operators.splitlines()]
    assert listed == ["operator", "aten.convolution", "aten.addmm", "aten.relu"]


def test_profile_writes_full_precision(run: Run, models: Path) -> None:
    run("profile", "command_models:small", "-i", "1x3x8x8", "-o", models / "cost.json", "--depth", "0")
    result = Result.load(models / "cost.json")
    assert result.values["macs"] == 36 * 4 * 27 + 144 * 5
    assert len(result.tables["per_module"]) == 5
    rows = csv.DictReader(io.StringIO(run("profile", "command_models:small", "-i", "1x3x8x8", "--format", "csv").out))
    values = {row["metric"]: float(row["value"]) for row in rows if row["table"] == "values"}
    assert values == result.values


@pytest.mark.usefixtures("models")
def test_profile_of_several_models_is_one_table(run: Run) -> None:
    names = ["command_models:small", "command_models:padded"]
    answer = run("profile", *names, "-i", "1x3x8x8")
    table = answer.out.split("\n\n")[0].splitlines()
    assert table[0].split()[:4] == ["model", "params", "macs", "flops"]
    assert [line.split()[0] for line in table[1:]] == names
    markdown = run("profile", *names, "-i", "1x3x8x8", "--format", "md").out
    assert "### models\n\n| model " in markdown


@pytest.mark.usefixtures("models")
def test_profile_compares_counters(run: Run) -> None:
    answer = run("profile", "command_models:padded", "-i", "1x3x8x8", "--compare")
    _, counters, differences, uncounted, *_ = answer.out.split("\n\n")
    macs = [line.split()[:1] + line.split()[2:4] for line in counters.splitlines()[1:]]
    assert macs == [["cvbench", "6.912", "k"], ["fvcore", "0", "0.00000"], ["torch", "6.912", "k"]]
    assert differences.splitlines()[1].split()[:2] == ["aten.convolution", "1"]
    assert "aten::_convolution_mode" in uncounted
    assert "note: fvcore counts macs: conv, linear, matmul" in answer.err


@pytest.mark.usefixtures("models")
def test_profile_says_what_has_no_formula(run: Run) -> None:
    answer = run("profile", "command_models:Inverse", "-i", "1x3x8x8")
    assert answer.code == 0
    assert "aten._linalg_svd      1" in answer.out
    assert answer.err == "note: aten._linalg_svd has no formula: macs and flops lack 1 call\n"
    strict = run("profile", "command_models:Inverse", "-i", "1x3x8x8", "--strict")
    assert (strict.code, strict.out) == (2, "")
    assert strict.err.startswith("error: Inverse: aten._linalg_svd on (1, 3, 8, 8) has no formula; give it one with")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["command_models"], "error: command_models: expected package.module:build, a module and a function"),
        (["no_models:build"], "error: no_models:build: no_models cannot be imported: ModuleNotFoundError: No module"),
        (["command_models:smal"], "error: command_models:smal: command_models has no 'smal'; did you mean 'small'?"),
        (["command_models:fails"], "error: command_models:fails: the builder fails: ValueError: no such size ("),
        (["command_models:small"], "error: Sequential.3: the model fails on (1, 197136): RuntimeError: "),
        (["command_models:Asks"], "error: Asks: the model fails on (1, 3, 224, 224): RuntimeError: "),
        (["command_models:small", "-i", "3y8"], "error: input size '3y8': '3y8' is no shape; expected sizes as in"),
        (["command_models:small"] * 2, "error: command_models:small is named twice"),
        (["command_models:small", "--arrays", "t.npz"], "error: --arrays t.npz: only --latency makes arrays"),
        (["command_models:small", "-o", "no/cost.json"], "error: no/cost.json: there is no folder to write this file"),
        (["command_models:small", "--compare", "--backend", "torch"], "error: compare needs the counts of cvbench"),
    ],
)
def test_profile_refuses_and_says_why(run: Run, arguments: list[str], message: str) -> None:
    answer = run("profile", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(message)


@pytest.mark.usefixtures("models")
def test_profile_runs_on_real_tensors_where_asked(run: Run) -> None:
    assert run("profile", "command_models:Asks", "-i", "1x3x8x8", "--device", "cpu").code == 0


def test_profile_hands_times_on(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def profiled(model: str, size: object, **options: Any) -> Result:
        asked.update(options, model=model, size=str(size))
        arrays = {"latency_forward_ns": np.arange(3)}
        return Result("model.cost@1", {"forward_p50_ms": 1.5}, Signature("model.cost@1"), arrays=arrays)

    monkeypatch.setattr("cvbench.profiling.profile", profiled)
    answer = run("profile", "a:b", "--latency", "--threads", "2", "--arrays", models / "times.npz")
    assert answer.out.startswith("forward_p50_ms  1.50000  forward: median of a call, ms\n")
    assert (asked["latency"], asked["roofline"], asked["threads"], asked["size"]) == (True, None, 2, "1x3x224x224")
    with np.load(models / "times.npz") as times:
        assert times["latency_forward_ns"].tolist() == [0, 1, 2]
