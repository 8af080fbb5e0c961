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

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from cvbench.errors import InputError, did_you_mean

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
        for name in ("thresholds", "curve"):
            object.__setattr__(self, name, _numbers(getattr(self, name), name))
        if any(b <= a for a, b in zip(self.curve, self.curve[1:], strict=False)) or len(self.curve) == 1:
            raise InputError(f"curve {self.curve}: expected at least two thresholds that rise")
        if not self.thresholds and not self.curve:
            raise InputError("there are neither thresholds nor a curve; expected at least one number")
        if len(set(self.thresholds)) < len(self.thresholds):
            raise InputError(f"thresholds {self.thresholds}: expected each at most once")
        parts = tuple(Part.parse(part) if isinstance(part, str) else part for part in self.parts)
        object.__setattr__(self, "parts", parts)
        if len({part.name for part in parts}) < len(parts):
            raise InputError(f"parts {', '.join(part.name for part in parts)}: expected each name at most once")
        if self.counted is not None:
            counted = tuple(int(column) for column in self.counted)
            object.__setattr__(self, "counted", counted)
            if not counted or min(counted) < 0 or len(set(counted)) < len(counted):
                raise InputError(f"counted {counted}: expected distinct indices of {self.MACRO}, or None for all")
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


def _numbers(value: Any, name: str) -> tuple[float, ...]:
    numbers = np.asarray(value, np.float64).reshape(-1)
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise InputError(f"{name} {value!r}: expected finite numbers of 0 or more")
    return tuple(numbers.tolist())


def grid(values: tuple[float, ...]) -> str:
    """Thresholds as ``first:last:step`` where they are evenly spaced, else one by one."""
    if len(values) > 2 and values == spaced(values[0], values[-1], len(values)):
        return f"{values[0]:.12g}:{values[-1]:.12g}:{(values[-1] - values[0]) / (len(values) - 1):.12g}"
    return ",".join(map(repr, values)) or "none"
