"""What code written for pycocotools does with its objects beside calling them."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

from compat.twins import (
    Original,
    Ours,
    SlowEval,
    assert_same,
    assert_same_evaluation,
    data_set,
    evaluated,
    evaluator,
    finished,
    outcome,
    printed,
)

GT = {
    "images": [{"id": 1, "height": 100, "width": 100}, {"id": 2, "height": 100, "width": 100}],
    "categories": [{"id": 1}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}],
}
DT = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50], "score": 0.9}]
CROWDED = {**GT, "annotations": [{**GT["annotations"][0], "id": i + 1, "bbox": [10 * i, 10, 50, 50]} for i in range(6)]}
MANY = [{**DT[0], "bbox": [10 * i + 1, 10, 50, 50], "score": 0.9 - 0.1 * i} for i in range(6)]
BOTH = pytest.mark.parametrize("api", [Original, Ours])


@BOTH
def test_edits_of_annotations_count(api):
    result = evaluator(api, GT, DT)
    result.cocoGt.anns[1]["iscrowd"] = 1
    assert finished(result).stats[0] == -1


@BOTH
def test_edits_of_the_data_set_count(api):
    result = evaluator(api, GT, DT)
    result.cocoGt.dataset["annotations"][0]["iscrowd"] = 1
    assert finished(result).stats[0] == -1
    result = evaluator(api, GT, DT)
    result.cocoDt.dataset["annotations"][0]["bbox"][0] = 70
    assert finished(result).stats[0] == 0
    result.cocoDt.dataset["annotations"][0]["bbox"][0] = 10
    assert round(finished(result).stats[0], 9) == 1


@BOTH
def test_edits_of_params_count(api):
    result = evaluator(api, CROWDED, MANY)
    result.params.maxDets.append(500)
    result.params.maxDets.append(2)
    finished(result)
    assert result.params.maxDets == [1, 2, 10, 100, 500]
    assert result.eval["recall"].shape[-1] == 5
    assert result.evalImgs[0]["maxDet"] == 500


@BOTH
def test_lists_of_params_are_not_sorted_in_place(api):
    result = evaluator(api, CROWDED, MANY)
    mine = result.params.maxDets = [100, 1, 10]
    finished(result)
    assert mine == [100, 1, 10]


@BOTH
def test_no_cap_accumulates_to_nothing(api):
    result = evaluator(api, GT, DT)
    result.evaluate()
    result.params.maxDets, result.params.imgIds = [], [1] * 9
    result.accumulate()
    assert result.eval["recall"].shape == (10, 1, 4, 0)


@BOTH
def test_a_subset_of_images_and_other_areas(api):
    result = evaluator(api, GT, DT)
    result.params.imgIds = [2]
    assert finished(result).stats[0] == -1
    result.params.imgIds = [1]
    result.params.areaRng, result.params.areaRngLbl = [[0, 1e10], [2500, 2500]], ["all", "exact"]
    assert round(finished(result).stats[0], 9) == 1
    assert result.eval["precision"].shape == (10, 101, 1, 2, 3)
    assert (result.eval["recall"] == 1).all()


@BOTH
def test_an_edited_precision_is_summarized(api):
    result = evaluated(api, GT, DT)
    result.eval["precision"][:] = 0.25
    result.summarize()
    assert result.stats[0] == 0.25


@BOTH
def test_intermediate_results_are_there(api):
    result = evaluated(api, GT, DT)
    assert len(result.evalImgs) == 8
    assert [record is None for record in result.evalImgs] == [False, True] * 4
    assert result.evalImgs[0]["dtMatches"].tolist() == [[1.0]] * 10
    assert type(result.ious) is dict
    assert result.ious[1, 1].tolist() == [[1.0]]
    assert result._gts[1, 1][0] is result.cocoGt.anns[1]
    assert result._dts[1, 1][0] is result.cocoDt.anns[1]
    assert result._gts[2, 1] == []


def test_edited_records_are_accumulated():
    def run(api):
        result = evaluator(api, CROWDED, MANY)
        result.evaluate()
        for record in result.evalImgs:
            if record is not None:
                record["dtMatches"][:, 0] = 0
        result.accumulate()
        return result

    assert_same(run(Original).eval["precision"], run(Ours).eval["precision"])


def test_records_of_shards_are_accumulated_together():
    """How training loops gather from several processes: evaluate parts, set evalImgs and params, accumulate."""
    truth = {**CROWDED, "annotations": CROWDED["annotations"] + [{**GT["annotations"][0], "id": 7, "image_id": 2}]}
    found = [*MANY, {**DT[0], "image_id": 2}]
    whole = evaluated(Ours, truth, found)
    parts = []
    for image in (1, 2):
        part = evaluator(Ours, truth, found)
        part.params.imgIds = [image]
        part.evaluate()
        parts.append(np.asarray(part.evalImgs).reshape(-1, len(part.params.areaRng), 1))
    merged = evaluator(Ours, truth, found)
    merged.evalImgs = list(np.concatenate(parts, 2).flatten())
    merged.params.imgIds = [1, 2]
    merged._paramsEval = copy.deepcopy(merged.params)
    merged.accumulate()
    for name in ("precision", "recall", "scores"):
        assert_same(whole.eval[name], merged.eval[name], name)


# Overridden methods --------------------------------------------------------------------------------------------------


@BOTH
def test_an_override_of_evaluate_img_is_called(api):
    class Blind(api.COCOeval):
        def evaluateImg(self, *args):
            result = super().evaluateImg(*args)
            if result is not None:
                result["dtMatches"][:] = 0
            return result

    truth = data_set(api, GT)
    assert finished(Blind(truth, truth.loadRes(copy.deepcopy(DT)), "bbox")).stats[0] == 0


@BOTH
@pytest.mark.parametrize("name", ["computeIoU", "computeOks"])
def test_an_override_of_similarities_is_called(api, name):
    def half(self, image, category):
        return np.full((1, 1), 0.5) if image == 1 else []

    kind = "bbox" if name == "computeIoU" else "keypoints"
    gt, dt = copy.deepcopy(GT), copy.deepcopy(DT)
    gt["annotations"][0] |= {"keypoints": [1, 1, 2] * 17, "num_keypoints": 17}
    dt[0]["keypoints"] = [1, 1, 2] * 17
    truth = data_set(api, gt)
    result = finished(type("Half", (api.COCOeval,), {name: half})(truth, truth.loadRes(dt), kind))
    assert round(result.stats[0], 9) == 0.1
    assert result.ious[1, 1] == 0.5


@BOTH
def test_a_method_replaced_on_one_evaluator_is_called(api):
    result = evaluator(api, GT, DT)
    result.computeIoU = lambda image, category: np.full((1, 1), 0.7) if image == 1 else []
    assert round(finished(result).stats[0], 9) == 0.5


@BOTH
def test_a_method_replaced_on_the_class_is_called(api, monkeypatch):
    monkeypatch.setattr(
        api.COCOeval, "computeIoU", lambda self, image, category: np.full((1, 1), 0.7) if image == 1 else []
    )
    assert round(finished(evaluator(api, GT, DT)).stats[0], 9) == 0.5


def test_an_override_of_prepare_is_called():
    def run(api):
        class WithoutLeft(api.COCOeval):
            def _prepare(self):
                super()._prepare()
                for gts in self._gts.values():
                    for gt in gts:
                        gt["ignore"] = gt["ignore"] or gt["bbox"][0] < 20

        truth = data_set(api, CROWDED)
        return finished(WithoutLeft(truth, truth.loadRes(copy.deepcopy(MANY)), "bbox"))

    theirs, ours = run(Original), run(Ours)
    assert_same_evaluation(theirs, ours)
    assert [np.count_nonzero(record["gtIgnore"]) for record in ours.evalImgs[::2]] == [2, 6, 2, 6]


def test_an_evaluate_of_ones_own_can_use_the_parts():
    """Copies of the original's loop, as in torchvision's and DETR's references."""

    def run(api):
        result = evaluator(api, CROWDED, MANY)
        p = result.params
        result._prepare()
        result.ious = {(image, 1): result.computeIoU(image, 1) for image in p.imgIds}
        result.evalImgs = [
            result.evaluateImg(image, 1, area, p.maxDets[-1]) for area in p.areaRng for image in p.imgIds
        ]
        result._paramsEval = copy.deepcopy(p)
        result.accumulate()
        result.summarize()
        return result

    assert_same_evaluation(run(Original), run(Ours))


def test_data_sets_of_the_original_are_taken():
    """Classic mask results without boxes, loaded by pycocotools, whose loadRes adds boxes that are arrays."""
    size = [100, 100]
    mask = {"size": size, "counts": Original.mask.frPyObjects([[10, 10, 60, 10, 60, 60, 10, 60]], *size)[0]["counts"]}
    gt = copy.deepcopy(GT)
    gt["annotations"][0]["segmentation"] = [[10, 10, 60, 10, 60, 60, 10, 60]]
    truth = data_set(Original, gt)
    found = truth.loadRes([{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": mask}])
    for kind in ("segm", "bbox"):
        result = Ours.COCOeval(truth, found, kind)
        assert round(finished(result).stats[0], 9) == 1


# Pickles -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Ours.COCOeval, SlowEval])
@pytest.mark.parametrize("steps", range(4))
def test_everything_can_be_pickled_at_any_time(kind, steps):
    truth = data_set(Ours, CROWDED)
    result = kind(truth, truth.loadRes(copy.deepcopy(MANY)), "bbox")
    for step in ("evaluate", "accumulate", "summarize")[:steps]:
        getattr(result, step)()
    copied = pickle.loads(pickle.dumps(result))
    for step in ("evaluate", "accumulate", "summarize")[steps:]:
        getattr(copied, step)()
        getattr(result, step)()
    assert_same_evaluation(result, copied)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_evaluate_alike(copied):
    result = evaluator(Ours, CROWDED, MANY)
    result.evaluate()
    assert_same_evaluation(finished(copied(result)), finished(result))


# Printed lines and errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_dets", [[1, 10, 100], [100], [1, 100], [1, 10, 1000], [3, 2, 1, 7]])
@pytest.mark.parametrize(
    "labels", [["all", "small", "medium", "large"], ["all", "a", "b", "c"], ["all", "all", "x", "y"]]
)
def test_printed_lines(max_dets, labels, capsys):
    def run(api):
        result = evaluator(api, CROWDED, MANY)
        result.params.maxDets, result.params.areaRngLbl = list(max_dets), labels
        result.evaluate()
        result.accumulate()
        raised = outcome(result.summarize)
        return raised, printed(capsys), list(result.stats)

    assert_same(run(Original), run(Ours))


@BOTH
def test_one_cap_is_too_few_to_summarize(api):
    result = evaluator(api, GT, DT)
    result.params.maxDets = [100]
    with pytest.raises(IndexError):
        finished(result)


@BOTH
def test_deprecated_use_segm(api, capsys):
    result = evaluator(api, GT, DT, "segm")
    result.params.useSegm = 0
    finished(result)
    assert result.params.iouType == "bbox"
    assert "useSegm (deprecated) is not None. Running bbox evaluation" in capsys.readouterr().out


@BOTH
def test_steps_have_an_order(api, capsys):
    result = evaluator(api, GT, DT)
    with pytest.raises(Exception, match=r"Please run accumulate\(\) first"):
        result.summarize()
    with pytest.raises(AttributeError):
        result.accumulate()
    assert "Please run evaluate() first" in capsys.readouterr().out
    finished(result).evaluate()
    with pytest.raises(Exception, match=r"Please run accumulate\(\) first"):
        result.summarize()


@BOTH
def test_iou_types(api, capsys):
    with pytest.raises(Exception, match="iouType not supported"):
        api.COCOeval(iouType="boundary")
    with pytest.raises(Exception, match="iouType not supported"):
        api.COCOeval(iouType=None)
    assert "iouType not specified. use default iouType segm" in capsys.readouterr().out
    assert api.COCOeval().params.iouType == "segm"


def test_an_iou_type_of_ones_own_needs_ones_own_compute_iou():
    gt = copy.deepcopy(GT)
    gt["annotations"][0] |= {"keypoints": [1, 1, 2] * 17, "num_keypoints": 17}
    result = evaluator(Ours, gt, [{**DT[0], "keypoints": [1, 1, 2] * 17}])
    result.params.iouType = "boundary"
    with pytest.raises(Exception, match="unknown iouType for iou computation"):
        result.evaluate()
    result.computeIoU = lambda image, _: np.ones((1, 1)) if image == 1 else []
    result.evaluate()
    assert (result.evalImgs[0]["dtMatches"] == 1).all()


def test_params_are_those_of_the_original():
    for kind in ("segm", "bbox", "keypoints"):
        assert_same(Original.Params(kind), Ours.Params(kind))


def test_plain_lists_will_do_for_thresholds():
    result = evaluator(Ours, CROWDED, MANY)
    result.params.iouThrs = result.params.iouThrs.tolist()
    result.params.recThrs = result.params.recThrs.tolist()
    assert_same(evaluated(Original, CROWDED, MANY).stats, finished(result).stats)


def test_str_prints_the_summary(capsys):
    result = evaluated(Ours, GT, DT)
    printed(capsys)
    assert str(result) == ""
    assert len(printed(capsys).splitlines()) == 12


@BOTH
def test_no_categories_give_no_figures(api):
    result = evaluator(api, GT, DT)
    result.params.catIds = []
    assert (finished(result).stats == -1).all()


def test_a_ground_truth_with_id_0_is_warned_of():
    gt = copy.deepcopy(GT)
    gt["annotations"][0]["id"] = 0
    result = evaluator(Ours, gt, DT)
    with pytest.warns(UserWarning, match="a ground truth has the id 0") as caught:
        result.evaluate()
    assert [warning.filename for warning in caught] == [__file__]
    result.cocoGt.dataset["annotations"][0]["id"] = 1
    result.cocoGt.createIndex()
    result.cocoDt.dataset["annotations"][0]["id"] = 0
    result.cocoDt.createIndex()
    with pytest.warns(UserWarning, match="a detection has the id 0"):
        result.evaluate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluator(Ours, GT, DT).evaluate()
