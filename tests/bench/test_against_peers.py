"""Boxes, files to figures: every engine in fresh processes, taking turns, with equal figures in the same run."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from workload import Size, files

ENGINES = {
    "cvbench": "cvbench",
    "hotcoco": "hotcoco",
    "ultrafast-pycocotools": "ultrafast_pycocotools",
    "faster-coco-eval": "faster_coco_eval",
    "pycocotools": "pycocotools",
}
FAST = ("cvbench", "hotcoco", "ultrafast-pycocotools")


def measured(engine: str, gt: Path, dt: Path, rounds: int) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), engine, str(gt), str(dt), str(rounds)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


@pytest.mark.parametrize(
    ("size", "engines", "processes", "rounds"),
    [(Size(500, 3_600, 50_000), tuple(ENGINES), 3, 2), (Size(), FAST, 5, 3)],
    ids=["50,000 boxes", "500,000 boxes"],
)
def test_boxes(
    size: Size, engines: tuple[str, ...], processes: int, rounds: int, folder: Path, report: Callable[[str], None]
) -> None:
    gt, dt = files(size, folder)
    present = [name for name in engines if importlib.util.find_spec(ENGINES[name])]
    measured("cvbench", gt, dt, 1)  # compiles where it was never compiled
    runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in present}
    for turn in range(processes):
        for engine in present[turn % len(present) :] + present[: turn % len(present)]:
            runs[engine].append(measured(engine, gt, dt, rounds))
    for engine in present:
        for run in runs[engine]:
            # faster-coco-eval leaves out a term of 2^-52 in the denominator of precision
            tolerance = 1e-12 if engine == "faster-coco-eval" else 0
            np.testing.assert_allclose(run["figures"], runs["cvbench"][0]["figures"], rtol=tolerance, err_msg=engine)

    def seconds(engine: str, phase: str, warm: bool) -> float:
        picked = [run["rounds"][1:] if warm else run["rounds"][:1] for run in runs[engine]]
        return median(phases[phase] for rounds in picked for phases in rounds)

    report("")
    report(
        f"boxes: {size.images:,} images, {size.objects:,} objects, {size.detections:,} detections; "
        f"medians of {processes} processes in s, and as multiples of cvbench"
    )
    report(f"{'':24}{'import':>17}{'load':>17}{'evaluate':>17}{'first evaluate':>17}")
    base = None
    for engine in present:
        row = [
            median(run["import"] for run in runs[engine]),
            seconds(engine, "load", True),
            seconds(engine, "evaluate", True),
            seconds(engine, "evaluate", False),
        ]
        base = base or row
        cells = [f"{value:.3f} ({value / own:.2f}x)" for value, own in zip(row, base, strict=True)]
        report(f"{engine:24}" + "".join(f"{cell:>17}" for cell in cells))
