from __future__ import annotations

import doctest
import math
from functools import partial
from itertools import permutations

import pytest
import torch
from torch import Tensor

from cvbench.metrics.detection_ap import DetectionAP
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.detection import cornernet
from reference_models.detection.cornernet import DETECTIONS, CornerNet, build, corner_pool, group_loss
from reference_models.model import Raw

nano = partial(nano_of, build)


def test_examples() -> None:
    assert doctest.testmod(cornernet, extraglobs={"torch": torch}).failed == 0


@pytest.mark.parametrize(("training", "stacks"), [(True, 2), (False, 1)])
def test_all_stacks_speak_in_training_and_the_last_one_always(training: bool, stacks: int) -> None:
    with torch.device("meta"):
        raw = build("paper", classes=3).train(training)(torch.zeros(2, 3, 65, 103))
    cells = 17, 26
    assert raw["heat"].shape == (2, stacks, 2, 3, *cells)
    assert raw["embedding"].shape == (2, stacks, 2, 1, *cells)
    assert raw["offset"].shape == (2, stacks, 2, 2, *cells)
    assert raw["size"] == (65, 103)


def test_what_the_last_stack_says_is_the_same_in_training() -> None:
    model, images = nano(stacks=3).eval(), noise(1, 64).float()
    with torch.inference_mode():
        alone = model(images)
        for module in model.modules():
            module.training = isinstance(module, CornerNet)  # norms stay as they are
        together = model(images)
    assert together["heat"].shape[1] == 3
    for name in ("heat", "embedding", "offset"):
        assert torch.equal(together[name][:, -1:], alone[name])


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize("onward", [True, False])
def test_pooling_looks_along_rows_and_columns(axis: int, onward: bool) -> None:
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    pooled = corner_pool(x, axis, onward=onward)
    for i in range(x.shape[axis]):
        seen = x.narrow(axis, i, x.shape[axis] - i) if onward else x.narrow(axis, 0, i + 1)
        assert torch.equal(pooled.select(axis, i), seen.amax(axis))


def ideal(boxes: Tensor, labels: Tensor, tags: Tensor, shape: tuple[int, int] = (16, 16)) -> Raw:
    """What the network should put out for one image of these objects; `tags` are their embeddings."""
    raw: Raw = {"heat": torch.full((1, 1, 2, 8, *shape), -20.0), "size": (4 * shape[0], 4 * shape[1])}
    raw["embedding"], raw["offset"] = torch.full((1, 1, 2, 1, *shape), 99.0), torch.zeros(1, 1, 2, 2, *shape)
    for box, label, tag in zip(boxes.tolist(), labels.tolist(), tags.tolist(), strict=True):
        for corner, (x, y) in enumerate((box[:2], box[2:])):
            at = 0, 0, corner, slice(None), int(y / 4), int(x / 4)
            raw["heat"][at][label] = 20.0
            raw["embedding"][at] = tag
            raw["offset"][at] = torch.tensor([x / 4 % 1, y / 4 % 1])
    return raw


BOXES = torch.tensor([[3.0, 5, 20, 30], [20, 30, 41, 44], [39, 2, 62, 63]])
LABELS = torch.tensor([7, 0, 0])
TAGS = torch.tensor([0.0, 1, 2])


def test_what_the_loss_asks_for_decodes_to_the_targets() -> None:
    raw = ideal(BOXES, LABELS, TAGS)
    terms = nano().loss(raw, [{"boxes": BOXES, "labels": LABELS}])
    assert terms["pull"] == terms["push"] == terms["offset"] == 0
    assert terms["heat"] < 1e-6
    (found,) = nano().postprocess(raw)
    best = found["scores"] > 0.5
    order = found["boxes"][best][:, 0].argsort()
    torch.testing.assert_close(found["boxes"][best][order], BOXES)
    assert found["labels"][best][order].tolist() == [8, 1, 1], "category ids begin at 1"
    assert len(found["boxes"]) <= DETECTIONS
    assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)


@pytest.mark.parametrize(
    ("labels", "tags", "pairs"),
    [([4, 4], [0.0, 0.51], 2), ([4, 4], [0.0, 0.49], 3), ([4, 5], [0.0, 0.0], 2)],
    ids=["two objects", "of one object as it seems", "two classes"],
)
def test_corners_of_one_class_and_of_near_embeddings_are_pairs(
    labels: list[int], tags: list[float], pairs: int
) -> None:
    boxes = torch.tensor([[4.0, 4, 18, 30], [30, 34, 50, 60]])  # the first corner of one, the last corner of the other
    (found,) = nano().postprocess(ideal(boxes, torch.tensor(labels), torch.tensor(tags)))
    best = found["boxes"][found["scores"] > 0.5].tolist()
    assert ([4, 4, 50, 60] in best) == (pairs == 3)
    assert len(best) == pairs


def test_a_pair_is_as_likely_as_the_mean_of_its_corners_and_takes_from_its_rivals() -> None:
    raw = ideal(torch.tensor([[4.0, 4, 44, 44]]), torch.tensor([3]), torch.tensor([0.0]))
    raw["heat"][0, 0, 1, 3, 11, 11], raw["heat"][0, 0, 1, 3, 11, 13] = 0.0, -1.0  # two last corners, the second weaker
    raw["embedding"][0, 0, 1, 0, 11, 13] = 0.3
    (found,) = nano().postprocess(raw)
    assert found["boxes"][:2].tolist() == [[4, 4, 44, 44], [4, 4, 52, 44]]
    iou = 40 * 40 / (48 * 40)
    second = (1 + 1 / (1 + math.e)) / 2 * math.exp(-(iou**2) / 0.5)
    assert found["scores"][:2].tolist() == pytest.approx([0.75, second], abs=1e-6)


def test_boxes_end_with_the_image() -> None:
    raw = ideal(BOXES, LABELS, TAGS)
    raw["offset"][:, :, 1] += 6
    (whole,), (cut,) = nano().postprocess(raw), nano().postprocess(raw, [(50, 45)])
    for found, side in ((whole, [64, 64]), (cut, [45, 50])):
        boxes = found["boxes"][found["scores"] > 0.5]
        assert boxes.amax(0)[2:].tolist() == side
    (gone,) = nano().postprocess(raw, [(50, 39)])
    assert gone["boxes"][:, 0].amax() < 39, "nothing is left of the object at the right"


def test_each_term_counts_what_is_wrong() -> None:
    model, target = nano(), [{"boxes": BOXES, "labels": LABELS}]
    raw = ideal(BOXES, LABELS, TAGS)
    raw["offset"] += 2
    raw["embedding"][:, :, 0] += 0.5
    terms = model.loss(raw, target)
    assert terms["offset"].item() == pytest.approx(4 * 1.5), "two numbers of two corners, each off by 2"
    assert terms["pull"].item() == pytest.approx(0.1 * 2 * 0.25**2)
    assert terms["push"] == 0
    raw["heat"] = -raw["heat"]
    assert model.loss(raw, target)["heat"] > 10


def test_stacks_are_averaged() -> None:
    raw, target = ideal(BOXES, LABELS, TAGS), [{"boxes": BOXES, "labels": LABELS}]
    wrong = {name: value + 0.3 if isinstance(value, Tensor) else value for name, value in raw.items()}
    wrong["embedding"][:, :, 1] = 0
    both = {
        name: torch.cat([value, wrong[name]], 1) if isinstance(value, Tensor) else value for name, value in raw.items()
    }
    alone, first, together = (nano().loss(each, target) for each in (wrong, raw, both))
    for name, term in together.items():
        assert term.item() == pytest.approx((alone[name] + first[name]).item() / 2), name


def test_embeddings_of_objects_of_one_image_are_pushed_apart() -> None:
    tags = torch.rand(5, 2, 2, generator=torch.Generator().manual_seed(0))
    image = torch.tensor([0, 0, 1, 1, 1])
    pull, push = group_loss(tags, image)
    mean = tags.mean(2)
    pairs = [(i, j) for i, j in permutations(range(5), 2) if image[i] == image[j]]
    apart = sum(max(0.0, 1 - abs(mean[i, s] - mean[j, s]).item()) for i, j in pairs for s in range(2))
    assert push.item() == pytest.approx(0.1 * apart / len(pairs) / 2, rel=1e-5)
    within = sum((tags[i, s, c] - mean[i, s]).item() ** 2 for i in range(5) for s in range(2) for c in range(2))
    assert pull.item() == pytest.approx(0.1 * within / 5 / 2, rel=1e-5)


def test_the_corners_of_an_image_do_not_teach_another() -> None:
    target = [{"boxes": BOXES[:1], "labels": LABELS[:1]}, {"boxes": BOXES[1:], "labels": LABELS[1:]}]
    one, two = ideal(BOXES[:1], LABELS[:1], TAGS[:1]), ideal(BOXES[1:], LABELS[1:], TAGS[1:])
    batch = {name: torch.cat([one[name], two[name]]) for name in ("heat", "embedding", "offset")}
    assert all(term < 1e-6 for term in nano().loss(batch, target).values())
    assert nano().loss(batch, target[::-1])["heat"] > 10


def test_objects_on_the_last_pixel_have_a_cell() -> None:
    target = {"boxes": torch.tensor([[64.0, 64, 64, 64], [0, 0, 0, 0]]), "labels": torch.tensor([1, 2])}
    assert all(term.isfinite() for term in nano().loss(nano()(noise(1, 64).float()), [target]).values())


def test_a_batch_equals_singles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cornernet, "APART", 100)  # random embeddings pair nothing
    found = check_batch_equals_singles(nano(stacks=2), noise(3, 64))
    assert all(len(image["boxes"]) for image in found)


@pytest.mark.parametrize("targets", [[two_objects(64), nothing(64)], [nothing(64), nothing(64)]], ids=["one", "none"])
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(stacks=2), noise(2, 64).float(), targets)
    assert set(terms) == {"heat", "pull", "push", "offset"}


def test_two_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    found = check_learns_by_heart(nano(), picture_of(target), [target], steps=60)
    truth = {"boxes": target["boxes"], "labels": target["labels"] + 1}
    assert DetectionAP().update([truth], found).compute().values["AP75"] > 0.9
