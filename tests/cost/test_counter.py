from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cost.probes import Function
from cvbench.cost.counter import Count, ModuleRow, count
from cvbench.cost.formulas import Work
from cvbench.cost.operators import OPERATORS, register_formula
from cvbench.cost.spec import CountSpec
from cvbench.errors import InputError


class Block(nn.Module):
    """A residual block; `conv` may be lent by another one."""

    def __init__(self, conv: nn.Conv2d | None = None) -> None:
        super().__init__()
        self.conv = conv or nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm(self.conv(x))).relu()


class Network(nn.Module):
    """Two blocks in a list, that share a convolution, and a head."""

    def __init__(self) -> None:
        super().__init__()
        first = Block()
        self.blocks = nn.ModuleList([first, Block(first.conv)])
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


IMAGE = (2, 8, 4, 4)
CONV = 2 * 16 * 8 * 8 * 9


def rows(counted: Count) -> dict[str, ModuleRow]:
    return {row.path: row for row in counted.modules}


def test_a_shared_module_counts_per_call_and_is_listed_once() -> None:
    counted = count(Network(), IMAGE)
    assert [row.path for row in counted.modules] == [
        "", "blocks", "blocks.0", "blocks.0.conv", "blocks.0.norm", "blocks.1", "blocks.1.norm", "head",
    ]  # fmt: skip
    conv = rows(counted)["blocks.0.conv"]
    assert (conv.calls, conv.params, conv.total.macs) == (2, 576, 2 * CONV)
    assert counted.params == 576 + 2 * 16 + 36
    assert counted.macs == 2 * CONV + 2 * 8 * 4


def test_sums_of_modules_are_of_what_they_call() -> None:
    counted = count(Network(), IMAGE)
    by_path = rows(counted)
    assert [by_path[f"blocks.{i}"].total.macs for i in (0, 1)] == [CONV, CONV], "each block calls the one convolution"
    assert by_path["blocks"].total.macs == 2 * CONV
    assert by_path["blocks"].calls == 0, "a list is never called"
    assert by_path["blocks.1"].own.macs == 0
    assert by_path[""].total.macs == counted.macs == sum(row.own.macs for row in counted.modules)
    assert by_path[""].total.flops == counted.flops == sum(row.own.flops for row in counted.modules)
    assert [by_path[path].depth for path in ("", "blocks", "blocks.0.conv")] == [0, 1, 3]


def test_flops_are_two_per_mac_and_the_documented_rest() -> None:
    counted = count(Network(), IMAGE)
    block = 2 * 256 + 256 + 256  # norm with running statistics, addition, relu
    assert counted.flops == 2 * counted.macs + 2 * block + (256 + 16) + 8
    assert counted.activations == 2 * 256 + 8
