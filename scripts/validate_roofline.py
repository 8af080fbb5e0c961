"""Hold predicted times against measured ones, on published networks and the machine that this runs on.

    python scripts/validate_roofline.py [FOLDER] [--networks NAME ...] [--quick]

counts every network of ``tests/cost/networks.py`` on one image of 224 × 224, predicts its time by
`cvbench.cost.roofline`, measures it by `cvbench.cost.latency`, on one thread and on all processors, and writes
``roofline.json``, the page ``roofline.md`` that is made from it, and ``figures/roofline.png`` into ``docs`` or another
folder. The machine should have nothing else to do, for about half an hour; ``--quick`` measures for some minutes, for a
try. Needs torch and matplotlib (``pip install 'cvbench[models,plots]'``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvbench.cost.machine import Machine
from cvbench.cost.turns import Plan

ROOT = Path(__file__).parents[1]
SHAPE = (3, 224, 224)

FULL = Plan(processes=3, rounds=3, samples=30)
QUICK = Plan(processes=1, rounds=2, samples=5)


@dataclass(frozen=True)
class Point:
    """One network, predicted and measured.

    Attributes
    ----------
    network
    gmacs
        For one image.
    predicted_ms
    measured_ms
        Median of the forward pass.
    shares
        Of the predicted time, as in `cvbench.cost.roofline.Prediction.shares`.
    noise
        As in `cvbench.cost.latency.Latency`.
    """

    network: str
    gmacs: float
    predicted_ms: float
    measured_ms: float
    shares: dict[str, float]
    noise: tuple[str, ...]

    @property
    def efficiency(self) -> float:
        """The predicted time divided by the measured one."""
        return self.predicted_ms / self.measured_ms

    @property
    def distance(self) -> float:
        """How many times the smaller of the two the larger is."""
        return max(self.efficiency, 1 / self.efficiency)


@dataclass(frozen=True)
class Run:
    """All networks on one number of threads.

    Attributes
    ----------
    before, after
        The machine, measured on both sides.
    calls
        Timed of each network.
    points
    """

    before: Machine
    after: Machine
    calls: int
    points: tuple[Point, ...]

    @property
    def title(self) -> str:
        """What the threads are called in tables and figures."""
        return "1 thread" if self.before.threads == 1 else f"{self.before.threads} threads"

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of predicted and measured times."""
        return rank_correlation([p.predicted_ms for p in self.points], [p.measured_ms for p in self.points])

    @property
    def worst(self) -> Point:
        """Where prediction and measurement lie farthest apart."""
        return max(self.points, key=lambda point: point.distance)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's coefficient: 1 where both have the same order; equal values share the mean of their ranks."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> Any:
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(sizes) - (sizes - 1) / 2)[which]
