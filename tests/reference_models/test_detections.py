from __future__ import annotations

import doctest

import pytest
import torch

from reference_models.parts import detections
from reference_models.parts.detections import Found, distinct
from reference_models.parts.ops import box_iou


def test_examples() -> None:
    assert doctest.testmod(detections, extraglobs={"torch": torch}) == (0, 3)


@pytest.mark.parametrize("seed", range(3))
def test_of_each_object_the_likeliest_box_is_reported(seed: int) -> None:
    numbers = torch.Generator().manual_seed(seed)
    corner = 20 * torch.rand(80, 2, generator=numbers)
    boxes = torch.cat([corner, corner + 5 + 5 * torch.rand(80, 2, generator=numbers)], 1)
    scores = torch.rand(80, generator=numbers)
    classes = torch.randint(0, 3, (80,), generator=numbers)
    kept: list[int] = []
    for best in scores.argsort(descending=True).tolist():
        rivals = [other for other in kept if classes[other] == classes[best]]
        if scores[best] > 0.3 and all(box_iou(boxes[best, None], boxes[other, None]) <= 0.4 for other in rivals):
            kept.append(best)
    found = distinct(boxes, scores, classes, 0.3, 0.4, 15)
    assert len(kept) > 15
    assert torch.equal(found.boxes, boxes[kept[:15]])
    assert torch.equal(found.scores, scores[kept[:15]])
    assert torch.equal(found.classes, classes[kept[:15]])


def test_ids_of_categories_begin_at_1() -> None:
    found = Found(torch.zeros(2, 4), torch.tensor([0.9, 0.5]), torch.tensor([0, 4]))
    assert found.prediction()["labels"].tolist() == [1, 5]
    assert set(found.prediction()) == {"boxes", "scores", "labels"}
