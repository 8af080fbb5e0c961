"""Evaluation under pycocotools' names gives pycocotools' numbers to the last bit, on generated and on real data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from compat import generated
from compat.twins import (
    Original,
    Ours,
    Slow,
    assert_same,
    assert_same_evaluation,
    evaluate,
    evaluated,
    evaluator,
    outcome,
)

both_paths = pytest.mark.parametrize("api", [Ours, Slow], ids=["fast", "slow"])

# Generated data ------------------------------------------------------------------------------------------------------


@both_paths
@given(data=generated.boxes())
def test_boxes(api, data):
    assert_same_evaluation(evaluated(Original, *data, "bbox"), evaluated(api, *data, "bbox"))


@both_paths
@given(data=generated.masks())
def test_masks(api, data):
    assert_same_evaluation(evaluated(Original, *data, "segm"), evaluated(api, *data, "segm"))


@both_paths
@given(data=generated.keypoints())
def test_keypoints(api, data):
    assert_same_evaluation(evaluated(Original, *data, "keypoints"), evaluated(api, *data, "keypoints"))


CHANGES = {
    "imgIds": st.lists(st.sampled_from([1, 2, 5, 7, 99]), max_size=5),
    "catIds": st.lists(st.sampled_from([1, 3, 4, 99]), max_size=4),
    "maxDets": st.lists(st.sampled_from([1, 2, 3, 10, 100, 500]), min_size=3, max_size=5, unique=True),
    "areaRng": st.sampled_from(
        [[[0, 1e10], [0, 1024], [1024, 9216], [9216, 1e10]], [[0, 500.5], [500.5, 1e10]], [(7, 3)]]
    ),
    "iouThrs": st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0, 1.5]), min_size=1, max_size=4).map(np.array),
    "recThrs": st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 2 / 3, 1.0, 1.1]), min_size=1, max_size=4).map(np.array),
    "useCats": st.sampled_from([1, 0, True]),
    "useSegm": st.sampled_from([None, 0]),
}
changes = st.fixed_dictionaries({}, optional=CHANGES)


@both_paths
@given(data=generated.boxes(), changes=changes)
def test_other_rules(api, data, changes):
    def change(params):
        for name, value in changes.items():
            setattr(params, name, value)
        params.areaRngLbl = ["all", "small", "medium", "large"][: len(params.areaRng)]

    assert_same_evaluation(evaluated(Original, *data, "bbox", change), evaluated(api, *data, "bbox", change))


@both_paths
@given(data=generated.keypoints(joints=3), pooled=st.booleans())
def test_keypoints_of_other_objects(api, data, pooled):
    def change(params):
        params.kpt_oks_sigmas = np.array([0.1, 0.05, 0.2])
        params.useCats = 0 if pooled else 1

    theirs, ours = (evaluated(which, *data, "keypoints", change) for which in (Original, api))
    assert_same_evaluation(theirs, ours)
    assert not pooled or ours.stats.max() <= 0


@both_paths
@given(data=generated.boxes(), changes=changes)
def test_rules_may_change_between_evaluate_and_accumulate(api, data, changes):
    def run(which):
        result = evaluator(which, *data)
        evaluate(result)
        for name, value in changes.items():
            setattr(result.params, name, value)
        result.accumulate()
        del result.eval["date"]
        return result.eval

    assert_same(outcome(lambda: run(Original)), outcome(lambda: run(api)))


@both_paths
@given(data=generated.boxes())
def test_accumulate_takes_its_own_rules(api, data):
    def run(which):
        result = evaluator(which, *data)
        evaluate(result)
        p = which.Params("bbox")
        p.imgIds, p.catIds, p.maxDets, p.recThrs = [5, 1], [3], [100, 7, 1], [0.5, 0.2]
        result.accumulate(p)
        del result.eval["date"]
        return result.eval

    assert_same(outcome(lambda: run(Original)), outcome(lambda: run(api)))


# Real data -----------------------------------------------------------------------------------------------------------

REAL = {
    "coco_val2014_100 bbox": ("instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"),
    "coco_val2014_100 segm": ("instances_val2014_100.json", "instances_val2014_fakesegm100_results.json"),
    "coco_keypoints_fce keypoints": ("gt.json", "dt.json"),
    "coco_keypoints_fce bbox": ("gt.json", "dt.json"),
    "coco_fce_small bbox": ("gt_dataset.json", "dt_dataset.json"),
    "coco_fce_small segm": ("gt_dataset.json", "dt_dataset.json"),
    "det2_car_v10 bbox": ("gt.json", "dt.json"),
}


@both_paths
@pytest.mark.parametrize("case", REAL)
def test_real_data(api, case, real_data):
    name, iou_type = case.split()
    folder = real_data / name

    def run(which):
        truth, found = (str(folder / file) for file in REAL[case])
        gt = which.COCO(truth)
        result = which.COCOeval(gt, gt.loadRes(found), iou_type)
        result.evaluate()
        result.accumulate()
        result.summarize()
        return result

    ours = run(api)
    assert_same_evaluation(run(Original), ours)
    expected = json.loads((folder / "expected.json").read_text())[iou_type]["stats"]
    assert ours.stats.tolist() == list(expected.values())


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_recorded_arrays(iou_type, real_data):
    folder = real_data / "coco_val2014_100"
    gt = Ours.COCO(folder / "instances_val2014_100.json")
    result = Ours.COCOeval(gt, gt.loadRes(str(folder / f"instances_val2014_fake{iou_type}100_results.json")), iou_type)
    result.evaluate()
    result.accumulate()
    recorded = np.load(folder / f"expected_{iou_type}_arrays.npz")
    assert set(recorded) >= {"precision", "recall", "scores"}
    for name in ("precision", "recall", "scores"):
        assert_same(recorded[name], result.eval[name], name)
