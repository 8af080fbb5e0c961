"""One engine on one row in one fresh process.

``worker.py ROW ENGINE SIZE THREADS FOLDER`` prints as JSON the seconds of the import, of the first round and of the
rounds after it, each as ``[wall, processor]`` by stage, the memory in MB before the first round (`base_mb`) and the
most until its end (`peak_mb`), and the figures; of a row of commands, what one command takes. With ``-`` for the
engine it makes the data and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from rows import ROWS

SECONDS, MOST = 0.5, 20
"""Rounds after the first one: at least two, more while all take less than this; one where a round takes `LONG`; none of
engines that are far from the fastest there: their first one stands for it."""
LONG = 3.0

KIB = 2**20 if sys.platform == "darwin" else 2**10
"""How much of the system's unit of memory is one MB."""

Times = dict[str, tuple[float, float]]


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.start = perf_counter(), process_time()

    def seconds(self) -> tuple[float, float]:
        return perf_counter() - self.start[0], process_time() - self.start[1]


def most_memory() -> float:
    """The most memory that this program has had, in MB; without what its parent had where the system tells."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def attribute(path: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def measured(row_name: str, engine_name: str, size: str, threads: int, folder: Path) -> dict[str, Any]:
    row = ROWS[row_name]
    engine = row.engines[engine_name]
    clock = Clock()
    for module in engine.imports:
        importlib.import_module(module)
    imported = clock.seconds()
    data = attribute(row.data)(row.kind, row.sizes[size], folder)
    arguments = () if row.argument is None else (row.argument,)
    stages = attribute(engine.make)(*arguments, data, threads)

    def one_round() -> tuple[Times, list[float]]:
        gc.collect()
        times: Times = {}
        loaded = None
        if stages.load is not None:
            clock = Clock()
            loaded = stages.load()
            times["load"] = clock.seconds()
        clock = Clock()
        found = stages.evaluate(loaded)
        times["evaluate"] = clock.seconds()
        return times, stages.figures(found)

    base = most_memory()
    first, figures = one_round()
    peak = most_memory()
    long = sum(wall for wall, _ in first.values()) > LONG
    rounds = [first] if long and engine.most else []
    least, most = (1, 1) if long else (2, MOST)
    spent = 0.0
    while len(rounds) < least or (spent < SECONDS and len(rounds) < most):
        times, again = one_round()
        assert json.dumps(again) == json.dumps(figures), "another round, other figures"  # NaN is like NaN
        rounds.append(times)
        spent += sum(wall for wall, _ in times.values())
    return {
        "import": imported,
        "first": first,
        "rounds": rounds,
        "base_mb": base,
        "peak_mb": peak,
        "figures": figures,
    }


def measured_from_shell(row_name: str, engine_name: str, size: str, threads: int, folder: Path) -> dict[str, Any]:
    """The same of one whole process, which this small one starts: what it takes is all that there is."""
    from shell_engines import figures_of

    row = ROWS[row_name]
    command = attribute(row.engines[engine_name].make)(attribute(row.data)(row.kind, row.sizes[size], folder), threads)
    start = perf_counter()
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wall = perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    times: Times = {"process": (wall, used.ru_utime + used.ru_stime)}
    return {
        "import": (0.0, 0.0),
        "first": times,
        "rounds": [times],
        "base_mb": 0.0,
        "peak_mb": used.ru_maxrss / KIB,
        "figures": figures_of(printed),
    }


def main() -> None:
    row, engine, size, threads, folder = sys.argv[1:]
    if engine == "-":
        attribute(ROWS[row].data)(ROWS[row].kind, ROWS[row].sizes[size], Path(folder))
        return
    with contextlib.redirect_stdout(io.StringIO()):
        measure = measured_from_shell if ROWS[row].shell else measured
        answer = measure(row, engine, size, int(threads), Path(folder))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
