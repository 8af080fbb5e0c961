"""Cells of the speed table, measured one process at a time and kept, so that a run that was stopped goes on.

A cell is a row at a size with a number of threads. The answer of each process is one line of a file, which belongs to
exactly these sources, packages and machine: after a change everything is measured anew. ``{FOLDER}/records`` can be
deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from cvbench.result import processor
from rows import ROWS, Cell, Engine
from turns import FOLDER, WALL, Answer, check_figures, in_turns, installed, present, worker

HERE = Path(__file__).parent
NOT_MEASURING = ("conftest.py", "speed_table.py", "test_*.py")
"""Files here that change no measurement."""


def version(engine: Engine) -> str:
    """Of the package; of code of this bench, NumPy's."""
    return metadata.version(engine.package) if engine.package else f"NumPy {metadata.version('numpy')}"


def machine() -> dict[str, str]:
    """Where and with what is measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory_gb": f"{memory:.0f}",
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "numba": metadata.version("numba"),
    }


def records() -> Path:
    """The folder for what is measured with these sources, packages and machine."""
    digest = hashlib.sha256()
    benches = set(HERE.glob("*.py")) - {path for pattern in NOT_MEASURING for path in HERE.glob(pattern)}
    for path in sorted([*benches, *(HERE.parents[1] / "cvbench").rglob("*.py")]):
        digest.update(path.relative_to(HERE.parents[1]).as_posix().encode() + path.read_bytes())
    engines = {who for row in ROWS.values() for who in row.engines.values()}
    versions = sorted({f"{who.package} {version(who)}" for who in engines if who.package and installed(who)})
    digest.update(json.dumps([versions, machine()]).encode())
    return FOLDER / "records" / digest.hexdigest()[:16]


def _file(name: str) -> Path:
    return records() / f"{name}.jsonl"


def _kept(path: Path) -> list[dict[str, Any]]:
    """Records of a file; the last one may have been cut off and is measured again."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _keep(path: Path, record: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = _kept(path)
    if path.exists() and not path.read_text().endswith("\n"):
        path.write_text("".join(json.dumps(some) + "\n" for some in kept))
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def answers(cell: Cell) -> dict[str, list[Answer]]:
    """What is known of a cell, by engine."""
    found: dict[str, list[Answer]] = {}
    for record in _kept(_file("-".join(map(str, cell)))):
        found.setdefault(record["engine"], []).append(record)
    return found


def missing(cell: Cell, processes: int) -> list[str]:
    """The engines whose processes are still to be run, in turns."""
    row, size, threads = cell
    have, seen = Counter({name: len(some) for name, some in answers(cell).items()}), Counter[str]()
    due = []
    for name in in_turns(present(ROWS[row], size, threads), processes):
        seen[name] += 1
        if have[name] < seen[name] <= (ROWS[row].engines[name].most or processes):
            due.append(name)
    return due


def measure(cell: Cell, processes: int) -> Iterator[tuple[str, Answer]]:
    """Run what is missing of a cell, keep it, and check that all figures are those of cvbench.

    Raises
    ------
    AssertionError
        Where the figures of an engine differ from those of the first one by more than its tolerance.
    """
    row, size, threads = cell
    path = _file("-".join(map(str, cell)))
    for name in missing(cell, processes):
        answer = json.loads(worker(row, name, size, threads))
        answer |= {"engine": name, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        reference = answers(cell).get("cvbench", [answer])[0]["figures"]
        check_figures(ROWS[row], name, answer["figures"], reference)
        _keep(path, answer)
        yield name, answer


def compile_seconds(row: str) -> list[float]:
    """What the first round of cvbench took longer than later ones when nothing was compiled, as far as it is known."""
    return [record["seconds"] for record in _kept(_file(f"{row}-compile"))]


def measure_compiling(row: str, processes: int) -> None:
    """Run what is missing of `compile_seconds`: the smallest size, twice, with an empty folder for compiled kernels."""
    size = next(iter(ROWS[row].sizes))
    worker(row, "-", size, 1)
    while len(compile_seconds(row)) < processes:
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (json.loads(worker(row, "cvbench", size, 1, NUMBA_CACHE_DIR=folder)) for _ in range(2))
        first = [sum(times[WALL] for times in answer["first"].values()) for answer in (cold, warm)]
        _keep(_file(f"{row}-compile"), {"seconds": first[0] - first[1]})
