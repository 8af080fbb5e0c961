"""What one model did on one benchmark: accuracy, how sure it is, cost, latency, and where it all came from.

A `RunRecord` is plain data and one file of JSON. Records are the evidence from which leaderboards are made
(`cvbench.leaderboard`); what others published about a model stands in a field of its own.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from cvbench.errors import FormatError, InputError
from cvbench.intervals import Bootstrap, Interval
from cvbench.result import Provenance, Result, Row, replace_file

if TYPE_CHECKING:
    from cvbench.cost.latency import Latency

Fact = str | int | float | bool | None
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Model:
    """Which model ran.

    Attributes
    ----------
    name
        ``centernet``; letters, digits, ``.``, ``_`` and ``-``.
    size
        ``nano`` or ``paper``; empty for a model that has no sizes.
    weights_sha256
        Of the file of weights; None for a model without one.
    params
        Number of its parameters; None where it is not known.
    facts
        What else its card says, by name: the citation, deviations from the paper, how it was trained.
    """

    name: str
    size: str = ""
    weights_sha256: str | None = None
    params: int | None = None
    facts: dict[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in (self.name, self.size or "-"):
            _refuse_odd_name(part, "model")

    @property
    def label(self) -> str:
        """Name and size, ``centernet-nano``."""
        return f"{self.name}-{self.size}" if self.size else self.name


@dataclass(frozen=True, slots=True)
class Published:
    """A number that others printed about a model: quoted, never measured here.

    Attributes
    ----------
    quantity
        ``params``, ``macs``, ``accuracy`` or ``latency``.
    value, unit
        As printed, ``40.3`` and ``%``.
    metric, dataset
        Of an accuracy.
    input, conditions
        Size of the input and what else the number depends on.
    source
        Where it is printed.
    verified
        How sure that is: ``yes``, ``source`` (read there), ``memory``.
    """

    quantity: str
    value: float
    unit: str
    metric: str = ""
    dataset: str = ""
    input: str = ""
    conditions: str = ""
    source: str = ""
    verified: str = ""

    @property
    def what(self) -> str:
        """Which figure it is: ``box AP on COCO val2017``, ``params``."""
        return " ".join(filter(None, (self.metric or self.quantity, self.dataset and f"on {self.dataset}")))

    @property
    def printed(self) -> str:
        """Value and unit; a count is its own unit."""
        return f"{self.value:,.12g}" if self.unit == "count" else f"{self.value:,.12g} {self.unit}"

    @property
    def given(self) -> str:
        """Input and conditions."""
        return "; ".join(filter(None, (self.input, self.conditions)))

    @property
    def sure(self) -> str:
        """How sure it is, in words."""
        return {"yes": "verified", "source": "read there", "memory": "from memory"}.get(self.verified, self.verified)


@dataclass(frozen=True)
class Timing:
    """How long a model takes, in the numbers that `cvbench.cost.latency` derives from its samples.

    Attributes
    ----------
    headline
        The stage that stands for the model.
    conditions
        What times depend on besides the model: batch, threads, dtype, device …
    values
        Figures of the headline stage, of the cold start and of memory; units end their names.
    stages
        One row per stage.
    round_medians_ns
        Medians of the headline in each of R rounds (inner) of each of P processes (outer), in nanoseconds.
    notes
        What a reader should know, in sentences.
    noise
        Why the times are to be taken with care; empty for no reason.
    """

    headline: str
    conditions: dict[str, str]
    values: dict[str, float]
    stages: list[Row]
    round_medians_ns: list[list[float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, latency: Latency) -> Timing:
        """The numbers of a measurement."""
        return cls(
            headline=latency.headline,
            conditions=dict(latency.conditions.conventions()),
            values=latency.values(),
            stages=latency.rows(),
            round_medians_ns=latency.round_medians().tolist(),
            notes=latency.notes(),
            noise=list(latency.noise),
        )


@dataclass(frozen=True)
class RunRecord:
    """One model on one benchmark.

    Attributes
    ----------
    model
        Which model.
    benchmark
        ``scenes.detection``; names the leaderboard, so it is made of letters, digits, ``.``, ``_`` and ``-``.
    accuracy
        Its score; None where there is none.
    intervals
        Of figures of `accuracy`, by name.
    cost
        What it costs to run once (`cvbench.profile`); None where that was not counted.
    latency
        None where it was not measured.
    data
        SHA-256 of what was read, by role, beside what `accuracy` says of ground truth and predictions.
    error
        Why something is missing; None where all went well.
    published
        What others printed about the model. Of several numbers of one quantity, the first is shown.
    made_by
        How the record was made.
    bootstrap
        The draws behind the interval of the figure that stands for the score, by which two models are compared; None
        where they were not kept.

    Raises
    ------
    InputError
        A name is odd, an interval has no figure, or there is neither a result nor an error.

    Examples
    --------
    >>> from cvbench import Result, Signature
    >>> score = Result("coco.bbox@1", {"AP": 0.5}, Signature("coco.bbox@1"))
    >>> record = RunRecord(Model("centernet", "nano"), "scenes.detection", accuracy=score)
    >>> RunRecord.from_json(record.to_json()).to_json() == record.to_json()
    True
    """

    model: Model
    benchmark: str
    accuracy: Result | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    cost: Result | None = None
    latency: Timing | None = None
    data: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    published: list[Published] = field(default_factory=list)
    made_by: Provenance = field(default_factory=Provenance.collect)
    bootstrap: Bootstrap | None = None

    def __post_init__(self) -> None:
        _refuse_odd_name(self.benchmark, "benchmark")
        unknown = set(self.intervals) - set(self.accuracy.values if self.accuracy else ())
        if unknown:
            raise InputError(f"{self.model.label} has an interval of {min(unknown)}, and no such figure")
        if self.accuracy is None and self.cost is None and self.latency is None and self.error is None:
            raise InputError(f"a record of {self.model.label} has neither a result nor an error")

    def path(self, folder: str | os.PathLike[str]) -> Path:
        """Where the record belongs in a folder of results: ``<benchmark>/<model>-<size>.json``."""
        return Path(folder) / self.benchmark / f"{self.model.label}.json"

    def to_json(self) -> str:
        """The record as JSON text; NaN becomes ``null``, results are written as `Result.to_json` does."""
        content = {
            "model": asdict(self.model),
            "benchmark": self.benchmark,
            "accuracy": _raw(self.accuracy),
            "intervals": {name: asdict(interval) for name, interval in self.intervals.items()},
            "cost": _raw(self.cost),
            "latency": None if self.latency is None else asdict(self.latency),
            "data": self.data,
            "error": self.error,
            "published": [asdict(number) for number in self.published],
            "made_by": asdict(self.made_by),
            "bootstrap": None if self.bootstrap is None else _Draws.of(self.bootstrap),
        }
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "record") -> RunRecord:
        """The record that `to_json` wrote.

        Raises
        ------
        FormatError
            `text` is not JSON, or not a record; the message begins with `where`.
        """
        try:
            content = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise FormatError(f"is not a JSON object: {error}", where=where) from error

        def part(name: str, kind: Any) -> Any:
            if name not in content:
                raise FormatError(f"has no {name!r}; expected the JSON of a run", where=where)
            try:
                return msgspec.json.decode(content[name], type=kind)
            except (msgspec.ValidationError, InputError) as error:
                raise FormatError(str(error), where=f"{where}: {name}") from error

        def result(name: str) -> Result | None:
            empty = part(name, object) is None
            return None if empty else Result.from_json(bytes(content[name]), where=f"{where}: {name}")

        intervals = part("intervals", dict[str, _Ends])
        drawn = part("bootstrap", _Draws | None) if "bootstrap" in content else None
        try:
            return cls(
                model=part("model", Model),
                benchmark=part("benchmark", str),
                accuracy=result("accuracy"),
                intervals={name: ends.interval() for name, ends in intervals.items()},
                cost=result("cost"),
                latency=_timing(part("latency", _Times | None)),
                data=part("data", dict[str, str]),
                error=part("error", str | None),
                published=part("published", list[Published]),
                made_by=part("made_by", Provenance),
                bootstrap=None if drawn is None else drawn.bootstrap(),
            )
        except InputError as error:
            raise FormatError(error.message, where=where) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to `path`, which holds the old content or the new one at every moment."""
        replace_file(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RunRecord:
        """The record in the file at `path`; raises as `from_json` does."""
        return cls.from_json(Path(path).read_bytes(), where=str(path))


def read_records(paths: Sequence[str | os.PathLike[str]]) -> list[RunRecord]:
    """The records in files, and in all ``.json`` files of folders and below, in the order of their names.

    Raises
    ------
    FormatError
        A file is not a record.
    InputError
        A path does not exist, or a folder holds no records.
    """
    records = []
    for path in map(Path, paths):
        if not path.exists():
            raise InputError("there is no such file or folder; expected results of runs", where=str(path))
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError(
                "there are no results in this folder; expected files of JSON, one per run", where=str(path)
            )
        records += [RunRecord.load(file) for file in files]
    return records


def _refuse_odd_name(name: str, what: str) -> None:
    """Names of models and benchmarks are names of files."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise InputError(f"{what} {name!r}: expected letters, digits, '.', '_' and '-'")


def _raw(result: Result | None) -> msgspec.Raw | None:
    return None if result is None else msgspec.Raw(result.to_json().encode())


@dataclass
class _Ends:
    """An `Interval` in JSON, where NaN is null."""

    low: float | None
    high: float | None
    confidence: float
    replicates: int
    seed: int
    undefined: int

    def interval(self) -> Interval:
        return Interval(
            _number(self.low), _number(self.high), self.confidence, self.replicates, self.seed, self.undefined
        )


@dataclass
class _Draws:
    """A `Bootstrap` in JSON, where NaN is null."""

    values: dict[str, float | None]
    replicates: dict[str, list[float | None]]
    seed: int
    images: str

    @classmethod
    def of(cls, bootstrap: Bootstrap) -> _Draws:
        rows: dict[str, list[float | None]] = {name: row.tolist() for name, row in bootstrap.replicates.items()}
        return cls(dict(bootstrap.values), rows, bootstrap.seed, bootstrap.images)

    def bootstrap(self) -> Bootstrap:
        values = {name: _number(value) for name, value in self.values.items()}
        rows = {name: np.array([_number(cell) for cell in row]) for name, row in self.replicates.items()}
        return Bootstrap(values, rows, self.seed, self.images)


@dataclass
class _Times:
    """A `Timing` in JSON, where NaN is null."""

    headline: str
    conditions: dict[str, str]
    values: dict[str, float | None]
    stages: list[dict[str, int | float | str | None]]
    round_medians_ns: list[list[float]]
    notes: list[str]
    noise: list[str]


def _timing(times: _Times | None) -> Timing | None:
    if times is None:
        return None

    return Timing(
        times.headline,
        times.conditions,
        {name: _number(value) for name, value in times.values.items()},
        [{name: _number(cell) for name, cell in row.items()} for row in times.stages],
        times.round_medians_ns,
        times.notes,
        times.noise,
    )


def _number(cell: _T | None) -> _T | float:
    return math.nan if cell is None else cell
