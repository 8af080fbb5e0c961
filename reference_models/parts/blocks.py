"""Blocks of a few layers.

Shapes are (N, C, H, W). A convolution with a norm behind it has no bias: the norm would cancel it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Makes the norm for a number of channels."""


class FrozenBatchNorm2d(nn.Module):
    """A batch norm that stays as it was loaded: statistics, scale and shift are buffers.

    Detectors start from a trained backbone and see too few images at once to estimate statistics. The buffers are named
    as in `torch.nn.BatchNorm2d`, whose weights load here; there are no parameters to train or to count.

    Parameters
    ----------
    channels
        Channels of the input.
    eps
        Added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """The input in the loaded scale, of its own shape; the same in training and evaluation."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
