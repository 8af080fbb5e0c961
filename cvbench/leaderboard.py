"""Leaderboards: which records of runs stand in one table, and in what order.

What does not compare does not stand in one table: of all records of a benchmark, those with the commonest rules and
ground truth make up the board, the others are refused with the reason. Published numbers have columns of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cvbench.errors import InputError, MismatchError
from cvbench.records import RunRecord
from cvbench.result import Result, comparable
from cvbench.tasks import TASKS

Estimate = tuple[float, float, float]
"""A number and the ends around it: both NaN where they are not known."""

UNKNOWN: Estimate = (math.nan, math.nan, math.nan)

LOWER_IS_BETTER = ("EPE", "MPJPE", "PA-MPJPE", "N-MPJPE", "NME", "FR@")
"""How the names of errors begin; all other figures are better the higher they are."""


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
    refused
        What does not stand in the table, and why.
    """

    benchmark: str
    figure: str
    records: tuple[RunRecord, ...]
    refused: tuple[tuple[str, str], ...]

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
    return Leaderboard(
        benchmark=benchmarks[0],
        figure=figure,
        records=ordered,
        refused=tuple(sorted([*refused, *others])),
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
    kinds = [(str(score.signature), str(score.inputs.get("gt", {}).get("sha256"))) for _, score in scored]
    often = Counter(kinds)
    last = max(range(len(scored)), key=lambda i: (often[kinds[i]], scored[i][0].made_by.time, kinds[i]))
    reference = scored[last][1]
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


def _rank(record: RunRecord, figure: str) -> tuple[bool, float, str]:
    value = accuracy(record, figure)[0]
    return math.isnan(value), 0.0 if math.isnan(value) else -sign(figure) * value, record.model.label


def sign(figure: str) -> int:
    """1 for a figure that is better the higher it is, -1 for an error."""
    return -1 if figure.startswith(LOWER_IS_BETTER) else 1
