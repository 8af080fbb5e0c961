"""DetectionAP: what it takes, what it refuses and how it says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cvbench import DetectionAP, InputError, detection_ap, score

GT = {"boxes": [[10.0, 10.0, 40.0, 50.0], [60.0, 5.0, 90.0, 25.0]], "labels": [1, 2]}
PRED = {"boxes": [[11.0, 10.0, 40.0, 50.0], [60.0, 5.0, 90.0, 25.0]], "labels": [1, 2], "scores": [0.9, 0.8]}


def xywh(boxes: Any) -> np.ndarray:
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def to_torch(image: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in image.items()}


def to_numpy(image: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in image.items()}


def test_lists_arrays_and_tensors_give_one_result() -> None:
    results = [detection_ap([form(GT)], [form(PRED)]) for form in (dict, to_numpy, to_torch)]
    for result in results[1:]:
        np.testing.assert_equal(result.values, results[0].values)
    assert results[0].values["AP75"] == pytest.approx(1.0)


def test_half_precision_and_gradients_are_read() -> None:
    pred = to_torch(PRED) | {"scores": torch.tensor([0.5, 0.25], dtype=torch.bfloat16, requires_grad=True)}
    assert detection_ap([GT], [pred]).values["AP50"] == pytest.approx(1.0)


def test_box_formats_agree() -> None:
    expected = detection_ap([GT], [PRED]).values
    forms = {"xywh": xywh, "cxcywh": lambda boxes: xywh(boxes) + np.hstack([xywh(boxes)[:, 2:] / 2, np.zeros((2, 2))])}
    for name, form in forms.items():
        gt, pred = GT | {"boxes": form(GT["boxes"])}, PRED | {"boxes": form(PRED["boxes"])}
        np.testing.assert_equal(detection_ap([gt], [pred], box_format=name).values, expected)


def test_a_batch_equals_its_images() -> None:
    one, batch = DetectionAP(), DetectionAP()
    for _ in range(3):
        one.update(GT, PRED)
    assert batch.update([GT] * 3, [PRED] * 3).compute().same_scores(one.compute())


def test_masks_as_arrays_and_as_rle_agree() -> None:
    masks = np.zeros((2, 20, 30), np.bool_)
    masks[0, 3:10, 4:9] = masks[1, 0:5, 20:30] = True
    counts = [[int(n) for n in np.diff(np.flatnonzero(np.diff(np.r_[2, mask.T.ravel(), 2])))] for mask in masks]
    counts = [c if not mask[0, 0] else [0, *c] for c, mask in zip(counts, masks, strict=True)]
    labels = {"labels": [1, 2]}
    arrays = detection_ap([labels | {"masks": masks}], [labels | {"masks": masks, "scores": [0.5, 0.6]}], "segm")
    rles = [{"size": [20, 30], "counts": c} for c in counts]
    coded = detection_ap([labels | {"masks": rles}], [labels | {"masks": rles, "scores": [0.5, 0.6]}], "segm")
    assert coded.same_scores(arrays)
    assert arrays.values["AP"] == pytest.approx(1.0)


def test_empty_images_of_every_form() -> None:
    empty = np.zeros((0, 5, 5), bool)
    for iou_type, shape in (("bbox", {"boxes": []}), ("segm", {"masks": empty}), ("segm", {"masks": []})):
        metric = DetectionAP(iou_type)
        metric.update({"labels": [], **shape}, {"labels": [], "scores": [], **shape})
        assert np.isnan(metric.compute().values["AP"])
    nothing = {"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}
    assert DetectionAP().update(GT, nothing).compute().values["AP"] == 0


def test_labels_outside_of_the_categories() -> None:
    metric = DetectionAP(categories={1: "cat", 2: "dog"})
    pred = {"boxes": [*PRED["boxes"], [0, 0, 5, 5]], "labels": [1, 2, 7], "scores": [0.9, 0.8, 0.7]}
    result = metric.update(GT, pred).compute()
    assert result.counts["dropped_unknown_category"] == 1
    assert result.notes == ["1 of 3 detections have a label that is not among the categories and are dropped"]
    assert result.counts["detections"] == 3
    assert [row["name"] for row in result.per_category] == ["cat", "dog"]
    with pytest.raises(InputError, match=r"gt\.labels: label 7 is not among the categories 1, 2"):
        metric.update(GT | {"labels": [1, 7]}, PRED)


def test_areas_default_to_what_is_compared() -> None:
    big = {"boxes": [[0, 0, 100, 100]], "labels": [1]}
    assert not np.isnan(detection_ap([big], [big | {"scores": [1.0]}]).values["APl"])
    small = big | {"area": [50.0]}
    values = detection_ap([small], [big | {"scores": [1.0]}]).values
    assert np.isnan(values["APl"])
    assert values["APs"] == pytest.approx(1.0)


def test_class_agnostic_needs_no_equal_labels() -> None:
    pred = PRED | {"labels": [2, 1]}
    assert detection_ap([GT], [pred]).values["AP50"] == 0
    assert detection_ap([GT], [pred], class_agnostic=True).values["AP50"] == pytest.approx(1.0)


def test_the_same_figures_as_from_files() -> None:
    gt = {
        "images": [{"id": 5}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i + 1, "image_id": 5, "category_id": k, "bbox": box.tolist(), "area": box[2] * box[3], "iscrowd": 0}
            for i, (box, k) in enumerate(zip(xywh(GT["boxes"]), GT["labels"], strict=True))
        ],
    }
    found = zip(xywh(PRED["boxes"]).tolist(), PRED["labels"], PRED["scores"], strict=True)
    dt = [{"image_id": 5, "category_id": k, "bbox": box, "score": s} for box, k, s in found]
    metric = DetectionAP(categories={1: "cat", 2: "dog"})
    assert metric.update(GT | {"image_id": 5}, PRED).compute().same_scores(score("coco.bbox", gt, dt))


@pytest.mark.parametrize(
    ("gt", "pred", "message"),
    [
        ({}, {"scores": None}, r"pred: has no 'scores'; it has boxes, labels"),
        ({"boxes": None}, {}, r"gt: has no 'boxes'"),
        ({}, {"scores": [0.9]}, r"pred\.scores: has shape \(1,\); expected \(2\)"),
        ({}, {"scores": [0.9, float("nan")]}, r"pred\.scores\[1\]: is nan; expected finite numbers"),
        ({}, {"scores": ["a", "b"]}, r"pred\.scores: holds <U1; expected numbers"),
        ({"boxes": [[1, 2, 3]]}, {}, r"gt\.boxes: has shape \(1, 3\); expected \(2, 4\)"),
        ({"boxes": [[1, 2, np.inf, 3], [0, 0, 1, 1]]}, {}, r"gt\.boxes\[0, 2\]: is inf"),
        ({}, {"boxes": [[0, 0, 5, 5], [9, 9, 3, 20]]}, r"pred\.boxes\[1\]: width -6.0, height 11.0 < 0; .* as xyxy"),
        ({"labels": [1.0, 2.0]}, {}, r"gt\.labels: holds float64; expected integers"),
        ({"labels": 3}, {}, r"gt\.labels: has shape \(\); expected \(N\)"),
        ({"area": [1.0]}, {}, r"gt\.area: has shape \(1,\); expected \(2\)"),
        ({"image_id": 1.5}, {}, r"gt\.image_id: is 1.5; expected one integer or a string"),
    ],
)
def test_what_is_wrong_is_named(gt: dict[str, Any], pred: dict[str, Any], message: str) -> None:
    merged = [{k: v for k, v in (base | new).items() if v is not None} for base, new in ((GT, gt), (PRED, pred))]
    with pytest.raises(InputError, match=message):
        DetectionAP().update(*merged)


def test_the_place_in_a_batch_is_named() -> None:
    with pytest.raises(InputError, match=r"pred\[1\]: has no 'scores'"):
        DetectionAP().update([GT, GT], [PRED, GT])
    with pytest.raises(InputError, match="2 images in gt and 1 in pred"):
        DetectionAP().update([GT, GT], [PRED])


def test_swapped_arguments_are_recognised() -> None:
    with pytest.raises(InputError, match=r"are they swapped\? expected update\(gt, pred\)"):
        DetectionAP().update(PRED, GT)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros((1, 4, 4), bool), r"pred\.masks: holds 1 masks; expected one for each of 2 labels"),
        (np.zeros((2, 1, 4, 4)), r"pred\.masks: has shape \(2, 1, 4, 4\) with soft values; threshold and squeeze"),
        ([{"size": [4, 4]}, {"size": [4, 4]}], r"pred\.masks\[0\]: is not an RLE"),
        ([{"size": [4, 4], "counts": [3]}] * 2, r"pred\.masks.*: .*16"),
    ],
)
def test_masks_that_are_none(masks: Any, message: str) -> None:
    gt = {"labels": [1, 2], "masks": np.zeros((2, 4, 4), bool)}
    with pytest.raises(InputError, match=message):
        DetectionAP("segm").update(gt, {"labels": [1, 2], "scores": [0.5, 0.5], "masks": masks})


def test_keypoints_need_areas_and_the_right_number() -> None:
    gt = {"labels": [1], "boxes": [[0, 0, 10, 10]], "keypoints": np.ones((1, 17, 3))}
    with pytest.raises(InputError, match=r"gt: has no area, by which OKS scales"):
        DetectionAP("keypoints").update(gt, gt | {"scores": [1.0]})
    with pytest.raises(InputError, match=r"gt\.keypoints: has shape \(1, 17, 3\); expected \(1, 2, 3\)"):
        DetectionAP("keypoints", sigmas=(0.1, 0.2)).update(gt, gt | {"scores": [1.0]})
    result = DetectionAP("keypoints").update(gt | {"area": [100.0]}, gt | {"scores": [1.0]}).compute()
    assert list(result.values) == ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
    assert result.values["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box_format": "yolo"}, "'yolo' is unknown; expected one of xyxy, xywh, cxcywh"),
        ({"iou_type": "boxes"}, "'boxes' is unknown"),
        ({"detection_area": "mask"}, "'mask' does not go with bbox"),
        ({"thresholds": (0.5,)}, "there is no rule 'thresholds'; did you mean 'iou_thresholds'"),
        ({"iou_threshold": (0.5,)}, "did you mean 'iou_thresholds'"),
    ],
)
def test_unknown_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectionAP(**options)


def test_ids_given_or_not_given() -> None:
    metric = DetectionAP().update(GT | {"image_id": torch.tensor([3])}, PRED)
    assert metric.state.image_ids.tolist() == [3]
    with pytest.raises(InputError, match="some images have an image_id and some have none"):
        metric.update(GT, PRED)
    with pytest.raises(InputError, match="some have none"):
        DetectionAP().merge(metric).update(GT, PRED)
    assert DetectionAP().update(GT | {"image_id": "a"}, PRED).state.image_ids.tolist() == ["a"]
    with pytest.raises(InputError, match="image_id 'b' is a str and those before are int"):
        metric.update(GT | {"image_id": "b"}, PRED)


def test_masks_of_an_image_have_one_size() -> None:
    gt = {"labels": [1], "masks": np.ones((1, 4, 6), bool)}
    with pytest.raises(InputError, match=r"pred\.masks: masks of one image have sizes \[4, 4\] and \[4, 6\]"):
        DetectionAP("segm").update(gt, {"labels": [1], "scores": [0.5], "masks": np.ones((1, 4, 4), bool)})


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    metric = DetectionAP()
    with pytest.raises(InputError, match=r"pred\[1\]"):
        metric.update([GT | {"image_id": 1}, GT | {"image_id": 2}], [PRED, GT])
    assert metric.state.counts["images"] == 0
    assert metric.update([GT | {"image_id": 1}, GT | {"image_id": 2}], [PRED, PRED]).state.counts["images"] == 2


def test_states_of_many_flushes_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    once = DetectionAP().update([GT] * 5, [PRED] * 5).compute()
    monkeypatch.setattr(DetectionAP, "BATCH", 2)
    metric = DetectionAP()
    for n in (1, 1, 1, 2):
        metric.update([GT] * n, [PRED] * n)
    assert metric.compute().same_scores(once)


def test_single_numbers_will_do() -> None:
    params = DetectionAP(max_dets=5, iou_thresholds=0.5).params
    assert (params.max_dets, params.iou_thresholds) == ((5,), (0.5,))
    with pytest.raises(InputError, match="expected \\(label, low, high\\) for each"):
        DetectionAP(areas=[[0, 1e10]])
