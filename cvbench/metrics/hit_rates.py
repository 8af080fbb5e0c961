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

from dataclasses import dataclass
from typing import TypeVar


from cvbench.errors import InputError

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
