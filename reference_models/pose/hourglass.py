"""Stacked Hourglass: a network that sees the whole person and every detail, again and again, and heats up joints.

What is new in the paper: the hourglass, which goes down to a few cells and up again with short cuts at every size, and
stacks of them, each of which has to say where the joints are and can correct the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.blocks import init_he
from reference_models.parts.hourglasses import Hourglass
from reference_models.parts.joints import draw_people, find_people

PORT = "princeton-vl/pytorch_stacked_hourglass"

CARD = Card(
    name="hourglass",
    title="Stacked Hourglass",
    field="pose",
    citation='Newell, Yang and Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016',
    published=(
        Published(
            *("params", 25_434_112, "count"),
            conditions="stacks=8; joints=16; parameters that are used",
            source=PORT,
            verified="yes",
        ),
        Published(
            *("macs", 27.440185344, "GMACs"),
            input="1x3x256x256",
            conditions="stacks=8; joints=16",
            source=PORT,
            verified="yes",
        ),
        Published(*("accuracy", 90.9, "%"), "PCKh@0.5", "MPII test", source="paper", verified="memory"),
        Published(*("accuracy", 0.902, "ratio"), "PCKh@0.5", "MPII val", source=f"{PORT} README.md", verified="source"),
        Published(*("latency", 75, "ms"), conditions="batch=1; stage=forward", source="paper", verified="memory"),
    ),
    deviations=(
        "Peaks to learn stand exactly where the joints are, and not at the nearest cell.",
        "Images are not turned, scaled or mirrored in evaluation.",
        "paper: the port stores 32,819,328 parameters, since blocks have convolutions that are never used.",
        "nano: 2 stacks with 48 channels, and maps of half the size of the image, which is not pooled.",
    ),
)


@dataclass(frozen=True)
class Config:
    """Sizes of the network; those of the published one by default.

    Attributes
    ----------
    joints
        Of a person.
    stacks
        Hourglasses, one after another.
    channels
        Of each hourglass.
    depth
        How often an hourglass halves the size.
    pool
        Halve the size of maps once more before the first hourglass, to a quarter of the image.
    """

    joints: int = 16
    stacks: int = 8
    channels: int = 256
    depth: int = 4
    pool: bool = True


PAPER = Config()
NANO = Config(joints=14, stacks=2, channels=48, pool=False)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> StackedHourglass:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return StackedHourglass(replace(PAPER, **options), CountSpec((1, 3, 256, 256)))
    return StackedHourglass(replace(NANO, **options), CountSpec((1, 3, 64, 64)))


class PreActivation(nn.Module):
    """Three convolutions, each behind its norm and activation, added to what comes in: ``x + layers(x)``.

    Parameters
    ----------
    in_channels, out_channels
        Channels read and written; where they differ, a 1 × 1 convolution is in the short cut.

    References
    ----------
    He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // 2
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in ((in_channels, width, 1), (width, width, 3), (width, out_channels, 1)):
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)]
        self.layers = nn.Sequential(*layers)
        same = in_channels == out_channels
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        out: Tensor = self.shortcut(x) + self.layers(x)
        return out


class Stack(nn.Module):
    """An hourglass, what it says of the joints, and what it hands on.

    Parameters
    ----------
    config
        Sizes.
    last
        Nothing is handed on.
    """

    def __init__(self, config: Config, last: bool) -> None:
        super().__init__()
        channels, sizes = config.channels, config.depth + 1
        self.features = nn.Sequential(
            Hourglass([channels] * sizes, [1] * sizes, lambda a, b, _: PreActivation(a, b), pool=True),
            PreActivation(channels, channels),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.heat = nn.Conv2d(channels, config.joints, 1)
        self.merged = nn.ModuleList([] if last else [nn.Conv2d(n, channels, 1) for n in (channels, config.joints)])
        self.apply(init_he)
        nn.init.normal_(
            self.heat.weight, std=0.01
        )  # nothing is hot at first: after 60 steps, 1/40 of the error is left

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, h, w) to heat (B, joints, h, w), and what the next stack reads, as `x`."""
        features = self.features(x)
        heat = self.heat(features)
        for merge, said in zip(self.merged, (features, heat), strict=False):
            x = x + merge(said)
        return heat, x


class StackedHourglass(Model):
    """Heat maps of the joints of the person in an image.

    Parameters
    ----------
    config
        Sizes.
    spec
        What it is counted on.
    """

    def __init__(self, config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        channels = config.channels
        self.stride = 4 if config.pool else 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels // 4, 7, 2, padding=3),
            nn.BatchNorm2d(channels // 4),
            nn.ReLU(),
            PreActivation(channels // 4, channels // 2),
            nn.MaxPool2d(2) if config.pool else nn.Identity(),
            PreActivation(channels // 2, channels // 2),
            PreActivation(channels // 2, channels),
        )
        self.stacks = nn.ModuleList(Stack(config, last=k == config.stacks - 1) for k in range(config.stacks))
        self.stem.apply(init_he)

    def forward(self, images: Tensor) -> Raw:
        """The heat that every stack sees, (B, stacks, joints, h, w)."""
        x, heats = self.stem(self.normalized(images)), []
        for stack in self.stacks:
            heat, x = stack(x)
            heats.append(heat)
        return {"heat": torch.stack(heats, 1)}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The hottest place of each joint, as the last stack sees it, and how hot it is, in [0, 1]."""
        return [*find_people(raw["heat"][:, -1], self.stride, sizes)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The squared error of all stacks, summed over cells; where a joint is not seen, no cell should be hot."""
        heat = raw["heat"]  # (B, S, J, h, w)
        expected = draw_people(targets, self.stride, heat.shape[3:])
        wrong = (heat - expected.to(heat)[:, None]).square().sum((3, 4))
        return {"heat": wrong.mean((0, 2)).sum()}
