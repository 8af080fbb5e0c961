from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from cvbench.metrics.keypoints import PCK
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    cost_of,
    nano_of,
    noise,
    person,
    picture_of_person,
)
from reference_models.parts.joints import draw_joints
from reference_models.pose.cpm import CARD, CENTRE, build

nano = partial(nano_of, build)


def test_the_card_says_what_the_paper_counts_twice() -> None:
    assert round(2 * cost_of(build).macs / 1e9) == 351
    assert any("351 GFLOPs" in sentence for sentence in CARD.deviations)


@pytest.mark.parametrize(("size", "expected"), [("nano", (2, 3, 15, 33, 23)), ("paper", (2, 6, 15, 17, 12))])
def test_every_stage_says_where_joints_are(size: Any, expected: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert build(size)(torch.zeros(2, 3, 130, 90))["beliefs"].shape == expected


def test_at_first_all_is_background() -> None:
    beliefs = nano()(noise(2, 64).float())["beliefs"].detach()
    assert (beliefs[:, :, :-1].abs() < 0.4).all()
    assert ((beliefs[:, :, -1] - 1).abs() < 0.4).all()


def test_a_stage_reads_the_belief_of_the_one_before_and_the_centre_of_the_image() -> None:
    model = nano().eval()
    seen: list[tuple[Tensor, ...]] = []
    for stage in model.later:
        stage.register_forward_hook(lambda _, shown, out: seen.append((*shown, out)))
    images = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        beliefs = model(images)["beliefs"]
        trunk = model.later_trunk(model.normalized(images))
    centre = draw_joints(torch.tensor([[6.0, 8.0]]), torch.tensor([True]), (16, 12), 64 * CENTRE / 4)
    for k, (features, belief, middle, out) in enumerate(seen):
        assert torch.equal(features, trunk)
        assert torch.equal(belief, beliefs[:, k])
        assert torch.equal(out, beliefs[:, k + 1])
        torch.testing.assert_close(middle, centre.expand(2, 1, 16, 12))


def test_every_stage_sees_farther() -> None:
    """A belief in one cell depends on a larger part of the image in every stage."""
    model = nano(norm=None).eval()
    images = torch.rand(1, 3, 256, 256, requires_grad=True)
    beliefs = model(images)["beliefs"]
    sides = []
    for stage in range(3):
        (gradient,) = torch.autograd.grad(beliefs[0, stage, 0, 32, 32], images, retain_graph=True)
        rows = gradient.abs().sum((0, 1, 3)).nonzero()
        sides.append(int(rows.max() - rows.min()) + 1)
    assert sides[0] < sides[1] < sides[2]


def test_a_machine_of_one_stage_has_no_second_trunk() -> None:
    model = nano(stages=1)
    assert list(model.later_trunk.parameters()) == []
    check_everything_learns(model, noise(2, 64).float(), [person(64, 14)] * 2)


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 64))
    assert [tuple(person["keypoints"].shape) for person in found] == [(14, 2)] * 3


def test_joints_are_where_the_last_stage_believes_in_them_most() -> None:
    model = nano(joints=1)
    beliefs = torch.zeros(2, 3, 2, 16, 16)
    beliefs[:, :2, 0, 1, 1] = 1
    beliefs[:, 2, 0, 10, 4], beliefs[:, 2, 0, 2, 3] = 0.75, 0.5
    beliefs[:, 2, 1] = 1  # the background is no joint
    (whole, cut) = model.postprocess({"beliefs": beliefs}, [(64, 64), (32, 18)])
    assert (whole["keypoints"].tolist(), whole["scores"].tolist()) == ([[18, 42]], [0.75])
    assert (cut["keypoints"].tolist(), cut["scores"].tolist()) == ([[14, 10]], [0.5])


def test_the_loss_is_the_error_of_every_stage_and_of_the_background() -> None:
    model, target = nano(joints=3), person(64)
    target["visible"][1] = False
    joints = draw_joints(target["keypoints"] / 4, target["visible"], (16, 16))
    right = torch.cat([joints, 1 - joints.amax(0, keepdim=True)])
    beliefs = right.expand(1, 3, 4, 16, 16).clone()
    assert model.loss({"beliefs": beliefs}, [target])["beliefs"] == 0
    beliefs[0, 0, 1, 3, 4] = 0.5  # a joint that is not seen
    beliefs[0, 2, 3] += 0.1  # the background
    expected = (0.25 + 0.01 * 16 * 16) / 4
    assert model.loss({"beliefs": beliefs}, [target])["beliefs"].item() == pytest.approx(expected, rel=1e-5)


def test_people_with_and_without_visible_joints_train() -> None:
    unseen = {"keypoints": torch.zeros(14, 2), "visible": torch.zeros(14, dtype=torch.bool)}
    assert set(check_everything_learns(nano(), noise(2, 64).float(), [person(64, 14), unseen])) == {"beliefs"}
    check_everything_learns(nano(), noise(2, 64).float(), [unseen] * 2)


def test_joints_are_learnt_by_heart() -> None:
    targets = [person(64, seed=seed) for seed in range(4)]
    images = torch.cat([picture_of_person(target, 64) for target in targets])
    found = check_learns_by_heart(nano(joints=3), images, targets, steps=40, rate=5e-3)
    gt = {name: torch.stack([target[name] for target in targets]) for name in ("keypoints", "visible")}
    gt["boxes"] = torch.tensor([[0.0, 0, 64, 64]] * 4)
    metric = PCK(thresholds=0.03).update(gt, torch.stack([person["keypoints"] for person in found]))
    assert metric.compute().values["PCK@0.03"] == 1
