"""Models that are built in no time, for tests of what runs them: good ones, and ones with every kind of fault."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

SKY = 8
"""Index of the class."""


class Labels(nn.Module):
    """Calls bright pixels sky and others grass, in the two steps of a model with raw tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(3, 1, 1)
        nn.init.constant_(self.weigh.weight, 1 / 3)
        nn.init.constant_(self.weigh.bias, -0.5)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"brightness": self.weigh(images)}

    def postprocess(self, raw: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        return [{"labels": torch.where(own[0] > 0, SKY, SKY + 1)} for own in raw["brightness"]]


class Boxes(Labels):
    """Sees one disc, as large as the picture is bright, in each picture."""

    def postprocess(self, raw: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        return [
            {
                "boxes": torch.tensor([[0.0, 0.0, 64 + 64 * float(own.mean()), 128.0]]),
                "scores": torch.ones(1),
                "labels": torch.ones(1, dtype=torch.int64),
            }
            for own in raw["brightness"]
        ]


class Broken(Labels):
    def forward(self, images: Tensor) -> Any:
        raise RuntimeError("the\nnetwork is broken")


class Returns(Labels):
    """Returns what it is told to."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def postprocess(self, raw: Any) -> Any:
        return self.value


class ReadsValues(Labels):
    """Cannot be counted on meta."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        assert float(images.max()) >= 0
        return super().forward(images)


def no_model() -> Any:
    return 3


def fails_to_build() -> nn.Module:
    raise OSError("no such weights")


def ends_its_process() -> nn.Module:
    os._exit(3)
