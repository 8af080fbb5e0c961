from __future__ import annotations

import torch
from torch import Tensor

from reference_models.panoptic.panoptic_fpn import Config, SemanticHead, merge


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


def found(*masks: Tensor, scores: tuple[float, ...], labels: tuple[int, ...]) -> dict[str, Tensor]:
    return {"masks": torch.stack(masks), "scores": torch.tensor(scores), "labels": torch.tensor(labels)}


def box(x1: int, x2: int) -> Tensor:
    mask = torch.zeros(4, 10, dtype=torch.bool)
    mask[:, x1:x2] = True
    return mask


RULES = Config(classes=8, stuff=6, least=0.5, hidden=0.5, smallest=8)
SKY = torch.full((4, 10), 1)


def test_likelier_objects_are_in_front() -> None:
    merged = merge(found(box(0, 4), box(2, 6), scores=(0.9, 0.8), labels=(1, 2)), SKY, RULES)
    assert merged["map"][0].tolist() == [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    assert merged["segments"] == [
        {"id": 1, "category_id": 1},
        {"id": 2, "category_id": 2},
        {"id": 3, "category_id": 9},
    ]


def test_objects_that_are_hidden_empty_or_unlikely_are_dropped() -> None:
    objects = found(*(box(0, 4), box(1, 5), box(0, 0), box(6, 8)), scores=(0.9, 0.8, 0.7, 0.4), labels=(1, 2, 3, 4))
    merged = merge(objects, SKY, RULES)
    assert merged["map"][0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert [segment["category_id"] for segment in merged["segments"]] == [1, 9]


def test_small_stuff_and_things_without_an_object_are_nobodys() -> None:
    labels = SKY.clone()
    labels[:, 5:7], labels[0, 7:], labels[:, 9] = 0, 6, 3
    nobody = found(box(0, 0), scores=(0.1,), labels=(1,))
    merged = merge(nobody, labels, RULES)
    assert merged["map"][0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert merged["map"][1].tolist() == [1, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    assert merge(nobody, labels, Config(8, stuff=6, smallest=2))["segments"][1:] == [
        {"id": 2, "category_id": 11},
        {"id": 3, "category_id": 14},
    ]
