"""A model that learns something about the scenes within some steps: the class of a pixel from its colour and place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target

CARD = Card("trainable", "Trainable", "semantic", "nobody, 2026", weights=Path("weights"))
RECIPE: dict[str, Any] = {"steps": 6, "batch": 2, "rate": 0.02, "warm_up": 2, "pictures": 5}


class Trainable(Model):
    def __init__(self) -> None:
        super().__init__(CountSpec((1, 3, 128, 128)))
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(8, 14, 1)
        )

    def forward(self, images: Tensor) -> Raw:
        return {"scores": self.layers(self.normalized(images))}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        labels = raw["scores"].argmax(1).repeat_interleave(4, 1).repeat_interleave(4, 2)
        return [{"labels": own} for own in labels]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        labels = torch.stack([target["labels"][::4, ::4] for target in targets])
        return {"labels": F.cross_entropy(raw["scores"], labels, ignore_index=255)}


def build(size: str = "nano") -> Trainable:
    return Trainable()
