"""The sample data set of the README: the same on every run, and worth a look."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from cvbench import score

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sample.py"


def make(folder: Path) -> tuple[str, str]:
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True)
    return str(folder / "gt.json"), str(folder / "pred.json")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make(tmp_path_factory.mktemp("sample"))


def test_the_sample_is_the_same_every_time(sample: tuple[str, str], tmp_path: Path) -> None:
    for first, second in zip(sample, make(tmp_path), strict=True):
        assert Path(first).read_bytes() == Path(second).read_bytes()


@pytest.mark.parametrize("task", ["coco.bbox", "coco.segm"])
def test_every_figure_of_the_sample_is_at_work(sample: tuple[str, str], task: str) -> None:
    result = score(task, *sample)
    assert all(0.05 < value < 0.95 for value in result.values.values())
    assert not any(math.isnan(row["AP"]) for row in result.per_category if isinstance(row["AP"], float))
    assert result.counts["crowd"] > 0
    assert result.counts["ignored_detections"] > 0
