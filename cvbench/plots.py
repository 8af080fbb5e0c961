"""Plots of the curves in a result: precision over recall, hits over thresholds, cumulative errors.

`PLOTS` turns the arrays of a result into `Curves`, which are plain data in the field's terms, and `draw` puts these
into a file; matplotlib is loaded there and nowhere else. The number beside a line is the figure named above it, rounded
as in a report. The signature is in the file's metadata. The same result gives the same picture, whatever settings
matplotlib has otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError
from cvbench.metrics.instances import KINDS
from cvbench.result import Result
from cvbench.tasks import texts

Float = NDArray[np.float64]

FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True, eq=False)
class Line:
    """One curve.

    Attributes
    ----------
    name
    x : (T,) float64
    y : (T,) float64
        Fractions, NaN where undefined.
    figure
        The number that stands for the curve.
    """

    name: str
    x: Float
    y: Float
    figure: float


@dataclass(frozen=True, eq=False)
class Curves:
    """What a plot shows.

    Attributes
    ----------
    title
    figure
        What the number of each line is called, ``AP``.
    x_label, y_label
    x_limits
        Ends of the x axis; that of y goes from 0 to 1.
    lines
        The whole first, then its parts.
    signature
        The rules by which the curves came about.
    """

    title: str
    figure: str
    x_label: str
    y_label: str
    x_limits: tuple[float, float]
    lines: tuple[Line, ...]
    signature: str


# From results to curves


def precision_recall(result: Result) -> Curves:
    """Precision over recall in the first area range and at the largest cap, mean over the categories that are defined.

    The first line is the mean over all thresholds; IoU (of keypoints: OKS) 0.50 and 0.75 follow where they are among
    several thresholds. The number of a line is its mean over recall, which is AP.
    """
    precision, rules = _array(result, "precision"), dict(result.signature.conventions)
    similarity, recalls = "OKS" if "sigmas" in rules else "IoU", np.array(texts.numbers(rules["recall"]))
    thresholds = texts.numbers(rules["iou"])
    shown = {f"mean, {similarity} {thresholds[0]:.2f}:{thresholds[-1]:.2f}": (precision, result.values["AP"])}
    for name, at in (("AP50", 0.5), ("AP75", 0.75)):
        if at in thresholds:
            shown[f"{similarity} {at:.2f}"] = precision[[thresholds.index(at)]], result.values[name]
    if len(thresholds) == 1:
        shown = {f"{similarity} {thresholds[0]:.12g}": (precision, result.values["AP"])}
    return Curves(
        title=_title(result),
        figure="AP",
        x_label="recall",
        y_label="precision",
        x_limits=(float(min(0.0, *recalls)), float(max(1.0, *recalls))),
        lines=tuple(
            Line(name, recalls, _mean_of_defined(part[:, :, :, 0, -1]), figure)
            for name, (part, figure) in shown.items()
        ),
        signature=str(result.signature),
    )


def hits_over_thresholds(result: Result) -> Curves:
    """Share of hits over the distance up to which a point is one, of all points and of each part.

    The number of a line is the share at the last threshold, ``PCKh@0.5``.
    """
    x, y, names = (_array(result, name) for name in ("x", "y", "lines"))
    hits = next((name.partition("@")[0] for name in result.values if "@" in name), "PCK")
    return Curves(
        title=_title(result),
        figure=f"{hits}@{x[-1]:.12g}",
        x_label=f"threshold, {_unit(result)}",
        y_label=hits,
        x_limits=_limits(x),
        lines=tuple(Line(name, x, line, float(line[-1])) for name, line in zip(names.tolist(), y, strict=True)),
        signature=str(result.signature),
    )


def cumulative_errors(result: Result) -> Curves:
    """Share of faces whose error is no larger than x (CED), of all faces and of each group; the number is NME."""
    x, y, names = (_array(result, name) for name in ("x", "y", "lines"))
    errors = [result.values["NME"], *(row["NME"] for row in result.tables.get("per_group", []))]
    return Curves(
        title=_title(result),
        figure="NME",
        x_label=f"error of a face, {_unit(result)}",
        y_label="share of faces",
        x_limits=_limits(x),
        lines=tuple(
            Line(name, x, line, float(error)) for name, line, error in zip(names.tolist(), y, errors, strict=True)
        ),
        signature=str(result.signature),
    )


PLOTS: dict[str, Callable[[Result], Curves]] = {
    "precision_recall": precision_recall,
    "thresholds": hits_over_thresholds,
    "ced": cumulative_errors,
}
"""The curves of a result, by the kind of plot that its task names."""


def _array(result: Result, name: str) -> NDArray[Any]:
    if name not in result.arrays:
        task = result.task.partition("@")[0]
        raise InputError(
            f"the result of {result.task} holds no curve: its rules name no thresholds for one (`cvbench tasks {task}` "
            "lists the parameters), or it was read from JSON, which has none"
        )
    return result.arrays[name]


def _title(result: Result) -> str:
    """The task, and the name of the file of predictions."""
    path = result.inputs.get("pred", {}).get("path")
    return f"{result.task}, {Path(str(path)).name}" if path else result.task


def _limits(x: Float) -> tuple[float, float]:
    return 0.0, float(x[-1]) or 1.0


def _mean_of_defined(precision: Float) -> Float:
    """(R,) the mean over thresholds and categories of (T, R, K), NaN where no category is defined."""
    defined = ~np.isnan(precision)
    numbers = defined.sum(axis=(0, 2))
    means = np.full(len(numbers), np.nan)
    np.divide(np.where(defined, precision, 0.0).sum(axis=(0, 2)), numbers, out=means, where=numbers > 0)
    return means


def _unit(result: Result) -> str:
    """What distances are measured in, by the signature."""
    rules = dict(result.signature.conventions)
    if "sticks" in rules:
        return "as a share of the limb's length"
    kind, _, rest = rules.get("normalizer", "").partition(":")
    if not kind:
        return "in the unit of the coordinates"
    if kind == "none":
        return "in pixels"
    if kind == "fixed":
        return f"as a share of {float(rest):.12g} pixels"
    if kind == "joints":
        return "as a share of the distance of points {} and {}".format(*rest.split("-"))
    return f"as a share of {KINDS[kind]}"
