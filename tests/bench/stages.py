"""What a round of an engine consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = list[float]


@dataclass(frozen=True)
class Stages:
    """One round: `load` reads what `evaluate` turns into figures; the two are timed apart.

    Without `load` all is in memory already, and `evaluate` gets None. What shows that engines agree, but is no part of
    the work, belongs to `figures`, which gets what `evaluate` returns and is not timed.
    """

    evaluate: Callable[[Any], Any]
    load: Callable[[], Any] | None = None
    figures: Callable[[Any], Figures] = list
