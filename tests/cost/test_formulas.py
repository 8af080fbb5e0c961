from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log2, prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import Tensor, nn

from cost.probes import Function
from cvbench.cost import formulas as f
from cvbench.cost.counter import Count, count
from cvbench.cost.operators import OPERATORS, Operator, find_operator, moved_bytes


def work_of(body: Callable[..., object], *shapes: tuple[int, ...], device: str = "cpu") -> tuple[int, int]:
    """Multiply-accumulates and the FLOPs beside them, of a function of tensors; every operator has to be known."""
    counted = count(Function(body), shapes, device=device, strict=True)  # type: ignore[arg-type]  # results of any kind
    return counted.macs, counted.flops - 2 * counted.macs


# ---------------------------------------------------------------------------------------------------- convolutions


def as_matrix_products(x: Tensor, weight: Tensor, groups: int, **shape: int) -> Tensor:
    """A convolution as columns times weights, group by group: what it costs is what the products cost."""
    columns = F.unfold(x, weight.shape[-2:], **shape)  # type: ignore[arg-type]  # two sizes
    columns = columns.view(len(x), groups, -1, columns.shape[-1])
    return weight.view(groups, weight.shape[0] // groups, -1) @ columns


@given(
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_convolutions_cost_what_their_matrix_products_cost(
    n: int, groups: int, per_group: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, dilation: int
) -> None:
    into, out = (groups * channels for channels in per_group)
    shape = {"stride": stride, "padding": padding, "dilation": dilation}
    x, weight = torch.empty(n, into, 7, 6), torch.empty(out, into // groups, *kernel)
    forward = count(Function(lambda x, w: F.conv2d(x, w, groups=groups, **shape)), inputs=(x, weight))
    assert (
        forward.macs == count(Function(lambda x, w: as_matrix_products(x, w, groups, **shape)), inputs=(x, weight)).macs
    )

    # the transposed one is the gradient of the input: it goes from output to input over the same taps
    y = torch.empty(forward.calls[0].output_shapes[0])
    back = count(Function(lambda y, w: F.conv_transpose2d(y, w, groups=groups, **shape)), inputs=(y, weight))
    assert back.macs == forward.macs


def test_a_bias_is_no_mac() -> None:
    assert work_of(F.conv2d, (1, 2, 4, 4), (3, 2, 1, 1), (3,)) == (96, 48)
    assert work_of(F.linear, (5, 2), (3, 2), (3,)) == (30, 15)


def test_convolution_over_time() -> None:
    assert work_of(torch.conv_tbc, (9, 2, 4), (3, 4, 5), (5,)) == (7 * 2 * 5 * 12, 70)
