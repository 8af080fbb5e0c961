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


def init_he(module: nn.Module) -> None:
    """Draw the weights of a convolution so that signals keep their scale through ReLUs; leave other modules alone.

    For `torch.nn.Module.apply`. A deep network without norms does not learn from smaller weights.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


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


class ConvNorm(nn.Sequential):
    """A convolution, its norm and its activation.

    Parameters
    ----------
    in_channels, out_channels
        Channels read and written.
    kernel
        Side of the kernel, odd. Padding keeps the size, or divides it by `stride`, rounding up.
    stride, groups, dilation
        As in `torch.nn.Conv2d`.
    norm
        Makes the norm.
    activation
        Makes the activation; None for a linear output.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        padding = dilation * (kernel // 2)
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)
        layers = [conv, norm(out_channels)]
        super().__init__(*layers, *([activation()] if activation else []))


class ConvBlock(nn.Sequential):
    """A convolution and its activation, with a bias, or with a norm between them where a small network needs one.

    Parameters
    ----------
    in_channels, out_channels
        Channels read and written.
    kernel
        Side of the kernel.
    stride, groups, dilation
        As in `torch.nn.Conv2d`.
    padding
        None keeps the size, or divides it by `stride`, rounding up, if the kernel is odd.
    norm
        Makes the norm, which takes the place of the bias; None, as in networks before batch norms, has none.
    activation
        Makes the activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        padding: int | None = None,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        if padding is None:
            padding = dilation * (kernel // 2)
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=norm is None)
        super().__init__(conv, *([norm(out_channels)] if norm else []), activation())


class Residual(nn.Module):
    """Adds a short cut to what layers make of the input: ``relu(layers(x) + shortcut(x))``.

    The short cut is the input itself, and a 1 × 1 convolution with a norm where the shape changes.

    Parameters
    ----------
    layers
        The residual branch, without its last activation.
    in_channels, out_channels
        Channels that the branch reads and writes.
    stride
        Of the branch.
    norm
        Makes the norm of the short cut.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(
        self, layers: nn.Module, in_channels: int, out_channels: int, stride: int, norm: Norm = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        same = stride == 1 and in_channels == out_channels
        self.layers = layers
        self.shortcut: nn.Module = (
            nn.Identity() if same else ConvNorm(in_channels, out_channels, 1, stride, norm=norm, activation=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return F.relu(self.layers(x) + self.shortcut(x))


class BasicBlock(Residual):
    """Two 3 × 3 convolutions: the block of ResNet-18 and 34.

    Parameters
    ----------
    in_channels
        Channels of the input.
    width
        Channels of both convolutions and of the output.
    stride
        Of the first convolution.
    dilations
        How far apart neighbours lie in the input and after the first convolution.
    norm
        Makes each norm.
    """

    expansion = 1
    """Channels of the output for each of `width`."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        layers = nn.Sequential(
            ConvNorm(in_channels, width, 3, stride, dilation=dilations[0], norm=norm),
            ConvNorm(width, width, 3, dilation=dilations[1], norm=norm, activation=None),
        )
        super().__init__(layers, in_channels, width, stride, norm)


class Bottleneck(Residual):
    """A 3 × 3 convolution between two of 1 × 1: the block of ResNet-50 and deeper ones.

    The stride is in the 3 × 3 convolution, which reads every pixel; the paper has it in the first 1 × 1, which skips
    three of four. Parameters are the same, multiply-accumulates are not: the paper's are fewer.

    Parameters
    ----------
    in_channels
        Channels of the input.
    width
        Channels of the first two convolutions; the output has four times as many.
    stride
        Of the 3 × 3 convolution.
    dilations
        How far apart neighbours lie in the input, and after the 3 × 3 convolution; nothing there looks at neighbours.
    norm
        Makes each norm.
    """

    expansion = 4
    """Channels of the output for each of `width`."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        out_channels = width * self.expansion
        layers = nn.Sequential(
            ConvNorm(in_channels, width, 1, norm=norm),
            ConvNorm(width, width, 3, stride, dilation=dilations[0], norm=norm),
            ConvNorm(width, out_channels, 1, norm=norm, activation=None),
        )
        super().__init__(layers, in_channels, out_channels, stride, norm)
