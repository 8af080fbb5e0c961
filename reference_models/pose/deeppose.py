"""DeepPose: joints by regression, the whole person at first, and then each joint again in a closer look.

Toshev and Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks", CVPR 2014.

What is new in the paper: a network that classified images puts out the coordinates of all joints; and a cascade of such
networks, each of which sees a crop around what the one before it said of a joint, and says how far that is off.
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
from reference_models.parts.backbones import AlexNet, alexnet_classifier
from reference_models.parts.ops import roi_align

_LAYERS = "the layers that the paper lists, added up"

CARD = Card(
    name="deeppose",
    title="DeepPose",
    field="pose",
    citation='Toshev and Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks", CVPR 2014',
    published=(
        Published(*("params", 170_948_820, "count"), conditions="joints=14;stages=3", source=_LAYERS, verified="yes"),
        Published(
            *("macs", 18.758659744, "GMACs"),
            input="1x3x220x220",
            conditions="joints=14;stages=3, the last two of which see a crop for each joint",
            source=_LAYERS,
            verified="yes",
        ),
        Published(*("accuracy", 0.61, "ratio"), "PCP", "LSP", conditions="stages=3", source="paper", verified="memory"),
        Published(*("latency", 0.1, "s"), conditions="hw=12-core CPU;batch=1", source="paper", verified="memory"),
        Published(*("params", 56_982_940, "count"), conditions="joints=14;stages=1", source=_LAYERS, verified="yes"),
        Published(
            *("macs", 0.646850336, "GMACs"),
            input="1x3x220x220",
            conditions="joints=14;stages=1",
            source=_LAYERS,
            verified="yes",
        ),
        Published(*("params", 40_000_000, "count"), conditions="stages=1;about", source="paper", verified="memory"),
    ),
    deviations=(
        "All stages learn at once, each from what the one before it says by then; in the paper one after another.",
        "A later stage sees crops of the image that the first one sees, not of the photograph it was cut from.",
        "Crops are between an eighth of the image and all of it; joints are sought in the image.",
        "A regression does not say how sure it is: all scores are 1.",
        'paper: 56,982,940 parameters a stage; the "about 40M" of the text does not follow from its list of layers.',
        "paper: the first fully connected layer of a stage has 37.8 of these millions, the second one 16.8.",
        "paper: two groups, as AlexNet has; its 220 × 220 pixels give 5 × 5 cells, which are pooled to 6 × 6.",
        "paper: after the first stage, a network runs once for each joint, 29 runs in all; three would be 1.94 GMACs.",
        "nano: narrow networks with batch norms, no groups and no dropout; the first convolution is 3 × 3.",
        "nano: 2 × 2 cells before the fully connected layers; images of 64 × 64 pixels and crops of 48 × 48.",
    ),
)


@dataclass(frozen=True)
class Config:
    """Sizes of the network; those of the paper by default.

    Attributes
    ----------
    joints
        Of a person.
    stages
        Networks of the cascade.
    width
        Of the fully connected layers.
    cells
        Side of the map that the first of them reads.
    dropout
        Share of what they say that is hidden in training.
    crop
        Side in pixels that crops are resized to.
    torso
        A shoulder and the hip across: the size of a person is the distance between them.
    reach
        Sides of crops, in sizes of the person.
    """

    joints: int = 14
    stages: int = 3
    width: int = 4096
    cells: int = 6
    dropout: float = 0.6
    crop: int = 220
    torso: tuple[int, int] = (9, 2)
    reach: float = 2.0


PAPER = Config()
NANO = Config(width=128, cells=2, dropout=0.0, crop=48, torso=(0, 7))

SMALLEST = 1 / 8
"""Side of a crop, in longer sides of the image."""


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> DeepPose:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        config = replace(PAPER, **options)
        trunks = [AlexNet() for _ in range(config.stages)]
        return DeepPose(trunks, config, CountSpec((1, 3, 220, 220)))
    config, widths = replace(NANO, **options), (12, 24, 32, 32, 40)
    trunks = [
        AlexNet(widths, stem_kernel=3, stem_stride=2, groups=1, norm=nn.BatchNorm2d) for _ in range(config.stages)
    ]
    return DeepPose(trunks, config, CountSpec((1, 3, 64, 64)))


class DeepPose(Model):
    """Places of the joints of the person in an image.

    Parameters
    ----------
    trunks
        Convolutions of the network of each stage.
    config
        Sizes.
    spec
        What it is counted on.
    """

    def __init__(self, trunks: Sequence[AlexNet], config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        self.config = config
        sizes: dict[str, Any] = {"cells": config.cells, "dropout": config.dropout}
        self.stages = nn.ModuleList(
            alexnet_classifier(trunk, 2 * config.joints, config.width, **sizes) for trunk in trunks
        )
        for stage in self.stages:
            *hidden, last = (layer for layer in stage.modules() if isinstance(layer, nn.Linear))
            for layer in hidden:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.normal_(last.weight, std=0.01)  # in the middle at first
            nn.init.zeros_(last.bias)

    def forward(self, images: Tensor) -> Raw:
        """What each of S stages says.

        Returns
        -------
        dict
            ``joints`` (B, S, J, 2) as x, y in pixels, and ``sides`` (B, S, J, 2), the width and height in pixels of
            what the stage saw for each joint.
        """
        x, count = self.normalized(images), self.config.joints
        whole = x.new_tensor([x.shape[3], x.shape[2]])
        first = self.stages[0](x).view(-1, count, 2)
        joints, sides = [whole * (0.5 + first)], [whole.expand_as(first)]
        for stage in self.stages[1:]:
            centres = joints[-1].detach().clamp(min=0).minimum(whole)
            side = self.side(centres, whole)
            boxes = torch.cat([centres - side / 2, centres + side / 2], 2)
            crops = roi_align(x, list(boxes), self.config.crop, stride=1, samples=1)
            moves = stage(crops).view(-1, count, count, 2).diagonal(dim1=1, dim2=2).transpose(1, 2)  # each of its own
            joints.append(centres + side * moves)
            sides.append(side.expand_as(centres))
        return {"joints": torch.stack(joints, 1), "sides": torch.stack(sides, 1)}

    def side(self, joints: Tensor, size: Tensor) -> Tensor:
        """(B, 1, 1) the sides of the crops of people with joints (B, J, 2), in an image of `size` (width, height)."""
        shoulder, hip = self.config.torso
        longer = size.amax()
        distance = torch.linalg.vector_norm(joints[:, shoulder] - joints[:, hip], dim=1)
        side: Tensor = (self.config.reach * distance).maximum(SMALLEST * longer).minimum(longer)
        return side[:, None, None]

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The joints within the image, as the last stage sees them; all scores are 1."""
        people: list[Prediction] = []
        for i, joints in enumerate(raw["joints"][:, -1]):
            limit = raw["sides"][i, 0, 0] if sizes is None else joints.new_tensor([sizes[i][1], sizes[i][0]])
            people.append({"keypoints": joints.clamp(min=0).minimum(limit), "scores": torch.ones_like(joints[:, 0])})
        return people

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The squared error of each stage, in sides of what it saw, of the joints that are seen; summed over joints."""
        truth = torch.stack([target["keypoints"] for target in targets]).to(raw["joints"])
        seen = torch.stack([target["visible"] > 0 for target in targets])
        pairs = zip(raw["joints"].unbind(1), raw["sides"].unbind(1), strict=True)
        wrong = [((joints[seen] - truth[seen]) / sides[seen]).square().sum() / len(targets) for joints, sides in pairs]
        return {f"stage_{k}": each for k, each in enumerate(wrong, 1)}
