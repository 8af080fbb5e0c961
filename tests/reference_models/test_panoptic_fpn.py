from __future__ import annotations

import torch

from reference_models.panoptic.panoptic_fpn import Config, SemanticHead


def test_the_published_semantic_head_has_the_published_parameters() -> None:
    with torch.device("meta"):
        head = SemanticHead(4, 256, 128, 32, 54)
    assert sum(parameter.numel() for parameter in head.parameters()) == 1_630_774


def test_the_semantic_head_adds_all_maps_at_the_size_of_the_finest() -> None:
    torch.manual_seed(0)
    head = SemanticHead(3, 2, 4, 2, 5)
    maps = [torch.randn(1, 2, *size) for size in ((9, 12), (5, 6), (3, 3))]
    expected = torch.zeros(1, 4, 9, 12)
    for level, (fmap, way) in enumerate(zip(maps, head.ways, strict=True)):
        x = fmap
        assert isinstance(way.convs, torch.nn.ModuleList)
        assert len(way.convs) == max(1, level)
        for conv, size in zip(way.convs, ([(9, 12)], [(9, 12)], [(5, 6), (9, 12)])[level], strict=True):
            x = torch.nn.functional.interpolate(conv(x), size=size, mode="bilinear")
        expected += x
    torch.testing.assert_close(head(maps), head.scores(expected))


RULES = Config(classes=8, stuff=6, least=0.5, hidden=0.5, smallest=8)
SKY = torch.full((4, 10), 1)
