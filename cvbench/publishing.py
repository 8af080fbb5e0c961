"""Leaderboards as files: a CSV that keeps every digit, Markdown for people, and a picture; written, or checked.

The CSV is tidy: one row per model and size, one column per quantity, the unit in brackets behind its name. Markdown and
picture are made of the same rows. What others published stands in columns that begin with ``published``.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvbench.errors import MissingDependency
from cvbench.leaderboard import AXES, Leaderboard, accuracy
from cvbench.plots import FORMATS, Panel, Tradeoff, draw
from cvbench.records import Published, RunRecord, Timing
from cvbench.report import number, significant
from cvbench.result import replace_file

if TYPE_CHECKING:
    from pandas import DataFrame

Cell = int | float | str | None
Rows = list[dict[str, Cell]]

UNITS = {
    "EPE": "px",
    "MPJPE": "unit of the keypoints",
    "PA-MPJPE": "unit of the keypoints",
    "N-MPJPE": "unit of the keypoints",
}
"""Of figures of accuracy that are no fractions, by how their names begin."""

COST_UNITS = {
    "params": "count",
    "params_trainable": "count",
    "macs": "count",
    "flops": "count",
    "activations": "count",
    "bytes_unfused": "B",
    "bytes_fused": "B",
    "peak_activation_bytes": "B",
    "ai": "FLOP/B",
}
"""Of figures of cost whose names do not end in a unit."""

ENDINGS = {"images_per_s": "1/s", "_ms": "ms", "_bytes": "B", "_s": "s", "": "fraction"}
"""Units of figures of speed, by the end of their names."""

MARKS = {"front": " ●", "tied": " ○"}


# Columns -------------------------------------------------------------------------------------------------------------


def frame(board: Leaderboard) -> DataFrame:
    """All that a board holds, in full precision: one row per record, best first.

    Numbers are ``Int64`` or ``float64``, everything else is text; what is unknown is missing.

    Raises
    ------
    MissingDependency
        Pandas is not installed.

    Examples
    --------
    >>> table = frame(board)  # doctest: +SKIP
    >>> table[table["pareto_macs"] == "front"][["model", "AP [fraction]", "macs [count]"]]  # doctest: +SKIP
    """
    _need("pandas", "tabulate")
    groups = [list(_groups(board, i)) for i in range(len(board.records))]
    rows: Rows = [{name: cell for group in record for name, cell in group.items()} for record in groups]
    # Groups keep together: the columns of the first group of any record come before those of the second of any.
    names = dict.fromkeys(name for alike in zip(*groups, strict=True) for group in alike for name in group)
    return _table({name: [row.get(name) for row in rows] for name in names})


def csv(board: Leaderboard) -> str:
    """The board as CSV: `frame`, with nothing where a value is unknown."""
    return str(frame(board).to_csv(index=False, lineterminator="\n"))


def _need(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingDependency(
                f"leaderboards are made by {package}, which is not installed: pip install 'cvbench[board]'"
            )


def _table(columns: Mapping[str, list[Cell]]) -> DataFrame:
    import pandas as pd

    def kind(cells: list[Cell]) -> str:
        kinds = {type(cell) for cell in cells} - {type(None)}
        return "Int64" if kinds == {int} else "float64" if kinds and kinds <= {int, float} else "object"

    return pd.DataFrame({name: pd.Series(cells, dtype=kind(cells)) for name, cells in columns.items()})


def _groups(board: Leaderboard, i: int) -> Iterator[dict[str, Cell]]:
    """The cells of one record, group by group."""
    record = board.records[i]
    yield {
        "model": record.model.name,
        "size": record.model.size or None,
        "tier": "measured",
        "benchmark": record.benchmark,
        "error": record.error,
    }
    yield dict(_figures(record, {name for other in board.records for name in other.intervals}))
    yield dict(_lead(board, i))
    yield dict(_costs(record))
    yield {"cost_signature": str(record.cost.signature) if record.cost else None}
    yield dict(_times(record.latency))
    yield {f"pareto_{axis.name}": board.standings[axis.name][i] or None for axis in AXES}
    yield dict(_published(record.published))
    yield {"published_source": _sources(record.published)}
    yield dict(_origins(record))


def _figures(record: RunRecord, estimated: set[str]) -> Iterator[tuple[str, Cell]]:
    """The figures, those of `estimated` with the ends of their intervals beside them."""
    for name, value in record.accuracy.values.items() if record.accuracy else ():
        unit = _unit(name)
        yield f"{name} [{unit}]", value
        if name in estimated:
            interval = record.intervals.get(name)
            yield f"{name}_low [{unit}]", None if interval is None else interval.low
            yield f"{name}_high [{unit}]", None if interval is None else interval.high
    for found in list(record.intervals.values())[:1]:
        yield "ci_method", "percentile bootstrap over images"
        yield "ci_confidence [fraction]", found.confidence
        yield "ci_replicates [count]", found.replicates
        yield "ci_seed", found.seed


def _unit(figure: str) -> str:
    return next((unit for begin, unit in UNITS.items() if figure.startswith(begin)), "fraction")


def _lead(board: Leaderboard, i: int) -> Iterator[tuple[str, Cell]]:
    """By how much the row is ahead of the next one."""
    lead, unit = board.leads[i], _unit(board.figure)
    if lead is not None:
        yield f"{board.figure}_lead [{unit}]", lead.value
        yield f"{board.figure}_lead_low [{unit}]", lead.interval.low
        yield f"{board.figure}_lead_high [{unit}]", lead.interval.high


def _costs(record: RunRecord) -> Iterator[tuple[str, Cell]]:
    values = {} if record.cost is None else record.cost.values
    if "params" not in values and record.model.params is not None:
        yield "params [count]", record.model.params
    for name, value in values.items():
        unit = COST_UNITS.get(name)
        whole = unit in ("count", "B") and value.is_integer()
        yield f"{name} [{unit}]" if unit else _with_unit(name), int(value) if whole else value


def _times(timing: Timing | None) -> Iterator[tuple[str, Cell]]:
    if timing is None:
        return
    yield "latency_stage", timing.headline
    for name, value in timing.values.items():
        yield _with_unit(name), value
    for row in timing.stages:
        if row["stage"] != timing.headline:
            for name, cell in row.items():
                if isinstance(cell, float):
                    yield _with_unit(f"{row['stage']}_{name}"), cell
    for name, text in timing.conditions.items():
        yield f"latency_{name}", text
    yield "latency_noise", "; ".join(timing.noise) or None


def _with_unit(name: str) -> str:
    """``e2e_p50_ms`` as ``e2e_p50 [ms]``."""
    end = next(end for end in ENDINGS if name.endswith(end))
    return f"{name if end in ('', 'images_per_s') else name.removesuffix(end)} [{ENDINGS[end]}]"


def _published(facts: list[Published]) -> Iterator[tuple[str, Cell]]:
    for name, fact in _shown(facts).items():
        whole = fact.unit == "count" and fact.value.is_integer()
        yield name, int(fact.value) if whole else fact.value


def _sources(facts: list[Published]) -> str | None:
    return "; ".join(dict.fromkeys(fact.source for fact in _shown(facts).values() if fact.source)) or None


def _shown(facts: list[Published]) -> dict[str, Published]:
    """The first number of each quantity, by the name of its column."""
    first: dict[str, Published] = {}
    for fact in facts:
        first.setdefault(_published_name(fact), fact)
    return first


def _published_name(fact: Published) -> str:
    return f"published {'unverified ' if fact.verified == 'memory' else ''}{fact.what} [{fact.unit}]"


def _origins(record: RunRecord) -> Iterator[tuple[str, Cell]]:
    if record.accuracy:
        yield "signature", str(record.accuracy.signature)
        for role, source in record.accuracy.inputs.items():
            yield f"{role}_sha256", source.get("sha256")
    for role, digest in record.data.items():
        yield f"{role}_sha256", digest
    yield "weights_sha256", record.model.weights_sha256
    made = record.made_by
    yield from {
        "date_utc": made.time,
        "cvbench": made.cvbench,
        "commit": made.commit,
        "dirty": None if made.dirty is None else "yes" if made.dirty else "no",
        "python": made.python,
        "numpy": made.numpy,
        "numba": made.numba,
        "torch": made.torch,
        "platform": made.platform,
        "cpu": made.cpu,
        "command": " ".join(made.command),
    }.items()


# For people ----------------------------------------------------------------------------------------------------------


def markdown(board: Leaderboard, *, picture: str | None = None) -> str:
    """The board for people: rounded, with intervals and marks.

    Parameters
    ----------
    board
    picture
        Name of the file with the figure, to be shown; None for none.
    """
    _need("pandas", "tabulate")
    reference = board.reference
    blocks = [f"# {board.benchmark}"]
    if reference is not None:
        truth = str(reference.inputs.get("gt", {}).get("sha256"))[:12]
        blocks.append(f"`{reference.signature}`, ground truth `{truth}…`. Best first.")
    rows = [_row(board, i) for i in range(len(board.records))]
    blocks += [_pipes(rows), LEGEND] if rows else ["No result stands on this board."]
    if picture is not None:
        blocks.append(f"![{board.figure} against parameters, MACs, bytes and latency]({picture})")
    quoted = dict.fromkeys((record.model.name, fact) for record in board.records for fact in record.published)
    if quoted:
        blocks += ["## Published", QUOTED, _pipes([_quoted(*each) for each in quoted], "left")]
    failed = [f"{record.model.label}: {record.error}" for record in board.records if record.error is not None]
    refused = [f"{label}: {reason}" for label, reason in board.refused]
    for title, lines in (("Failed", failed), ("Refused", refused), ("Notes", board.notes)):
        if lines:
            blocks += [f"## {title}", "\n".join(f"- {number(line)}" for line in lines)]
    return "\n\n".join(blocks) + "\n"


LEGEND = (
    "In brackets: the interval of a bootstrap over images; times are at most (≤) so long at 99 % confidence. ● is on "
    "the Pareto front of accuracy against this cost, ○ behind it by less than the intervals can tell. How far a row is "
    "ahead of the next has an interval of its own, on the same draws of images; neighbours between whom it holds 0, or "
    "whose draws were not kept and whose intervals overlap, may change places on other images."
)
QUOTED = (
    "Quoted from others, of the published sizes on other data: not measured here, not comparable with the table above. "
    "What is from memory was not checked."
)


def _row(board: Leaderboard, i: int) -> dict[str, str]:
    record, timing = board.records[i], board.records[i].latency
    value, low, high = accuracy(record, board.figure)
    ends = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
    cells = {"model": record.model.label, _heading(board): "n/a" if math.isnan(value) else f"{value:.3f}{ends}"}
    if any(board.leads):
        lead = board.leads[i]
        cells["ahead of the next [95 %]"] = (
            f"{lead.value:.3f} [{lead.interval.low:.3f}, {lead.interval.high:.3f}]" if lead else ""
        )
    for axis in AXES:
        cost = axis.estimate(record)[0]
        bound = _bound(timing, "p50") if axis.name == "latency" and timing else ""
        cells[axis.label] = f"{significant(cost / axis.scale)}{bound}{MARKS.get(board.standings[axis.name][i], '')}"
    cells["p90, ms"] = f"{significant(_time(timing, 'p90_ms'))}{_bound(timing, 'p90')}" if timing else "n/a"
    cells["images/s"] = significant(_time(timing, "images_per_s"))
    return cells


def _heading(board: Leaderboard) -> str:
    """The figure, with the confidence of its intervals where they have one in common."""
    intervals = [record.intervals.get(board.figure) for record in board.records]
    confidences = {interval.confidence for interval in intervals if interval is not None}
    shares = [f"{100 * confidence:.12g} %" for confidence in confidences]
    return " ".join([board.figure or "accuracy", *([f"[{shares[0]}]"] if len(shares) == 1 else [])])


def _time(timing: Timing | None, name: str) -> float:
    return math.nan if timing is None else timing.values.get(f"{timing.headline}_{name}", math.nan)


def _bound(timing: Timing | None, percentile: str) -> str:
    return f" (≤ {significant(_time(timing, f'{percentile}_bound_ms'))})"


def _quoted(model: str, fact: Published) -> dict[str, str]:
    cells = {"model": model, "figure": fact.what, "value": fact.printed, "of": fact.given}
    return cells | {"source": fact.source, "how sure": fact.sure}


def _pipes(rows: list[dict[str, str]], others: str = "right") -> str:
    """A Markdown table; the first column is flush left, the `others` as asked for."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, list[Cell]] = {
        name.replace("|", "\\|"): [number(row.get(name, "")).replace("|", "\\|") for row in rows] for name in names
    }
    alignment = ["left", *[others] * (len(names) - 1)]
    return str(_table(columns).to_markdown(index=False, disable_numparse=True, colalign=alignment))


# Files ---------------------------------------------------------------------------------------------------------------


def write(board: Leaderboard, folder: str | os.PathLike[str], *, pictures: bool = True) -> list[Path]:
    """Write ``<benchmark>.csv``, ``.md``, ``.svg`` and ``.png``; each holds the old content or the new one at any time.

    Parameters
    ----------
    board
    folder
        Made where it is missing.
    pictures
        Whether to draw; needs matplotlib. A board without any accuracy has no picture.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    MissingDependency
        Pandas or matplotlib is not installed.
    """
    texts, drawn = _texts(board, folder, pictures)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        replace_file(path, text.encode())
    for path in drawn:
        draw(tradeoff(board), path)
    return [*texts, *drawn]


def differences(board: Leaderboard, folder: str | os.PathLike[str], *, pictures: bool = True) -> list[str]:
    """In what the files of a folder differ from what `write` would write; empty where they do not.

    Texts are compared to the last byte. Pictures are compared by the rows that they say they show, since their bytes
    depend on the version of matplotlib.
    """
    texts, drawn = _texts(board, folder, pictures)
    found = []
    for path in [*texts, *drawn]:
        if not path.is_file():
            found.append(f"{path}: is missing")
        elif path in texts and path.read_bytes() != texts[path].encode():
            found.append(f"{path}: is not what the results give")
        elif path in drawn and _digest(board).encode() not in path.read_bytes():
            found.append(f"{path}: shows other results")
    return found


def leftovers(boards: Mapping[str, Leaderboard], folder: str | os.PathLike[str]) -> list[str]:
    """Tables of models in a folder that belong to none of all its boards; tables of something else are not meant."""
    return [
        f"{path}: no result is of this benchmark"
        for path in sorted(Path(folder).glob("*.csv"))
        if path.stem not in boards and path.read_bytes().startswith(b"model,")
    ]


def tradeoff(board: Leaderboard) -> Tradeoff:
    """The picture of a board: accuracy against each of `cvbench.leaderboard.AXES`."""
    quality = np.array([accuracy(record, board.figure) for record in board.records]).reshape(-1, 3)
    panels = []
    for axis in AXES:
        cost = np.array([axis.estimate(record) for record in board.records]).reshape(-1, 3) / axis.scale
        ends = np.full((len(cost), 2), np.nan) if axis.exact else cost[:, 1:]
        panels.append(Panel(axis.label, cost[:, 0], ends, tuple(board.standings[axis.name])))
    return Tradeoff(
        title=board.benchmark,
        figure=board.figure,
        names=tuple(record.model.label for record in board.records),
        y=quality[:, 0],
        y_ends=quality[:, 1:],
        panels=tuple(panels),
        signature=f"{board.reference.signature if board.reference else ''}|rows:{_digest(board)}",
    )


def _texts(board: Leaderboard, folder: str | os.PathLike[str], pictures: bool) -> tuple[dict[Path, str], list[Path]]:
    """The texts by path, and the paths of pictures."""
    _need("pandas", "tabulate")
    if pictures and find_spec("matplotlib") is None:
        raise MissingDependency(
            "pictures are drawn by matplotlib, which is not installed: pip install 'cvbench[plots]', or do without them"
        )
    drawn = pictures and any(not math.isnan(accuracy(record, board.figure)[0]) for record in board.records)
    name = Path(folder) / board.benchmark
    texts = {
        Path(f"{name}.csv"): csv(board),
        Path(f"{name}.md"): markdown(board, picture=f"{board.benchmark}.svg" if drawn else None),
    }
    return texts, [Path(f"{name}.{form}") for form in FORMATS if form != "pdf"] if drawn else []


def _digest(board: Leaderboard) -> str:
    return hashlib.sha256(csv(board).encode()).hexdigest()
