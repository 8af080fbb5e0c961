"""Who scores and checks the tasks: one module for each family of inputs and rules.

A family has two functions. ``score(settings, gt, pred, threads, progress, parameters)`` makes a result of two inputs;
``check(settings, files, parameters)`` lists everything that keeps one or two inputs from being scored. The settings are
those of the task, the parameters the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cvbench.io import Problem
from cvbench.result import Result


@dataclass(frozen=True)
class Family:
    """Who scores and checks the tasks of a family.

    Attributes
    ----------
    module
        Of `cvbench.families`. It is imported when a task of the family is asked for: all of them take 40 ms.
    names
        Its two functions.
    """

    module: str
    names: tuple[str, str] = ("score", "check")

    @property
    def score(self) -> Callable[..., Result]:
        """The function that scores."""
        return self._function(self.names[0])

    @property
    def check(self) -> Callable[..., list[Problem]]:
        """The function that lists problems."""
        return self._function(self.names[1])

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(f"cvbench.families.{self.module}"), name)
        return function


FAMILIES = {
    "coco": Family("coco"),
    "points": Family("points"),
    "panoptic": Family("panoptic"),
    "semantic": Family("semantic"),
    "cityscapes": Family("semantic", ("score_cityscapes", "check_cityscapes")),
}
"""All families by the name that tasks call them."""
