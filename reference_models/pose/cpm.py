"""Convolutional Pose Machines: stages that look at an image and at where the stage before sees each joint.

Wei, Ramakrishna, Kanade and Sheikh, "Convolutional Pose Machines", CVPR 2016.

What is new in the paper: a stage reads features of the image beside the belief maps of the one before, through kernels
so large that every stage sees farther than the last one, so that sure joints help with the doubtful ones; and each
stage has a loss of its own, so that gradients do not vanish on the long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.blocks import ConvBlock, Norm, init_he
from reference_models.parts.joints import draw_joints, draw_people, find_people

_LAYERS = "the layers of the paper, added up"

CARD = Card(
    name="cpm",
    title="Convolutional Pose Machines",
    field="pose",
    citation='Wei, Ramakrishna, Kanade and Sheikh, "Convolutional Pose Machines", CVPR 2016',
    published=(
        Published(*("params", 31_219_866, "count"), conditions="joints=14;stages=6", source=_LAYERS, verified="yes"),
        Published(
            *("macs", 175.43772928, "GMACs"),
            input="1x3x368x368",
            conditions="joints=14;stages=6",
            source=_LAYERS,
            verified="yes",
        ),
        Published(*("accuracy", 88.5, "%"), "PCKh@0.5", "MPII test", source="paper", verified="memory"),
        Published(*("accuracy", 90.5, "%"), "PCK", "LSP", source="paper", verified="memory"),
    ),
    deviations=(
        "The person that is meant is in the middle of the image, and so is the peak of the centre map.",
        "Peaks to learn have a standard deviation of one cell; the background is what no peak covers.",
        "The error is summed over cells, and the mean is taken over joints and images; the paper sums all.",
        "Joints are moved by a quarter of a cell towards the hotter neighbour, as by Stacked Hourglass.",
        "paper: the 351 GFLOPs that others print (from memory) are its 175.4 GMACs, at two FLOPs each.",
        "nano: three stages, 5 × 5 kernels in place of 9 × 9 and 11 × 11, and narrow convolutions with batch norms.",
        "nano: two poolings in place of three, for a stride of 4.",
    ),
)

CENTRE = 21 / 368
"""Standard deviation of the peak in the centre map, in sides of the image."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network; those of the paper by default.

    Attributes
    ----------
    joints
        Of a person.
    stages
        One after another.
    trunk
        Channels of the convolutions that read the image.
    pools
        So many of these are followed by a pooling.
    kernel
        Side of their kernels, and of the largest one of the first stage.
    features
        Channels in which a stage gets to know what the image shows.
    first
        Width of the first stage.
    width
        Of the later stages.
    reach
        Side of their kernels.
    norm
        Makes a norm behind each hidden convolution; None, as in the paper, has none.
    """

    joints: int = 14
    stages: int = 6
    trunk: tuple[int, ...] = (128, 128, 128)
    pools: int = 3
    kernel: int = 9
    features: int = 32
    first: int = 512
    width: int = 128
    reach: int = 11
    norm: Norm | None = None


PAPER = Config()
NANO = Config(
    stages=3,
    trunk=(12, 24, 32),
    pools=2,
    kernel=5,
    features=16,
    first=64,
    width=24,
    reach=5,
    norm=nn.BatchNorm2d,
)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> PoseMachine:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return PoseMachine(replace(PAPER, **options), CountSpec((1, 3, 368, 368)))
    return PoseMachine(replace(NANO, **options), CountSpec((1, 3, 64, 64)))


class Belief(nn.Sequential):
    """How much is believed of every cell that a joint is there, or background; at first all is background.

    Parameters
    ----------
    config
        Sizes.
    width
        Channels of the map that is read.
    """

    def __init__(self, config: Config, width: int) -> None:
        last = nn.Conv2d(width, config.joints + 1, 1)
        super().__init__(ConvBlock(width, width, 1, norm=config.norm), last)
        self.apply(init_he)
        nn.init.normal_(last.weight, std=0.01)
        if last.bias is not None:
            nn.init.constant_(last.bias[-1:], 1.0)


class Stage(nn.Module):
    """Says where joints are, from the image and from what the stage before said.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.features = ConvBlock(config.trunk[-1], config.features, 5, norm=config.norm).apply(init_he)
        widths = [config.features + config.joints + 2, width, width, width]
        large = [ConvBlock(a, b, config.reach, norm=config.norm).apply(init_he) for a, b in pairwise(widths)]
        self.belief = nn.Sequential(*large, Belief(config, width))

    def forward(self, seen: Tensor, belief: Tensor, centre: Tensor) -> Tensor:
        """What the trunk sees (B, C, h, w), belief (B, joints + 1, h, w) and centre map (B, 1, h, w) to new belief."""
        new: Tensor = self.belief(torch.cat([self.features(seen), belief, centre], 1))
        return new


class PoseMachine(Model):
    """Belief maps of the joints of the person in an image, and of the background.

    Parameters
    ----------
    config
        Sizes.
    spec
        What it is counted on.
    """

    def __init__(self, config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        self.stride, width, norm = 2**config.pools, config.first, config.norm
        self.trunk = _trunk(config)
        self.first = nn.Sequential(
            ConvBlock(config.trunk[-1], config.features, 5, norm=norm).apply(init_he),
            ConvBlock(config.features, width, config.kernel, norm=norm).apply(init_he),
            Belief(config, width),
        )
        self.later_trunk = _trunk(config) if config.stages > 1 else nn.Identity()  # of all later stages
        self.later = nn.ModuleList(Stage(config) for _ in range(1, config.stages))

    def forward(self, images: Tensor) -> Raw:
        """What each stage believes, (B, stages, joints + 1, h, w); the background is last."""
        x = self.normalized(images)
        beliefs = [self.first(self.trunk(x))]
        seen, size = self.later_trunk(x), beliefs[0].shape[2:]
        middle = x.new_tensor([[x.shape[3], x.shape[2]]]) / (2 * self.stride)
        deviation = CENTRE * max(x.shape[2:]) / self.stride
        centre = draw_joints(middle, torch.ones_like(middle[:, 0]) > 0, size, deviation).expand(len(x), 1, *size)
        for stage in self.later:
            beliefs.append(stage(seen, beliefs[-1], centre))
        return {"beliefs": torch.stack(beliefs, 1)}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The place of each joint that the last stage believes in most, and how much, in [0, 1]."""
        return [*find_people(raw["beliefs"][:, -1, :-1], self.stride, sizes)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The squared error of all stages, summed over cells; joints that are not seen are nowhere."""
        beliefs = raw["beliefs"]  # (B, S, J + 1, h, w)
        joints = draw_people(targets, self.stride, beliefs.shape[3:]).to(beliefs)
        expected = torch.cat([joints, 1 - joints.amax(1, keepdim=True)], 1)
        wrong = (beliefs - expected[:, None]).square().sum((3, 4))
        return {"beliefs": wrong.mean((0, 2)).sum()}


def _trunk(config: Config) -> nn.Sequential:
    """The convolutions that read an image."""
    layers: list[nn.Module] = []
    for k, (inputs, outputs) in enumerate(pairwise((3, *config.trunk))):
        layers.append(ConvBlock(inputs, outputs, config.kernel, norm=config.norm))
        layers += [nn.MaxPool2d(2, ceil_mode=True)] if k < config.pools else []
    return nn.Sequential(*layers).apply(init_he)
