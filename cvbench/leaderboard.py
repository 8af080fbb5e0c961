"""Leaderboards: which records of runs stand in one table, in what order, and where each stands against its cost.

What does not compare does not stand in one table: of all records of a benchmark, those with the commonest rules and
ground truth make up the board, the others are refused with the reason. Published numbers have columns of their own.

A number without its uncertainty orders too much: the accuracy has its interval, the median latency one over processes,
and a model is called behind another only where the intervals of both are apart (`cvbench.pareto`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from cvbench.cost.statistics import ratio_of_times
from cvbench.errors import InputError, MismatchError
from cvbench.intervals import Difference
from cvbench.pareto import Standing, standings
from cvbench.records import RunRecord
from cvbench.result import Result, comparable
from cvbench.tasks import TASKS

Estimate = tuple[float, float, float]
"""A number and the ends around it: both NaN where they are not known."""

UNKNOWN: Estimate = (math.nan, math.nan, math.nan)

LOWER_IS_BETTER = ("EPE", "MPJPE", "PA-MPJPE", "N-MPJPE", "NME", "FR@")
"""How the names of errors begin; all other figures are better the higher they are."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A cost that accuracy is held against.

    Attributes
    ----------
    name
        As the column ``pareto_<name>`` has it.
    label, scale
        What a table for people calls it, and the unit there: 1e9 for GMACs.
    estimate
        Its value with ends for a record, NaN where there is none.
    exact
        Whether it is counted, so that it has no interval.
    """

    name: str
    label: str
    scale: float
    estimate: Callable[[RunRecord], Estimate]
    exact: bool = True


def parameters(record: RunRecord) -> float:
    """The number of parameters as it was counted, or else as the model's card has it; NaN where neither says."""
    counted = math.nan if record.cost is None else record.cost.values.get("params", math.nan)
    return float(record.model.params) if math.isnan(counted) and record.model.params is not None else counted


def _parameters(record: RunRecord) -> Estimate:
    return (parameters(record),) * 3


def _counted(name: str) -> Callable[[RunRecord], Estimate]:
    def estimate(record: RunRecord) -> Estimate:
        return (math.nan if record.cost is None else record.cost.values.get(name, math.nan),) * 3

    return estimate


def _median_latency(record: RunRecord) -> Estimate:
    """p50 in ms, with the interval of a bootstrap over processes and rounds where there are several processes."""
    timing = record.latency
    if timing is None:
        return UNKNOWN
    value, medians = timing.values.get(f"{timing.headline}_p50_ms", math.nan), np.array(timing.round_medians_ns)
    if medians.ndim != 2 or len(medians) < 2:
        return value, math.nan, math.nan
    found = ratio_of_times(medians, np.ones_like(medians), replicates=2000)
    return value, value * min(1.0, found.low / found.value), value * max(1.0, found.high / found.value)


AXES = (
    Axis("params", "params, M", 1e6, _parameters),
    Axis("macs", "GMACs", 1e9, _counted("macs")),
    Axis("bytes", "MB moved", 1e6, _counted("bytes_unfused")),
    Axis("latency", "p50, ms", 1.0, _median_latency, exact=False),
)


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """The records of one benchmark that compare.

    Attributes
    ----------
    benchmark
    figure
        The one that stands for the accuracy; the first of the task's headline.
    records
        Best first; those without that figure last.
    standings
        Where each record stands by accuracy and each of `AXES`; empty texts where the two do not compare.
    leads
        By how much each record is better than the next one, on the same draws; None where that is not known.
    refused
        What does not stand in the table, and why.
    notes
        What a reader should know, in sentences.
    """

    benchmark: str
    figure: str
    records: tuple[RunRecord, ...]
    standings: dict[str, list[Standing | str]]
    leads: tuple[Difference | None, ...]
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def reference(self) -> Result | None:
        """A score whose rules and ground truth are those of all rows; None where no row has one."""
        return _first_score(self.records)


def leaderboards(records: Iterable[RunRecord]) -> dict[str, Leaderboard]:
    """One board for each benchmark that is named in `records`, by its name; see `leaderboard`."""
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: record.benchmark):
        groups.setdefault(record.benchmark, []).append(record)
    return {benchmark: leaderboard(group) for benchmark, group in groups.items()}


def leaderboard(records: Sequence[RunRecord]) -> Leaderboard:
    """The board of one benchmark.

    Parameters
    ----------
    records
        In any order, which plays no part. The newest record of a model and size stands. The rules and the ground truth
        of the board are those of most records; of as many, those of the newest.

    Raises
    ------
    InputError
        There are no records, or they are of several benchmarks.

    Examples
    --------
    >>> from cvbench.records import read_records
    >>> board = leaderboard(read_records(["leaderboards/results/scenes.detection"]))  # doctest: +SKIP
    >>> [record.model.label for record in board.records]  # doctest: +SKIP
    ['centernet-nano', 'retinanet-nano']
    """
    benchmarks = sorted({record.benchmark for record in records})
    if len(benchmarks) != 1:
        raise InputError(f"records of {', '.join(benchmarks) or 'nothing'}: expected those of one benchmark")
    newest, refused = _newest(records)
    kept, others = _comparable(newest)
    figure = _headline(_first_score(kept))
    ordered = tuple(sorted(kept, key=lambda record: _rank(record, figure)))
    timed, notes = _timed_alike(ordered)
    return Leaderboard(
        benchmark=benchmarks[0],
        figure=figure,
        records=ordered,
        standings={axis.name: _stand(axis, ordered, figure, timed) for axis in AXES},
        leads=tuple(lead(*pair, figure) for pair in zip_longest(ordered, ordered[1:])),
        refused=tuple(sorted([*refused, *others])),
        notes=(*notes, *_noise(ordered), *_costs(ordered)),
    )


def _newest(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[tuple[str, str]]]:
    """The last record of each model, and what the others are refused for."""
    ordered = sorted(records, key=lambda record: (record.made_by.time, record.to_json()))
    last = {record.model.label: record for record in ordered}
    older = [record for record in ordered if record is not last[record.model.label]]
    return list(last.values()), [
        (r.model.label, f"made at {r.made_by.time}; there is a newer record, of {last[r.model.label].made_by.time}")
        for r in older
    ]


def _comparable(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[tuple[str, str]]]:
    """Records whose scores may stand in one table, those without a score among them; the others with the reason."""
    scored = [(record, record.accuracy) for record in records if record.accuracy is not None]
    if not scored:
        return list(records), []
    kinds = [(str(score.signature), str(score.inputs.get("gt", {}).get("sha256") or "")) for _, score in scored]
    often = Counter(kinds)
    # A score that does not say its ground truth compares with nothing, so it never says what the others have to be.
    last = max((kind[1] != "", often[kind], scored[i][0].made_by.time, kind, i) for i, kind in enumerate(kinds))
    reference = scored[last[-1]][1]
    kept, refused = [record for record in records if record.accuracy is None], []
    for record, score in scored:
        try:
            comparable(reference, score)
            kept.append(record)
        except MismatchError as error:
            refused.append((record.model.label, error.message))
    return kept, refused


def _first_score(records: Iterable[RunRecord]) -> Result | None:
    return next((record.accuracy for record in records if record.accuracy is not None), None)


def _headline(score: Result | None) -> str:
    """The figure that stands for a score: the first of its task's headline."""
    if score is None:
        return ""
    task = TASKS.get(score.task.partition("@")[0])
    names = [*(task.headline if task else ()), *score.values]
    return next((name for name in names if name in score.values), "")


def accuracy(record: RunRecord, figure: str) -> Estimate:
    """A figure of a record with the ends of its interval, NaN where there is none."""
    if record.accuracy is None or figure not in record.accuracy.values:
        return UNKNOWN
    interval = record.intervals.get(figure)
    ends = (interval.low, interval.high) if interval else (math.nan, math.nan)
    return record.accuracy.values[figure], *ends


def lead(record: RunRecord, other: RunRecord | None, figure: str) -> Difference | None:
    """By how much a record is better than another, above 0 for errors that are lower, too.

    The interval is that of the difference on the same draws of images, which is much narrower than the two intervals
    are apart. None where the draws were not kept or are not the same.
    """
    known = [each.bootstrap for each in (record, other) if each is not None and each.bootstrap is not None]
    if len(known) < 2 or not known[0].paired(known[1]) or any(figure not in each.values for each in known):
        return None
    better, worse = known if sign(figure) > 0 else reversed(known)
    return better.difference(worse, figure)


def _rank(record: RunRecord, figure: str) -> tuple[bool, float, str]:
    value = accuracy(record, figure)[0]
    return math.isnan(value), 0.0 if math.isnan(value) else -sign(figure) * value, record.model.label


def sign(figure: str) -> int:
    """1 for a figure that is better the higher it is, -1 for an error."""
    return -1 if figure.startswith(LOWER_IS_BETTER) else 1


def _timed_alike(records: Sequence[RunRecord]) -> tuple[list[bool], list[str]]:
    """Whether each latency was measured as most were, and what to say of those that were not."""
    keys = [
        None if r.latency is None else (("cpu", r.made_by.cpu), *sorted(r.latency.conditions.items())) for r in records
    ]
    often = Counter(key for key in keys if key is not None)
    if not often:
        return [False] * len(records), []
    usual = max(often, key=lambda key: (often[key], key))
    notes = []
    for record, key in zip(records, keys, strict=True):
        if key is not None and key != usual:
            ours, theirs = dict(key), dict(usual)
            differing = [
                f"{n} {ours.get(n)}, not {theirs.get(n)}" for n in {**ours, **theirs} if ours.get(n) != theirs.get(n)
            ]
            notes.append(
                f"{record.model.label} was timed under other conditions ({'; '.join(differing)}) and takes no part in "
                "the front against latency."
            )
    return [key == usual for key in keys], notes


def _stand(axis: Axis, records: Sequence[RunRecord], figure: str, timed: Sequence[bool]) -> list[Standing | str]:
    """Where each record stands against one cost."""
    part = [axis.exact or alike for alike in timed]
    quality = np.array([accuracy(r, figure) if on else UNKNOWN for r, on in zip(records, part, strict=True)])
    cost = np.array([axis.estimate(r) if on else UNKNOWN for r, on in zip(records, part, strict=True)])
    quality, cost = quality.reshape(-1, 3), cost.reshape(-1, 3)
    if sign(figure) < 0:
        quality = -quality[:, [0, 2, 1]]
    found = standings(
        quality[:, 0],
        cost[:, 0],
        quality_interval=_around(quality),
        cost_interval=None if axis.exact else _around(cost),
    )
    return ["" if standing == "undefined" else standing for standing in found]


def _around(estimates: Any) -> Any:
    """(N, 2) the ends, widened to hold the number: a percentile interval need not."""
    value, low, high = estimates.T
    return np.stack([np.minimum(low, value), np.maximum(high, value)], axis=1)


def _noise(records: Sequence[RunRecord]) -> list[str]:
    return [
        f"The latency of {record.model.label} is noisy: {reason}."
        for record in records
        if record.latency is not None
        for reason in record.latency.noise
    ]


def _costs(records: Sequence[RunRecord]) -> list[str]:
    signatures = sorted({str(record.cost.signature) for record in records if record.cost is not None})
    if len(signatures) < 2:
        return []
    return [f"Costs were counted by {len(signatures)} rules: {', '.join(f'`{text}`' for text in signatures)}."]
