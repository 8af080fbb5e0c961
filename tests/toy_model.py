"""The smallest model: a 1 × 1 convolution that says which of two classes a pixel has; both sizes are the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target

CARD = Card(
    name="toy",
    title="Toy",
    field="semantic",
    citation="Nobody, 2001",
    published=(
        Published("params", 1_234, "count", source="nobody", verified="yes"),
        Published("macs", 0.5, "GMACs", input="1x3x8x6", conditions="batch=1", source="a page", verified="source"),
        Published("accuracy", 40.25, "%", "mIoU", "Nowhere", source="hearsay", verified="memory"),
    ),
    deviations=("There is no paper.",),
)


class Toy(Model):
    def __init__(self) -> None:
        super().__init__(CountSpec((1, 3, 8, 6)))
        self.conv = nn.Conv2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, images: Tensor) -> Raw:
        return {"scores": self.norm(self.conv(self.normalized(images)))}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        labels = raw["scores"].argmax(1)
        sizes = sizes or [labels.shape[1:]] * len(labels)
        return [{"labels": own[:h, :w]} for own, (h, w) in zip(labels, sizes, strict=True)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        labels = torch.stack([target["labels"] for target in targets])
        return {"labels": F.cross_entropy(raw["scores"], labels, ignore_index=255)}


def build(size: str = "nano") -> Toy:
    return Toy()
