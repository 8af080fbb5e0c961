from __future__ import annotations

import torch

from cvbench.cost.counter import count
from reference_models.detection.centernet import CARD, CenterNet, build


def nano() -> CenterNet:
    torch.manual_seed(0)
    return build("nano")


def test_the_published_model_costs_what_is_published() -> None:
    with torch.device("meta"):
        model = build("paper")
    counted = count(model, model.spec, strict=True)
    assert counted.params == CARD.fact("params").value
    assert counted.macs == CARD.fact("macs").value * 1e9
    assert str(model.spec) == CARD.fact("macs").input


def test_the_small_model_is_small() -> None:
    assert count(nano(), nano().spec, strict=True).params < 500_000


def test_both_sizes_take_any_number_of_classes() -> None:
    for size in ("nano", "paper"):
        with torch.device("meta"):
            model = build(size, classes=3)
            assert model(torch.zeros(2, 3, 64, 96))["heat"].shape == (2, 3, 16, 24)
