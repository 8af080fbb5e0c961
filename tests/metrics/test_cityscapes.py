"""IoU and iIoU of Cityscapes: the table of labels, which ids count, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cvbench import InputError
from cvbench.metrics.cityscapes import AVERAGE_SIZE, LABELS, label_problems
from cvbench.metrics.mean_iou import CityscapesIoU
from cvbench.metrics.overlaps import count_overlaps


def test_the_table_of_labels() -> None:
    assert [label.id for label in LABELS] == list(range(34))
    evaluated = [label for label in LABELS if label.evaluated]
    assert [label.train_id for label in evaluated] == list(range(19))
    assert {label.name for label in evaluated if label.instances} == set(AVERAGE_SIZE)


def test_small_instances_weigh_as_much_as_large_ones() -> None:
    # a car of 1 pixel is found, one of 3 pixels is not, and a pixel of road is taken for a car
    gt, pred = [[26000, 26001, 26001, 26001, 7, 7]], [[26, 7, 7, 7, 7, 26]]
    result = CityscapesIoU().update(gt, pred).compute()
    car = next(row for row in result.per_category if row["name"] == "car")
    size = AVERAGE_SIZE["car"]
    assert car["IoU"] == 1 / 5
    assert car["iIoU"] == pytest.approx(size / (2 * size + 1), rel=1e-15)
    assert (car["instances"], car["gt_pixels"], car["pred_pixels"]) == (2, 4, 2)
    assert result.values["iIoU"] == car["iIoU"]
    assert result.task == str(result.signature) == "cityscapes.semantic@1"


def test_a_category_forgives_the_wrong_class() -> None:
    result = CityscapesIoU().update([[26001, 27001, 7]], [[27, 29, 7]]).compute()
    vehicle = next(row for row in result.tables["per_group"] if row["category"] == "vehicle")
    # a caravan is a vehicle, too, for iIoU, but no evaluated one for IoU: that is the original's rule
    assert vehicle["IoU"] == 1 / 2
    assert vehicle["iIoU"] == 1
    assert result.values["mIoU_category"] == pytest.approx((1 / 2 + 1) / 2)
    assert result.values["iIoU_category"] == 1


def test_groups_and_unevaluated_instances_have_no_instance_score() -> None:
    result = CityscapesIoU().update([[26, 26, 29001, 1000]], [[26, 7, 26, 26]]).compute()
    car = next(row for row in result.per_category if row["name"] == "car")
    assert car["IoU"] == 1 / 2
    assert math.isnan(car["iIoU"])
    assert result.counts == {"images": 1, "pixels": 4, "ignored_pixels": 2, "instances": 0}


def test_nothing_is_undefined_and_said() -> None:
    result = CityscapesIoU().compute()
    assert all(math.isnan(value) for value in result.values.values())
    assert "19 of 19 classes are neither there nor predicted" in result.notes[0]


def test_strange_ids_are_named() -> None:
    overlaps = count_overlaps(np.array([[34, 34, -1, 7001, 40000]]), np.array([[7, 7, 255, 19, -1]]))
    gt, pred = label_problems(overlaps)
    assert gt == [
        "has the id -1 in 1 pixels; expected a label of 0 to 33, or 1000 times one and a number",
        "has the id 34 in 2 pixels; expected a label of 0 to 33, or 1000 times one and a number",
        "has the id 40000 in 1 pixels; expected a label of 0 to 33, or 1000 times one and a number",
        "has the id 7001 in 1 pixels, an instance of 'road', a label without instances",
    ]
    assert pred == [
        "has the label -1 in 1 pixels; expected label ids of 0 to 33, not train ids",
        "has the label 255 in 1 pixels; expected label ids of 0 to 33, not train ids",
    ]
    with pytest.raises(InputError, match=r"gt\[1\]: has the id 34 in 1 pixels.*\(and 1 more labels like it\)"):
        CityscapesIoU().update([np.array([[7]]), np.array([[34, 35]])], [np.array([[7]]), np.array([[7, 7]])])


def test_weights_are_copies() -> None:
    rng = np.random.default_rng(3)
    gt = rng.choice([7, 24, 24001, 24002, 26001, 29001, 3], (3, 6, 7))
    pred = rng.choice([7, 24, 25, 26, 29, 3], (3, 6, 7))
    metric = CityscapesIoU().update(gt, pred, image_id=["a", "b", "c"])
    copies = CityscapesIoU().update(gt[[1, 2, 2, 2]], pred[[1, 2, 2, 2]]).compute()
    weighted = metric.compute(weights={"b": 1, "c": 3})
    assert weighted.values == copies.values
    np.testing.assert_equal(weighted.tables, copies.tables)
