from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import accumulate

import pytest
import torch
from torch import Tensor

from cvbench.cost.counter import count
from cvbench.metrics.detection_ap import DetectionAP
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
from reference_models.detection.faster_rcnn import build
from reference_models.instance import mask_rcnn
from reference_models.model import Raw
from reference_models.parts.ops import encode_boxes

nano = partial(nano_of, build)


def test_parts_cost_what_is_published() -> None:
    parts = [part.macs for part in cost_of(build).parts.values()]
    assert list(accumulate(parts)) == [88_381_440_000, 120_020_169_216, 134_379_721_216]


def test_work_grows_with_the_proposals_that_are_pinned() -> None:
    with torch.device("meta"):
        model = build("paper")
    half = count(model, replace(model.spec, proposals=500), strict=True)
    assert half.parts["boxes"].macs == 14_359_552_000 / 2


def test_the_small_mask_rcnn_is_the_small_model_with_a_head_more() -> None:
    more = mask_rcnn.build("nano").state_dict()
    own = {name: tensor.shape for name, tensor in nano().state_dict().items()}
    assert own == {name: tensor.shape for name, tensor in more.items() if not name.startswith("mask_head.")}


@pytest.mark.parametrize("size", [(256, 320), (211, 333)])
def test_forward_runs_on_meta(size: tuple[int, int]) -> None:
    with torch.device("meta"):
        raw = build("paper").eval()(torch.zeros(2, 3, *size))
    assert [tuple(regions.shape) for regions in raw["regions"]] == [(1000, 4)] * 2
    assert [tuple(boxes.shape) for boxes in raw["boxes"]] == [(100, 4)] * 2
    assert tuple(raw["maps"][0].shape) == (2, 256, -(-size[0] // 4), -(-size[1] // 4))


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(most=6), noise(3, 64))
    assert all(len(image["boxes"]) for image in found)


def raw_of(boxes: list[Tensor], scores: list[Tensor], classes: list[Tensor]) -> Raw:
    return {"images": torch.zeros(len(boxes), 3, 64, 80), "boxes": boxes, "scores": scores, "classes": classes}


def test_what_is_found_ends_with_the_image() -> None:
    boxes = torch.tensor([[2.0, 3, 80, 64], [10, 10, 20, 20]])
    raw = raw_of([boxes] * 2, [torch.tensor([0.9, 0.4])] * 2, [torch.tensor([7, 0])] * 2)
    whole, cut = nano().postprocess(raw, [(64, 80), (40, 50)])
    assert whole["boxes"].tolist() == boxes.tolist()
    assert cut["boxes"].tolist() == [[2, 3, 50, 40], [10, 10, 20, 20]]
    assert cut["labels"].tolist() == [8, 1], "category ids begin at 1"
    assert cut["scores"].tolist() == pytest.approx([0.9, 0.4])
    assert torch.equal(nano().postprocess(raw)[1]["boxes"], boxes)


def test_what_the_loss_asks_of_proposals_is_proposed() -> None:
    model, target = nano(), two_objects(64)
    raw = model.train()(noise(1, 64).float())
    anchors = torch.cat(model.proposals.anchors(raw["maps"]))
    centre = (anchors[:, None, :2] + anchors[:, None, 2:]) / 2 - (target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2
    nearest = centre.square().sum(2).argmin(1)  # every anchor should be on the object that is nearer
    codes = encode_boxes(target["boxes"][nearest], anchors, model.proposals.WEIGHTS)
    sizes = [logits.shape[1] for logits in raw["objectness"]]
    raw["codes"] = list(codes[None].split(sizes, 1))
    regions = model.proposals.propose(
        [torch.zeros(1, size) for size in sizes], raw["codes"], model.proposals.anchors(raw["maps"]), (64, 64)
    )
    # Those of different maps do not suppress each other, so that each object is proposed once by each map at most.
    assert all(min((box - truth).abs().max() for truth in target["boxes"]) < 1e-3 for box in regions[0])
    assert len(regions[0]) <= 2 * len(sizes)


def test_terms_of_a_detector_that_is_right_are_nothing() -> None:
    model, target = nano(), two_objects(64)
    raw = model.train()(noise(1, 64).float())
    raw["regions"] = [torch.cat([target["boxes"], torch.tensor([[0.0, 50, 10, 60]])])]

    def right(content: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.zeros(len(content), 9)
        logits[:4, [3, 6]], logits[4:, 0] = 0.0, 50.0
        return logits, torch.zeros(len(content), 8, 4)

    model.box_head.forward = right  # type: ignore[method-assign]  # what it would say if it knew
    terms = model.loss(raw, [target])
    assert terms["box"] == 0
    # Five regions: the true boxes twice, undecided among nine outputs, and one of background.
    assert terms["class"].item() == pytest.approx(4 / 5 * torch.tensor(9.0).log().item(), rel=1e-5)


@pytest.mark.parametrize("first", [two_objects(64), nothing(64)], ids=["one", "none"])
def test_images_without_objects_train(first: dict[str, Tensor]) -> None:
    images = torch.cat([picture_of(two_objects(64)), noise(1, 64).float()])
    terms = check_everything_learns(nano(), images, [first, nothing(64)])
    assert set(terms) == {"proposal", "proposal_box", "class", "box"}
    if not len(first["boxes"]):
        assert terms["box"] == terms["proposal_box"] == 0


def test_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    found = check_learns_by_heart(nano(), picture_of(target), [target], steps=40)
    truth = {**target, "labels": target["labels"] + 1}
    assert DetectionAP().update([truth], found).compute().values["AP50"] > 0.99
