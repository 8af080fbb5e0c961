"""Engines on a row, each in fresh processes, taking turns, with equal figures in the same run.

``python tests/bench/turns.py ROW SIZE`` prints a table at once and keeps nothing; ``--help`` lists the options.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rows import ROWS, SIZES, Engine, Row

FOLDER = Path(__file__).parents[2] / ".cache" / "bench"
"""Where data and records are kept between runs; git ignores it."""

BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Compiled Python is kept for the next process, as it is of packages that are installed, all peers among them."""

POOLS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Answer = dict[str, Any]


def installed(engine: Engine) -> bool:
    """Whether all that the engine imports is there."""
    return all(find_spec(module.partition(".")[0]) for module in engine.imports)


def present(row: Row, size: str, threads: int) -> list[str]:
    """The engines that compute the row, as far as they are installed."""
    return [name for name in row.engines_at(size, threads) if installed(row.engines[name])]


@contextlib.contextmanager
def kept_to(threads: int) -> Iterator[dict[str, str]]:
    """Processes started here run on so many processors; the environment tells their pools the same.

    Engines without an option for it obey, too. Where the system has no such call, the environment alone has to do.
    """
    environment = os.environ | BYTECODE | dict.fromkeys(POOLS, str(threads))
    if not hasattr(os, "sched_getaffinity"):
        yield environment
        return
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_of_them)[-threads:])
    try:
        yield environment
    finally:
        os.sched_setaffinity(0, all_of_them)


def worker(row: str, engine: str, size: str, threads: int, **variables: str) -> str:
    """What the worker prints for an engine in a fresh process."""
    script = str(Path(__file__).with_name("worker.py"))
    with kept_to(threads) as environment:
        command = [sys.executable, script, row, engine, size, str(threads), str(FOLDER)]
        ended = subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {ended.returncode}:\n{ended.stderr[-4000:]}")
    return ended.stdout


def prepare(row: str, size: str) -> None:
    """Write the row's files, and let cvbench compile what it has not compiled yet."""
    worker(row, "-", size, 1)
    smallest = min(ROWS[row].sizes, key=ROWS[row].sizes.__getitem__)
    worker(row, "-", smallest, 1)
    worker(row, "cvbench", smallest, 1)


def in_turns(engines: Sequence[str], processes: int) -> Iterator[str]:
    """Each engine so many times, every time with another one first."""
    for turn in range(processes):
        first = turn % len(engines)
        yield from (*engines[first:], *engines[:first])


def check_figures(row: Row, engine: str, figures: Sequence[float], expected: Sequence[float]) -> None:
    """Raise where an engine's figures are not those of the first one, within its tolerance."""
    if not row.engines[engine].peer:
        return
    np.testing.assert_allclose(
        np.array(figures, np.float64),
        np.array(expected, np.float64),
        rtol=row.engines[engine].tolerance,
        atol=0,
        equal_nan=True,
        err_msg=engine,
    )


WALL, PROCESSOR = 0, 1


def seconds(answer: Answer, clock: int = WALL, stage: str | None = None) -> float:
    """Median of a process's rounds after the first one, of a stage or of all."""
    return median(
        sum(times[clock] for name, times in each.items() if stage in (None, name)) for each in answer["rounds"]
    )


def lines(answers: Mapping[str, Sequence[Answer]]) -> Iterator[str]:
    """A table: medians of processes in seconds and MB, and as multiples of the first engine."""
    columns = ("import", "first", "load", "evaluate", "all", "processor", "peak MB")
    yield f"{'':28}" + "".join(f"{name:>17}" for name in columns)
    base: list[float] = []
    for engine, some in answers.items():
        row = [
            median(a["import"][WALL] for a in some),
            median(sum(times[WALL] for times in a["first"].values()) for a in some),
            *(median(seconds(a, WALL, stage) for a in some) for stage in ("load", "evaluate", None)),
            median(seconds(a, PROCESSOR) for a in some),
            median(a["peak_mb"] for a in some),
        ]
        base = base or row
        cells = [f"{value:.{0 if name == 'peak MB' else 3}f}" for name, value in zip(columns, row, strict=True)]
        times = [f" {value / own:6.2f}x" if own else "        " for value, own in zip(row, base, strict=True)]
        yield f"{engine:28}" + "".join(f"{cell + more:>17}" for cell, more in zip(cells, times, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Engines on a row, in fresh processes, taking turns.")
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("engines", nargs="*", help="by default all that are installed and fast enough")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=5, help="fresh processes of each engine (default 5)")
    options = parser.parse_args()
    row = ROWS[options.row]
    prepare(options.row, options.size)
    answers: dict[str, list[Answer]] = {
        name: [] for name in options.engines or present(row, options.size, options.threads)
    }
    reference = None
    for engine in in_turns(tuple(answers), options.processes):
        answer = json.loads(worker(options.row, engine, options.size, options.threads))
        answers[engine].append(answer)
        reference = reference or answer["figures"]
        check_figures(row, engine, answer["figures"], reference)
    sys.stdout.writelines(f"{line}\n" for line in lines(answers))


if __name__ == "__main__":
    main()
