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
