"""Engines on pairs of maps, each in fresh processes, taking turns, with equal figures in the same run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from map_workload import Kind

PACKAGES = {"vernier": "vernier", "hotcoco": "hotcoco", "torchmetrics": "torchmetrics"}
"""The packages that some engines need; engines that are not installed are left out."""

ONE_CORE = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Peers without an option for it are kept to one core by their environment, where maps are in memory."""

WITHOUT_FIGURES = {"decoding alone"}

TOLERANCE = {"torchmetrics": 1e-6}
"""torchmetrics divides in 32 bits. Others differ by the order of their sums, in the last bits."""


def measured(
    field: str, engine: str, kind: Kind, images: int, rounds: int, files: Sequence[Path] = ()
) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("map_worker.py"))]
    command += [field, engine, kind, str(images), str(rounds), *map(str, files)]
    environment = os.environ | ({} if files else ONE_CORE)
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    content: dict[str, Any] = json.loads(answer.stdout)
    return content


def table(
    field: str,
    engines: dict[str, int],
    kind: Kind,
    pixels: int,
    files: Sequence[Path] = (),
    processes: int = 3,
    rounds: int = 3,
) -> Iterator[str]:
    """Lines of milliseconds per image and nanoseconds per pixel, and how many times that of the first engine.

    Parameters
    ----------
    field
        ``panoptic`` or ``semantic``.
    engines
        How many images each engine gets; slow ones need not see all.
    kind
    pixels
        Of an image.
    files
        Ground truth and prediction on disk, instead of maps in memory.
    processes, rounds
        How many processes of each engine, and rounds in each.
    """
    present = [name for name in engines if name not in PACKAGES or importlib.util.find_spec(PACKAGES[name])]
    first = present[0]
    expected = {n: measured(field, first, kind, n, 0, files)["figures"] for n in sorted(set(engines.values()))}
    runs: dict[str, list[float]] = {engine: [] for engine in present}
    for turn in range(processes):
        for engine in present[turn % len(present) :] + present[: turn % len(present)]:
            answer = measured(field, engine, kind, engines[engine], rounds, files)
            figures, tolerance = expected[engines[engine]], TOLERANCE.get(engine, 1e-12)
            if engine not in WITHOUT_FIGURES:
                np.testing.assert_allclose(answer["figures"], figures, rtol=tolerance, err_msg=engine)
            runs[engine] += [seconds / engines[engine] for seconds in answer["seconds"]]
    base = median(runs[first])
    for engine in present:
        seconds = median(runs[engine])
        cells = f"{seconds * 1e3:12.3f} ms {seconds * 1e9 / pixels:10.2f} ns {seconds / base:8.2f}x"
        yield f"{engine:24}{cells}   ({min(runs[engine]) * 1e3:.3f} to {max(runs[engine]) * 1e3:.3f} ms)"
