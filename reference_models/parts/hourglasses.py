"""The hourglass: down to a small map and up again, with a branch at every size that keeps what this size shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]
"""Makes a block from its channels in, its channels out and its stride."""


class Hourglass(nn.Module):
    """One hourglass over several sizes, each half the one before.

    At each size but the smallest, one branch stays, and the other one goes down to the next size, through the rest of
    the hourglass and up again; the two are added.

    Parameters
    ----------
    widths
        Channels at each size, from the full one to the smallest.
    depths
        Blocks of each of the three ways at this size: that stay, that go down, that come up; of the smallest size its
        blocks.
    block
        Makes each block.
    pool
        Go down by max pooling; otherwise the first block that goes down has a stride of 2.

    References
    ----------
    Newell, Yang and Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; without pooling: Law and
    Deng, "CornerNet: Detecting Objects as Paired Keypoints", ECCV 2018.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], block: Block, *, pool: bool) -> None:
        super().__init__()
        width, below, depth = widths[0], widths[1], depths[0]
        self.stay = _chain(block, [width] * (depth + 1))
        down = _chain(block, [width] + [below] * depth, stride=1 if pool else 2)
        self.down = nn.Sequential(nn.MaxPool2d(2), down) if pool else down
        smallest = len(widths) == 2
        self.inner: nn.Module = (
            _chain(block, [below] * (depths[1] + 1))
            if smallest
            else Hourglass(widths[1:], depths[1:], block, pool=pool)
        )
        self.up = _chain(block, [below] * depth + [width])

    def forward(self, x: Tensor) -> Tensor:
        """(N, widths[0], H, W) to the same shape."""
        inner = self.up(self.inner(self.down(x)))
        kept: Tensor = self.stay(x)
        return kept + F.interpolate(inner, size=kept.shape[2:], mode="nearest")


def _chain(block: Block, widths: list[int], stride: int = 1) -> nn.Sequential:
    """Blocks from each width to the next; the first has the stride."""
    strides = [stride] + [1] * (len(widths) - 2)
    return nn.Sequential(*map(block, widths, widths[1:], strides))
