"""What `make bench` measures: ``--sizes``, ``--rows`` and ``--processes``; it prints the tables after the last test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cells import missing
from rows import ROWS, SIZES, cells
from speed_table import all_lines, ratio_text, time_text, what, write

PROCESSES = 5


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("speed")
    group.addoption("--sizes", default=",".join(SIZES), help="sizes of the table, such as 50k,500k (default: all)")
    group.addoption("--rows", default=",".join(ROWS), help="rows of the table, such as boxes,pq (default: all)")
    group.addoption("--processes", type=int, default=PROCESSES, help=f"of each engine (default {PROCESSES})")


def chosen(config: pytest.Config, option: str, known: dict[str, object]) -> list[str]:
    names = str(config.getoption(option)).split(",")
    if wrong := [name for name in names if name not in known]:
        raise pytest.UsageError(f"--{option}: {', '.join(wrong)} is unknown; expected some of {', '.join(known)}")
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sizes, rows = (chosen(metafunc.config, *pair) for pair in (("sizes", dict(SIZES)), ("rows", dict(ROWS))))
    if "cell" in metafunc.fixturenames:
        some = [cell for cell in cells(sizes) if cell[0] in rows]
        metafunc.parametrize("cell", some, ids=["-".join(map(str, cell)) for cell in some])
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", [row for row in rows if ROWS[row].compiles])
    if "detections" in metafunc.fixturenames:
        metafunc.parametrize("detections", [SIZES[size] for size in sizes if size != "4m"])


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> int:
    """How many fresh processes each engine gets."""
    number: int = request.config.getoption("processes")
    return number


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    lines = all_lines()
    if not lines:
        return
    complete = not any(missing(cell, PROCESSES) for cell in cells())
    for line in lines:
        if line.engine == "cvbench":
            threads = f"{line.threads} thread{'s'[: line.threads - 1]}"
            terminalreporter.write_line(
                f"{what(line):70} {threads:10} {time_text(line.total):>9} {ratio_text(line.ratio):>10} {line.fastest}"
            )
    terminalreporter.write_line(
        f"{write(lines, publish=complete)}: {'complete' if complete else 'what there is so far'}"
    )
