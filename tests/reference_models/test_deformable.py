from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import nn

from cvbench.cost.counter import count
from reference_models.parts.deformable import DeformableConv


def conv(seed: int, moved: float = 0.0, weighted: bool = True) -> DeformableConv:
    torch.manual_seed(seed)
    made = DeformableConv(3, 4, weighted=weighted)
    nn.init.normal_(made.weigh_and_move.weight, std=moved)
    nn.init.normal_(made.conv.bias)
    return made


def test_it_begins_as_a_convolution_of_half_the_weight() -> None:
    made, x = conv(0), torch.randn(2, 3, 5, 6)
    expected = nn.functional.conv2d(x, made.conv.weight / 2, made.conv.bias, padding=1)
    torch.testing.assert_close(made(x), expected)


def test_without_weights_it_begins_as_a_convolution() -> None:
    made, x = conv(0, weighted=False), torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(made(x), made.conv(x))


def bilinear(plane: list[list[float]], y: float, x: float) -> float:
    """The value at row y and column x, which are whole at centres of cells; 0 outside."""
    total = 0.0
    for i, j in product((math.floor(y), math.floor(y) + 1), (math.floor(x), math.floor(x) + 1)):
        if 0 <= i < len(plane) and 0 <= j < len(plane[0]):
            total += (1 - abs(y - i)) * (1 - abs(x - j)) * plane[i][j]
    return total


@pytest.mark.parametrize("weighted", [True, False])
def test_taps_are_moved_and_weighted_one_by_one(weighted: bool) -> None:
    made, x = conv(1, moved=0.4, weighted=weighted), torch.randn(1, 3, 4, 5)
    found = made.weigh_and_move(x)[0].view(-1, 9, 4, 5)
    assert found[:2].abs().max() > 1, "some taps are moved by more than a cell"
    planes, weight = x[0].tolist(), made.conv.weight
    out = made(x)[0]
    for i, j in product(range(4), range(5)):
        values = torch.zeros(3, 9)
        for c, tap in product(range(3), range(9)):
            y = i + tap // 3 - 1 + found[1, tap, i, j].item()
            at = j + tap % 3 - 1 + found[0, tap, i, j].item()
            values[c, tap] = bilinear(planes[c], y, at) * (found[2, tap, i, j].sigmoid() if weighted else 1)
        expected = (weight.flatten(2) * values).sum((1, 2)) + made.conv.bias
        torch.testing.assert_close(out[:, i, j], expected, rtol=1e-4, atol=1e-5)  # two orders of sums in float32


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_work_is_that_of_its_two_convolutions(kernel: int) -> None:
    counted = count(DeformableConv(8, 16, kernel), (1, 8, 7, 9))
    assert counted.macs == kernel**2 * 8 * (16 + 3 * kernel**2) * 7 * 9
    assert counted.params == kernel**2 * 8 * (16 + 3 * kernel**2) + 16 + 3 * kernel**2


def test_taps_that_are_only_moved_need_less_work_and_no_bias_is_an_option() -> None:
    counted = count(DeformableConv(8, 16, weighted=False, bias=False), (1, 8, 7, 9))
    assert counted.macs == 9 * 8 * (16 + 2 * 9) * 7 * 9
    assert counted.params == 9 * 8 * (16 + 2 * 9) + 2 * 9
