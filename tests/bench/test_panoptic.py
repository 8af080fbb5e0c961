"""Panoptic quality: from id maps in memory, and from JSON and PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from map_turns import table
from map_worker import PANOPTIC_SIZE
from map_workload import Kind, panoptic_images, write_panoptic

ENGINES = {"cvbench": 40, "cvbench, all cores": 40, "two np.unique": 40, "vernier": 40, "torchmetrics": 2}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_panoptic_quality_in_memory(kind: Kind, report: Callable[[str], None]) -> None:
    lines = list(table("panoptic", ENGINES, kind, int(np.prod(PANOPTIC_SIZE))))
    height, width = PANOPTIC_SIZE
    report("")
    report(f"PQ, {kind} maps of {width} x {height}, 20 segments, per image and pixel, and as multiples of cvbench")
    for line in lines:
        report(line)


def test_panoptic_quality_from_files(tmp_path: Path, report: Callable[[str], None]) -> None:
    images, files = 40, (tmp_path / "gt.json", tmp_path / "pred.json")
    for path, side in zip(files, panoptic_images("scene", images, *PANOPTIC_SIZE), strict=True):
        write_panoptic(path, side)
    engines = ("cvbench", "cvbench, one core", "decoding alone", "two np.unique", "hotcoco")
    lines = list(table("panoptic", dict.fromkeys(engines, images), "scene", int(np.prod(PANOPTIC_SIZE)), files))
    report("")
    report("PQ, the scenes from JSON and PNG files, per image and pixel, and as multiples of cvbench")
    for line in lines:
        report(line)
