from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from cvbench.metrics.panoptic_quality import PanopticQuality
from cvbench.scenes import CATEGORIES
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    cost_of,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.panoptic.panoptic_fpn import Config, SemanticHead, build, merge

nano = partial(nano_of, build)


def test_the_semantic_head_costs_what_its_definition_says() -> None:
    assert cost_of(build).parts["semantic"].macs == 19_261_440_000


def test_the_published_semantic_head_has_the_published_parameters() -> None:
    with torch.device("meta"):
        head = SemanticHead(4, 256, 128, 32, 54)
    assert sum(parameter.numel() for parameter in head.parameters()) == 1_630_774


def test_forward_runs_on_meta() -> None:
    with torch.device("meta"):
        raw = build("paper").eval()(torch.zeros(2, 3, 200, 328))
    assert raw["semantic"].shape == (2, 54, 200, 328)
    assert [tuple(boxes.shape) for boxes in raw["boxes"]] == [(100, 4)] * 2


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


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(most=6, least=0.0, smallest=20), noise(3, 64))
    assert all(image["segments"] for image in found)


def test_filled_up_images_have_the_map_of_their_size() -> None:
    model = nano(least=0.0, smallest=1).eval()
    with torch.inference_mode():
        raw = model(noise(1, 64).float())
        (cut,) = model.postprocess(raw, [(40, 50)])
    assert cut["map"].shape == (40, 50)
    assert set(cut["map"].unique().tolist()) - {0} == {segment["id"] for segment in cut["segments"]}


def test_images_with_and_without_objects_train() -> None:
    images = torch.cat([picture_of(two_objects(64)), noise(1, 64).float()])
    terms = check_everything_learns(nano(), images, [two_objects(64), nothing(64)])
    assert set(terms) == {"proposal", "proposal_box", "class", "box", "mask", "semantic"}
    void = {**nothing(64), "semantic": torch.full((64, 64), 255)}
    assert check_everything_learns(nano(), images, [void] * 2)["semantic"] == 0


def test_labels_of_things_are_one_output_and_void_is_none() -> None:
    model, target = nano(), nothing(64)
    target["semantic"][:32], target["semantic"][:32, :5], target["semantic"][40:] = 3, 255, 13
    right = torch.full((64, 64), 1)
    right[:32], right[40:] = 0, 6
    raw = model.train()(noise(1, 64).float())
    raw["semantic"] = torch.nn.functional.one_hot(right, 7).permute(2, 0, 1)[None] * 200.0
    assert model.loss(raw, [target])["semantic"] == 0
    raw["semantic"][:, :, :32, :5] = -raw["semantic"][:, :, :32, :5]
    assert model.loss(raw, [target])["semantic"] == 0
    raw["semantic"] *= -1
    assert model.loss(raw, [target])["semantic"] == pytest.approx(model.config.weight * 200, rel=0.1)


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


def test_segments_are_learnt_by_heart() -> None:
    target = two_objects(64)
    (merged,) = check_learns_by_heart(nano(), picture_of(target), [target], steps=40)
    segments = torch.where(target["semantic"] == 255, 0, 9)
    segments[target["masks"][0]], segments[target["masks"][1]], segments[:2] = 3, 6, 0
    gt = {"map": segments, "segments": [{"id": category, "category_id": category} for category in (3, 6, 9)]}
    quality = PanopticQuality(CATEGORIES, things=range(1, 9)).update(gt, merged).compute()
    assert quality.values["RQ"] == 1
    assert quality.values["PQ"] > 0.8
