"""Heatmaps of 17 joints: made and read by cvbench, and by loops over instances and joints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from heatmap_worker import ENCODINGS, HEATMAP, JOINTS

ENGINES = ("cvbench", "cvbench, all cores", "loops")
PROCESSES, ROUNDS, INSTANCES = 3, 3, 256


def measured(method: str, engine: str, rounds: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("heatmap_worker.py")), method, engine]
    command += [str(INSTANCES), str(rounds)]
    one_core = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # matrices of the loops
    answer = subprocess.run(command, env=one_core, capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


@pytest.mark.parametrize("method", [*ENCODINGS, "quarter", "dark"])
def test_heatmaps(method: str, report: Callable[[str], None]) -> None:
    expected = measured(method, "cvbench", 0)["figures"]
    runs: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for turn in range(PROCESSES):
        for engine in ENGINES[turn:] + ENGINES[:turn]:
            answer = measured(method, engine, ROUNDS)
            # the sum over all maps, or of all coordinates; loops compute some of it in float32
            np.testing.assert_allclose(answer["figures"], expected, rtol=1e-6, err_msg=engine)
            runs[engine] += [seconds / INSTANCES / JOINTS for seconds in answer["seconds"]]
    report("")
    action = "encode" if method in ENCODINGS else "decode"
    report(f"{action}, {method}, maps of {HEATMAP[0]} x {HEATMAP[1]}, per map, and as multiples of cvbench")
    base = median(runs["cvbench"])
    for engine, seconds in runs.items():
        low, high = min(seconds) * 1e6, max(seconds) * 1e6
        middle = median(seconds)
        report(f"{engine:24}{middle * 1e6:10.2f} µs {middle / base:8.2f}x   ({low:.2f} to {high:.2f} µs)")
