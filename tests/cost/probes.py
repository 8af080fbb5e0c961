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


def function(body: Callable[..., Any]) -> Callable[[], nn.Module]:
    return lambda: Function(body)


def attend(q: Tensor, causal: bool = False) -> Tensor:
    return F.scaled_dot_product_attention(q, q, q, is_causal=causal)


IMAGE = (2, 8, 16, 16)
SMALL = (1, 8, 8, 8)

LEFT_TO_RIGHT = not (torch.backends.opt_einsum.is_available() and torch.backends.opt_einsum.enabled)
"""Products of three are taken as written where the package that finds the best order is missing."""

PROBES = [
    Probe("P1", lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), (IMAGE,), 147456),
    Probe("P2", lambda: nn.Conv2d(8, 16, 3, padding=1, groups=4, bias=False), (IMAGE,), 147456),
    Probe("P3", lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), (IMAGE,), 36864),
    Probe("P4", lambda: nn.Conv2d(8, 8, 3, padding="same", dilation=2, bias=False), (IMAGE,), 294912),
    Probe("P5", lambda: nn.Conv2d(8, 8, (1, 7), padding=(0, 3), bias=False), (IMAGE,), 229376),
    Probe("P6", lambda: nn.ConvTranspose2d(8, 16, 4, 2, 1, bias=False), ((2, 8, 8, 8),), 262144),
    Probe("P7", lambda: nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False), ((2, 8, 8, 8),), 131072),
    Probe("P8", lambda: nn.ConvTranspose2d(8, 16, 4, 2, 1, groups=4, bias=False), ((2, 8, 8, 8),), 65536),
    Probe("P9", lambda: nn.Conv1d(8, 16, 3, bias=False), ((2, 8, 18),), 12288),
    Probe("P10", lambda: nn.Conv3d(4, 8, 3, padding=1, bias=False), ((1, 4, 4, 8, 8),), 221184),
    Probe("P11", FunctionalConv, (IMAGE,), 589824),
    Probe("P12", lambda: nn.Linear(32, 16, bias=False), ((4, 32),), 2048),
    Probe("P13", lambda: nn.Linear(32, 16), ((4, 7, 32),), 14336),
    Probe("P14", lambda: nn.Linear(32, 16, bias=False), ((32,),), 512),
    Probe("P15", function(torch.matmul), ((4, 8), (8, 16)), 512),
    Probe("P16", function(torch.matmul), ((5, 1, 4, 8), (3, 8, 6)), 2880),
    Probe("P17", function(torch.matmul), ((4, 8), (5, 8, 6)), 960),
    Probe("P18", function(torch.matmul), ((4, 8), (8,)), 32),
    Probe("P19", function(torch.bmm), ((5, 4, 8), (5, 8, 6)), 960),
    Probe("P20", function(torch.baddbmm), ((5, 4, 6), (5, 4, 8), (5, 8, 6)), 960),
    Probe("P21", function(lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k)), ((2, 3, 4, 8), (2, 3, 6, 8)), 1152),
    Probe(
        "P22",
        function(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)),
        ((4, 8), (8, 16), (16, 2)),
        640 if LEFT_TO_RIGHT else 320,
    ),
    Probe("P23", function(lambda x, w: torch.einsum("nchw,kc->nkhw", x, w)), ((2, 8, 4, 4), (5, 8)), 1280),
    Probe("P24", function(attend), ((2, 4, 10, 8),), 12800),
    Probe("P25", function(lambda q: attend(q, causal=True)), ((2, 4, 10, 8),), 12800),
    Probe("P26", SelfAttention, ((2, 10, 32),), 94720),
    Probe("P27", lambda: nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True), ((2, 10, 32),), 176640),
    Probe("P28", lambda: nn.LSTM(16, 24, 2, batch_first=True), ((2, 5, 16),), 84480),
    Probe("P29", lambda: nn.GRU(16, 24, bidirectional=True, batch_first=True), ((2, 5, 16),), 57600),
    Probe("P30", FourCalls, (SMALL,), 147456),
    Probe("P31", DirectCall, (SMALL,), 36864),
    Probe("P32", DroppedResult, (SMALL,), 36864),
    Probe("P33", Transposed, ((4, 32),), 2048),
    Probe("P34", lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (SMALL,), 0),
    Probe("P35", function(torch.cdist), ((30, 16), (40, 16)), 19200),
    Probe("P36", function(lambda x: torch.fft.irfft2(torch.fft.rfft2(x))), ((1, 8, 16, 16),), 0),
]
