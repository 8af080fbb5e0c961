"""What a count, a prediction and measured times say, as tables, and what their figures mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import nan

from cvbench.cost.backends import BACKENDS, Tally, differences
from cvbench.cost.counter import Count, Totals
from cvbench.cost.operators import OpCall
from cvbench.result import Cell, Result, Row

MODEL = "(model)"
"""What tables call the model itself, whose path is empty."""

FIGURES = {
    "params": "parameters, shared ones once",
    "params_trainable": "parameters that ask for gradients",
    "macs": "multiply-accumulates of convolution, matrix product and attention",
    "reported": "what the counter itself prints",
    "flops": "2 macs and the documented cost of everything else",
    "activations": "elements put out by convolution, matrix product and attention",
    "bytes_unfused": "bytes read and written, every operator alone",
    "bytes_fused": "the same with point-wise operators and norms in registers: a lower bound",
    "peak_activation_bytes": "most bytes alive at once, weights and inputs apart",
    "ai": "arithmetic intensity: flops per byte unfused",
    "roofline_ms": "least time on this machine, ms",
    "efficiency": "least time over the measured median of forward",
    "cold_build_s": "fresh process: import and build, s",
    "cold_first_call_s": "fresh process: first call, s",
    "peak_rss_bytes": "fresh process: most memory",
    "peak_rss_delta_bytes": "fresh process: most memory, less what it began with",
}
"""What a figure of a model's cost means."""

TIMES = {
    "p50_ms": "median of a call, ms",
    "p90_ms": "90th percentile, ms",
    "p99_ms": "99th percentile, ms",
    "p50_bound_ms": "at most so large is the true median, at 99 % confidence, ms",
    "p90_bound_ms": "the same of the 90th percentile, ms",
    "p99_bound_ms": "the same of the 99th percentile, ms",
    "images_per_s": "images per second at the median",
    "spread": "interquartile range over median",
    "process_spread": "slowest process over the fastest, less 1",
}
"""What a figure of a stage's times means; before it stands the stage."""

QUANTITIES = frozenset(
    {name for name in FIGURES if name.startswith(("params", "macs", "flops", "activations", "bytes", "peak"))}
    | {"reported", "own_macs", "own_flops", *BACKENDS}
)
"""Figures and columns of large numbers."""


def meaning(figure: str) -> str:
    """What the figure of that name means.

    >>> meaning("forward_p90_ms")
    'forward: 90th percentile, ms'
    """
    if figure in FIGURES:
        return FIGURES[figure]
    stage, _, time = figure.partition("_")
    return f"{stage}: {TIMES[time]}"


def _cells(totals: Totals) -> Row:
    return {
        "macs": totals.macs,
        "flops": totals.flops,
        "activations": totals.activations,
        "bytes_unfused": totals.bytes_unfused,
        "bytes_fused": totals.bytes_fused,
    }


def _groups(calls: Sequence[OpCall], keys: Callable[[OpCall], Row]) -> list[Row]:
    """One row for each value of `keys`, in the order in which they come up: its number of calls and their totals."""
    groups: dict[tuple[Cell, ...], tuple[Row, list[OpCall]]] = {}
    for call in calls:
        row = keys(call)
        groups.setdefault(tuple(row.values()), (row, []))[1].append(call)
    return [{**row, "calls": len(group), **_cells(Totals.of(group))} for row, group in groups.values()]


def count_tables(count: Count) -> dict[str, list[Row]]:
    """A count by module, operator and depth, and by part where it has parts; and its unknown operators.

    ``per_module`` has for each module what it costs with all that it calls, and as ``own_macs`` and ``own_flops`` what
    the operators cost that it calls itself. ``per_operator`` begins with the most FLOPs. ``per_depth`` has the
    operators that modules of this depth call themselves, so that its rows add up to the whole.
    """
    modules: list[Row] = [
        {
            "module": row.path or MODEL,
            "type": row.type,
            "depth": row.depth,
            "calls": row.calls,
            "params": row.params,
            "params_trainable": row.params_trainable,
            **_cells(row.total),
            "own_macs": row.own.macs,
            "own_flops": row.own.flops,
        }
        for row in count.modules
    ]
    operators = _groups(count.calls, lambda call: {"operator": call.op, "kind": call.kind, "phase": call.phase})
    depths = _groups(count.calls, lambda call: {"depth": call.depth})
    tables: dict[str, list[Row]] = {
        "per_module": modules,
        "per_operator": sorted(operators, key=lambda row: -int(row["flops"])),
        "per_depth": sorted(depths, key=lambda row: int(row["depth"])),
        "unknown": [{"operator": name, "calls": calls} for name, calls in count.unknown.items()],
    }
    if count.parts:
        tables["per_part"] = [{"part": part, **_cells(totals)} for part, totals in count.parts.items()]
    return tables


def tally_tables(tally: Tally) -> dict[str, list[Row]]:
    """The multiply-accumulates that another counter finds, by module and by operator, and what it does not count."""
    operators: dict[str, int] = {}
    for counts in tally.own.values():
        for name, macs in counts.items():
            operators[name] = operators.get(name, 0) + macs
    return {
        "per_module": [
            {"module": path or MODEL, "depth": len(path.split(".")) if path else 0, "own_macs": sum(own.values())}
            for path, own in tally.own.items()
        ],
        "per_operator": [{"operator": name, "macs": macs} for name, macs in operators.items()],
        "unknown": [{"operator": name, "calls": calls} for name, calls in tally.uncounted.items()],
    }


def comparison_tables(tallies: Sequence[Tally]) -> dict[str, list[Row]]:
    """Counters side by side, the first being ours, and what makes the difference; NaN for those that have no tally."""
    ours = tallies[0]
    by_name = {tally.counter: tally for tally in tallies}
    counters: list[Row] = []
    for name in BACKENDS:
        tally = by_name.get(name)
        row: Row = {"counter": name, "version": tally.version if tally else "", "macs": tally.macs if tally else nan}
        row["of_ours"] = tally.macs / ours.macs if tally and ours.macs else nan
        row["reported"] = tally.reported if tally else nan
        row["unknown_calls"] = sum(tally.uncounted.values()) if tally else nan
        counters.append(row)
    rows = [{**row, **{name: row.get(name, nan) for name in BACKENDS}} for row in differences(tallies)]
    uncounted: list[Row] = [
        {"operator": name, "counter": tally.counter, "calls": calls}
        for tally in tallies
        for name, calls in tally.uncounted.items()
    ]
    return {"counters": counters, "differences": rows, "uncounted": uncounted}


SHOWN = {
    "models": (
        "params macs reported flops activations bytes_unfused peak_activation_bytes ai roofline_ms forward_p50_ms "
        "forward_p99_ms e2e_p50_ms e2e_p99_ms efficiency"
    ),
    "per_module": "module type calls params macs flops bytes_unfused own_macs",
    "per_operator": "operator kind phase calls macs flops bytes_unfused",
    "latency": "stage p50_ms p90_ms p99_ms p99_bound_ms images_per_s spread calls",
}
"""The columns that fit on a screen."""


def for_people(result: Result, depth: int | None = None) -> Result:
    """The result with tables that fit on a screen: fewer columns, no modules below `depth`, no kinds that are free."""
    tables = {}
    for name, rows in result.tables.items():
        shown = {"model", *SHOWN[name].split()} if name in SHOWN else set[str]()
        kept = rows
        if name == "per_module" and depth is not None:
            kept = [row for row in rows if int(row["depth"]) <= depth]
        elif name == "per_operator":
            kept = [row for row in rows if row.get("kind") != "free"]
        tables[name] = [{cell: row[cell] for cell in row if cell in shown or not shown} for row in kept]
    return replace(result, tables=tables)
