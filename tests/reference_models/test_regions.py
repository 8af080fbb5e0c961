from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reference_models.parts.ops import box_iou, encode_boxes, roi_align
from reference_models.parts.regions import Pooling, ProposalNetwork, ProposalRules, image_of, parts_of

SIZE = (48, 64)
STRIDES = (4, 8)


def network(rules: ProposalRules | None = None) -> ProposalNetwork:
    torch.manual_seed(0)
    return ProposalNetwork(3, STRIDES, (8, 24), rules or ProposalRules(per_map=50, count=20, overlap=0.4))


def maps_of(images: int, seed: int = 0, channels: int = 3) -> list[Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    return [torch.randn(images, channels, SIZE[0] // s, SIZE[1] // s, generator=numbers) for s in STRIDES]


def boxes_of(count: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=numbers) * torch.tensor([64.0, 48.0])
    half = torch.rand(count, 2, generator=numbers) * 30 + 0.5
    return torch.cat([centre - half, centre + half], 1)


def test_the_network_has_the_published_parameters() -> None:
    with torch.device("meta"):
        published = ProposalNetwork(256, (4, 8, 16, 32, 64), (32, 64, 128, 256, 512), ProposalRules())
    assert sum(param.numel() for param in published.parameters()) == 593_935


def test_anchors_stand_around_the_centres_of_cells() -> None:
    fine, coarse = network().anchors(maps_of(1))
    assert [len(fine), len(coarse)] == [3 * 12 * 16, 3 * 6 * 8]
    for anchors, stride, side, columns in ((fine, 4, 8, 16), (coarse, 8, 24, 8)):
        for place, (x1, y1, x2, y2) in enumerate(anchors.tolist()):
            cell, shape = divmod(place, 3)
            row, column = divmod(cell, columns)
            centre = ((column + 0.5) * stride, (row + 0.5) * stride)
            assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx(centre)
            assert (x2 - x1) * (y2 - y1) == pytest.approx(side**2)
            assert (y2 - y1) / (x2 - x1) == pytest.approx((0.5, 1, 2)[shape])


def test_logits_and_codes_are_in_the_order_of_anchors() -> None:
    rpn, maps = network(), maps_of(2)
    logits, codes = rpn(maps)
    for fmap, logit, code in zip(maps, logits, codes, strict=True):
        seen = rpn.conv(fmap).relu()
        score, boxes = rpn.objectness(seen), rpn.code(seen)
        columns = fmap.shape[3]
        for row, column, shape in ((0, 0, 0), (2, 5, 1), (5, 7, 2)):
            place = (row * columns + column) * 3 + shape
            assert torch.equal(logit[:, place], score[:, shape, row, column])
            assert torch.equal(code[:, place], boxes[:, 4 * shape : 4 * shape + 4, row, column])


def greedy(boxes: Tensor, scores: Tensor, rules: ProposalRules) -> list[int]:
    kept: list[int] = []
    for best in scores.argsort(descending=True, stable=True).tolist():
        if all(box_iou(boxes[best, None], boxes[other, None]) <= rules.overlap for other in kept):
            kept.append(best)
    return kept


@pytest.mark.parametrize("seed", range(3))
def test_the_likeliest_regions_that_differ_are_proposed(seed: int) -> None:
    rpn = network()
    maps = maps_of(2, seed)
    logits, codes = rpn(maps)
    anchors = rpn.anchors(maps)
    regions = rpn.propose(logits, codes, anchors, SIZE)
    for image, found in enumerate(regions):
        expected: list[tuple[float, list[float]]] = []
        for logit, code, anchor in zip(logits, codes, anchors, strict=True):
            one = ProposalNetwork(3, (4,), (8,), ProposalRules(per_map=50, count=50, overlap=1.0))
            (decoded,) = one.propose([logit[image, None]], [code[image, None]], [anchor], SIZE)
            scores = logit[image].sort(descending=True).values[:50].detach()
            kept = greedy(decoded, scores, rpn.rules)
            expected += [(scores[k].item(), decoded[k].tolist()) for k in kept]
        expected.sort(key=lambda pair: -pair[0])
        assert found.tolist() == [box for _, box in expected[:20]]


def test_regions_are_within_the_image_and_have_an_area() -> None:
    rpn = network(ProposalRules(per_map=1000, count=1000, overlap=0.99))
    maps = maps_of(1)
    logits, codes = rpn(maps)
    codes = [code - 20 * (torch.arange(code.shape[1]) % 2 == 0)[:, None] for code in codes]  # half of them far outside
    (found,) = rpn.propose(logits, codes, rpn.anchors(maps), SIZE)
    assert 0 < len(found) < sum(logit.shape[1] for logit in logits)
    assert (found[:, 2:] > found[:, :2]).all()
    assert found.min() >= 0
    assert found[:, 2].max() <= SIZE[1]
    assert found[:, 3].max() <= SIZE[0]


def test_on_meta_as_many_are_proposed_as_may_be() -> None:
    rpn, maps = network().to("meta"), [fmap.to("meta") for fmap in maps_of(3)]
    regions = rpn.propose(*rpn(maps), rpn.anchors(maps), SIZE)
    assert [tuple(boxes.shape) for boxes in regions] == [(20, 4)] * 3


def test_a_network_that_says_what_is_there_has_no_loss() -> None:
    rpn, maps = network(ProposalRules(drawn=64)), maps_of(1)
    anchors, truths = rpn.anchors(maps), boxes_of(3, seed=5)
    logits, codes = [], []
    for anchor in anchors:
        overlaps = box_iou(truths, torch.cat(anchors)).amax(1)
        own = box_iou(truths, anchor)
        shows = (own.amax(0) >= 0.7) | (own == overlaps[:, None]).any(0)
        logits.append(torch.where(shows, 200.0, -200.0)[None])
        codes.append(encode_boxes(truths[own.argmax(0)], anchor, rpn.WEIGHTS)[None])
    right = rpn.loss(logits, codes, anchors, [truths])
    assert {name: term.item() for name, term in right.items()} == {"proposal": 0.0, "proposal_box": 0.0}
    wrong = rpn.loss([-logit for logit in logits], [code + 1 for code in codes], anchors, [truths])
    assert wrong["proposal"] == pytest.approx(200)
    assert wrong["proposal_box"] > 0


def test_images_without_objects_teach_that_nothing_is_there() -> None:
    rpn, maps = network(), maps_of(2)
    loss = rpn.loss(*rpn(maps), rpn.anchors(maps), [torch.zeros(0, 4)] * 2)
    assert loss["proposal_box"] == 0
    sum(loss.values()).backward()
    assert rpn.objectness.bias.grad is not None
    assert (rpn.objectness.bias.grad > 0).all()


def test_regions_are_taken_from_the_map_in_which_they_are_large_enough() -> None:
    pooling = Pooling((4, 8, 16), cells=7)
    sides = torch.tensor([1.0, 27, 28, 55.9, 56, 111, 112, 5000])
    boxes = torch.stack([torch.zeros(8), torch.zeros(8), sides * 2, sides / 2], 1)
    assert pooling.levels(boxes).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    published = Pooling((4, 8, 16, 32))
    assert published.levels(torch.tensor([[0.0, 0, 224, 224], [0, 0, 112, 112]])).tolist() == [2, 1]


def test_pooling_keeps_the_order_of_regions() -> None:
    pooling, maps = Pooling(STRIDES, cells=4), maps_of(3)
    regions = [boxes_of(6, 1), boxes_of(0, 2), boxes_of(9, 3)]
    assert set(pooling.levels(torch.cat(regions)).tolist()) == {0, 1}
    content = pooling(maps, regions, size=3)
    assert content.shape == (15, 3, 3, 3)
    assert image_of(regions).tolist() == [0] * 6 + [2] * 9
    for image, own in enumerate(parts_of(content, regions)):
        for box, values in zip(regions[image], own, strict=True):
            level = int(pooling.levels(box[None]))
            alone = roi_align(maps[level][image, None], [box[None]], 3, STRIDES[level])[0]
            torch.testing.assert_close(values, alone)


def test_no_regions_have_no_content() -> None:
    maps = [fmap.requires_grad_() for fmap in maps_of(2)]
    content = Pooling(STRIDES)(maps, [torch.zeros(0, 4)] * 2, size=3)
    assert content.shape == (0, 3, 3, 3)
    content.sum().backward()


def test_pooling_is_as_exact_as_the_regions() -> None:
    pooling, maps = Pooling(STRIDES, cells=4), [fmap.bfloat16() for fmap in maps_of(2)]
    regions = [boxes_of(5, 1), boxes_of(4, 2)]
    exact = pooling([fmap.float() for fmap in maps], regions, size=3)
    assert torch.equal(pooling(maps, regions, size=3), exact.bfloat16())
