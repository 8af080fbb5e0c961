from __future__ import annotations

import torch

from reference_models.pose.hourglass import PreActivation


def test_a_block_adds_what_it_makes_of_its_input() -> None:
    torch.manual_seed(0)
    kept, changed, x = PreActivation(8, 8).eval(), PreActivation(8, 12).eval(), torch.randn(1, 8, 5, 5)
    for block in (kept, changed):
        assert torch.equal(block(x), block.shortcut(x) + block.layers(x))
    assert torch.equal(kept.shortcut(x), x)
    assert changed(x).shape == (1, 12, 5, 5)
