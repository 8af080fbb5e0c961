"""Parameters and multiply-accumulates of published networks, as torchvision prints them at 224 × 224."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from cost.networks import alexnet, efficientnet_b0, resnet, vgg16
from cvbench.cost.counter import count

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, float]] = {
    "alexnet": (alexnet, 61100840, 0.714),
    "vgg16": (vgg16, 138357544, 15.470),
    "resnet18": (partial(resnet, (2, 2, 2, 2), bottleneck=False), 11689512, 1.814),
    "resnet34": (partial(resnet, (3, 4, 6, 3), bottleneck=False), 21797672, 3.664),
    "resnet50": (partial(resnet, (3, 4, 6, 3), bottleneck=True), 25557032, 4.089),
    "resnet101": (partial(resnet, (3, 4, 23, 3), bottleneck=True), 44549160, 7.801),
    "efficientnet_b0": (efficientnet_b0, 5288548, 0.386),
}


@pytest.mark.parametrize(("build", "params", "gmacs"), NETWORKS.values(), ids=NETWORKS)
def test_published_networks(build: Callable[[], nn.Module], params: int, gmacs: float) -> None:
    with torch.device("meta"):
        model = build()
    counted = count(model, (1, 3, 224, 224), strict=True)
    assert counted.params == counted.params_trainable == params
    assert counted.macs / 1e9 == pytest.approx(gmacs, abs=0.0005 + 1e-9), "the published figure has three decimals"


def test_resnet50_in_full() -> None:
    """Every FLOP beside the convolutions, from the sizes of the four stages."""
    with torch.device("meta"):
        model = NETWORKS["resnet50"][0]()
    counted = count(model, (1, 3, 224, 224))
    beside: Counter[str] = Counter()
    for call in counted.calls:
        beside[call.op] += call.flops - 2 * call.macs
    conv_outputs = counted.activations - 1000
    block_outputs = 3 * 256 * 56**2 + 4 * 512 * 28**2 + 6 * 1024 * 14**2 + 3 * 2048 * 7**2
    assert conv_outputs == 11_113_984
    assert +beside == {
        "aten.batch_norm": 2 * conv_outputs,
        "aten.add": block_outputs,
        # every convolution but the third of a block and those of the four shortcuts, and every block
        "aten.relu_": conv_outputs - (256 * 56**2 + 512 * 28**2 + 1024 * 14**2 + 2048 * 7**2),
        "aten.max_pool2d_with_indices": 9 * 64 * 56**2,
        "aten.mean": 2048 * 49 + 2048,
        "aten.addmm": 1000,
    }
    assert (counted.macs, counted.flops) == (4_089_184_256, 8_217_634_280)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "efficientnet_b0"])
def test_a_network_costs_the_same_on_every_device_and_in_every_mode(name: str) -> None:
    model = NETWORKS[name][0]()
    on_meta = count(model, (1, 3, 64, 64))
    assert count(model, (1, 3, 64, 64), device="cpu") == on_meta
    with torch.inference_mode():
        assert count(model, (1, 3, 64, 64)) == on_meta
