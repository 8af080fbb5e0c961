"""The table of speeds: from what was measured to CSV, from CSV to Markdown and to the part of it in the README.

``python tests/bench/speed_table.py`` makes the tables of what has been measured so far, in the folder of the bench;
with ``--publish`` in ``leaderboards/`` and README.md. ``make bench`` publishes by itself when nothing is missing.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from tabulate import tabulate

from cells import answers, compile_seconds, machine, version
from cvbench.result import replace_file
from rows import ROWS, Cell, cells
from turns import FOLDER, PROCESSOR, WALL, Answer, installed, seconds

ROOT = Path(__file__).parents[2]
MARKS = "<!-- speed: made by `make bench` -->\n", "<!-- end of speed -->\n"
"""What stands before and after the table in the README."""

NOTHING = "`make bench` writes this table when all of it is measured."

EXPONENT = 1.05
"""The goal for growth of time and memory with the number of detections."""


@dataclass(frozen=True)
class Line:
    """One engine in one cell; times in seconds, memory in MB, NaN where there is none.

    Attributes
    ----------
    ratio
        On the line of cvbench: how many times as long the fastest other engine takes; on others: how many times as long
        as cvbench they take.
    memory_ratio
        The same of `peak_mb`; on the line of cvbench with that fastest engine.
    fastest, goal
        On the line of cvbench: the fastest other engine, and the least `ratio` that it should have.
    row, title, size, n, unit, threads
        The cell.
    engine, version, status
        ``measured``, or ``not installed``.
    total, low, high
        Load and evaluation: the median of fresh processes, each the median of its rounds after the first, and the least
        and the most of these.
    processor
        As `total`, by the processor's clock: more than that with several threads.
    imports, compiling, first, load, evaluate
        To import; what the first round ever takes longer, once for all, to compile; the first round of a process; the
        two stages of `total`.
    base_mb, peak_mb
        The most memory before the first round, and until its end.
    processes
        How many.
    measured
        When the last of them ended, UTC.
    """

    ratio: float
    memory_ratio: float
    fastest: str
    goal: float
    row: str
    title: str
    size: str
    n: int
    unit: str
    threads: int
    engine: str
    version: str
    status: str
    total: float = math.nan
    low: float = math.nan
    high: float = math.nan
    processor: float = math.nan
    imports: float = math.nan
    compiling: float = math.nan
    first: float = math.nan
    load: float = math.nan
    evaluate: float = math.nan
    base_mb: float = math.nan
    peak_mb: float = math.nan
    processes: int = 0
    measured: str = ""
    cpu: str = ""
    cores: str = ""
    memory_gb: str = ""
    platform: str = ""
    python: str = ""
    numpy: str = ""
    numba: str = ""


def lines_of(
    cell: Cell, found: Mapping[str, Sequence[Answer]], compiling: Sequence[float], where: Mapping[str, str]
) -> list[Line]:
    """The lines of a cell, from the answers of its engines; cvbench first, then the others by their time."""
    if "cvbench" not in found:
        return []
    name, size, threads = cell
    row = ROWS[name]
    totals = {engine: median(map(seconds, some)) for engine, some in found.items()}
    peaks = {engine: median(answer["peak_mb"] for answer in some) for engine, some in found.items()}
    peers = [engine for engine in found if engine != "cvbench" and row.engines[engine].peer]
    fastest = min(peers, key=totals.__getitem__, default="")
    lines = []
    for engine in row.engines_at(size, threads):
        who, some = row.engines[engine], found.get(engine)
        here = (name, row.title, size, row.sizes[size], row.unit, threads, engine)
        if some is None:
            if not installed(who):
                lines.append(Line(math.nan, math.nan, "", math.nan, *here, "", "not installed", **where))
            continue
        ours = engine == "cvbench"
        other, base = (fastest, "cvbench") if ours else (engine, "cvbench")
        each = [seconds(answer) for answer in some]
        lines.append(
            Line(
                totals[other] / totals[base] if other else math.nan,
                peaks[other] / peaks[base] if other else math.nan,
                fastest if ours else "",
                float(row.goals.get(size, math.nan)) if ours else math.nan,
                *here,
                version(who),
                "measured",
                total=totals[engine],
                low=min(each),
                high=max(each),
                processor=median(seconds(answer, PROCESSOR) for answer in some),
                imports=median(answer["import"][WALL] for answer in some),
                compiling=median(compiling) if ours and compiling else math.nan,
                first=math.nan if row.shell else median(_first(answer) for answer in some),
                load=_stage(some, "load"),
                evaluate=_stage(some, "evaluate"),
                base_mb=median(answer["base_mb"] for answer in some),
                peak_mb=peaks[engine],
                processes=len(some),
                measured=max(answer["time"] for answer in some),
                **where,
            )
        )
    return sorted(lines, key=lambda line: (line.engine != "cvbench", math.isnan(line.total), line.total))


def _first(answer: Answer) -> float:
    return sum(wall for wall, _ in answer["first"].values())


def _stage(some: Sequence[Answer], stage: str) -> float:
    if stage not in some[0]["first"]:
        return math.nan
    return median(seconds(answer, WALL, stage) for answer in some)


def to_csv(lines: Iterable[Line]) -> str:
    """Every digit; nothing where a number is unknown."""
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(Line)], lineterminator="\n")
    table.writeheader()
    for line in lines:
        table.writerow({name: "" if value != value else value for name, value in asdict(line).items()})
    return text.getvalue()


def from_csv(text: str) -> list[Line]:
    """The lines that `to_csv` wrote."""
    kinds = {"float": lambda cell: float(cell or "nan"), "int": int, "str": str}
    types = {field.name: kinds[str(field.type)] for field in fields(Line)}
    return [
        Line(**{name: types[name](cell) for name, cell in record.items()})
        for record in csv.DictReader(io.StringIO(text))
    ]


def growth(lines: Sequence[Line]) -> Iterator[tuple[Line, Line, float, float]]:
    """Smallest and largest size of an engine with the exponents of time and of memory beyond what imports take.

    An exponent of 1 is linear. Only rows that have the largest size of all.
    """
    at = {(line.row, line.engine, line.threads, line.size): line for line in lines if line.status == "measured"}
    for (row, engine, threads, size), line in at.items():
        large = at.get((row, engine, threads, "4m"))
        if size != "50k" or large is None or ROWS[row].shell or not ROWS[row].engines[engine].peer:
            continue
        times = math.log(large.n / line.n)
        memory = [some.peak_mb - some.base_mb for some in (line, large)]
        yield line, large, math.log(large.total / line.total) / times, math.log(memory[1] / memory[0]) / times


def time_text(value: float) -> str:
    """Three digits, in seconds or milliseconds; nothing of what is unknown or was not done."""
    if not value > 0:
        return ""
    factor, unit = (1, "s") if value >= 0.1 else (1e3, "ms")
    value *= factor
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f} {unit}"


def ratio_text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f} ×"


def memory_text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.0f} MB"


def what(line: Line) -> str:
    return f"{line.title}, {line.n:,} {line.unit}"


def reached(line: Line) -> str:
    """What the goal is, and whether it is reached."""
    if math.isnan(line.goal):
        return ""
    return f"≥ {line.goal:g} ×: {'reached' if line.ratio >= line.goal else 'missed'}"


def _table(head: Sequence[str], body: Iterable[Sequence[str]], right: int) -> str:
    """Markdown; columns from `right` on are numbers."""
    align = ["left"] * right + ["right"] * (len(head) - right)
    return tabulate(list(body), head, tablefmt="pipe", colalign=align, disable_numparse=True)


def _ours(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if line.engine == "cvbench"]


PAGE = """\
# Speed

Made by `make bench`; every digit is in [speed.csv](speed.csv). Each number is the median of fresh processes that took
turns with those of all other engines, and each process gives the median of its rounds after the first one. A ratio is
the time of the fastest other engine over that of cvbench: above 1 cvbench is faster. The figures of all engines were
compared in the same processes and are equal; where the last bits may differ, `tests/bench/rows.py` says why. Processes
were kept to as many processors as they had threads.

{where}

## Ratios

{ratios}

## Growth

Time, and memory beyond what imports take, grow with the number of detections to the power of these; the goal is
at most {exponent}.

{growth}

## The first run ever

What cvbench compiles once, with one thread, and then finds compiled.

{compiling}

## All engines

`first` is the first round of a process, with everything compiled; the ratio of others is their time over that of
cvbench. Engines that are missing at a size are too slow for it, or use one thread only.

{engines}
"""


def markdown(lines: Sequence[Line]) -> str:
    """The page: ratios first, then growth, compiling and all engines."""
    if not lines:
        return f"# Speed\n\n{NOTHING}\n"
    return PAGE.format(
        where=_where(lines),
        exponent=EXPONENT,
        ratios=_table(
            ["work", "threads", "ratio", "goal", "cvbench", "from", "to", "fastest other", "peak", "its peak"],
            _ratios(lines),
            1,
        ),
        growth=_table(
            ["work", "engine", "threads", "from", "to", "time", "memory"],
            (
                [a.title, a.engine, str(a.threads), f"{a.n:,}", f"{b.n:,}", f"{times:.3f}", f"{memory:.3f}"]
                for a, b, times, memory in growth(lines)
            ),
            2,
        ),
        compiling=_table(
            ["work", "compiling", "goal"],
            (
                [line.title, time_text(line.compiling), _compile_goal(line)]
                for line in {line.row: line for line in _ours(lines) if not math.isnan(line.compiling)}.values()
            ),
            1,
        ),
        engines=_table(
            ["work", "engine", "threads", "ratio", "all", "load", "evaluate", "first", "import", "processor", "peak"],
            map(_engine, lines),
            2,
        ),
    )


def _where(lines: Sequence[Line]) -> str:
    """Machine and versions."""
    some = lines[0]
    absent = sorted({line.engine for line in lines if line.status != "measured"})
    engines = {line.engine: line.version for line in lines if ROWS[line.row].engines[line.engine].package}
    versions = ", ".join(f"{engine} {number}" for engine, number in sorted(engines.items()) if number)
    return (
        f"{some.cpu}, {some.cores} processors, {some.memory_gb} GB, {some.platform}; Python {some.python}, "
        f"NumPy {some.numpy}, Numba {some.numba}, {versions}; {max(line.measured for line in lines)}."
        + (f" Not installed: {', '.join(absent)}." if absent else "")
    )


def _ratios(lines: Sequence[Line]) -> Iterator[list[str]]:
    for line in _ours(lines):
        other = _fastest(line, lines)
        yield [
            what(line),
            str(line.threads),
            ratio_text(line.ratio),
            reached(line),
            *map(time_text, (line.total, line.low, line.high)),
            f"{time_text(other.total)} ({other.engine})" if other else "",
            memory_text(line.peak_mb),
            memory_text(other.peak_mb) if other else "",
        ]


def _fastest(line: Line, lines: Iterable[Line]) -> Line | None:
    """The line of the fastest other engine."""
    key = (line.row, line.size, line.threads, line.fastest)
    return next((some for some in lines if (some.row, some.size, some.threads, some.engine) == key), None)


def _engine(line: Line) -> list[str]:
    return [
        what(line),
        line.engine,
        str(line.threads),
        ratio_text(line.ratio) if line.engine != "cvbench" else "",
        time_text(line.total) if line.status == "measured" else line.status,
        *map(time_text, (line.load, line.evaluate, line.first, line.imports, line.processor)),
        memory_text(line.peak_mb),
    ]


def _compile_goal(line: Line) -> str:
    goal = ROWS[line.row].compile_goal
    if goal is None:
        return ""
    return f"≤ {goal:g} s: {'reached' if line.compiling <= goal else 'missed'}"


def readme_part(lines: Sequence[Line]) -> str:
    """The table of the README: cells that have a goal, with all threads."""
    if not lines:
        return NOTHING
    most = max(line.threads for line in lines)
    alone = {(line.row, line.size): line.ratio for line in _ours(lines) if line.threads == 1}
    body = []
    for line in _ours(lines):
        other = _fastest(line, lines)
        if line.threads == most and not math.isnan(line.goal) and other:
            body.append(
                [
                    what(line),
                    time_text(line.total),
                    f"{time_text(other.total)} ({other.engine})",
                    ratio_text(line.ratio),
                    ratio_text(alone.get((line.row, line.size), math.nan)),
                    reached(line),
                ]
            )
    head = ["work", "cvbench", "fastest other", "ratio", "with one thread", "goal"]
    said = f"{lines[0].cpu}, {most} threads. [All engines, sizes and phases](leaderboards/speed.md)."
    return f"{_table(head, body, 1)}\n\n{said}"


def with_part(readme: str, part: str) -> str:
    """The README with another part between the marks."""
    before, _, rest = readme.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{part}\n\n{MARKS[1]}{after}"


def all_lines() -> list[Line]:
    """Of everything that has been measured with these sources, packages and machine."""
    where = machine()
    order = {name: k for k, name in enumerate(ROWS)}
    found = [
        lines_of(cell, answers(cell), compile_seconds(cell[0]), where)
        for cell in sorted(cells(), key=lambda c: order[c[0]])
    ]
    return [line for some in found for line in some]


def write(lines: Sequence[Line], publish: bool) -> Path:
    """Write the tables, and the README where they are published; where to."""
    folder = ROOT / "leaderboards" if publish else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "speed.csv", to_csv(lines).encode())
    replace_file(folder / "speed.md", markdown(lines).encode())
    if publish:
        readme = ROOT / "README.md"
        replace_file(readme, with_part(readme.read_text(encoding="utf-8"), readme_part(lines)).encode())
    return folder / "speed.md"


if __name__ == "__main__":
    sys.stdout.write(f"{write(all_lines(), '--publish' in sys.argv)}\n")
