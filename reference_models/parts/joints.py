"""Joints as heat maps: what a network should put out, and where its maps are hottest. A map for each joint.

References
----------
Newell, Yang and Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_joints(places: Tensor, seen: Tensor, size: Sequence[int], deviation: float = 1.0) -> Tensor:
    """The heat maps that a network should put out: a Gaussian at each place.

    Parameters
    ----------
    places
        (J, 2) x, y in cells; cell i spans [i, i + 1).
    seen
        (J,) bool; what is not seen has no peak.
    size
        (height, width) in cells.
    deviation
        The standard deviation of the Gaussian, in cells.

    Returns
    -------
    Tensor
        (J, height, width) in [0, 1].
    """
    y, x = (torch.arange(n, device=places.device) + 0.5 for n in size)
    down, across = (y - places[:, 1:]).square(), (x - places[:, :1]).square()
    heat = (-(down[:, :, None] + across[:, None]) / (2 * deviation**2)).exp()
    return torch.where(seen[:, None, None], heat, torch.zeros_like(heat))


def draw_people(targets: Sequence[dict[str, Tensor]], stride: int, size: Sequence[int]) -> Tensor:
    """The heat maps of one person in each image, (B, J, height, width).

    Parameters
    ----------
    targets
        ``keypoints`` (J, 2) in pixels and ``visible`` (J,) of each person.
    stride
        Pixels from one cell to the next.
    size
        (height, width) in cells.
    """
    return torch.stack([draw_joints(each["keypoints"] / stride, each["visible"] > 0, size) for each in targets])


def hottest(heat: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """The hottest place of each map, moved by a quarter of a cell towards the hotter one of its neighbours.

    Parameters
    ----------
    heat
        (J, h, w).
    stride
        Pixels from one cell to the next.

    Returns
    -------
    tuple of Tensor
        Places (J, 2) as x, y in pixels, and their heat (J,), cut off at 0 and 1.
    """
    width = heat.shape[2]
    score, cell = heat.flatten(1).max(1)
    across, down = torch.zeros_like(heat), torch.zeros_like(heat)  # 0 at the borders: there is one neighbour only
    across[:, :, 1:-1] = heat[:, :, 2:] - heat[:, :, :-2]
    down[:, 1:-1] = heat[:, 2:] - heat[:, :-2]
    moves = (slope.flatten(1).gather(1, cell[:, None])[:, 0].sign() / 4 for slope in (across, down))
    places = [at + 0.5 + move for at, move in zip((cell % width, cell // width), moves, strict=True)]
    return torch.stack(places, 1) * stride, score.clamp(0, 1)


def find_people(
    heats: Sequence[Tensor] | Tensor, stride: int, sizes: Sequence[tuple[int, int]] | None = None
) -> list[dict[str, Tensor]]:
    """The hottest place of each joint of the one person in each image, and how hot it is.

    Parameters
    ----------
    heats
        (J, h, w) of each image.
    stride
        Pixels from one cell to the next.
    sizes
        Height and width of each image, where the batch fills images up at the right and at the bottom; None: all are
        full.

    Returns
    -------
    list of dict
        ``keypoints`` (J, 2) as x, y in pixels, and ``scores`` (J,) in [0, 1].
    """
    if sizes is None:
        return [_person(heat, stride) for heat in heats]
    people = []
    for heat, (height, width) in zip(heats, sizes, strict=True):
        person = _person(heat[:, : -(-height // stride), : -(-width // stride)], stride)
        limit = person["keypoints"].new_tensor([width, height])
        people.append(person | {"keypoints": person["keypoints"].minimum(limit)})
    return people


def _person(heat: Tensor, stride: int) -> dict[str, Tensor]:
    return dict(zip(("keypoints", "scores"), hottest(heat, stride), strict=True))
