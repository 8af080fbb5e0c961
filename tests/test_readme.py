"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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
    arguments = shlex.split(line, comments=True)[1:]
    command = [sys.executable, "-m", "cvbench", *arguments]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    # the sample is not the data set whose AP the line expects
    assert answer.returncode == (1 if "--expect" in arguments else 0), answer.stderr


def test_the_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "make_sample.py", tmp_path], check=True, capture_output=True)
    (tmp_path / "pred.json").rename(tmp_path / "predictions.json")
    monkeypatch.chdir(tmp_path)
    image = {"boxes": [[0, 0, 9, 9]], "labels": [1]}
    names = {"batches": [([image], [image | {"scores": [0.5]}])], "print": lambda value: None}
    blocks = re.findall(r"```python\n((?:.*\n)*?)```", README)
    assert len(blocks) == 3
    for block in blocks:
        exec("import cvbench\n" + block, names)
    assert names["metric"].compute().counts["images"] == 0


def test_the_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
