from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cost.networks import (
    NETWORKS,
    Network,
)
from cvbench.cost.counter import count


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_networks_cost_what_is_published(network: Network) -> None:
    with torch.device("meta"):
        counted = count(network.build(), (1, 3, 224, 224), strict=True)
    assert counted.params == network.params
    assert counted.macs / 1e9 == pytest.approx(network.gmacs, abs=0.0005)  # published with three digits


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_networks_score_a_thousand_classes(network: Network) -> None:
    with torch.device("meta"), torch.inference_mode():
        assert network.build().eval()(torch.empty(2, 3, 224, 224)).shape == (2, 1000)
