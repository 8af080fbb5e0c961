from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

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
from reference_models.pose.hourglass import PreActivation, build

nano = partial(nano_of, build)


@pytest.mark.parametrize(
    ("stacks", "params", "macs"),
    [(1, 3_426_448, 5_150_343_168), (2, 6_570_400, 8_334_606_336), (4, 12_858_304, 14_703_132_672)],
)
def test_models_of_fewer_stacks_cost_what_is_published(stacks: int, params: int, macs: int) -> None:
    found = cost_of(build, stacks=stacks)
    assert (found.params, found.macs) == (params, macs)


def test_the_published_hourglass_has_the_published_parameters() -> None:
    with torch.device("meta"):
        hourglass = build("paper", stacks=1).stacks[0].features[0]
    assert sum(parameter.numel() for parameter in hourglass.parameters()) == 2_788_864


@pytest.mark.parametrize(("size", "expected"), [("nano", (2, 2, 14, 65, 45)), ("paper", (2, 8, 16, 32, 22))])
def test_every_stack_says_where_joints_are(size: Any, expected: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert build(size)(torch.zeros(2, 3, 130, 90))["heat"].shape == expected


def test_a_block_adds_what_it_makes_of_its_input() -> None:
    torch.manual_seed(0)
    kept, changed, x = PreActivation(8, 8).eval(), PreActivation(8, 12).eval(), torch.randn(1, 8, 5, 5)
    for block in (kept, changed):
        assert torch.equal(block(x), block.shortcut(x) + block.layers(x))
    assert torch.equal(kept.shortcut(x), x)
    assert changed(x).shape == (1, 12, 5, 5)


def test_a_stack_reads_what_the_one_before_it_said() -> None:
    model = nano().eval()
    with torch.inference_mode():
        before = model(noise(1, 64).float())["heat"]
        model.stacks[0].heat.bias.add_(1)
        after = model(noise(1, 64).float())["heat"]
    torch.testing.assert_close(after[:, 0], before[:, 0] + 1)
    assert not torch.allclose(after[:, 1], before[:, 1])


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 64))
    assert [tuple(person["keypoints"].shape) for person in found] == [(14, 2)] * 3


def test_joints_of_filled_up_images_are_within_their_size() -> None:
    model = nano().eval()
    with torch.inference_mode():
        raw = model(noise(2, 64).float())
        full, cut = model.postprocess(raw, [(64, 64), (30, 20)])
    assert torch.equal(full["keypoints"], model.postprocess(raw)[0]["keypoints"])
    assert (cut["keypoints"] < torch.tensor([20, 30])).all()


def test_the_loss_is_the_error_of_every_stack() -> None:
    model, target = nano(joints=3), person(64)
    target["visible"][1] = False
    right = draw_joints(target["keypoints"] / 2, target["visible"], (32, 32))
    heat = right.expand(1, 2, 3, 32, 32).clone()
    assert model.loss({"heat": heat}, [target])["heat"] == 0
    heat[0, 0, 1, 3, 4] = 0.5  # a joint that is not seen
    heat[0, 1, 2] += 0.1
    assert model.loss({"heat": heat}, [target])["heat"] == pytest.approx((0.25 + 0.01 * 32 * 32) / 3, rel=1e-5)


def test_people_with_and_without_visible_joints_train() -> None:
    unseen = {"keypoints": torch.zeros(14, 2), "visible": torch.zeros(14, dtype=torch.bool)}
    assert set(check_everything_learns(nano(), noise(2, 64).float(), [person(64, 14), unseen])) == {"heat"}
    check_everything_learns(nano(), noise(2, 64).float(), [unseen] * 2)


def test_joints_are_learnt_by_heart() -> None:
    targets = [person(64, seed=seed) for seed in range(4)]
    images = torch.cat([picture_of_person(target, 64) for target in targets])
    found = check_learns_by_heart(nano(joints=3), images, targets, steps=40)
    gt = {name: torch.stack([target[name] for target in targets]) for name in ("keypoints", "visible")}
    gt["boxes"] = torch.tensor([[0.0, 0, 64, 64]] * 4)
    metric = PCK(thresholds=0.02).update(gt, torch.stack([person["keypoints"] for person in found]))
    assert metric.compute().values["PCK@0.02"] == 1
