"""Objects as peaks of heat maps: what a network should put out, how far off it is, and what it found.

A heat map has one plane per class. An object is a peak in the cell that its centre falls into.

References
----------
Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints", ECCV 2018 (radius, loss); Zhou, Wang and Krähenbühl,
"Objects as Points", 2019 (peaks instead of suppression).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

OVERLAP = 0.7
"""IoU that a box still has with its object when its corners are moved by the radius of the object's peak."""

RARE = -math.log(9)
"""Logit of 0.1, of which heat maps begin."""


class Peaks(NamedTuple):
    """The best K peaks of each of B images, best first.

    Attributes
    ----------
    scores, classes, rows, columns
        (B, K); classes and cells are indices.
    """

    scores: Tensor
    classes: Tensor
    rows: Tensor
    columns: Tensor


def peak_radius(sizes: Tensor, overlap: float = OVERLAP) -> Tensor:
    """How far the corners of boxes may be moved, each in any direction, so that an IoU of `overlap` remains.

    The smallest of three: both corners are moved the same way, or inwards, or outwards. Each is the root of a quadratic
    equation. (CornerNet's code solves the last two otherwise, and finds larger radii.)

    Parameters
    ----------
    sizes
        (N, 2) height and width, in cells.
    overlap
        Between 0 and 1.

    Returns
    -------
    Tensor
        (N,), in cells; 0 for boxes without area.
    """
    total, area = sizes.sum(1), sizes.prod(1)

    def smaller_root(a: float, b: Tensor, c: Tensor) -> Tensor:
        """The smaller positive solution of a r² - b r + c = 0."""
        return 2 * c / (b + (b * b - 4 * a * c).clamp(min=0).sqrt()).clamp(min=1e-9)

    shifted = smaller_root(1, total, area * (1 - overlap) / (1 + overlap))
    shrunk = smaller_root(4, 2 * total, area * (1 - overlap))
    grown = smaller_root(-4 * overlap, 2 * overlap * total, area * (1 - overlap))
    return torch.stack([shifted, shrunk, grown]).amin(0)


def draw_peaks(cells: Tensor, labels: Tensor, sizes: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The heat map that a network should put out: a Gaussian around each object, the larger one where two meet.

    Parameters
    ----------
    cells
        (N, 2) int64: row and column of each object.
    labels
        (N,) int64: its class.
    sizes
        (N, 2): its height and width in cells. Its `peak_radius`, rounded down, is where its Gaussian ends, at three
        standard deviations.
    shape
        Classes, rows and columns of the map.

    Returns
    -------
    Tensor
        Of this shape, in [0, 1]; 1 in the cells of objects and nowhere else.
    """
    _, rows, columns = shape
    radius = peak_radius(sizes).floor()[:, None, None]
    dy = torch.arange(rows, device=cells.device)[None, :, None] - cells[:, 0, None, None]
    dx = torch.arange(columns, device=cells.device)[None, None] - cells[:, 1, None, None]
    deviation = (2 * radius + 1) / 6
    blobs = (-(dx * dx + dy * dy) / (2 * deviation**2)).exp()
    blobs = blobs * ((dx.abs() <= radius) & (dy.abs() <= radius))
    planes = labels[:, None, None].expand_as(blobs)
    return blobs.new_zeros(shape).scatter_reduce(0, planes, blobs, "amax")


def peak_loss(logits: Tensor, heat: Tensor, focus: float = 2.0, relief: float = 4.0) -> Tensor:
    """The focal loss of heat maps, over the number of peaks.

    Parameters
    ----------
    logits
        What the network puts out, before the sigmoid; any shape.
    heat
        What it should put out, see `draw_peaks`; of the same shape.
    focus
        Power of the error by which each cell's loss is weighted: what is nearly right counts little.
    relief
        Power of the distance from a peak by which the loss of cells around it is weighted.

    Returns
    -------
    Tensor
        A number; without any peak, the sum over cells.
    """
    peak = heat == 1
    found = logits.sigmoid()
    missed = (1 - found) ** focus * F.logsigmoid(logits)
    imagined = (1 - heat) ** relief * found**focus * F.logsigmoid(-logits)
    return -torch.where(peak, missed, imagined).sum() / peak.sum().clamp(min=1)


def pick_peaks(heat: Tensor, count: int) -> Peaks:
    """The best cells that none of their eight neighbours in the plane of their class exceeds.

    Parameters
    ----------
    heat
        (B, C, H, W), at least 0; of equal cells that touch, all are peaks.
    count
        How many peaks of an image to pick, of all classes together; at most C · H · W. Where there are fewer peaks, the
        others have a score of 0.
    """
    _, _, rows, columns = heat.shape
    peaks = torch.where(F.max_pool2d(heat, 3, 1, padding=1) == heat, heat, torch.zeros_like(heat))
    scores, places = peaks.flatten(1).topk(count)
    cells = places % (rows * columns)
    return Peaks(scores, places // (rows * columns), cells // columns, cells % columns)


def gather_cells(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The values (B, K, C) of maps (B, C, H, W) in K cells of each image, by rows and columns (B, K)."""
    images = torch.arange(len(maps), device=maps.device)[:, None]
    return maps[images, :, rows, columns]
