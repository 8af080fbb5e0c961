from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from cost.networks import (
    NETWORKS,
    Network,
    VisionTransformer,
    densenet121,
    efficientnet_b0,
    mobilenet_v2,
    squeezenet,
)
from cvbench.cost.counter import count

SMALL: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "densenet121": (densenet121, 64),
    "efficientnet_b0": (efficientnet_b0, 64),
    "mobilenet_v2": (mobilenet_v2, 64),
    "squeezenet1_1": (squeezenet, 64),
    "vit": (partial(VisionTransformer, width=32, depth=2, heads=4, size=32, patch=8), 32),
}
"""Networks that a processor runs in no time, and the side of their images."""


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


@pytest.mark.parametrize(("build", "side"), SMALL.values(), ids=SMALL)
def test_networks_cost_the_same_on_every_device(build: Callable[[], nn.Module], side: int) -> None:
    model = build()
    on_meta, on_cpu = (count(model, (1, 3, side, side), device=device) for device in ("meta", "cpu"))
    assert on_meta.macs > 0
    assert (on_meta.macs, on_meta.flops, on_meta.params) == (on_cpu.macs, on_cpu.flops, on_cpu.params)


@pytest.mark.parametrize(("build", "side"), SMALL.values(), ids=SMALL)
def test_a_batch_is_as_good_as_single_images(build: Callable[[], nn.Module], side: int) -> None:
    torch.manual_seed(0)
    model, batch = build().eval(), images(3, 3, side, side)
    with torch.inference_mode():
        scores, singles = model(batch), [model(image[None]) for image in batch]
    assert scores.std(0).max() > 0, "scores depend on the image"
    torch.testing.assert_close(scores, torch.cat(singles))
