"""Who scores and checks the tasks: one module for each family of inputs and rules.

A family has two functions. ``score(settings, gt, pred, threads, progress, parameters)`` makes a result of two inputs;
``check(settings, files, parameters)`` lists everything that keeps one or two inputs from being scored. The settings are
those of the task, the parameters the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cvbench.families import coco, panoptic, points, semantic
from cvbench.io import Problem
from cvbench.result import Result


@dataclass(frozen=True)
class Family:
    """Who scores and checks the tasks of a family."""

    score: Callable[..., Result]
    check: Callable[..., list[Problem]]


FAMILIES = {
    "coco": Family(coco.score, coco.check),
    "points": Family(points.score, points.check),
    "panoptic": Family(panoptic.score, panoptic.check),
    "semantic": Family(semantic.score, semantic.check),
    "cityscapes": Family(semantic.score_cityscapes, semantic.check_cityscapes),
}
"""All families by the name that tasks call them."""
