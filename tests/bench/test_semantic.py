"""Mean IoU: from label maps in memory, and from folders of PNG files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from map_turns import table
from map_worker import CLASSES, SEMANTIC_SIZE
from map_workload import Kind, label_maps, write_label_maps

ENGINES = {
    "cvbench": 24,
    "cvbench, all cores": 24,
    "np.bincount": 24,
    "hotcoco": 24,
    "vernier": 24,
    "torchmetrics": 4,
}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_mean_iou_in_memory(kind: Kind, report: Callable[[str], None]) -> None:
    lines = list(table("semantic", ENGINES, kind, int(np.prod(SEMANTIC_SIZE))))
    height, width = SEMANTIC_SIZE
    report("")
    report(
        f"mIoU, {kind} maps of {width} x {height}, uint8, {CLASSES} classes, per image and pixel, "
        "and as multiples of cvbench"
    )
    for line in lines:
        report(line)


def test_mean_iou_from_files(tmp_path: Path, report: Callable[[str], None]) -> None:
    images, files = 24, (tmp_path / "gt", tmp_path / "pred")
    for path, side in zip(files, label_maps("scene", images, *SEMANTIC_SIZE, CLASSES), strict=True):
        write_label_maps(path, side)
    engines = ("cvbench", "cvbench, one core", "decoding alone", "np.bincount", "hotcoco", "vernier")
    lines = list(table("semantic", dict.fromkeys(engines, images), "scene", int(np.prod(SEMANTIC_SIZE)), files))
    report("")
    report("mIoU, the scenes from PNG files, per image and pixel, and as multiples of cvbench")
    for line in lines:
        report(line)
