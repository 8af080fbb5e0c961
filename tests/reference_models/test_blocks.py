from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_models.parts.blocks import FrozenBatchNorm2d


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def trained_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that has seen images and has a scale and a shift."""
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    norm(3 * images(4, channels, 5, 5) + 1)
    return norm.eval()


def test_a_frozen_norm_is_the_loaded_one_in_training_too() -> None:
    loaded, frozen = trained_norm(6), FrozenBatchNorm2d(6)
    frozen.load_state_dict(loaded.state_dict())
    x = images(2, 6, 4, 4)
    for _ in range(2):  # the second time with statistics that the first one could have changed
        assert torch.equal(frozen.train()(x), loaded(x))
    assert not list(frozen.parameters())
