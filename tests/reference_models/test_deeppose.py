from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from cvbench.metrics.keypoints import PCK
from cvbench.scenes import JOINTS
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
from reference_models.parts.ops import roi_align
from reference_models.pose.deeppose import CARD, NANO, DeepPose, build

nano = partial(nano_of, build)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_later_stages_run_once_for_each_joint(stages: int) -> None:
    found = cost_of(build, stages=stages)
    assert (found.params, found.macs) == (stages * 56_982_940, (14 * stages - 13) * 646_850_336)


def test_the_card_says_what_does_not_follow() -> None:
    quoted = [fact.value for fact in CARD.published if fact.quantity == "params"]
    assert quoted == [3 * 56_982_940, 56_982_940, 40_000_000]
    assert any("56,982,940" in sentence and "40M" in sentence for sentence in CARD.deviations)


def test_the_size_of_a_person_in_scenes_is_from_a_shoulder_to_the_hip_across() -> None:
    assert [JOINTS[k] for k in NANO.torso] == ["left_shoulder", "right_hip"]


@pytest.mark.parametrize("size", ["nano", "paper"])
def test_every_stage_says_where_joints_are(size: Any) -> None:
    with torch.device("meta"):
        raw = build(size)(torch.zeros(2, 3, 230, 301))
    assert {name: tuple(tensor.shape) for name, tensor in raw.items()} == {
        "joints": (2, 3, 14, 2),
        "sides": (2, 3, 14, 2),
    }


def fixed(model: DeepPose, stage: int, moves: Tensor) -> list[Tensor]:
    """Let a stage say the same of everything that it is shown; what that is."""
    seen: list[Tensor] = []

    def say(_: object, shown: tuple[Tensor, ...], out: Tensor) -> Tensor:
        seen.append(shown[0])
        return moves.flatten().to(out).expand_as(out)

    model.stages[stage].register_forward_hook(say)
    return seen


def test_the_first_stage_speaks_of_the_whole_image() -> None:
    model = nano(joints=2, stages=1, torso=(0, 1))
    fixed(model, 0, torch.tensor([[0.0, 0.0], [0.25, -0.5]]))
    raw = model(torch.rand(1, 3, 60, 80))
    assert raw["joints"].tolist() == [[[[40, 30], [60, 0]]]]
    assert raw["sides"].tolist() == [[[[80, 60]] * 2]]


def test_a_later_stage_looks_at_each_joint_and_moves_it() -> None:
    model = nano(joints=2, stages=2, torso=(0, 1), crop=36).eval()
    fixed(model, 0, torch.tensor([[-0.125, -0.125], [0.125, 0.125]]))  # 24, 24 and 40, 40 in 64 × 64 pixels
    seen = fixed(model, 1, torch.tensor([[0.1, 0.0], [0.0, -0.2]]))
    images = torch.rand(1, 3, 64, 64)
    raw = model(images)
    side = 2 * 16 * 2**0.5
    assert raw["sides"][0, 1].tolist() == [[pytest.approx(side)] * 2] * 2
    assert raw["joints"][0, 1].tolist() == [
        pytest.approx([24 + 0.1 * side, 24]),
        pytest.approx([40, 40 - 0.2 * side]),
    ]
    boxes = torch.tensor([[24.0, 24], [40, 40]]).repeat(1, 2) + side / 2 * torch.tensor([-1.0, -1, 1, 1])
    torch.testing.assert_close(seen[0], roi_align(model.normalized(images), [boxes], 36, 1, 1))


def test_crops_are_neither_tiny_nor_larger_than_the_image_and_begin_within_it() -> None:
    model, whole = nano(torso=(0, 1)), torch.tensor([64.0, 48])
    joints = torch.tensor([[[5.0, 5], [5, 5]], [[0, 0], [3, 4]], [[0, 0], [60, 40]]])
    assert model.side(joints, whole).flatten().tolist() == [8, 10, 64]
    lost = nano(joints=2, stages=2, torso=(0, 1))
    fixed(lost, 0, torch.tensor([[-3.0, 0.0], [0.0, 9.0]]))
    fixed(lost, 1, torch.zeros(2, 2))
    assert lost(torch.rand(1, 3, 64, 64))["joints"][0, 1].tolist() == [[0, 32], [32, 64]]


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 64))
    assert [tuple(person["keypoints"].shape) for person in found] == [(14, 2)] * 3
    assert all((person["scores"] == 1).all() for person in found)


def test_joints_are_within_their_image() -> None:
    model = nano(joints=2)
    raw = {
        "joints": torch.tensor([[[[99.0, 99], [1, 1]], [[70, -3], [10, 50]]]] * 2),
        "sides": torch.tensor([[[[64.0, 48]] * 2, [[9, 9]] * 2]] * 2),
    }
    whole, _ = model.postprocess(raw)
    assert whole["keypoints"].tolist() == [[64, 0], [10, 48]]
    full, cut = model.postprocess(raw, [(48, 64), (30, 20)])
    assert torch.equal(full["keypoints"], whole["keypoints"])
    assert cut["keypoints"].tolist() == [[20, 0], [10, 30]]


def test_the_loss_is_the_error_in_sides_of_what_is_seen() -> None:
    model = nano(joints=2)
    target = {"keypoints": torch.tensor([[10.0, 20], [30, 30]]), "visible": torch.tensor([True, True])}
    unseen = {"keypoints": torch.full((2, 2), 500.0), "visible": torch.tensor([False, False])}
    joints = torch.tensor([[[10.0, 20], [30, 30]], [[13, 20], [30, 34]]])  # of two stages
    sides = torch.tensor([[[64.0, 64]] * 2, [[10, 20]] * 2])
    raw = {"joints": joints.expand(2, -1, -1, -1), "sides": sides.expand(2, -1, -1, -1)}
    terms = model.loss(raw, [target, unseen])
    assert terms["stage_1"] == 0
    assert terms["stage_2"].item() == pytest.approx((0.3**2 + 0.2**2) / 2)


def test_people_with_and_without_visible_joints_train() -> None:
    unseen = {"keypoints": torch.zeros(14, 2), "visible": torch.zeros(14, dtype=torch.bool)}
    terms = check_everything_learns(nano(), noise(2, 64).float(), [person(64, 14), unseen])
    assert list(terms) == ["stage_1", "stage_2", "stage_3"]
    assert sum(check_everything_learns(nano(), noise(2, 64).float(), [unseen] * 2).values()) == 0


def test_joints_are_learnt_by_heart() -> None:
    targets = [person(64, seed=seed) for seed in range(4)]
    images = torch.cat([picture_of_person(target, 64) for target in targets])
    model = nano(joints=3, torso=(0, 1))
    found = check_learns_by_heart(model, images, targets, steps=80, rate=5e-3)
    gt = {name: torch.stack([target[name] for target in targets]) for name in ("keypoints", "visible")}
    gt["boxes"] = torch.tensor([[0.0, 0, 64, 64]] * 4)
    metric = PCK(thresholds=0.03).update(gt, torch.stack([person["keypoints"] for person in found]))
    assert metric.compute().values["PCK@0.03"] == 1
