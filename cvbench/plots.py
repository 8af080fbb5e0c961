"""Plots of the curves in a result (precision over recall, hits over thresholds, cumulative errors) and of leaderboards.

`PLOTS` turns the arrays of a result into `Curves`, which are plain data in the field's terms, and `draw` puts these
into a file; matplotlib is loaded there and nowhere else. The number beside a line is the figure named above it, rounded
as in a report. The signature is in the file's metadata. The same result gives the same picture, whatever settings
matplotlib has otherwise.
"""

from __future__ import annotations

import io
import math
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError, MissingDependency
from cvbench.metrics.instances import KINDS
from cvbench.report import number
from cvbench.result import Result, replace_file
from cvbench.tasks import TASKS, find, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


@dataclass(frozen=True, eq=False)
class Panel:
    """One cost that models are held against.

    Attributes
    ----------
    label
        Of the x axis, with its unit.
    x : (N,) float64
        Above 0; NaN where unknown.
    x_ends : (N, 2) float64
        Ends of an interval; NaN where unknown.
    standings
        Of each model, ``front``, ``tied`` or ``behind`` (`cvbench.pareto.standings`); others are not drawn.
    """

    label: str
    x: Float
    x_ends: Float
    standings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """Accuracy of N models against several costs, side by side, since orders differ from cost to cost.

    Attributes
    ----------
    title
    figure
        What the accuracy is called, ``AP``.
    names
        Of the models, best first.
    y : (N,) float64
    y_ends : (N, 2) float64
        Ends of an interval; NaN where unknown.
    panels
        One per cost.
    signature
        The rules by which the accuracy came about, and what else tells one picture from another.
    """

    title: str
    figure: str
    names: tuple[str, ...]
    y: Float
    y_ends: Float
    panels: tuple[Panel, ...]
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


# From curves to files


def plottable(task: str, path: str | os.PathLike[str], parameters: Mapping[str, Any] | None = None) -> None:
    """Make sure that results of a task have curves and that these can be drawn into a file of that name.

    Parameters
    ----------
    task, path
    parameters
        The rules that results will follow; None where they are not known.

    Raises
    ------
    InputError
        If the task, or its rules, have no curves, or the name does not end in one of `FORMATS`.
    MissingDependency
        If matplotlib is not installed.
    """
    if find(task).plot is None:
        others = ", ".join(name for name, other in TASKS.items() if other.plot)
        raise InputError(f"{task} has no curves to draw; these have: {others}")
    if parameters is not None and find(task).plot == "thresholds" and "AUC" not in find(task).describe(parameters):
        raise InputError(f"{task} has no curve under these rules; -p curve=0:0.5:0.01 gives it one")
    _form(path)
    if find_spec("matplotlib") is None:
        raise MissingDependency("plots are drawn by matplotlib, which is not installed: pip install 'cvbench[plots]'")


def plot(result: Result, path: str | os.PathLike[str]) -> None:
    """Draw the curves of a result into a file.

    Parameters
    ----------
    result
        From `cvbench.score` or a metric's ``compute``; results read from JSON hold no curves.
    path
        Ends in ``.png``, ``.pdf`` or ``.svg``.

    Raises
    ------
    InputError
        If the task has no curves, the result does not hold them, or the name ends otherwise.
    MissingDependency
        If matplotlib is not installed.

    Examples
    --------
    >>> result = cvbench.score("coco.bbox", gt, pred)  # doctest: +SKIP
    >>> plot(result, "curves.svg")  # doctest: +SKIP
    """
    plottable(result.task, path)
    draw(PLOTS[str(find(result.task).plot)](result), path)


def draw(curves: Curves | Tradeoff, path: str | os.PathLike[str]) -> None:
    """Draw curves, or models against their costs, into a file, which holds the old picture or the new one at any time.

    The same curves give the same bytes. What is undefined is named in the legend and not drawn.

    Parameters
    ----------
    curves
    path
        Ends in one of `FORMATS`.
    """
    form = _form(path)
    from matplotlib import style

    picture = io.BytesIO()
    with style.context(["default", _STYLE]):
        drawn = _figure(curves) if isinstance(curves, Curves) else _tradeoff_figure(curves)
        drawn.savefig(picture, format=form, metadata=_metadata(curves, form))
    replace_file(path, picture.getvalue())


def _form(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix
    if suffix.lower().removeprefix(".") not in FORMATS:
        found = f"it ends in {suffix}" if suffix else "it has no ending"
        raise InputError(f"{os.fspath(path)}: {found}; plots are files that end in .{', .'.join(FORMATS)}")
    return suffix.lower().removeprefix(".")


def _metadata(curves: Curves | Tradeoff, form: str) -> dict[str, str | None]:
    """What the file says of itself; no time of its making."""
    if form == "pdf":
        return {"Title": curves.title, "Subject": curves.signature, "CreationDate": None}
    about: dict[str, str | None] = {"Title": curves.title, "Description": curves.signature}
    return about | ({"Date": None} if form == "svg" else {})


_STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 200.0,
    "pdf.fonttype": 42,  # fonts that programs can edit and publishers take
    "svg.hashsalt": "cvbench",
}

_WHOLE = "#000000"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which stay apart for eyes that see few colours; without yellow, which is too light for a line."""
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_OTHER: dict[str, Any] = {"color": "#c4c4c4", "linewidth": 0.8, "zorder": 2.0}
"""Of all lines beyond those that can be told apart."""
_NAME_WIDTH = 40
"""Characters of a line's name that are shown."""


def _looks() -> Iterator[dict[str, Any]]:
    """Colour and dashes of the lines that can be told apart: the whole, then parts, seen on it where they run along."""
    yield {"color": _WHOLE, "linewidth": 2.8, "zorder": 2.5}
    for dashes in _DASHES:
        yield from ({"color": colour, "linestyle": dashes, "zorder": 3.0} for colour in _COLOURS)


def _figure(curves: Curves) -> Figure:
    from matplotlib.figure import Figure

    looks = list(_looks())
    others = max(len(curves.lines) - len(looks), 0)
    labels = [f"{_said(line.figure)}  {_shown(line.name)}" for line in curves.lines[: len(looks)]]
    labels += [f"{others} more"] * (others > 0)
    size = 5.6 + 0.07 * max(map(len, labels)), max(4.2, 1.0 + 0.19 * len(labels))  # inches; the axes keep their size
    figure = Figure(size, layout="constrained")
    axes = figure.add_subplot(xlim=curves.x_limits, ylim=(0.0, 1.0))
    drawn = [
        axes.plot(line.x, line.y, clip_on=False, **_look(line, look))[0]  # in full width along the end of an axis, too
        for line, look in zip(curves.lines, [*looks, *[_OTHER] * others], strict=False)
    ]
    axes.set_title(_shown(curves.title), loc="left", parse_math=False)
    axes.set_xlabel(_wrapped(curves.x_label))
    axes.set_ylabel(curves.y_label)
    legend = axes.legend(
        drawn[: len(labels)],
        [""] * len(labels),
        title=curves.figure,
        alignment="left",
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        borderaxespad=0.0,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)  # given to the legend, "_" in front would hide it and "$" set formulas
    return figure


_SIGNS = "os^DvPX"
"""Of models: with each of the colours in turn, 42 that can be told apart."""
_STANDINGS: dict[str, dict[str, Any]] = {
    "front": {},
    "tied": {"markerfacecolor": "white"},
    "behind": {"alpha": 0.35},
}


def _tradeoff_figure(tradeoff: Tradeoff) -> Figure:
    """Two panels to a row; full signs on the front, hollow ones tied with it, pale ones behind it."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = math.ceil(len(tradeoff.panels) / 2)
    labels = [f"{_said(y)}  {_shown(name)}" for name, y in zip(tradeoff.names, tradeoff.y, strict=True)]
    size = 7.2 + 0.07 * max(map(len, labels), default=0), max(3.0 * rows + 0.4, 1.0 + 0.19 * len(labels))
    figure = Figure(size, layout="constrained")
    signs: list[dict[str, Any]] = [{"color": colour, "marker": sign} for sign in _SIGNS for colour in _COLOURS]
    signs += [_OTHER | {"marker": "."}] * max(len(labels) - len(signs), 0)
    for i, panel in enumerate(tradeoff.panels):
        axes = figure.add_subplot(rows, 2, i + 1, xscale="log", xlabel=panel.label)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("" if i % 2 else tradeoff.figure, parse_math=False)
        shown = [j for j, standing in enumerate(panel.standings) if standing in _STANDINGS]
        for j in shown:
            x, y = panel.x[j], tradeoff.y[j]
            bars: dict[str, Any] = {"xerr": _bar(x, panel.x_ends[j]), "yerr": _bar(y, tradeoff.y_ends[j])}
            axes.errorbar(x, y, **bars, linestyle="none", elinewidth=0.8, **signs[j], **_STANDINGS[panel.standings[j]])
        _set_cost_limits(axes, np.column_stack([panel.x, panel.x_ends])[shown])
        front = np.array(sorted((panel.x[j], tradeoff.y[j]) for j in shown if panel.standings[j] == "front"))
        axes.plot(*front.reshape(-1, 2).T, drawstyle="steps-post", color=_WHOLE, linewidth=0.8, zorder=1.5)
    _tradeoff_legend(figure, tradeoff, labels, signs)
    return figure


def _set_cost_limits(axes: Axes, costs: Float) -> None:
    """Show all costs with some room around them and at least two of the ticks; without any cost, say so."""
    if np.isnan(costs).all():
        axes.text(0.5, 0.5, "no model has it", ha="center", va="center", transform=axes.transAxes, size=8.0)
        axes.set(xticks=[], yticks=[])
        axes.minorticks_off()
        return
    low, high = float(np.nanmin(costs)), float(np.nanmax(costs))
    room = max(1.25, math.sqrt(5 * low / high))  # two of 1, 2, 5, 10 are always within a factor of 5
    axes.set_xlim(low / room, high * room)


def _tradeoff_legend(figure: Figure, tradeoff: Tradeoff, labels: list[str], signs: list[dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="none", **sign) for sign, _ in zip(signs, labels, strict=False)]
    title = f"{_shown(tradeoff.title)} (full: on the front, hollow: tied with it, pale: behind)"
    figure.suptitle(title, x=0.01, ha="left", size=10.0, parse_math=False)
    legend = figure.legend(
        handles, [""] * len(labels), title=tradeoff.figure, alignment="left", loc="outside right upper"
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)  # as above


def _bar(value: float, ends: Float) -> list[list[float]] | None:
    """How far an interval reaches to both sides; nothing where an end is not known."""
    return None if np.isnan(ends).any() else [[max(value - ends[0], 0.0)], [max(ends[1] - value, 0.0)]]


def _look(line: Line, look: dict[str, Any]) -> dict[str, Any]:
    """The look of a line: nothing, in the legend neither, where it is undefined, and a point where it is one."""
    if np.isnan(line.y).all():
        return look | {"linestyle": "none"}
    return look | {"marker": "o"} if len(line.x) == 1 else look


def _wrapped(label: str) -> str:
    """A label on lines of about the same length."""
    return textwrap.fill(label, len(label) // math.ceil(len(label) / 60) + 10)


def _said(figure: float) -> str:
    return "undefined" if np.isnan(figure) else number(figure)


def _shown(name: str) -> str:
    """A name for people: printable, short, and of signs that the font has."""
    from matplotlib import font_manager

    known = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    text = "".join(sign if ord(sign) in known else "\ufffd" for sign in number(name))
    return text if len(text) <= _NAME_WIDTH else f"{text[: _NAME_WIDTH - 1]}…"
