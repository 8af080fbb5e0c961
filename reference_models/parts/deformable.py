"""Convolutions that choose where to look."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_models.parts.blocks import init_he


class DeformableConv(nn.Module):
    """A convolution whose taps are moved, and weighted, by what another convolution finds in each cell.

    Before training, taps stand where those of a convolution do, at half of the weight if they are weighted. Values
    between cells are bilinear, and 0 outside of the map.

    Parameters
    ----------
    in_channels, out_channels
        Channels read and written.
    kernel
        Side of the kernel, odd. The size of the map stays.
    weighted
        Taps are weighted as well, as of the second version.
    bias
        Add a bias; what moves the taps has one in any case.

    References
    ----------
    Dai et al., "Deformable Convolutional Networks", ICCV 2017; with weights: Zhu, Hu, Lin and Dai, "Deformable ConvNets
    v2: More Deformable, Better Results", CVPR 2019.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, *, weighted: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.weighted = weighted
        self.weigh_and_move = nn.Conv2d(in_channels, (2 + weighted) * kernel**2, kernel, padding=kernel // 2)
        for parameter in self.weigh_and_move.parameters():
            nn.init.zeros_(parameter)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)
        init_he(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H, W)."""
        batch, channels, height, width = x.shape
        taps = self.kernel**2
        found = self.weigh_and_move(x).view(batch, -1, taps, height, width)
        columns = self._place(found[:, 0], width, -1)
        rows = self._place(found[:, 1], height, -2)
        grid = torch.stack([columns, rows], -1).view(batch, taps * height, width, 2)
        values = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False).view(
            batch, channels, *found.shape[2:]
        )
        if self.weighted:
            values = values * found[:, 2].sigmoid()[:, None]
        summed: Tensor = self.conv.weight.flatten(1) @ values.view(batch, channels * taps, height * width)
        if self.conv.bias is not None:
            summed = summed + self.conv.bias[:, None]
        return summed.view(batch, -1, height, width)

    def _place(self, moved: Tensor, side: int, axis: int) -> Tensor:
        """Where taps (B, T, H, W) stand along an axis of `side` cells, from -1 to 1 over the map.

        Parameters
        ----------
        moved
            By how many cells each is moved.
        side
            Cells along the axis.
        axis
            -1 for columns, -2 for rows; taps are numbered row by row.
        """
        steps = torch.arange(self.kernel, device=moved.device) - self.kernel // 2
        tap = steps.repeat(self.kernel) if axis == -1 else steps.repeat_interleave(self.kernel)
        cell = torch.arange(side, device=moved.device)
        cell = cell if axis == -1 else cell[:, None]
        return (2 * (cell + tap[:, None, None] + moved) + 1) / side - 1
