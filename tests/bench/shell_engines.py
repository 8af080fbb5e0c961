"""Engines as whole processes from the shell: ``engine((gt, dt), threads)`` gives the command, which prints figures."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
Paths = Sequence[Path]


def cvbench(paths: Paths, threads: int) -> list[str]:
    options = ["--threads", str(threads), "--format", "json"]
    return [sys.executable, "-m", "cvbench", "score", "coco.bbox", *map(str, paths), *options]


def hotcoco(paths: Paths, threads: int) -> list[str]:
    """Its own command."""
    beside = Path(sys.executable).with_name("coco")  # where an environment is not activated
    coco = str(beside) if beside.exists() else shutil.which("coco") or "coco"
    return [coco, "eval", "--json", "--gt", str(paths[0]), "--dt", str(paths[1])]


def ultrafast(paths: Paths, threads: int) -> list[str]:
    """Has no command; the few lines that its users write."""
    lines = (
        "import json, sys; from ultrafast_pycocotools import COCO, COCOeval; "
        "gt = COCO(sys.argv[1]); run = COCOeval(gt, gt.loadRes(sys.argv[2]), 'bbox'); "
        "run.evaluate(); run.accumulate(); run.summarize(); print(json.dumps(list(map(float, run.stats))))"
    )
    return [sys.executable, "-c", lines, *map(str, paths)]


def figures_of(printed: str) -> list[float]:
    """The 12 figures in what a command prints: a list in its last line, or an object with a member for them."""
    if not printed.lstrip().startswith("{"):
        numbers: list[float] = json.loads(printed.splitlines()[-1])
        return numbers
    content = json.loads(printed)
    values = content.get("values") or content["metrics"]
    return [float(values[name]) for name in NAMES]
