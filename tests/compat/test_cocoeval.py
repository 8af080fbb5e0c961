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

PATHS = {"compiled": Ours, "cell by cell": Slow}


def check(*args):
    theirs = evaluated(Original, *args)
    for api in PATHS.values():
        assert_same_evaluation(theirs, evaluated(api, *args))
    return theirs


# Generated data ------------------------------------------------------------------------------------------------------


@given(generated.boxes())
def test_boxes(data):
    check(*data, "bbox")


@given(generated.masks())
def test_masks(data):
    check(*data, "segm")


@given(generated.keypoints())
def test_keypoints(data):
    check(*data, "keypoints")


AREAS = ([[0, 1e10], [0, 1024], [1024, 9216], [9216, 1e10]], [[0, 500.5], [500.5, float("inf")]], [(7, 3)])
CHANGES = {
    "imgIds": st.lists(st.sampled_from([1, 2, 5, 7, 99]), max_size=5),
    "catIds": st.lists(st.sampled_from([1, 3, 4, 99]), max_size=4),
    "maxDets": st.lists(st.sampled_from([1, 2, 3, 10, 100, 500]), min_size=3, max_size=5, unique=True),
    "areaRng": st.sampled_from(AREAS),
    "iouThrs": st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0, 1.5]), min_size=1, max_size=4).map(np.array),
    "recThrs": st.lists(st.sampled_from([-1, 0, 0.1, 0.25, 0.5, 2 / 3, 1, 1.1]), min_size=1, max_size=4).map(np.array),
    "useCats": st.sampled_from([1, 0, True, 2]),
    "useSegm": st.sampled_from([None, 0]),
}


def some(changes):
    """One of `changes`, or some of them together."""
    alone = [st.fixed_dictionaries({name: values}) for name, values in changes.items()]
    return st.one_of(*alone, st.fixed_dictionaries({}, optional=changes))


@given(generated.boxes(), some(CHANGES))
def test_other_rules(data, changes):
    def change(params):
        for name, value in changes.items():
            setattr(params, name, value)
        params.areaRngLbl = ["all", "small", "medium", "large"][: len(params.areaRng)]

    check(*data, "bbox", change)


@given(generated.keypoints(joints=3), st.booleans())
def test_keypoints_of_other_objects(data, pooled):
    def change(params):
        params.kpt_oks_sigmas = np.array([0.1, 0.05, 0.2])
        params.useCats = 0 if pooled else 1

    stats = check(*data, "keypoints", change).stats
    assert not pooled or stats.max() <= 0


def accumulated(api, data, change):
    """What `accumulate` gives when `change` comes between it and the evaluation, or the error that it raises."""
    result = evaluator(api, *data)
    evaluate(result)

    def run():
        result.accumulate(change(api, result.params))
        return {name: value for name, value in result.eval.items() if name != "date"}

    return outcome(run)


LATER = CHANGES | {"maxDets": st.lists(st.sampled_from([1, 10, 100, 7]), max_size=5)}


@given(generated.boxes(), some(LATER))
def test_rules_may_change_between_evaluate_and_accumulate(data, changes):
    def change(_, params):
        for name, value in changes.items():
            setattr(params, name, value)

    theirs = accumulated(Original, data, change)
    for api in PATHS.values():
        assert_same(theirs, accumulated(api, data, change))


@given(generated.boxes())
def test_accumulate_takes_its_own_rules(data):
    def change(api, _):
        params = api.Params("bbox")
        params.imgIds, params.catIds, params.maxDets, params.recThrs = [5, 1], [3], [100, 7, 1], [0.5, 0.2]
        return params

    theirs = accumulated(Original, data, change)
    for api in PATHS.values():
        assert_same(theirs, accumulated(api, data, change))


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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", REAL)
def test_real_data(path, case, real_data):
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

    ours = run(PATHS[path])
    assert (ours._counted is not None) == (path == "compiled")
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
