"""Rates of hits: in what share of instances a column, which is a joint or a limb, is near enough.

PCK, PCKh, PDJ and PCP are such rates of differently normalised distances.

A distance is a hit where it is below the threshold, or equal to it unless the rule is strict. What was not predicted
is infinitely far away and never a hit.

Three means are in use. ``pooled`` is hits over all instances and columns by their number, which is the same as
weighting columns by how many instances have them. ``joints`` (``limbs``) is the plain mean of the rates of columns that
any instance has. ``instances`` is the mean over instances of the share of their columns that are hits.

A curve has the rate at rising thresholds; its area (AUC) is the trapezoid rule over the range of its thresholds, or the
plain mean of its points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Float, Int
from cvbench.errors import InputError, did_you_mean
from cvbench.metrics.base import check_flags
from cvbench.metrics.instances import (
    InstanceState,
    Summary,
    hits_of,
    indices_of,
    instance_hits_of,
    row_weights,
    thresholds_of,
)

R = TypeVar("R", bound="HitRule")


@dataclass(frozen=True)
class Part:
    """Columns that get a figure and a curve of their own, like both wrists.

    Attributes
    ----------
    name
    columns
        Indices of joints or limbs.
    pooled
        Its rate is that of all its columns together, else the plain mean of the rates of those that any instance has.

    Examples
    --------
    >>> Part.parse("Wrist=15+10"), str(Part("UpperBody", (10, 11), pooled=True))
    (Part(name='Wrist', columns=(15, 10), pooled=False), 'UpperBody=pooled(10+11)')
    """

    name: str
    columns: tuple[int, ...]
    pooled: bool = False

    def __post_init__(self) -> None:
        if not self.name or not self.columns or min(self.columns) < 0:
            raise InputError(f"part {self.name!r} of {self.columns}: expected a name and indices of 0 or more")

    def __str__(self) -> str:
        columns = "+".join(map(str, self.columns))
        return f"{self.name}=pooled({columns})" if self.pooled else f"{self.name}={columns}"

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that prints as `text`."""
        name, _, columns = text.partition("=")
        pooled = columns.startswith("pooled(") and columns.endswith(")")
        members = columns[len("pooled(") : -1] if pooled else columns
        try:
            indices = tuple(int(column) for column in members.split("+"))
        except ValueError:
            raise InputError(f"part {text!r}: expected Wrist=15+10 or Arms=pooled(10+11+14+15)") from None
        return cls(name.strip(), indices, pooled)


def parts_of(**columns: tuple[int, ...]) -> tuple[Part, ...]:
    """Parts by their names, each with the plain mean of its columns."""
    return tuple(Part(name, indices) for name, indices in columns.items())


def spaced(first: float, last: float, number: int) -> tuple[float, ...]:
    """Evenly spaced thresholds with both ends."""
    return tuple(np.linspace(first, last, number).tolist())


@dataclass(frozen=True)
class HitRule:
    """How hits are counted and averaged.

    Attributes
    ----------
    thresholds
        Those of the figures, on normalised distances. Figures of `parts` among the values are at the first one.
    strict
        Whether a distance has to be below a threshold (``<``), or may be equal to it (``<=``).
    mean
        ``pooled``, ``instances``, or ``joints`` (of limbs ``limbs``): see this module.
    counted
        The columns that means, the curve and subsets of the data are about; None for all.
    parts
        Columns that are looked at together. They may be others than the `counted` ones.
    curve
        Rising thresholds of the curve and its area; empty for none.
    auc
        The area under the curve by the ``trapezoid`` rule, or as the ``mean`` of its points.
    missing
        Whether a keypoint that is not predicted counts as a ``miss``, or an error is raised (``refuse``).
    zero_size
        What to do with a size that is not above 0: raise an error (``refuse``), or leave its columns out (``skip``).
    """

    MACRO: ClassVar[str] = "columns"
    """What this kind of rule calls its columns, and the mean over them."""

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    ZERO_SIZE: ClassVar[tuple[str, ...]] = ("refuse", "skip")

    thresholds: tuple[float, ...] = (0.2,)
    strict: bool = False
    mean: str = "pooled"
    counted: tuple[int, ...] | None = None
    parts: tuple[Part, ...] = ()
    curve: tuple[float, ...] = ()
    auc: Literal["trapezoid", "mean"] = "trapezoid"
    missing: Literal["refuse", "miss"] = "refuse"
    zero_size: str = "refuse"

    @classmethod
    def of(cls: type[R], preset: str | None = None, **changes: Any) -> R:
        """The rules of a preset, or of none, with `changes`.

        Parameters
        ----------
        preset
            One of ``PRESETS``.
        **changes
            Any attribute. A single threshold may be a number, parts may be texts such as ``Wrist=15+10``.

        Raises
        ------
        InputError
            A preset or rule is unknown, or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in changes:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        if preset is not None and preset not in cls.PRESETS:
            raise InputError(f"there is no preset {preset!r}{did_you_mean(preset, cls.PRESETS)}")
        return cls(**{**(cls.PRESETS[preset] if preset is not None else {}), **changes})

    def __post_init__(self) -> None:
        check_flags(self)
        for name in ("thresholds", "curve"):
            object.__setattr__(self, name, thresholds_of(getattr(self, name), name))
        if any(b <= a for a, b in zip(self.curve, self.curve[1:], strict=False)) or len(self.curve) == 1:
            raise InputError(f"curve {self.curve}: expected at least two thresholds that rise")
        if not self.thresholds and not self.curve:
            raise InputError("there are neither thresholds nor a curve; expected at least one number")
        if len(set(self.thresholds)) < len(self.thresholds):
            raise InputError(f"thresholds {self.thresholds}: expected each at most once")
        given: Any = self.parts
        given = (given,) if isinstance(given, str) else given
        parts = tuple(Part.parse(part) if isinstance(part, str) else part for part in given)
        object.__setattr__(self, "parts", parts)
        if len({part.name for part in parts}) < len(parts):
            raise InputError(f"parts {', '.join(part.name for part in parts)}: expected each name at most once")
        for part in parts:
            if part.name in ("AUC", "all") or "@" in part.name:
                raise InputError(f"part {part.name!r}: this names another figure; expected a name such as Wrist")
        if self.counted is not None:
            counted = indices_of(tuple(self.counted), "counted", f"{self.MACRO}, or None for all")
            object.__setattr__(self, "counted", counted)
        for name, choices in (
            ("mean", ("pooled", self.MACRO, "instances")),
            ("auc", ("trapezoid", "mean")),
            ("missing", ("refuse", "miss")),
            ("zero_size", self.ZERO_SIZE),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")

    def check_columns(self, number: int) -> None:
        """Refuse indices that are not there among so many columns."""
        highest = max([*(self.counted or ()), *(column for part in self.parts for column in part.columns)], default=-1)
        if highest >= number:
            raise InputError(f"the rules name {self.MACRO} up to index {highest}; there are {number}, counted from 0")

    def cuts(self) -> tuple[float, ...]:
        """The thresholds, then those of the curve, as distances are compared with them."""
        return (*self.thresholds, *self.curve)

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        counted = "all" if self.counted is None else ",".join(map(str, self.counted))
        pairs = [
            ("thresholds", grid(self.thresholds)),
            ("compare", "<" if self.strict else "<="),
            ("mean", self.mean),
            (self.MACRO, counted),
            ("parts", ",".join(map(str, self.parts)) or "none"),
            ("curve", grid(self.curve)),
            ("missing", self.missing),
            ("zero_size", self.zero_size),
        ]
        if self.curve:
            pairs.insert(6, ("auc", self.auc))
        return pairs


def grid(values: tuple[float, ...]) -> str:
    """Thresholds as ``first:last:step`` where they are evenly spaced, else one by one."""
    if len(values) > 2 and values == spaced(values[0], values[-1], len(values)):
        return f"{values[0]:.12g}:{values[-1]:.12g}:{(values[-1] - values[0]) / (len(values) - 1):.12g}"
    return ",".join(map(repr, values)) or "none"


# Figures -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rates:
    """Rates at T thresholds of some instances.

    Attributes
    ----------
    columns : (C, T) float64
    mean : (T,) float64
    counted : (C,) int64
        How many instances have each column.
    hits : (C, T) int64
    """

    columns: Float
    mean: Float
    counted: Int
    hits: Int


def figures(rule: HitRule, figure: str) -> dict[str, str]:
    """What each figure is, by name, in the order of results; rates are called `figure`."""
    over = {"pooled": f"all {rule.MACRO} at once", "instances": "instances"}.get(rule.mean, rule.MACRO)
    sign = "below" if rule.strict else "up to"
    said = {}
    for part in rule.parts if rule.thresholds else ():
        columns = "+".join(map(str, part.columns))
        kind = rule.MACRO if len(part.columns) > 1 else rule.MACRO.removesuffix("s")
        said[part.name] = f"{kind} {columns}, distances {sign} {rule.thresholds[0]:.12g}"
    for threshold in rule.thresholds:
        said[f"{figure}@{threshold:.12g}"] = f"distances {sign} {threshold:.12g}, mean over {over}"
    if rule.curve:
        how = "area under the curve of" if rule.auc == "trapezoid" else "mean over"
        said["AUC"] = f"{how} {len(rule.curve)} thresholds from {rule.curve[0]:.12g} to {rule.curve[-1]:.12g}"
    return said


def summarize(state: InstanceState, figure: str, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """Rates at thresholds by column, part and group, and the curve with its area.

    Parameters
    ----------
    state
        Its distances are normalised, and its params are a `HitRule`.
    figure
        What rates are called: ``PCK`` makes ``PCK@0.2``.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    """
    rule: HitRule = state.params
    times = row_weights(state, weights)
    labels, cut = [f"{figure}@{threshold:.12g}" for threshold in rule.thresholds], len(rule.thresholds)
    rates = _rates(state.distance, times, rule)
    parts = {part.name: _of_part(rates, part) for part in rule.parts}
    values = {name: float(line[0]) for name, line in parts.items() if labels}
    values |= _line(rule, labels, rates.mean)
    by_column = [
        {"id": c, "name": name, "instances": int(rates.counted[c]), **_line(rule, labels, rates.columns[c])}
        for c, name in enumerate(state.columns)
    ]
    tables: dict[str, list[dict[str, Any]]] = {f"per_{rule.MACRO.removesuffix('s')}": by_column}
    if parts:
        tables["per_part"] = [{"name": name, **_line(rule, labels, line)} for name, line in parts.items()]
    if state.group_names:
        tables["per_group"] = [
            _of_group(state, rule, times * state.member[:, s], labels, name) for s, name in enumerate(state.group_names)
        ]
    arrays: dict[str, NDArray[Any]] = {}
    if rule.curve:
        arrays["x"] = np.array(rule.curve)
        arrays["y"] = np.array([line[cut:] for line in (rates.mean, *parts.values())])
        arrays["lines"] = np.array(["all", *parts])
    return Summary(values, tables, arrays)


def _line(rule: HitRule, labels: Sequence[str], line: Float) -> dict[str, float]:
    """The figures of one line of rates: at each threshold, and the area under its curve."""
    figures = {label: float(rate) for label, rate in zip(labels, line, strict=False)}
    return figures | ({"AUC": _area(rule, line[len(labels) :])} if rule.curve else {})


def _of_group(state: InstanceState, rule: HitRule, times: Int, labels: Sequence[str], name: str) -> dict[str, Any]:
    line = _rates(state.distance, times, rule).mean
    return {"name": name, "instances": int(times.sum()), **_line(rule, labels, line)}


def _rates(distance: Float, times: Int, rule: HitRule) -> _Rates:
    """Rates of all rows, each as often as it counts."""
    hits, counted = hits_of(distance, times, rule.cuts(), rule.strict)
    columns = _ratio(hits, counted[:, None])
    chosen = [c for c in (range(len(counted)) if rule.counted is None else rule.counted) if c < len(counted)]
    if rule.mean == "pooled":
        mean = _ratio(hits[chosen].sum(axis=0), counted[chosen].sum())
    elif rule.mean == "instances":
        mean = _mean_of_instances(distance[:, chosen], times, rule)
    else:
        mean = mean_of_defined(columns[chosen])
    return _Rates(columns, mean, counted, hits)


def _of_part(rates: _Rates, part: Part) -> Float:
    """(T,) the rate of a part."""
    chosen = [c for c in part.columns if c < len(rates.counted)]
    if part.pooled:
        return _ratio(rates.hits[chosen].sum(axis=0), rates.counted[chosen].sum())
    return mean_of_defined(rates.columns[chosen])


def _mean_of_instances(distance: Float, times: Int, rule: HitRule) -> Float:
    """(T,) the mean over instances, of those with any column, of the share of their columns that are hits.

    Shares of instances with equally many columns have one divisor, so their hits are added as integers.
    """
    tally = instance_hits_of(distance, times, rule.cuts(), rule.strict)  # (C + 1, C + 1, T) by columns, by hits
    hits = (tally * np.arange(len(tally))[None, :, None]).sum(axis=1)[1:]
    number = int(tally[1:, :, 0].sum()) if tally.shape[2] else 0
    shares = hits / np.arange(1, len(tally))[:, None]
    return np.array([math.fsum(column) / number if number else math.nan for column in shares.T.tolist()])


def mean_of_defined(rates: Float) -> Float:
    """(T,) the mean over the rows of (C, T) that are defined; NaN where none is."""
    defined = rates[~np.isnan(rates).all(axis=1)]
    return np.array([math.fsum(column) / len(column) if column else math.nan for column in defined.T.tolist()])


def _ratio(part: NDArray[Any], whole: Any) -> Float:
    """The quotient, NaN where the divisor is 0."""
    quotient = np.full(part.shape, np.nan)
    np.divide(part, whole, out=quotient, where=np.broadcast_to(np.asarray(whole) != 0, part.shape))
    return quotient


def _area(rule: HitRule, line: Float) -> float:
    """The area under the curve, as a share of the largest there can be."""
    if rule.auc == "mean":
        return math.fsum(line.tolist()) / len(line)
    widths = np.diff(rule.curve)
    return math.fsum((widths * (line[1:] + line[:-1]) / 2).tolist()) / (rule.curve[-1] - rule.curve[0])
