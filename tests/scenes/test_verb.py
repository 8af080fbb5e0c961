"""``cvbench scenes``: what a person types, and what comes back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cvbench import cli, scenes


def run(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int | str | None, str, str]:
    """Exit code, standard output and, without what is said of compiling, standard error."""
    with pytest.raises(SystemExit) as exit_:
        cli.app(["scenes", *map(str, arguments)], prog_name="cvbench")
    out, err = capfd.readouterr()
    return exit_.value.code or 0, out, re.sub(r"compiling kernels.*\n", "", err)


def test_splits_are_those_that_there_are():
    assert [split.value for split in cli.Split] == list(scenes.SPLITS)


def test_a_folder_is_written(tmp_path, capfd):
    folder = tmp_path / "out"
    assert run(capfd, "--split", "train", "--limit", "2", "-o", folder) == (
        *(0, ""),
        f"2 images of train with their ground truths in {folder}\n",
    )
    assert len(list((folder / "images").iterdir())) == 2


def test_a_full_folder_is_refused(tmp_path, capfd):
    (tmp_path / "mine").touch()
    message = f"error: {tmp_path}: the folder is not empty; name a new or an empty one\n"
    assert run(capfd, "--limit", "1", "-o", tmp_path) == (2, "", message)


def test_a_limit_beyond_the_split_is_refused(tmp_path, capfd):
    message = "error: limit 1001; expected 1 to 1000, the images of val\n"
    assert run(capfd, "--limit", "1001", "-o", tmp_path / "out") == (2, "", message)
    assert not list(tmp_path.iterdir())
