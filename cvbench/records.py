"""What one model did on one benchmark: accuracy, how sure it is, cost, latency, and where it all came from.

Records are plain data: they are the evidence from which leaderboards are made, and what others published about a model
stands apart from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cvbench.errors import InputError
from cvbench.result import Row

if TYPE_CHECKING:
    from cvbench.cost.latency import Latency

Fact = str | int | float | bool | None


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


def _refuse_odd_name(name: str, what: str) -> None:
    """Names of models and benchmarks are names of files."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise InputError(f"{what} {name!r}: expected letters, digits, '.', '_' and '-'")
