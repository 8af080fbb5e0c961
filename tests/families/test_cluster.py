"""Scores on a Dask cluster: two real processes, one of which ends on the way; and what is no cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvbench import InputError, MissingDependency, score

TESTS = Path(__file__).parents[1]


def test_a_cluster_gives_the_result_of_one_process(tmp_path: Path) -> None:
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS))),
    }
    command = [sys.executable, str(TESTS / "cluster_script.py"), str(tmp_path)]
    done = subprocess.run(
        command, env=environment, cwd=TESTS.parent, capture_output=True, encoding="utf-8", check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr


def test_tasks_that_no_cluster_scores() -> None:
    with pytest.raises(InputError, match=r"semantic\.miou cannot be scored by Dask; expected one of coco\.bbox, coco"):
        score("semantic.miou", "gt", "pred", num_classes=3, dask="local")


def test_what_is_no_cluster() -> None:
    for name in ("here", 8786):
        with pytest.raises(InputError, match=f"dask={name!r}: expected local, the address of a scheduler"):
            score("coco.bbox", "gt.json", "pred.json", dask=name)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cvbench\[dask\]'"):
        score("coco.bbox", "gt.json", "pred.json", dask="local")
