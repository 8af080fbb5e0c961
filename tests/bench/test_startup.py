"""Whole processes on the smallest files, by pytest-benchmark: what is paid before any work, with everything compiled.

What the package adds is the difference to ``python`` and, where it computes, to ``numba``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cvbench import warmup
from cvbench.samples import samples
from turns import BYTECODE

SHELL = "import sys; sys.argv = ['cvbench', *{}]; from cvbench.cli import main; main()"
PROCESSES = {
    "python": "",
    "package": "import cvbench",
    "help": SHELL.format(["--help"]),
    "numba": "import numba",
    "score": "import cvbench; cvbench.score('coco.bbox', 'gt.json', 'pred.json', threads=1)",
    "shell": SHELL.format(["score", "coco.bbox", "gt.json", "pred.json", "--threads", "1"]),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_start(benchmark: Any, process: str, tmp_path: Path) -> None:
    warmup(["coco.bbox"])
    next(samples("coco.bbox", tmp_path))
    command = [sys.executable, "-c", PROCESSES[process]]
    options = {"cwd": tmp_path, "check": True, "capture_output": True, "env": os.environ | BYTECODE}
    benchmark.pedantic(subprocess.run, (command,), options, rounds=10, warmup_rounds=1)
