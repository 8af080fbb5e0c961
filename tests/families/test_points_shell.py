"""Paired keypoints on the command line: what a person types, gets wrong, and is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cvbench import cli

POINTS = np.array([[[10, 20], [30, 40], [50, 60]], [[11, 21], [31, 41], [51, 61]], [[5, 5], [9, 5], [9, 9]]], float)
FOUND = np.add(POINTS, [[1, 0], [2, 0], [60, 0]])

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in a folder with files of three faces: exit code, data, talk."""
    monkeypatch.chdir(tmp_path)
    annotations = [
        {"id": 7 + i, "image_id": i // 2, "bbox": [0, 0, 40, 50], "keypoints": flat(points, 2)}
        for i, points in enumerate(POINTS)
    ]
    categories = [{"id": 1, "name": "face", "keypoints": ["eye", "nose", "chin"]}]
    write("gt.json", {"categories": categories, "annotations": annotations})
    write("pred.json", [{"annotation_id": 7 + i, "keypoints": flat(FOUND[i], 1)} for i in (2, 0, 1)])
    hidden = [annotation | {"keypoints": flat(POINTS[i], 0)} for i, annotation in enumerate(annotations)]
    write("hidden.json", {"annotations": hidden})
    write("flat.json", {"annotations": [annotations[0], annotations[1] | {"bbox": [0, 0, 0, 0]}, annotations[2]]})
    write("short.json", [{"annotation_id": 7 + i, "keypoints": flat(FOUND[i], 1)} for i in (2, 0)])
    np.save("pred.npy", FOUND)
    np.save("two.npy", FOUND[:, :2])
    holes = FOUND.copy()
    holes[2, 1, 0] = np.nan
    np.save("holes.npy", holes)
    Path("notes.txt").write_text("eye 10 20")

    def call(line: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.app(line.split(), prog_name="cvbench")
        out, err = capfd.readouterr()
        said = [text for text in err.splitlines() if not text.startswith("compiling kernels")]
        return int(ended.value.code or 0), out, "\n".join(said)

    return call


def flat(points: np.ndarray, third: float) -> list[float]:
    return [float(x) for x in np.insert(points, 2, third, axis=1).ravel()]


def write(name: str, content: Any) -> None:
    Path(name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        ("pose.pck gt.json pred.json", ["1.00000", "1.00000", "0.00000"]),
        ("pose.pck gt.json pred.npy", ["1.00000", "1.00000", "0.00000"]),
        ("pose.auc gt.json pred.json", ["0.95000", "0.90000", "0.00000"]),
        ("pose.epe gt.json pred.json", ["1.00000", "2.00000", "60.00000"]),
        ("landmarks.nme gt.json pred.json -p normalizer=fixed:10", ["0.10000", "0.20000", "6.00000"]),
        ("pose.pdj gt.json pred.json -p normalizer=fixed:10 -p thresholds=0.2", ["1.00000", "1.00000", "0.00000"]),
    ],
)
def test_figures_joint_by_joint(run: Run, line: str, figures: list[str]) -> None:
    code, out, _ = run(f"score {line} --per-category")
    assert code == 0
    rows = [row.split() for row in out.split("\n\n")[1].splitlines()]
    assert rows[0][:3] == ["id", "name", "instances"]
    assert [row[:4] for row in rows[1:]] == [
        [str(joint), name, "3", figure]
        for joint, (name, figure) in enumerate(zip(("eye", "nose", "chin"), figures, strict=True))
    ]


def test_figures_limb_by_limb(run: Run) -> None:
    code, out, _ = run("score pose.pcp gt.json pred.json -p limbs=brow=0-1,jaw=1-2 --per-category")
    assert (code, [row.split() for row in out.split("\n\n")[1].splitlines()[1:]]) == (
        0,
        [["0", "brow", "3", "1.00000"], ["1", "jaw", "3", "0.00000"]],
    )


def test_defaults_may_be_typed_as_they_are_printed(run: Run) -> None:
    plain = run("score pose.pck gt.json pred.json")
    assert run("score pose.pck gt.json pred.json -p preset=none -p curve=none -p counted=all -p parts=none") == plain


WRONG = [
    ("pose.pck gt.json two.npy", "two.npy: found 2 keypoints for each instance, but 3 in gt.json"),
    (
        "pose.pck gt.json short.json",
        "short.json: there is no prediction of id 8, which gt.json.annotations[1] asks for",
    ),
    ("pose.pck gt.json holes.npy", "holes.npy[2]: keypoint 1 is at (nan, 5), expected finite numbers; missing=miss"),
    ("pose.pck flat.json pred.json", "flat.json.annotations[1]: the size to divide by (the longer side of"),
    ("pose.pck gt.json pred.json -p normalizer=head", "gt.json: normalizer head is 0.6 times the diagonal"),
    ("pose.pck pred.json gt.json", "pred.json[0].annotation_id: annotations have an `id`, it is predictions that name"),
    ("pose.pck gt.json notes.txt", "notes.txt: this is of no known form, expected one of .mat, .h5, .hdf5, .csv"),
    ("pose.pck gt.json none.json", "none.json: there is no such file"),
    ("pose.pck . pred.json", ".: this is a folder, expected a file of keypoints"),
    ("pose.mpjpe pred.npy pred.npy", "pred.npy: found an array of shape (3, 3, 2), expected (N, J, 3)"),
    ("mpii.pckh gt.json pred.json", "gt.json: there are 3 joints; MPII has 16: right ankle"),
    ("landmarks.nme gt.json pred.json -p preset=wflw", "gt.json: there are 3 landmarks, and the rules are for 98"),
    ("landmarks.nme gt.json pred.json", "expected a normalizer, or a preset, which has one: 300w"),
    ("mpii.pckh gt.json pred.json -p protocol=coco", "protocol=coco: expected one of matlab, hrnet, mmpose, pytorch"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_what_is_wrong_is_said(run: Run, line: str, message: str) -> None:
    code, out, err = run(f"score {line}")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert "\n" not in err
    assert "TASK" not in err


def test_check_lists_what_scoring_counts(run: Run) -> None:
    _, _, err = run("score pose.pck flat.json holes.npy")
    assert "(and 1 more problem; `cvbench check pose.pck GT PRED` lists them)" in err
    code, out, err = run("check pose.pck flat.json holes.npy")
    assert (code, err) == (2, "2 problems in flat.json and holes.npy")
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["holes.npy[2]", "flat.json.annotations[1]"]
    assert run("check pose.pck flat.json")[2] == "1 problem in flat.json"
    assert run("check pose.pck gt.json") == (0, "", "no problems in gt.json")


@pytest.mark.parametrize(("task", "figure"), [("pose.pck", "PCK@0.2"), ("pose.epe", "EPE"), ("pose.auc", "AUC")])
def test_nobody_visible_is_no_score_and_is_said(run: Run, task: str, figure: str) -> None:
    code, out, err = run(f"score {task} hidden.json pred.json")
    assert (code, out.split()[:2]) == (0, [figure, "nan"])
    assert err == "note: 3 of 3 instances have no keypoint that counts, left out of all figures"


def test_what_was_not_found_is_a_miss_if_asked_for(run: Run) -> None:
    code, out, err = run("score pose.pck gt.json short.json -p missing=miss")
    assert (code, out.split()[:2]) == (0, ["PCK@0.2", "0.44444"])
    assert "note: 1 of 3 instances have no prediction: all their keypoints are missed" in err.splitlines()


def test_hdf5_without_h5py(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File("pred.h5", "w") as file:
        file["preds"] = FOUND
    assert run("score pose.pck gt.json pred.h5")[0] == 0
    monkeypatch.setitem(sys.modules, "h5py", None)
    for verb in ("score", "check"):
        code, out, err = run(f"{verb} pose.pck gt.json pred.h5")
        assert (code, out) == (2, "")
        assert err == "error: pred.h5: h5py reads HDF5 files and is not installed; pip install 'cvbench[files]'"
