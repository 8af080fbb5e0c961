"""Plots of the curves in a result: precision over recall, hits over thresholds, cumulative errors.

`PLOTS` turns the arrays of a result into `Curves`, which are plain data in the field's terms, and `draw` puts these
into a file; matplotlib is loaded there and nowhere else. The number beside a line is the figure named above it, rounded
as in a report. The signature is in the file's metadata. The same result gives the same picture, whatever settings
matplotlib has otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
