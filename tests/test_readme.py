"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from generated import Knobs
from keypoint_ap_cases import crowdpose, wholebody

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_transcript_is_what_the_command_prints(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_sample.py", tmp_path], check=True, capture_output=True)
    transcripts = re.findall(r"```console\n\$ cvbench (.*)\n((?:.*\n)*?)```", README)
    assert transcripts
    for arguments, shown in transcripts:
        command = [sys.executable, "-m", "cvbench", *shlex.split(arguments)]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
        assert answer.stdout == shown


@pytest.mark.parametrize("line", re.findall(r"^cvbench (?:score|check) .*$", README, re.MULTILINE))
def test_every_command_runs(line: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_sample.py", tmp_path], check=True, capture_output=True)
    (tmp_path / "pred.json").rename(tmp_path / "predictions.json")
    write_keypoints(tmp_path)
    arguments = shlex.split(line, comments=True)[1:]
    command = [sys.executable, "-m", "cvbench", *arguments]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    # the sample is not the data set whose AP the line expects
    assert answer.returncode == (1 if "--expect" in arguments else 0), answer.stderr
    for name in ("--plot", "-o"):
        assert name not in arguments or (tmp_path / arguments[arguments.index(name) + 1]).stat().st_size > 1000


def write_keypoints(folder: Path) -> None:
    """The files on keypoints that the README names."""
    rng = np.random.default_rng(0)

    def points(joints: int, dims: int) -> np.ndarray:
        return rng.uniform(10, 90, (5, joints, dims))

    truth = {"jnt_missing": np.zeros((16, 5)), "headboxes_src": rng.uniform([[[0], [0]], [[50], [60]]], 70, (2, 2, 5))}
    savemat(folder / "gt_valid.mat", truth | {"pos_gt_src": points(16, 2).transpose(1, 2, 0)})
    savemat(folder / "preds.mat", {"preds": points(16, 2)})
    header = ",".join(f"{joint}_{axis}" for joint in range(98) for axis in "xy")
    np.savetxt(folder / "faces.csv", points(98, 2).reshape(5, -1), delimiter=",", header=header, comments="")
    np.save(folder / "faces.npy", points(98, 2))
    np.savez(folder / "people.npz", keypoints=points(14, 2), visible=np.ones((5, 14)), image_ids=[1, 1, 2, 2, 3])
    np.save(folder / "people.npy", points(14, 2))
    np.savez(folder / "poses.npz", keypoints=points(17, 3))
    np.save(folder / "poses.npy", points(17, 3))
    makers: dict[str, Callable[[Knobs], tuple[object, object]]] = {"crowd": crowdpose, "body": wholebody}
    for name, make in makers.items():
        for side, data in zip(("gt", "pred"), make(Knobs(0, 2, 2, 4, 6, 5, True, True, 1, False)), strict=True):
            (folder / f"{name}_{side}.json").write_text(json.dumps(data), encoding="utf-8")


def test_the_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_sample.py", tmp_path], check=True, capture_output=True)
    (tmp_path / "pred.json").rename(tmp_path / "predictions.json")
    monkeypatch.chdir(tmp_path)
    image = {"boxes": [[0, 0, 9, 9]], "labels": [1]}
    printed: list[float] = []
    names = {"batches": [([image], [image | {"scores": [0.5]}])], "print": printed.append}
    blocks = re.findall(r"```python\n((?:.*\n)*?)```", README)
    assert len(blocks) == 4
    for block in blocks:
        exec("import cvbench\n" + block, names)
    assert names["metric"].compute().counts["images"] == 0
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("print(")]
    shown = [line.rpartition("  # ")[2] for line in lines]
    assert len(printed) == len(lines) == 1 + sum(re.fullmatch(r"[0-9.]+", number) is not None for number in shown)
    for number, value in zip(shown, printed, strict=True):
        assert number.startswith("print(") or number == str(round(value, 3))


def test_the_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
