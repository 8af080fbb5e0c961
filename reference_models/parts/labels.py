"""Labels of pixels: how a network says them, what it learns from them, and how they are read off."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from reference_models.parts.backbones import ResNet
from reference_models.parts.blocks import ConvNorm, init_he

VOID = 255
"""Label of pixels without a class."""


def label_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross entropy of the pixels that have a class; 0 where none has.

    Parameters
    ----------
    logits
        (B, classes, H, W).
    labels
        (B, H, W) int64, `VOID` where there is no class.
    """
    total = F.cross_entropy(logits, labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def label_maps(logits: Tensor, sizes: Sequence[tuple[int, int]] | None = None) -> list[Tensor]:
    """The likeliest class of every pixel, (h, w) int64 of each image.

    Parameters
    ----------
    logits
        (B, classes, H, W).
    sizes
        Height and width of each image, where the batch fills images up at the right and at the bottom; None: all are
        full.
    """
    labels = logits.argmax(1)
    whole = (labels.shape[1], labels.shape[2])
    cut = sizes or [whole] * len(labels)
    return [own[:height, :width] for own, (height, width) in zip(labels, cut, strict=True)]


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Maps (B, C, h, w) in the height and width of others, by linear interpolation between the centres of cells."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


class LabelHead(nn.Sequential):
    """Scores of classes for every cell of a map: a 3 × 3 convolution to a fourth of the channels, and one of 1 × 1.

    Parameters
    ----------
    channels
        Of the map.
    classes
        Scores of a cell.
    """

    def __init__(self, channels: int, classes: int) -> None:
        scores = nn.Conv2d(channels // 4, classes, 1)
        super().__init__(ConvNorm(channels, channels // 4), scores)
        self.apply(init_he)
        nn.init.normal_(scores.weight, std=0.01)  # undecided at first


class DilatedNetwork(nn.Module):
    """Scores of classes for every pixel: a residual network that dilates its kernels where it would halve its maps once
    more, a head on the last map, and enlarging by interpolation.

    Parameters
    ----------
    backbone
        Makes the maps.
    head
        Scores of the last map, (B, C, h, w) to (B, classes, h, w).
    auxiliary
        As `head`, of the map before the last; it shortens the way that gradients have to go, and nothing else reads
        it. None: there is no such head.

    References
    ----------
    Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully
    Connected CRFs", TPAMI 2018; the second head: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
    """

    AUXILIARY_WEIGHT = 0.5

    def __init__(self, backbone: ResNet, head: nn.Module, auxiliary: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.auxiliary = auxiliary

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``logits`` (B, classes, H, W) of images (B, 3, H, W), and those of the second head as ``auxiliary``."""
        maps = self.backbone(images)
        raw = {"logits": enlarged(self.head(maps[-1]), images)}
        if self.auxiliary is not None:
            raw["auxiliary"] = enlarged(self.auxiliary(maps[-2]), images)
        return raw

    def loss(self, raw: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The cross entropy of each head for labels (B, H, W); that of the second one counts half."""
        terms = {"labels": label_entropy(raw["logits"], labels)}
        if "auxiliary" in raw:
            terms["auxiliary"] = self.AUXILIARY_WEIGHT * label_entropy(raw["auxiliary"], labels)
        return terms
