"""Leaderboards as tables that keep every digit.

The CSV is tidy: one row per model and size, one column per quantity, the unit in brackets behind its name.
What others published stands in columns that begin with ``published``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cvbench.errors import MissingDependency
from cvbench.leaderboard import AXES, Leaderboard
from cvbench.records import Published, RunRecord, Timing

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
    yield dict(_costs(record))
    yield dict(_times(record.latency))
    yield {f"pareto_{axis.name}": board.standings[axis.name][i] or None for axis in AXES}
    yield dict(_published(record.published))
    yield dict(_origins(record))


def _figures(record: RunRecord, estimated: set[str]) -> Iterator[tuple[str, Cell]]:
    """The figures, those of `estimated` with the ends of their intervals beside them."""
    for name, value in record.accuracy.values.items() if record.accuracy else ():
        unit = next((unit for begin, unit in UNITS.items() if name.startswith(begin)), "fraction")
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


def _costs(record: RunRecord) -> Iterator[tuple[str, Cell]]:
    values = {} if record.cost is None else record.cost.values
    if "params" not in values and record.model.params is not None:
        yield "params [count]", record.model.params
    for name, value in values.items():
        unit = COST_UNITS.get(name)
        whole = unit in ("count", "B") and value.is_integer()
        yield f"{name} [{unit}]" if unit else _with_unit(name), int(value) if whole else value
    yield "cost_signature", str(record.cost.signature) if record.cost else None


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
    """The first number of each quantity, and where they are from."""
    shown = {_published_name(fact): fact for fact in reversed(facts)}
    for fact in facts:
        if shown[_published_name(fact)] is fact:
            whole = fact.unit == "count" and fact.value.is_integer()
            yield _published_name(fact), int(fact.value) if whole else fact.value
    sources = dict.fromkeys(fact.source for fact in facts if shown[_published_name(fact)] is fact and fact.source)
    yield "published_source", "; ".join(sources) or None


def _published_name(fact: Published) -> str:
    what = [fact.metric or fact.quantity, *([f"on {fact.dataset}"] if fact.dataset else [])]
    return f"published {' '.join(what)} [{fact.unit}]"


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
        "platform": made.platform,
        "cpu": made.cpu,
        "command": " ".join(made.command),
    }.items()
