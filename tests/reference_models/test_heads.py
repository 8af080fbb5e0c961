from __future__ import annotations

import torch

from reference_models.parts.heads import ConvHead


def test_a_head_begins_near_its_bias() -> None:
    torch.manual_seed(0)
    head = ConvHead(8, 16, 3, bias=-2.0)
    out = head(torch.randn(2, 8, 5, 6))
    assert out.shape == (2, 3, 5, 6)
    assert (out + 2).abs().max() < 0.5
    assert sum(p.numel() for p in head.parameters()) == 9 * 8 * 16 + 16 + 16 * 3 + 3
