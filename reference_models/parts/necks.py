"""Necks: networks between a backbone and its heads, which turn feature maps into other feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from reference_models.parts.blocks import init_he


class FPN(nn.Module):
    """A feature pyramid: what coarse maps know is handed down to the finer ones. The maps are known as P2, P3, …

    Each map is brought to one width by a 1 × 1 convolution; from the coarsest one down, each is enlarged and added to
    the next finer one, and a 3 × 3 convolution smooths the sums.

    Parameters
    ----------
    in_channels
        Channels of the maps that are read, from fine to coarse.
    channels
        Channels of every map that is put out.

    References
    ----------
    Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.

    Examples
    --------
    >>> pyramid = FPN((8, 16), channels=4)
    >>> [tuple(fmap.shape) for fmap in pyramid([torch.zeros(1, 8, 7, 7), torch.zeros(1, 16, 4, 4)])]
    [(1, 4, 7, 7), (1, 4, 4, 4)]
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        self.apply(init_he)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, in_channels[i], h[i], w[i]), from fine to coarse, to as many of (N, channels, h[i], w[i])."""
        sums = [lateral(fmap) for lateral, fmap in zip(self.laterals, maps, strict=True)]
        for fine in range(len(sums) - 2, -1, -1):
            sums[fine] = sums[fine] + F.interpolate(sums[fine + 1], size=sums[fine].shape[2:], mode="nearest")
        return [output(fmap) for output, fmap in zip(self.outputs, sums, strict=True)]


class CoarserMaps(nn.Module):
    """Goes on with a pyramid to coarser maps, each made from the one before by a 3 × 3 convolution of stride 2.

    Parameters
    ----------
    channels
        Of every map.
    count
        Maps to add.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection", ICCV 2017: P6 and P7, with a ReLU
    between the two.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, padding=1) for _ in range(count))
        self.apply(init_he)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, channels, h[i], w[i]), from fine to coarse, and the coarser ones behind them, sizes rounded up."""
        every = list(maps)
        for step, conv in enumerate(self.convs):
            every.append(conv(F.relu(every[-1]) if step else every[-1]))
        return every
