"""Small models of known cost: each is one that some counter gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


class Probe(NamedTuple):
    """A model, the shapes of its inputs, and its multiply-accumulates."""

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]
    macs: int


class Function(nn.Module):
    """A function as a model."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class FunctionalConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(16, 8, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=1)


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(16, 32))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.t()


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return attended


class OneConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)


class FourCalls(OneConv):
    """Three calls of which one is used, and one that is multiplied by 0."""

    def forward(self, x: Tensor) -> Tensor:
        results = [self.conv(x) for _ in range(3)]
        return results[-1] + 0 * self.conv(x)


class DirectCall(OneConv):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv.forward(x)


class DroppedResult(OneConv):
    def forward(self, x: Tensor) -> Tensor:
        self.conv(x)
        return x * 1
