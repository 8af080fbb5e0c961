"""PCK of 100,000 people with 17 joints: engines in fresh processes, taking turns, with equal figures in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from keypoint_worker import ENGINES, JOINTS, THRESHOLDS

PEOPLE, PROCESSES, ROUNDS = 100_000, 3, 3

SLOW = {"loop over joints"}
"""Engines that get one round in each process."""


def measured(what: str, engine: str) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("keypoint_worker.py"))]
    command += [what, engine, str(PEOPLE), str(1 if engine in SLOW else ROUNDS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


@pytest.mark.parametrize("what", THRESHOLDS)
def test_pck(what: str, report: Callable[[str], None]) -> None:
    names, number = list(ENGINES), len(THRESHOLDS[what])
    runs: dict[str, list[float]] = {engine: [] for engine in names}
    expected = measured(what, names[0])["figures"]
    for turn in range(PROCESSES):
        for engine in names[turn % len(names) :] + names[: turn % len(names)]:
            answer = measured(what, engine)
            np.testing.assert_array_equal(answer["figures"], expected, err_msg=engine)
            runs[engine] += answer["seconds"]
    report("")
    report(
        f"PCK by joint at {number} threshold{'s'[: number - 1]}, {PEOPLE:,} people of {JOINTS} joints in memory, "
        f"medians of {PROCESSES} processes, and as multiples of cvbench"
    )
    base = median(runs[names[0]])
    for engine in names:
        seconds = median(runs[engine])
        spread = f"({min(runs[engine]) * 1e3:.1f} to {max(runs[engine]) * 1e3:.1f} ms)"
        report(f"{engine:24}{seconds * 1e3:12.1f} ms {seconds / base:8.2f}x   {spread}")
