from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
from reference_models.model import Raw
from reference_models.panoptic.upsnet import (
    NOBODY,
    Config,
    DeformableHead,
    UPSNet,
    apart,
    build,
    channels_of,
    panoptic_logits,
    spread,
)

nano = partial(nano_of, build)


def test_the_semantic_head_costs_what_its_definition_says() -> None:
    with torch.device("meta"):
        head = build("paper").semantic_head
    assert sum(parameter.numel() for parameter in head.parameters()) == 572_841
    assert cost_of(build).parts["semantic"].macs == 29_529_440_000


def test_forward_runs_on_meta() -> None:
    with torch.device("meta"):
        raw = build("paper").eval()(torch.zeros(2, 3, 201, 330))
    assert raw["semantic"].shape == (2, 133, 51, 83)
    assert [tuple(boxes.shape) for boxes in raw["boxes"]] == [(100, 4)] * 2


@pytest.mark.parametrize("groups", [0, 2])
def test_all_maps_share_the_convolutions_of_the_semantic_head(groups: int) -> None:
    torch.manual_seed(0)
    head = DeformableHead(2, 3, 4, 5, (lambda width: nn.GroupNorm(groups, width)) if groups else None)
    maps = [torch.randn(2, 3, *size) for size in ((9, 12), (5, 6), (3, 3))]
    convs = [layer.conv for layer in head.layers if hasattr(layer, "conv")]  # nothing is moved before training
    seen = []
    for fmap in maps[:2]:
        x = fmap
        for conv in convs:
            assert conv.bias is None
            x = conv(x)
            x = (F.group_norm(x, groups) if groups else x).relu()
        seen.append(F.interpolate(x, size=(9, 12), mode="bilinear"))
    torch.testing.assert_close(head(maps), head.scores(torch.cat(seen, 1)), rtol=1e-4, atol=1e-6)


def test_masks_reach_over_their_boxes_and_not_beyond() -> None:
    masks = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[2.0, 1, 10, 5], [0, 0, 4, 4], [-4, 3, 4, 11]])
    drawn, inside = spread(masks, boxes, (8, 12))
    for k, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        whole = F.interpolate(masks[None, k : k + 1], size=(y2 - y1, x2 - x1), mode="bilinear")[0, 0]
        expected = torch.zeros(8, 12)
        rows, columns = slice(max(0, y1), min(8, y2)), slice(max(0, x1), min(12, x2))
        expected[rows, columns] = whole[rows.start - y1 : rows.stop - y1, columns.start - x1 : columns.stop - x1]
        torch.testing.assert_close(drawn[k], expected)
        area = torch.zeros(8, 12, dtype=torch.bool)
        area[rows, columns] = True
        assert torch.equal(inside[k], area)
    (part,) = spread(masks[:1], torch.tensor([[1.4, 0, 2.6, 1]]), (2, 4))[1]
    assert part.tolist() == [[False, True, True, False], [False] * 4], "a pixel is inside if its centre is"
    assert [tuple(tensor.shape) for tensor in spread(masks[:0], boxes[:0], (8, 12))] == [(0, 8, 12)] * 2


def test_panoptic_logits_are_those_of_both_branches() -> None:
    semantic = torch.randn(3 + 2, 2, 4, generator=torch.Generator().manual_seed(0))
    drawn = torch.randn(2, 2, 4, generator=torch.Generator().manual_seed(1))
    inside = torch.zeros(2, 2, 4, dtype=torch.bool)
    inside[0, :, :3], inside[1, 0, 2:] = True, True
    drawn = drawn * inside
    classes = torch.tensor([2, 0])
    logits = panoptic_logits(semantic, classes, drawn, inside, stuff=2)
    assert logits.shape == (5, 2, 4)
    for row in range(2):
        for column in range(4):
            at = semantic[:, row, column].tolist()
            boxed = [at[label] * inside[k, row, column].item() for k, label in enumerate(classes.tolist())]
            own = [boxed[k] + drawn[k, row, column].item() for k in range(2)]
            expected = [*at[3:], *own, max(at[:3]) - max(boxed)]
            assert logits[:, row, column].tolist() == pytest.approx(expected, abs=1e-6)


def test_without_objects_all_things_are_unknown() -> None:
    semantic = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    none = torch.zeros(0, 2, 3)
    logits = panoptic_logits(semantic, torch.zeros(0, dtype=torch.int64), none, none.bool(), stuff=2)
    assert torch.equal(logits, torch.cat([semantic[3:], semantic[:3].amax(0, keepdim=True)]))


def bar(x1: int, x2: int) -> Tensor:
    mask = torch.zeros(4, 10, dtype=torch.bool)
    mask[:, x1:x2] = True
    return mask


def test_masks_that_others_of_their_class_hide_are_dropped() -> None:
    masks = torch.stack([bar(0, 4), bar(2, 6), bar(2, 6), bar(3, 7), bar(5, 5), bar(4, 7), bar(0, 3)])
    classes = torch.tensor([1, 1, 2, 1, 3, 1, 1])
    # The first hides half of the second, a fourth of the fourth and all of the last, the fourth the one with 4 to 7.
    assert apart(masks, classes, 0.3).tolist() == [0, 2, 3]
    assert apart(masks, classes, 0.5).tolist() == [0, 1, 2]
    assert apart(masks[:0], classes[:0], 0.5).tolist() == []


def test_every_pixel_has_the_channel_of_its_segment() -> None:
    semantic = torch.tensor([[8, 9, 13, 255, 2, 2, 5, 5, 2, 255]]).expand(4, 10)
    masks = torch.stack([bar(4, 5), bar(6, 8), bar(5, 6), bar(9, 10)])
    target = {"semantic": semantic, "masks": masks}
    rules = Config(classes=8, stuff=6)
    channels = channels_of(target, torch.tensor([True, True, False, True]), rules)
    assert channels[0].tolist() == [0, 1, 5, NOBODY, 6, 9, 7, 7, NOBODY, 8]
    everything = channels_of({"semantic": semantic, "masks": masks[:0]}, torch.zeros(0, dtype=torch.bool), rules)
    assert everything[0].tolist() == [0, 1, 5, *[NOBODY] * 7]


def raw_of(model: UPSNet, labels: Tensor, objects: list[tuple[list[float], float, int]]) -> Raw:
    """What the network should put out for labels (h, w) of cells, and objects that fill their boxes."""
    total = model.config.classes + model.config.stuff
    shape = (4 * labels.shape[0], 4 * labels.shape[1])
    return {
        "images": torch.zeros(1, 3, *shape),
        "semantic": 5.0 * F.one_hot(labels, total).permute(2, 0, 1)[None],
        "boxes": [torch.tensor([box for box, _, _ in objects]).reshape(-1, 4)],
        "scores": [torch.tensor([score for _, score, _ in objects])],
        "classes": [torch.tensor([label for _, _, label in objects], dtype=torch.int64)],
        "masks": [torch.full((len(objects), 6, 6), 0.99)],
    }


def test_what_both_branches_say_becomes_segments() -> None:
    model, labels = nano(), torch.full((16, 20), 8)
    labels[:, 10:], labels[:9, :5], labels[8:, 5:10], labels[0, 19] = 11, 2, 7, 13
    labels[:1, :5], labels[:2, 12:14] = 5, 1
    objects = [
        ([0.0, 0, 20, 32], 0.9, 2),
        ([0.0, 0, 20, 30], 0.8, 5),  # has nearly the first box
        ([0.0, 8, 20, 60], 0.7, 2),  # has a mask that the first one hides by nearly a half
        ([40.0, 0, 60, 20], 0.59, 1),  # is not likely enough
    ]
    (found,) = model.postprocess(raw_of(model, labels, objects))
    assert [segment["category_id"] for segment in found["segments"]] == [9, 12, 3], "stuff of 16 pixels is left out"
    names = {segment["id"]: segment["category_id"] for segment in found["segments"]} | {0: 0}
    shown = [[names[int(found["map"][row, column])] for column in (2, 30, 60)] for row in (16, 60)]
    assert shown == [[3, 9, 12], [9, 0, 12]], "a thing without an object is unknown"
    (cut,) = model.postprocess(raw_of(model, labels, objects), [(50, 70)])
    assert torch.equal(cut["map"], found["map"][:50, :70])
    (empty,) = model.postprocess(raw_of(model, labels, []))
    assert [segment["category_id"] for segment in empty["segments"]] == [9, 12]


def test_objects_take_their_box_only_where_their_mask_and_class_are() -> None:
    model, labels = nano(), torch.full((16, 16), 8)
    labels[4:12, 4:12] = 3
    raw = raw_of(model, labels, [([8.0, 8, 56, 56], 0.9, 3)])
    raw["masks"][0][:, :, :3] = 0.001
    (found,) = model.postprocess(raw)
    own = found["map"] == next(s["id"] for s in found["segments"] if s["category_id"] == 4)
    assert own[20:44, 36:44].all(), "class and mask agree"
    assert not own[:, :26].any(), "the mask says no"
    assert not own[:6].any(), "the box ends"


def test_terms_of_a_network_that_is_right_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, target = nano(unseen=0.0), nothing(64)
    target["semantic"][16:48, 16:48] = 2
    target |= {"boxes": torch.tensor([[16.0, 16, 48, 48], [48, 0, 80, 32]]), "labels": torch.tensor([2, 2])}
    target["masks"] = torch.stack([target["semantic"] == 2, torch.zeros(64, 64, dtype=torch.bool)])
    raw = model.train()(noise(1, 64).float())
    cells = F.one_hot(target["semantic"][::4, ::4], 14).permute(2, 0, 1)[None]
    monkeypatch.setattr(model, "mask_logits", lambda *_: torch.tensor([100.0, -100]).view(2, 1, 1).expand(2, 20, 20))
    inner = target["semantic"].clone()
    for edge in (16, 48):  # where cells of both kinds mix
        inner[edge - 4 : edge + 4], inner[:, edge - 4 : edge + 4] = 255, 255
    raw["semantic"] = cells * 100.0
    terms = model.loss(raw, [{**target, "semantic": inner}])
    assert terms["semantic"] < 1e-6
    assert terms["region_semantic"] < 1e-6, "nothing is asked of what is beyond the image"
    assert terms["panoptic"] < 1e-6
    raw["semantic"] = cells * 1.0
    stuff = math.log(13 + math.e) - 1  # nats of the right one of 14 outputs
    terms = model.loss(raw, [{**target, "semantic": inner}])
    assert terms["semantic"].item() == pytest.approx(0.5 * stuff, rel=1e-4)
    assert terms["region_semantic"].item() == pytest.approx(0.2 * stuff, rel=1e-4)


def test_a_left_out_object_is_learnt_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    model, target = nano(unseen=1.0), nothing(64)
    target |= {"boxes": torch.tensor([[0.0, 0, 64, 64]]), "labels": torch.tensor([2])}
    target |= {"semantic": torch.full((64, 64), 2), "masks": torch.ones(1, 64, 64, dtype=torch.bool)}
    raw = model.train()(noise(1, 64).float())
    raw["semantic"] = torch.zeros(1, 14, 16, 16)
    raw["semantic"][:, 5] = 3.0  # it does not matter which thing is seen
    expected = math.log(6 + math.exp(3)) - 3  # six classes of stuff, and what is unknown
    assert model.loss(raw, [target])["panoptic"].item() == pytest.approx(0.5 * expected, rel=1e-5)


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(most=6, least=0.0, smallest=20), noise(3, 64))
    assert all(image["segments"] for image in found)


def test_in_half_precision_images_have_segments() -> None:
    model = nano(least=0.0, smallest=1).bfloat16().eval()
    with torch.inference_mode():
        (found,) = model.postprocess(model(noise(1, 64).bfloat16()))
    assert found["segments"]


def test_filled_up_images_have_the_map_of_their_size() -> None:
    model = nano(least=0.0, smallest=1).eval()
    with torch.inference_mode():
        (cut,) = model.postprocess(model(noise(1, 64).float()), [(40, 50)])
    assert cut["map"].shape == (40, 50)
    assert set(cut["map"].unique().tolist()) - {0} == {segment["id"] for segment in cut["segments"]}


def test_images_with_and_without_objects_train() -> None:
    images = torch.cat([picture_of(two_objects(64)), noise(1, 64).float()])
    terms = check_everything_learns(nano(), images, [two_objects(64), nothing(64)])
    extra = {"semantic", "region_semantic", "panoptic"}
    assert set(terms) == {"proposal", "proposal_box", "class", "box", "mask"} | extra
    void = {**nothing(64), "semantic": torch.full((64, 64), 255)}
    terms = check_everything_learns(nano(), images, [void] * 2)
    assert all(terms[name] == 0 for name in extra)


def test_segments_are_learnt_by_heart() -> None:
    target = two_objects(64)
    (found,) = check_learns_by_heart(nano(), picture_of(target), [target], steps=60)
    segments = torch.where(target["semantic"] == 255, 0, 9)
    segments[target["masks"][0]], segments[target["masks"][1]], segments[:2] = 3, 6, 0
    gt = {"map": segments, "segments": [{"id": category, "category_id": category} for category in (3, 6, 9)]}
    quality = PanopticQuality(CATEGORIES, things=range(1, 9)).update(gt, found).compute()
    assert quality.values["RQ"] == 1
    assert quality.values["PQ"] > 0.8
