"""Backbones: networks that turn images into feature maps.

Each has a width for every stage, so that a published network and a small one are the same code, and a form with a
classifier, whose published parameter count holds the backbone to its paper.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from reference_models.parts.blocks import BasicBlock, Bottleneck, ConvBlock, ConvNorm, Norm, init_he


class Backbone(nn.Module):
    """Turns images (N, 3, H, W) into feature maps, a list of one per stage, from fine to coarse.

    Attributes
    ----------
    channels
        Channels of each map.
    strides
        Pixels of the image from one cell of a map to the next.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]


class Classifier(nn.Module):
    """Scores of classes from the last map of a backbone.

    Parameters
    ----------
    backbone
        Makes the maps.
    head
        Turns the last one, (N, C, h, w), into scores.
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to scores (N, classes)."""
        scores: Tensor = self.head(self.backbone(images)[-1])
        return scores


class ResNet(Backbone):
    """A residual network: a stem and stages of blocks. The maps of the four published stages are known as C2 to C5.

    Parameters
    ----------
    block
        `BasicBlock` or `Bottleneck`.
    depths
        Blocks of each stage.
    widths
        Width of the blocks of each stage; the stem has that of the first.
    stem_kernel
        Side of the stem's kernel.
    stem_pool
        Halve the size once more after the stem.
    output_stride
        Stride from which on stages dilate their kernels instead of halving the size. Where each stage is wider than the
        last one, weights are those of the undilated network, and maps have its values and others between them. None
        never dilates.
    norm
        Makes each norm.

    Raises
    ------
    ValueError
        No stage has the `output_stride`.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016. Dilation: Yu, Koltun and
    Funkhouser, "Dilated Residual Networks", CVPR 2017.

    Examples
    --------
    >>> trunk = ResNet(BasicBlock, depths=(1, 1), widths=(16, 32))
    >>> [tuple(fmap.shape) for fmap in trunk(torch.zeros(1, 3, 64, 64))]
    [(1, 16, 16, 16), (1, 32, 8, 8)]
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: Sequence[int],
        widths: Sequence[int] = (64, 128, 256, 512),
        *,
        stem_kernel: int = 7,
        stem_pool: bool = True,
        output_stride: int | None = None,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        stride = 4 if stem_pool else 2
        undilated = [stride * 2**stage for stage in range(len(depths))]
        if output_stride not in (None, *undilated):
            raise ValueError(f"output_stride: {output_stride}; the stages have strides of {undilated}")
        self.strides = tuple(min(full, output_stride or full) for full in undilated)
        self.channels = tuple(width * block.expansion for width in widths)

        stem = ConvNorm(3, widths[0], stem_kernel, 2, norm=norm)
        self.stem = nn.Sequential(stem, nn.MaxPool2d(3, 2, padding=1)) if stem_pool else stem
        self.stages = nn.ModuleList()
        channels, dilation = widths[0], 1
        for depth, width, full, kept in zip(depths, widths, undilated, self.strides, strict=True):
            before, dilation = dilation, full // kept
            blocks = [block(channels, width, kept // stride, (before, dilation), norm)]
            channels, stride = width * block.expansion, kept
            blocks += [block(channels, width, 1, (dilation, dilation), norm) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
        self.apply(init_he)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to one map (N, channels[i], H / strides[i], W / strides[i]) per stage, sizes rounded up."""
        x = self.stem(images)
        return [x := stage(x) for stage in self.stages]


def resnet(depth: int, *, output_stride: int | None = None, norm: Norm = nn.BatchNorm2d) -> ResNet:
    """The published residual network of 18, 34, 50 or 101 layers, without its classifier.

    Parameters
    ----------
    depth
        Layers with weights, the classifier among them.
    output_stride, norm
        As in `ResNet`.

    Raises
    ------
    ValueError
        No such `depth` is published, or `output_stride` is none of 4, 8, 16 and 32.
    """
    if depth not in _RESNETS:
        raise ValueError(f"depth: {depth}; there are {', '.join(map(str, _RESNETS))}")
    block, depths = _RESNETS[depth]
    return ResNet(block, depths, output_stride=output_stride, norm=norm)


_RESNETS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


def resnet_classifier(backbone: ResNet, classes: int = 1000) -> Classifier:
    """The classifier of the paper: the mean of the last map, and one fully connected layer."""
    layers = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(backbone.channels[-1], classes)]
    return Classifier(backbone, nn.Sequential(*layers))


class VGG(Backbone):
    """A stack of 3 × 3 convolutions in stages, with max pooling between them; the maps are taken before each pool.

    Parameters
    ----------
    depths
        Convolutions of each stage.
    widths
        Channels of each stage.
    norm
        Makes a norm behind every convolution; None, as in the paper, has none.
    ceil_mode
        Round odd sizes up when they are halved.

    Attributes
    ----------
    pool
        The pooling between stages, for models that continue with it from a map.

    References
    ----------
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

    Examples
    --------
    >>> trunk = VGG(depths=(1, 2), widths=(8, 16))
    >>> [tuple(fmap.shape) for fmap in trunk(torch.zeros(1, 3, 16, 16))]
    [(1, 8, 16, 16), (1, 16, 8, 8)]
    """

    def __init__(
        self, depths: Sequence[int], widths: Sequence[int], *, norm: Norm | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.strides = tuple(2**stage for stage in range(len(depths)))
        self.pool = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.stages = nn.ModuleList()
        channels = 3
        for depth, width in zip(depths, widths, strict=True):
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), *([norm(width)] if norm else []), nn.ReLU()]
                channels = width
            self.stages.append(nn.Sequential(*layers))
        self.apply(init_he)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to one map (N, channels[i], H / strides[i], W / strides[i]) per stage, sizes rounded down
        unless `ceil_mode`.
        """
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(self.pool(maps[-1]) if maps else images))
        return maps


def vgg16(*, norm: Norm | None = None, ceil_mode: bool = False) -> VGG:
    """The published network of 16 layers, without its three fully connected ones; parameters as in `VGG`."""
    return VGG((2, 2, 3, 3, 3), (64, 128, 256, 512, 512), norm=norm, ceil_mode=ceil_mode)


def vgg_classifier(backbone: VGG, classes: int = 1000, width: int = 4096) -> Classifier:
    """The classifier of the paper: the last map, pooled to 7 × 7 cells, and three fully connected layers.

    Parameters
    ----------
    backbone
        Makes the map.
    classes
        Scores put out.
    width
        Outputs of the first two layers.
    """
    return _connected(backbone, nn.MaxPool2d(2), 7, width, classes, 0.5)


class AlexNet(Backbone):
    """Five convolutions in three stages, with max pooling between them; the maps are taken before each pool.

    Parameters
    ----------
    widths
        Channels of each convolution.
    stem_kernel, stem_stride
        Of the first convolution, which is not padded.
    groups
        Parts of the second, fourth and fifth convolution that see nothing of each other; in the paper each of two is on
        a device of its own.
    norm
        Makes a norm for every convolution; None, as in the paper, has local response norms behind the first two.

    Attributes
    ----------
    pool
        The pooling between stages, for models that continue with it from a map.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012.

    Examples
    --------
    >>> trunk = AlexNet((8, 8, 8, 8, 12), stem_kernel=5, stem_stride=2)
    >>> [tuple(fmap.shape) for fmap in trunk(torch.zeros(1, 3, 64, 64))]
    [(1, 8, 30, 30), (1, 8, 14, 14), (1, 12, 6, 6)]
    """

    def __init__(
        self,
        widths: Sequence[int] = (96, 256, 384, 384, 256),
        *,
        stem_kernel: int = 11,
        stem_stride: int = 4,
        groups: int = 2,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        first, second, third, fourth, fifth = widths
        self.channels = (first, second, fifth)
        self.strides = (stem_stride, 2 * stem_stride, 4 * stem_stride)
        self.pool = nn.MaxPool2d(3, 2)
        stages = [
            [ConvBlock(3, first, stem_kernel, stem_stride, padding=0, norm=norm)],
            [ConvBlock(first, second, 5, groups=groups, norm=norm)],
            [
                ConvBlock(second, third, norm=norm),
                ConvBlock(third, fourth, groups=groups, norm=norm),
                ConvBlock(fourth, fifth, groups=groups, norm=norm),
            ],
        ]
        if norm is None:
            for stage in stages[:2]:  # torch takes the mean of 5 squares, the paper the sum with 1e-4
                stage[0].append(nn.LocalResponseNorm(5, alpha=5e-4, k=2.0))
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.apply(init_he)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to one map (N, channels[i], h, w) per stage; no convolution or pool reads beyond borders but
        those that keep the size.
        """
        first, second, third = self.stages
        maps = [first(images)]
        maps.append(second(self.pool(maps[-1])))
        maps.append(third(self.pool(maps[-1])))
        return maps


def alexnet_classifier(
    backbone: AlexNet, classes: int = 1000, width: int = 4096, *, cells: int = 6, dropout: float = 0.5
) -> Classifier:
    """The classifier of the paper: the last map, pooled to 6 × 6 cells, and three fully connected layers.

    Parameters
    ----------
    backbone
        Makes the map.
    classes
        Scores put out.
    width
        Outputs of the first two layers.
    cells
        Side of the pooled map.
    dropout
        Share of what these two put out that is hidden in training.
    """
    return _connected(backbone, backbone.pool, cells, width, classes, dropout)


def _connected(backbone: Backbone, pool: nn.Module, cells: int, width: int, classes: int, dropout: float) -> Classifier:
    """Three fully connected layers on the last map, pooled to cells × cells."""
    layers: list[nn.Module] = [pool, nn.AdaptiveAvgPool2d(cells), nn.Flatten()]
    for inputs in (backbone.channels[-1] * cells**2, width):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
    return Classifier(backbone, nn.Sequential(*layers, nn.Linear(width, classes)))
