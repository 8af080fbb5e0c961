"""Native tasks against pycocotools 2.0.11, bit for bit, on generated data sets."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvbench import Result, score
from generated import Knobs, coco, knobs
from mode import JIT

IOU_TYPES = ["bbox", "segm", "keypoints"]
CAPS = ([1, 10, 100], [100, 1, 10], [2, 3, 4], [1, 500, 1000])


def reference(gt: dict[str, Any], dt: list[dict[str, Any]], iou_type: str, **params: Any) -> COCOeval:
    """COCOeval after summarize; `params` are set on its Params."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(gt)
        truth.createIndex()
        found = truth.loadRes(copy.deepcopy(dt)) if dt else COCO()  # loadRes cannot read an empty list
        evaluation = COCOeval(truth, found, iou_type)
        for name, value in params.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def assert_same(result: Result, evaluation: COCOeval) -> None:
    for name, expected in evaluation.eval.items():
        if name in ("precision", "recall", "scores"):
            found = np.where(np.isnan(result.arrays[name]), -1, result.arrays[name])
            np.testing.assert_array_equal(found, expected, err_msg=name)
    # the reference's AP asks for a cap of 100 (keypoints: 20) and is -1 without it
    skipped = {"AP"} if evaluation.params.maxDets[-1] not in (20, 100) else set()
    for (name, value), expected in zip(result.values.items(), evaluation.stats, strict=True):
        if name not in skipped:
            assert (-1 if np.isnan(value) else value) == expected, name


@pytest.mark.parametrize("iou_type", IOU_TYPES)
@settings(max_examples=60 if JIT else 8)
@given(knobs=knobs(), caps=st.sampled_from(CAPS), threads=st.sampled_from([1, 2]))
def test_official_figures(iou_type: str, knobs: Knobs, caps: list[int], threads: int) -> None:
    gt, dt = coco(knobs, iou_type)
    params = {} if iou_type == "keypoints" else {"maxDets": list(caps)}
    native = {} if iou_type == "keypoints" else {"max_dets": caps}
    result = score(f"coco.{iou_type}", gt, dt, id_zero="unmatched", threads=threads, **native)
    assert_same(result, reference(gt, dt, iou_type, **params))


@settings(max_examples=12 if JIT else 2)
@given(seed=st.integers(0, 2**32 - 1), detections=st.integers(100, 3000 if JIT else 150), grid=st.booleans())
def test_thousands_of_detections_in_an_image(seed: int, detections: int, grid: bool) -> None:
    gt, dt = coco(Knobs(seed, 2, 2, 40, detections, 50, grid, True, 1, True), "bbox")
    result = score("coco.bbox", gt, dt, max_dets=(1, 100, 1000))
    assert_same(result, reference(gt, dt, "bbox", maxDets=[1, 100, 1000]))


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@settings(max_examples=30 if JIT else 5)
@given(knobs=knobs())
def test_class_agnostic(iou_type: str, knobs: Knobs) -> None:
    gt, dt = coco(knobs, iou_type)
    # a category that the ground truth lacks is not pooled, either
    dt += [record | {"category_id": 999, "score": 2.0} for record in dt[:2]]
    result = score(f"coco.{iou_type}", gt, dt, class_agnostic=True, id_zero="unmatched")
    assert_same(result, reference(gt, dt, iou_type, useCats=0))


@settings(max_examples=30 if JIT else 5)
@given(knobs=knobs(), data=st.data())
def test_subsets_thresholds_and_areas(knobs: Knobs, data: st.DataObject) -> None:
    gt, dt = coco(knobs, "bbox")
    images = data.draw(st.lists(st.sampled_from([image["id"] for image in gt["images"]]), min_size=1))
    categories = data.draw(st.lists(st.sampled_from([category["id"] for category in gt["categories"]]), min_size=1))
    thresholds = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]), min_size=1, unique=True)))
    points = np.array(sorted(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.1]), min_size=1))))
    areas = [("all", 0.0, 1e10), ("small", 0.0, 512.0), ("medium", 100.0, 1024.0), ("large", 1024.0, 1e5)]
    result = score(
        "coco.bbox",
        gt,
        dt,
        images=images,
        categories=categories,
        iou_thresholds=thresholds,
        recall_thresholds=points,
        areas=areas,
        id_zero="unmatched",
    )
    params = {"imgIds": images, "catIds": categories, "iouThrs": thresholds, "recThrs": points}
    assert_same(result, reference(gt, dt, "bbox", areaRng=[[low, high] for _, low, high in areas], **params))


@settings(max_examples=30 if JIT else 5)
@given(knobs=knobs())
def test_id_zero_is_the_only_difference_of_the_default(knobs: Knobs) -> None:
    gt, dt = coco(knobs, "bbox")
    shifted = gt | {"annotations": [record | {"id": record["id"] + 1} for record in gt["annotations"]]}
    result = score("coco.bbox", gt, dt)
    assert_same(result, reference(shifted, dt, "bbox"))
    assert ("id 0" in " ".join(result.notes)) == any(record["id"] == 0 for record in gt["annotations"])


@settings(max_examples=30 if JIT else 5)
@given(knobs=knobs(), joints=st.sampled_from([1, 5, 14]))
def test_any_number_of_keypoints(knobs: Knobs, joints: int) -> None:
    gt, dt = coco(knobs, "keypoints")
    for record in (*gt["annotations"], *dt):
        record["keypoints"] = record["keypoints"][: 3 * joints]
    for record in gt["annotations"]:
        record["num_keypoints"] = sum(v > 0 for v in record["keypoints"][2::3])
    sigmas = np.linspace(0.02, 0.11, joints)
    result = score("coco.keypoints", gt, dt, sigmas=sigmas, id_zero="unmatched")
    assert_same(result, reference(gt, dt, "keypoints", kpt_oks_sigmas=sigmas))
    assert f"sigmas:{sigmas.tolist()[0]!r}" in str(result.signature)
