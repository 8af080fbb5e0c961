from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
import torch
from torch import nn

from cost.probes import PROBES, Probe, Shape
from cvbench.cost.counter import Count, count

CONTEXTS = {"grad": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}


def counted(probe: Probe, device: str = "meta") -> Count:
    return count(probe.build(), probe.shapes, device=device, strict=True)


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("probe", PROBES, ids=[probe.name for probe in PROBES])
def test_macs_are_exact_everywhere(
    probe: Probe, device: str, context: Callable[[], AbstractContextManager[None]]
) -> None:
    model = probe.build()
    with context():
        assert count(model, probe.shapes, device=device, strict=True).macs == probe.macs


@pytest.mark.parametrize("probe", PROBES, ids=[probe.name for probe in PROBES])
def test_nothing_depends_on_the_device(probe: Probe) -> None:
    on_cpu, on_meta = counted(probe, "cpu"), counted(probe, "meta")
    assert on_cpu == on_meta


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", ["P24", "P25", "P26", "P27", "P28", "P29"])
def test_attention_and_recurrence_keep_their_macs_where_gradients_are_kept(name: str, device: str) -> None:
    probe = next(probe for probe in PROBES if probe.name == name)
    inputs = tuple(torch.rand(shape, requires_grad=True) for shape in probe.shapes)
    both = count(probe.build(), inputs=inputs, device=device, backward=True, strict=True)
    assert sum(call.macs for call in both.calls if call.phase == "forward") == probe.macs


CONVOLUTIONS = {
    "plain": (lambda: nn.Conv2d(8, 8, 3), (2, 8, 16, 16)),
    "groups": (lambda: nn.Conv2d(8, 8, 3, groups=4), (2, 8, 16, 16)),
    "depthwise": (lambda: nn.Conv2d(8, 8, 3, groups=8), (2, 8, 16, 16)),
    "strided": (lambda: nn.Conv2d(8, 16, 3, stride=2, dilation=2), (2, 8, 16, 16)),
    "same": (lambda: nn.Conv2d(8, 16, 3, padding="same", bias=False), (2, 8, 16, 16)),
    "1d": (lambda: nn.Conv1d(8, 16, 3), (2, 8, 18)),
    "3d": (lambda: nn.Conv3d(4, 8, 3, padding=1), (1, 4, 4, 8, 8)),
    "transposed": (lambda: nn.ConvTranspose2d(8, 16, 4, 2, 1), (2, 8, 8, 8)),
    "transposed groups": (lambda: nn.ConvTranspose2d(8, 16, 4, 2, 1, groups=4), (2, 8, 8, 8)),
    "transposed depthwise": (lambda: nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8), (2, 8, 8, 8)),
}


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("build", "shape"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_the_backward_of_a_convolution_is_twice_its_forward(
    build: Callable[[], nn.Module], shape: Shape, device: str
) -> None:
    model = build()
    forward = count(model, shape, device=device).macs
    with_image = count(model, inputs=torch.rand(shape, requires_grad=True), device=device, backward=True)
    assert with_image.macs == 3 * forward
    without = count(model, shape, device=device, backward=True)
    assert without.macs == 2 * forward, "nobody asks for the gradient of the image"


def test_the_backward_is_the_forward_of_the_gradients() -> None:
    """Twice is no convention: it is the sum of the two convolutions that the gradients are."""
    x, weight, grad = torch.rand(2, 8, 16, 16), torch.rand(16, 2, 3, 3), torch.rand(2, 16, 14, 14)

    def gradient_of_input(grad: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv_transpose2d(grad, weight, groups=4)

    def gradient_of_weight(x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        columns = nn.functional.unfold(x, 3).view(2, 4, 2 * 9, -1)
        return (grad.view(2, 4, 4, -1) @ columns.mT).sum(0)

    probe = Probe("", lambda: nn.Conv2d(8, 16, 3, groups=4), (x.shape,), 0)
    by_input = count(as_module(gradient_of_input), inputs=(grad, weight)).macs
    by_weight = count(as_module(gradient_of_weight), inputs=(x, grad)).macs
    assert by_input == by_weight == counted(probe).macs


def as_module(body: Callable[..., torch.Tensor]) -> nn.Module:
    from cost.probes import Function

    return Function(body)


def test_a_padded_product_in_two_orders_differs_as_it_runs() -> None:
    probe = next(probe for probe in PROBES if probe.name == "P22")
    products = [call.macs for call in counted(probe).calls if call.macs]
    assert products in ([512, 128], [256, 64])
    assert replace(counted(probe), macs=sum(products)) == counted(probe)
