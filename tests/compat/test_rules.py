"""Rules whose effect only shows where two things come together: pinned one by one."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from compat.twins import Original, Ours, Slow, assert_same, assert_same_evaluation, data_set, evaluated, finished

BOX = [10, 10, 50, 50]
AWAY = [200, 10, 50, 50]


def truth(*changes, categories=(1, 3)):
    record = {"image_id": 1, "category_id": 1, "bbox": BOX, "area": 2500, "iscrowd": 0}
    return {
        "images": [{"id": 1, "height": 100, "width": 300}],
        "categories": [{"id": category} for category in categories],
        "annotations": [{"id": number, **record, **change} for number, change in enumerate(changes, 1)],
    }


def found(*changes):
    return [{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.5, **change} for change in changes]


def both(gt, dt, iou_type="bbox", **rules):
    """The original's evaluation, which ours has to equal on both of its paths."""

    def change(params):
        vars(params).update(rules)

    theirs = evaluated(Original, gt, dt, iou_type, change)
    for api in (Ours, Slow):
        assert_same_evaluation(theirs, evaluated(api, gt, dt, iou_type, change))
    return theirs


@pytest.mark.parametrize("first", [{"category_id": 3}, {"category_id": 1}])
def test_pooled_detections_of_equal_score_stand_category_by_category(first):
    other = {"category_id": 4 - first["category_id"], "bbox": AWAY}
    stats = both(truth({}), found(first, other), useCats=0).stats
    assert round(stats[0], 3) == (0.5 if first["category_id"] == 3 else 1)


def test_a_category_named_twice_is_pooled_twice():
    assert both(truth({}), found({}), useCats=0, catIds=[1, 1]).evalImgs[0]["gtIds"] == [1, 1]


def test_pooling_leaves_out_categories_that_are_not_asked_for():
    result = both(truth({}, {"category_id": 3}), found({}, {"category_id": 3, "score": 1}), useCats=0, catIds=[1])
    assert (result.evalImgs[0]["gtIds"], result.evalImgs[0]["dtIds"]) == ([1], [1])


@pytest.mark.parametrize("recalls", [[1.0, 0.4], [0.4, 1.0], [0.4, 1.0, 0.4, 0.2], [0.2, -1, 0.2]])
def test_no_recall_is_read_behind_one_that_is_not_reached(recalls):
    precision = both(truth({}, {"bbox": AWAY}), found({}), recThrs=np.array(recalls)).eval["precision"]
    reached = np.logical_and.accumulate(np.array(recalls) <= 0.5)
    assert (precision[0, :, 0, 0, 2] > 0).tolist() == reached.tolist()


@pytest.mark.parametrize("ends", [(1.0, 1.0), (0.5, 1.0)])
def test_a_threshold_of_one_lets_almost_one_pass(ends):
    nearly = truth({"bbox": [0, 0, 1e6, 1e6]})
    result = both(nearly, found({"bbox": [0, 0, 1e6, 1e6 + 1e-5]}), iouThrs=np.array(ends))
    assert 0.9999999999 < result.ious[1, 1][0, 0] < 1
    assert (result.eval["recall"][:, 0, 0, 2] == 1).all()


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.longdouble, np.int64])
def test_thresholds_of_other_types(kind):
    both(truth({}), found({"bbox": [10, 10, 50, 40]}), iouThrs=np.array([0.5, 0.8, 1.0]).astype(kind))


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64, np.longdouble])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_areas_of_other_types_are_compared_in_their_type(kind):
    ranges = [[0, 1e10], [0, 0.1], [0.1, 1e10], [0.2, 16]]
    results = found({"bbox": list(np.array([0, 0, 0.1, 1], kind))}, {"bbox": list(np.array([0, 0, 4, 4], kind))})
    both(truth({}, {"area": kind(0.1)}, {"area": kind(0.2)}), results, areaRng=ranges)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.longdouble, np.int8, np.uint8])
@pytest.mark.filterwarnings("ignore:overflow encountered in scalar negative:RuntimeWarning")
def test_scores_of_other_types(kind):
    with np.errstate(over="ignore"):
        more = kind(1) + kind(np.longdouble(1) / 2**60)
    lowest = kind(np.iinfo(kind).min if issubclass(kind, np.integer) else 0)
    both(truth({}), found({"score": kind(1), "bbox": AWAY}, {"score": more}, {"score": lowest, "bbox": AWAY}))


def test_limits_of_another_type_are_compared_in_it():
    ranges = np.array([[0, 1e10], [0, 0.1], [0.1, 1e10], [0.2, 16]], np.float32)
    results = found({"bbox": [0, 0, 0.1, 1]}, {"bbox": [0, 0, 0.2, 1]})
    both(truth({"area": 0.1}, {"area": 0.2}), results, areaRng=list(ranges))


POINTS = np.random.default_rng(5).uniform(10, 60, (4, 9))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int64])
@pytest.mark.parametrize("form", [np.asarray, list])
def test_keypoints_of_other_types_are_computed_with_in_them(kind, form):
    shapes = [form(points.astype(kind)) for points in POINTS]
    gts = [{"keypoints": shape, "num_keypoints": 3, "bbox": form(np.array(BOX, kind))} for shape in shapes[:3]]
    gts[2]["keypoints"] = [0.0] * 9
    gt = truth(*gts)
    dt = found(*({"keypoints": form(np.asarray(shape) + kind(1)), "bbox": []} for shape in shapes))
    both(gt, dt, "keypoints", kpt_oks_sigmas=np.array([0.1, 0.05, 0.2]))


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_sigmas_of_other_types_are_squared_in_them(kind):
    gt = truth({"keypoints": POINTS[0].tolist(), "num_keypoints": 3})
    dt = found({"keypoints": (POINTS[0] + 1).tolist(), "bbox": []})
    both(gt, dt, "keypoints", kpt_oks_sigmas=np.array([1.1, 1.7, 2.3]).astype(kind))


def test_plain_lists_will_do_for_sigmas():
    gt = truth({"keypoints": POINTS[0].tolist(), "num_keypoints": 3})
    dt = found({"keypoints": (POINTS[0] + 1).tolist(), "bbox": []})
    theirs = both(gt, dt, "keypoints", kpt_oks_sigmas=np.array([0.1, 0.05, 0.2]))
    for api in (Ours, Slow):
        ours = evaluated(api, gt, dt, "keypoints", lambda params: vars(params).update(kpt_oks_sigmas=[0.1, 0.05, 0.2]))
        assert_same(theirs.stats, ours.stats)


def with_changed_cells(change):
    def run(api):
        class Changed(api.COCOeval):
            def _prepare(self):
                super()._prepare()
                change(self)

        gt = data_set(api, truth({"iscrowd": 1}, {"category_id": 3, "bbox": AWAY}))
        results = found({}, {"category_id": 3}, {"category_id": 3, "bbox": AWAY, "score": 0.4})
        return finished(Changed(gt, gt.loadRes(copy.deepcopy(results)), "bbox"))

    theirs, ours = run(Original), run(Ours)
    assert_same_evaluation(theirs, ours)
    return ours


def test_cells_may_be_merged_after_preparation():
    def merge(evaluator):
        for cells in (evaluator._gts, evaluator._dts):
            cells[1, 1] += cells.pop((1, 3))

    assert with_changed_cells(merge).evalImgs[0]["dtIds"] == [1, 2, 3]


def test_cells_may_be_replaced_after_preparation():
    def replace(evaluator):
        evaluator._dts = {key: [*results, *results] for key, results in evaluator._dts.items()}

    assert with_changed_cells(replace).evalImgs[0]["dtIds"] == [1, 1]


def test_a_crowd_may_be_made_to_count_after_preparation():
    def count(evaluator):
        evaluator._gts[1, 1][0]["ignore"] = 0

    assert with_changed_cells(count).evalImgs[0]["gtIgnore"].tolist() == [0]
