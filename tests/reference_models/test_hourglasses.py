from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from reference_models.parts.blocks import BasicBlock
from reference_models.parts.hourglasses import Hourglass


def params(module: nn.Module) -> int:
    return sum(param.numel() for param in module.parameters())


class Marked(nn.Module):
    """Stands for a block: notes the size that it reads, and keeps or halves it."""

    def __init__(self, seen: list[int], stride: int) -> None:
        super().__init__()
        self.seen, self.stride = seen, stride

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape[-1])
        return x[..., :: self.stride, :: self.stride]


def test_the_module_of_hourglass_104_has_the_published_parameters() -> None:
    with torch.device("meta"):
        module = Hourglass((256, 256, 384, 384, 384, 512), (2, 2, 2, 2, 2, 4), BasicBlock, pool=False)
    assert params(module) == 92_134_400


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "strided"])
def test_every_size_has_its_blocks(pool: bool) -> None:
    seen: list[int] = []
    module = Hourglass((4, 4, 4), (1, 2, 3), lambda a, b, stride: Marked(seen, stride), pool=pool)
    assert module(torch.rand(1, 4, 8, 8)).shape == (1, 4, 8, 8)
    down = [4, 2, 2] if pool else [8, 4, 2]  # the block that goes down reads what is pooled, or halves it itself
    assert seen == [*down, *[2] * 3, *[2] * 2, *[4] * 2, 4, 8]


def test_what_stays_is_added_to_what_comes_up() -> None:
    module = Hourglass((1, 1), (1, 1), lambda a, b, stride: nn.Identity(), pool=True)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    pooled = torch.tensor([[5.0, 7], [13, 15]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(module(x), x + pooled)


@pytest.mark.parametrize("pool", [True, False], ids=["pooled", "strided"])
def test_odd_sizes_come_up_as_they_went_down(pool: bool) -> None:
    module = Hourglass((4, 6, 8), (1, 1, 1), BasicBlock, pool=pool)
    assert module(torch.rand(1, 4, 13, 10)).shape == (1, 4, 13, 10)
