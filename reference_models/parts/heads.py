"""Heads: the last layers of a network, which put out what is wanted."""

from __future__ import annotations

from torch import nn

from reference_models.parts.blocks import init_he


class ConvHead(nn.Sequential):
    """A 3 × 3 convolution, a ReLU, and a 1 × 1 convolution, both with bias.

    Parameters
    ----------
    in_channels, width, out_channels
        Of the input, of what is between, and of the output.
    bias
        The first bias of the output. Of logits of rare things it is negative, so that the many cells without any do not
        drown the rest when training begins.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int, bias: float = 0.0) -> None:
        last = nn.Conv2d(width, out_channels, 1)
        super().__init__(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), last)
        self.apply(init_he)
        nn.init.normal_(last.weight, std=0.01)
        if last.bias is not None:
            nn.init.constant_(last.bias, bias)
