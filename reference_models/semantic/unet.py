"""U-Net: a contracting path that sees the context, an expanding path that says where, and copies between the two.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.blocks import Norm, init_he
from reference_models.parts.labels import label_entropy, label_maps

_DEFINITION = "counted by hand from the definition in the paper"

CARD = Card(
    name="unet",
    title="U-Net",
    field="semantic",
    citation=(
        'Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015'
    ),
    published=(
        Published("params", 31_031_810, "count", conditions="channels=3;classes=2", source=_DEFINITION, verified="yes"),
        Published(
            quantity="macs",
            value=48.17158144,
            unit="GMACs",
            input="1x3x256x256",
            conditions="channels=3;classes=2;padded",
            source=_DEFINITION,
            verified="yes",
        ),
        Published(
            quantity="accuracy",
            value=0.92,
            unit="ratio",
            metric="IoU",
            dataset="PhC-U373",
            source="paper",
            verified="memory",
        ),
        Published(
            quantity="accuracy",
            value=0.000353,
            unit="ratio",
            metric="warping error",
            dataset="ISBI EM segmentation",
            source="paper",
            verified="memory",
        ),
        Published(
            quantity="latency",
            value=1,
            unit="s",
            input="512x512",
            conditions="batch=1; less than a second",
            source="paper",
            verified="memory",
        ),
    ),
    deviations=(
        "Images have three channels, and convolutions are padded, so that every pixel gets a class.",
        "The network of the paper is an option: in_channels=1, padded=False.",
        "No dropout at the end of the contracting path.",
        "The loss does not weigh pixels by their distance from borders between cells.",
        "nano: an eighth of the widths, and batch norms.",
    ),
)


class UNet(Model):
    """Says the class of every pixel.

    Parameters
    ----------
    widths
        Channels at each size, from the full one; each is half of the one before.
    classes
        Kinds of pixels.
    spec
        What the model is counted on.
    in_channels
        Channels of images.
    padded
        Keep the size of images, at any size. Otherwise every convolution makes maps 2 pixels smaller, only the middle
        of an image gets classes, and sizes have to be chosen so that every map that is halved is even.
    norm
        Makes a norm behind each convolution; None, as in the paper, has none.
    """

    def __init__(
        self,
        widths: Sequence[int],
        classes: int,
        spec: CountSpec,
        *,
        in_channels: int = 3,
        padded: bool = True,
        norm: Norm | None = None,
    ) -> None:
        super().__init__(spec)
        self.step = 2 ** (len(widths) - 1) if padded else 1
        inputs = [in_channels, *widths[:-1]]
        self.contracting = nn.ModuleList(_pair(a, b, padded, norm) for a, b in zip(inputs, widths, strict=True))
        steps = [*zip(widths[:0:-1], widths[-2::-1], strict=True)]
        self.enlarging = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, 2) for coarse, fine in steps)
        self.expanding = nn.ModuleList(_pair(2 * fine, fine, padded, norm) for _, fine in steps)
        self.classify = nn.Conv2d(widths[0], classes, 1)
        self.apply(init_he)

    def forward(self, images: Tensor) -> Raw:
        """Logits (B, classes, H, W), of the middle of images where convolutions are not padded."""
        height, width = images.shape[-2:]
        x = F.pad(self.normalized(images), (0, -width % self.step, 0, -height % self.step))
        copies: list[Tensor] = []
        for pair in self.contracting:
            x = pair(F.max_pool2d(x, 2) if copies else x)
            copies.append(x)
        for enlarge, pair, copy in zip(self.enlarging, self.expanding, copies[-2::-1], strict=True):
            x = enlarge(x)
            x = pair(torch.cat([_middle(copy, x), x], 1))
        return {"logits": self.classify(x)[:, :, :height, :width]}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The label map of each image."""
        return [{"labels": labels} for labels in label_maps(raw["logits"], sizes)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The cross entropy of the pixels that have a class."""
        return {"labels": label_entropy(raw["logits"], torch.stack([target["labels"] for target in targets]))}


def _pair(in_channels: int, out_channels: int, padded: bool, norm: Norm | None) -> nn.Sequential:
    """Two 3 × 3 convolutions, each with a ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=int(padded), bias=norm is None)]
        layers += [*([norm(out_channels)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers)


def _middle(x: Tensor, like: Tensor) -> Tensor:
    """The middle of maps (B, C, H, W), as large as others."""
    (height, width), (rows, columns) = x.shape[-2:], like.shape[-2:]
    top, left = (height - rows) // 2, (width - columns) // 2
    return x[:, :, top : top + rows, left : left + columns]


def build(
    size: Literal["nano", "paper"] = "nano",
    *,
    classes: int | None = None,
    in_channels: int = 3,
    padded: bool = True,
) -> UNet:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` has the widths of the paper.
    classes
        Kinds of pixels; None for the 14 of the scenes, or the 2 of the paper.
    in_channels, padded
        As in `UNet`.
    """
    if size == "paper":
        spec = CountSpec((1, in_channels, 256, 256) if padded else (1, in_channels, 572, 572))
        return UNet((64, 128, 256, 512, 1024), classes or 2, spec, in_channels=in_channels, padded=padded)
    spec = CountSpec((1, in_channels, 128, 128))
    return UNet((8, 16, 32, 64, 128), classes or 14, spec, in_channels=in_channels, padded=padded, norm=nn.BatchNorm2d)
