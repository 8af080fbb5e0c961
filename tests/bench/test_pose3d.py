"""Errors of 3-D poses: engines in fresh processes, taking turns, with equal figures in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pose_worker import JOINTS

POSES = {"cvbench": 100_000, "cvbench, all cores": 100_000, "poses one by one": 10_000}
"""How many poses each engine gets; a slow one need not see all."""

PROCESSES, ROUNDS = 3, 3


def measured(engine: str, poses: int, rounds: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("pose_worker.py")), engine, str(poses), str(rounds)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


def test_mpjpe(report: Callable[[str], None]) -> None:
    names = list(POSES)
    expected = {n: measured(names[0], n, 0)["figures"] for n in set(POSES.values())}
    runs: dict[str, list[float]] = {engine: [] for engine in names}
    for turn in range(PROCESSES):
        for engine in names[turn % len(names) :] + names[: turn % len(names)]:
            answer = measured(engine, POSES[engine], ROUNDS)
            # the last bits of singular vectors
            np.testing.assert_allclose(answer["figures"], expected[POSES[engine]], rtol=1e-9, err_msg=engine)
            runs[engine] += [seconds / POSES[engine] for seconds in answer["seconds"]]
    report("")
    report(f"MPJPE, PA-MPJPE and N-MPJPE of poses of {JOINTS} joints, per pose, and as multiples of cvbench")
    base = median(runs[names[0]])
    for engine in names:
        seconds = median(runs[engine])
        spread = f"({min(runs[engine]) * 1e6:.2f} to {max(runs[engine]) * 1e6:.2f} µs)"
        report(f"{engine:24}{seconds * 1e6:12.2f} µs {seconds / base:8.2f}x   {spread}")
