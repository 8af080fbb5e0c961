"""What the first run ever costs, when all that a task needs is compiled, and the next runs that find it compiled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

from workload import Size, write_files


@pytest.mark.parametrize("task", ["coco.bbox"])
def test_first_and_second_run(task: str, tmp_path: Path, report: Callable[[str], None]) -> None:
    gt, dt = tmp_path / "gt.json", tmp_path / "dt.json"
    write_files("boxes", Size(10, 100, 500, 5), gt, dt)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "cvbench", "score", task, str(gt), str(dt)]
    seconds, told = [], []
    for _ in range(3):
        start = perf_counter()
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seconds.append(perf_counter() - start)
        told.append(re.findall("compil", answer.stderr))
    assert told[0]
    assert not told[1], "it is said once"
    report(f"{task}: first run ever {seconds[0]:.2f} s, then {min(seconds[1:]):.2f} s")
