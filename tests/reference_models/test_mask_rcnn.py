from __future__ import annotations

from functools import partial
from itertools import accumulate

import pytest
import torch

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
from reference_models.instance.mask_rcnn import build

nano = partial(nano_of, build)


def test_parts_cost_what_is_published() -> None:
    parts = [part.macs for part in cost_of(build).parts.values()]
    assert list(accumulate(parts)) == [88_381_440_000, 120_020_169_216, 134_379_721_216, 187_586_351_616]


def test_forward_runs_on_meta() -> None:
    with torch.device("meta"):
        model, images = build("paper").eval(), torch.zeros(2, 3, 256, 320)
        raw = model(images)
    assert [tuple(boxes.shape) for boxes in raw["boxes"]] == [(100, 4)] * 2
    assert [tuple(masks.shape) for masks in raw["masks"]] == [(100, 28, 28)] * 2


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(most=6), noise(3, 64))
    assert all(len(image["boxes"]) for image in found)
    assert all(image["masks"].shape[1:] == (64, 64) for image in found)


def test_filled_up_images_have_nothing_beyond_their_size() -> None:
    model, images = nano(most=6).eval(), noise(2, 64).float()
    with torch.inference_mode():
        raw = model(images)
        full, cut = model.postprocess(raw, [(64, 64), (40, 50)])
    assert torch.equal(full["masks"], model.postprocess(raw)[0]["masks"])
    assert cut["masks"].shape[1:] == (40, 50)
    assert cut["boxes"].amax(0).tolist() <= [50, 40, 50, 40]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_in_half_precision_boxes_stay_exact(device: str) -> None:
    model = nano(most=6).bfloat16().eval().to(device)
    with torch.inference_mode():
        raw = model(noise(1, 128).bfloat16().to(device))
    assert raw["maps"][0].dtype == torch.bfloat16
    assert (raw["boxes"][0].dtype, raw["masks"][0].dtype) == (torch.float32, torch.float32)
    if device == "cpu":
        assert len(model.postprocess(raw)[0]["masks"]) > 0


def test_images_with_and_without_objects_train() -> None:
    images = torch.cat([picture_of(two_objects(64)), noise(1, 64).float()])
    terms = check_everything_learns(nano(), images, [two_objects(64), nothing(64)])
    assert set(terms) == {"proposal", "proposal_box", "class", "box", "mask"}
    terms = check_everything_learns(nano(), images, [nothing(64)] * 2)
    assert terms["mask"] == terms["box"] == terms["proposal_box"] == 0


def test_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    (found,) = check_learns_by_heart(nano(), picture_of(target), [target], steps=40)
    gt = {**target, "labels": target["labels"] + 1}
    for iou_type in ("bbox", "segm"):
        assert DetectionAP(iou_type).update(gt, found).compute().values["AP50"] > 0.99
