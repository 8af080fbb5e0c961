"""What a task is, and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cvbench.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Parameter:
    """A rule that the user may change: ``-p name=text`` in the shell, ``name=value`` in Python.

    Attributes
    ----------
    name
    help
        What it changes, in a line.
    default_text
        The default as one would write it in the shell.
    parse
        From the shell's text to the value; raises ValueError with what was expected.
    """

    name: str
    help: str
    default_text: str
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class Task:
    """A benchmark's way of scoring.

    Attributes
    ----------
    name, version
    summary
        What is scored, in a line.
    reference
        The evaluator whose figures these are.
    family
        Who reads the input and counts, see `cvbench.scoring`.
    inputs
        What the ground truth and the predictions are.
    headline
        The figures of a one-line answer.
    describe
        From parameters to what each figure then is, by name, in the order of results.
    parameters
        What may be changed.
    settings
        What the family has to know: not for the user to change.
    breakdown
        The table of results that has the figures part by part: category, joint or landmark.
    plot
        The kind of plot that shows its curves, see `cvbench.plots`; None where a task has no curves.
    """

    name: str
    version: int
    summary: str
    reference: str
    family: str
    inputs: tuple[str, str]
    headline: tuple[str, ...]
    describe: Callable[[Mapping[str, Any]], dict[str, str]]
    parameters: tuple[Parameter, ...]
    settings: Mapping[str, Any]
    breakdown: str = "per_category"
    plot: str | None = None

    @property
    def id(self) -> str:
        """Name and version, as results carry it."""
        return f"{self.name}@{self.version}"

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Values of the parameters given as text.

        Raises
        ------
        InputError
            If a parameter is unknown or its text is not what it expects.
        """
        self.check_names(texts)
        by_name = {parameter.name: parameter for parameter in self.parameters}
        values = {}
        for name, text in texts.items():
            try:
                values[name] = by_name[name].parse(text)
            except ValueError as error:
                raise InputError(f"{name}={text}: {error}") from None
        return values

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse parameters that the task does not have."""
        known = [parameter.name for parameter in self.parameters]
        for name in names:
            if name not in known:
                raise InputError(f"{self.name} has no parameter {name!r}{did_you_mean(name, known)}")
