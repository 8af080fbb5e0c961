from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from cost.networks import (
    NETWORKS,
    Network,
    SwinTransformer,
    VisionTransformer,
    WindowAttention,
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
    "swin": (partial(SwinTransformer, width=8, depths=(2, 1), head_width=4), 112),
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


def test_resnet50_in_full() -> None:
    """Every FLOP beside the convolutions, from the sizes of the four stages."""
    with torch.device("meta"):
        counted = count(NETWORKS["resnet50"].build(), (1, 3, 224, 224))
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
        "aten.relu": conv_outputs - (256 * 56**2 + 512 * 28**2 + 1024 * 14**2 + 2048 * 7**2),
        "aten.max_pool2d_with_indices": 9 * 64 * 56**2,
        "aten.mean": 2048 * 49 + 2048,
        "aten.addmm": 1000,
    }
    assert (counted.macs, counted.flops) == (4_089_184_256, 8_217_634_280)


@pytest.mark.parametrize(("build", "side"), SMALL.values(), ids=SMALL)
def test_networks_cost_the_same_on_every_device_and_in_every_mode(build: Callable[[], nn.Module], side: int) -> None:
    model = build()
    on_meta = count(model, (1, 3, side, side))
    assert count(model, (1, 3, side, side), device="cpu") == on_meta
    with torch.inference_mode():
        assert count(model, (1, 3, side, side)) == on_meta


@pytest.mark.parametrize(("build", "side"), SMALL.values(), ids=SMALL)
def test_a_batch_is_as_good_as_single_images(build: Callable[[], nn.Module], side: int) -> None:
    torch.manual_seed(0)
    model, batch = build().eval(), images(3, 3, side, side)
    with torch.inference_mode():
        scores, singles = model(batch), [model(image[None]) for image in batch]
    assert scores.std(0).max() > 0, "scores depend on the image"
    torch.testing.assert_close(scores, torch.cat(singles))


@pytest.mark.parametrize(
    ("shift", "pixel", "seen"),
    [
        (0, (0, 0), (range(7), range(7))),
        (0, (8, 3), (range(7, 14), range(7))),
        (3, (8, 3), (range(3, 10), range(3, 10))),
        (3, (0, 5), (range(3), range(3, 10))),
        (3, (13, 0), (range(10, 14), range(3))),
    ],
)
def test_a_pixel_is_seen_in_its_window_and_not_around_the_border(
    shift: int, pixel: tuple[int, int], seen: tuple[range, range]
) -> None:
    torch.manual_seed(0)
    attention, x = WindowAttention(8, 2, shift), images(1, 14, 14, 8)
    changed = x.clone()
    changed[0, pixel[0], pixel[1]] += 1
    with torch.inference_mode():
        differs = (attention(x) != attention(changed)).any(-1)[0]
    expected = torch.zeros(14, 14, dtype=torch.bool)
    expected[seen[0].start : seen[0].stop, seen[1].start : seen[1].stop] = True
    assert torch.equal(differs, expected)
