"""Detection AP against its slow twin, and what it promises beside the figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.columns import Detections, GroundTruth, image_of_rows
from cvbench.errors import InputError
from cvbench.io import read_detections, read_ground_truth
from cvbench.metrics.detection import DetectionParams, count, curves, match, summarize
from cvbench.metrics.masks import mask_iou
from cvbench.metrics.similarity import box_iou, oks
from generated import Knobs, coco, knobs
from naive import detection as naive

FEW = {"iou_thresholds": (0.5, 0.75), "recall_thresholds": (0.0, 0.3, 0.7, 1.0)}


def columns(knobs: Knobs, iou_type: str) -> tuple[GroundTruth, Detections]:
    gt, dt = coco(knobs, iou_type)
    truth = read_ground_truth(gt, iou_type)
    return truth.columns, read_detections(dt, truth.columns, iou_type, sizes=truth.image_sizes).columns


def similarities(gt: GroundTruth, dt: Detections, params: DetectionParams) -> dict[tuple[int, int], np.ndarray]:
    table = {}
    for i in range(len(gt.image_ids)):
        for k in range(len(gt.category_ids)):
            g = np.arange(gt.offsets[i], gt.offsets[i + 1])
            d = np.arange(dt.offsets[i], dt.offsets[i + 1])
            g, d = g[gt.category[g] == k], d[dt.category[d] == k]
            if params.iou_type == "bbox":
                table[i, k] = box_iou(dt.boxes[d], gt.boxes[g], crowd=gt.crowd[g])
            elif params.iou_type == "segm":
                table[i, k] = mask_iou(dt.masks.take(d), gt.masks.take(g), gt.crowd[g])
            else:
                area = np.array([naive.area_of(gt, params, row) for row in g.tolist()])
                options = {"area": area, "boxes": gt.boxes[g], "sigmas": params.sigmas}
                table[i, k] = oks(dt.keypoints[d], gt.keypoints[g], **options)
    return table


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "keypoints"])
@given(knobs=knobs(12), caps=st.sampled_from([(1, 10, 100), (2,), (3, 1, 7)]), data=st.data())
def test_curves_equal_the_slow_twin(iou_type: str, knobs: Knobs, caps: tuple[int, ...], data: st.DataObject) -> None:
    gt, dt = columns(knobs, iou_type)
    id_zero = data.draw(st.sampled_from(["match", "unmatched"]))
    params = DetectionParams.of(iou_type, max_dets=caps, id_zero=id_zero, **FEW)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(gt.image_ids), max_size=len(gt.image_ids)))
    expected = naive.curves(gt, dt, similarities(gt, dt, params), params, weights)
    found = curves(count(gt, dt, params), np.array(weights))
    for name, value, other in zip(
        ("precision", "recall", "score"), (found.precision, found.recall, found.score), expected, strict=True
    ):
        np.testing.assert_array_equal(value, other, err_msg=name)


RULES = [
    {"scale_area": "box053"},
    {"ignore_rule": "labelled"},
    {"zero_keypoints": "drop"},
    {"scale_area": "box053", "ignore_rule": "labelled", "zero_keypoints": "drop"},
]


@pytest.mark.parametrize("rules", RULES, ids=[",".join(rules) for rules in RULES])
@given(knobs=knobs(12))
def test_rules_of_keypoints_equal_the_slow_twin(rules: dict[str, str], knobs: Knobs) -> None:
    gt, dt = columns(knobs, "keypoints")
    rng = np.random.default_rng(knobs.seed)
    seen = dt.keypoints.copy()
    seen[:, :, 2] = np.where(
        rng.random((len(dt), 1)) < 0.4, rng.choice([0, -1], (len(dt), 17)), rng.random((len(dt), 17))
    )
    dt, gt = replace(dt, keypoints=seen), replace(gt, num_keypoints=rng.integers(0, 2, len(gt)))
    params = DetectionParams.of("keypoints", max_dets=(3, 20), **rules, **FEW)
    ones = [1] * len(gt.image_ids)
    state = count(gt, dt, params)
    expected = naive.curves(gt, dt, similarities(gt, dt, params), params, ones)
    for value, other in zip(curves(state), expected, strict=True):
        np.testing.assert_array_equal(value, other)
    dropped = sum(naive.is_dropped(dt, params, d) for d in range(len(dt)))
    assert state.counts.get("dropped_zero_keypoints", 0) == dropped
    assert state.counts["detections"] == len(dt)


@given(knobs=knobs(12), n=st.integers(11, 30))
def test_more_thresholds_and_areas_than_a_word_has_bits(knobs: Knobs, n: int) -> None:
    gt, dt = columns(knobs, "bbox")
    thresholds = np.random.default_rng(knobs.seed).permutation(np.linspace(0.05, 1, n))
    areas = tuple(
        (f"a{i}", low, high) for i, (low, high) in enumerate([(0, 1e10), (0, 500), (500, 1e10), (100, 1000), (0, 0)])
    )
    together = count(gt, dt, DetectionParams.of("bbox", iou_thresholds=thresholds, areas=areas))
    assert together.true.shape[1] > 1 or n * len(areas) <= 62
    whole = curves(together)
    for t in range(0, n, 7):
        for a in range(0, len(areas), 2):
            alone = DetectionParams.of("bbox", iou_thresholds=thresholds[t : t + 1], areas=areas[a : a + 1])
            part = curves(count(gt, dt, alone))
            np.testing.assert_array_equal(whole.precision[t, :, :, a], part.precision[0, :, :, 0])
            np.testing.assert_array_equal(whole.recall[t, :, a], part.recall[0, :, 0])


def test_detections_ignored_for_one_word_count_in_the_next() -> None:
    thresholds = np.linspace(0.05, 1, 23)
    # the bits of the last area range begin at 46, so those from threshold 16 on are in the second word
    areas = (("all", 0.0, 1e10), ("small", 0.0, 500.0), ("rest", 500.0, 1e10))
    image = np.array([0, 2])
    overlap = 72 / 100
    assert thresholds[15] < overlap < thresholds[16]
    gt = GroundTruth(
        image_ids=np.array([1]),
        category_ids=np.array([1]),
        category_names=("a",),
        offsets=image,
        category=np.zeros(2, np.int64),
        area=np.array([100.0, 10_000.0]),
        crowd=np.zeros(2, np.bool_),
        ignore=np.zeros(2, np.bool_),
        id_zero=np.zeros(2, np.bool_),
        boxes=np.array([[0.0, 0, 100, 72], [500, 500, 100, 100]]),
    )
    boxes = np.array([[0.0, 0, 100, 100], [500, 500, 100, 100]])
    dt = Detections(image, np.zeros(2, np.int64), np.array([0.9, 0.8]), np.full(2, 10_000.0), boxes)
    found = curves(count(gt, dt, DetectionParams.of("bbox", iou_thresholds=thresholds, areas=areas)))
    assert found.precision[:, 0, 0, 2, -1].round(9).tolist() == [1.0] * 16 + [0.5] * 7


@given(knobs=knobs(12))
def test_partners_agree_with_outcomes(knobs: Knobs) -> None:
    gt, dt = columns(knobs, "bbox")
    params = DetectionParams.of("bbox")
    matching = match(gt, dt, params, partners=True)
    assert matching.state.params == params
    # the state's rows stand by category and score, those of cells by image and cell
    image, category = image_of_rows(matching.cells.offsets), dt.category[matching.cells.row]
    row_of = np.lexsort((matching.state.rank, matching.state.category, matching.state.image))
    order = np.lexsort((category, image))
    assert matching.state.image[row_of].tolist() == image[order].tolist()
    assert matching.state.score[row_of].tolist() == dt.score[matching.cells.row[order]].tolist()
    for n, row in zip(order.tolist(), row_of.tolist(), strict=True):
        for cell in range(matching.partner.shape[1]):
            partner = matching.partner[n, cell]
            assert (matching.state.true[row, cell // 62] >> (cell % 62)) & 1 == int(
                partner >= 0 and (matching.state.gt_counted[partner] >> (cell // 10)) & 1
            )
            if partner >= 0:
                truth, found = matching.cells.gt_row[partner], matching.cells.row[n]
                overlap = box_iou(dt.boxes[[found]], gt.boxes[[truth]], crowd=gt.crowd[[truth]])[0, 0]
                assert overlap >= min(params.iou_thresholds[cell % 10], 1 - 1e-10)
                assert gt.category[truth] == dt.category[found]


def test_nothing_to_find_is_undefined_and_nothing_found_is_zero() -> None:
    image = {"id": 1, "height": 10, "width": 10}
    truth = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "iscrowd": 0}
    for truths, expected in (([], np.nan), ([truth], 0.0), ([truth | {"iscrowd": 1}], np.nan)):
        gt = read_ground_truth({"images": [image], "categories": [{"id": 1}], "annotations": truths}, "bbox").columns
        dt = read_detections([], gt, "bbox").columns
        values = summarize(count(gt, dt, DetectionParams.of("bbox"))).values
        np.testing.assert_equal(values["AP"], expected)
        np.testing.assert_equal(values["AR100"], expected)
        np.testing.assert_equal(values["APl"], np.nan)


def test_a_data_set_without_images_is_undefined() -> None:
    gt = read_ground_truth({"images": [], "categories": [], "annotations": []}, "bbox").columns
    values = summarize(count(gt, read_detections([], gt, "bbox").columns, DetectionParams.of("bbox"))).values
    assert all(np.isnan(value) for value in values.values())


def test_values_are_named_after_what_was_asked() -> None:
    gt, dt = columns(Knobs(0, 2, 1, 3, 5, 5, True, False, 1, False), "bbox")
    params = DetectionParams.of(
        "bbox", max_dets=(5, 1000), areas=(("all", 0, 1e10), ("tiny", 0, 100)), iou_thresholds=(0.75,)
    )
    values = summarize(count(gt, dt, params)).values
    assert list(values) == ["AP", "AP50", "AP75", "AP_tiny", "AR5", "AR1000", "AR_tiny"]
    assert np.isnan(values["AP50"])
    assert values["AP75"] == values["AP"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iou_type": "box"}, "'box' is unknown; expected one of bbox, segm"),
        ({"iou_thresholds": ()}, "iou_thresholds is empty"),
        ({"iou_thresholds": (0.5, float("nan"))}, "not all finite"),
        ({"recall_thresholds": (0.5, 0.1)}, "do not rise"),
        ({"max_dets": (0, 1)}, "integers of 1 or more"),
        ({"max_dets": (1.5,)}, "integers of 1 or more"),
        ({"areas": (("all", 5, 1),)}, "goes from 5.0 to 1.0"),
        ({"areas": tuple((f"a{i}", 0, 1) for i in range(61))}, "61 area ranges"),
        ({"areas": (("a", 0, 1), ("a", 1, 2))}, "area label 'a': expected distinct names"),
        ({"areas": (("a|b", 0, 1),)}, "area label 'a|b'"),
        ({"id_zero": "skip"}, "'skip' is unknown"),
        ({"scale_area": "box"}, "scale_area 'box' is unknown; expected one of annotated, box053"),
        ({"zero_keypoints": "drop"}, "zero_keypoints=drop is a rule for keypoints; iou_type is bbox"),
        ({"sigmas": (0.1, 0)}, "sigmas: 0.0 is not above 0"),
        ({"dilation_ratio": 0}, "dilation_ratio: 0 is not above 0"),
    ],
)
def test_impossible_rules_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(DetectionParams(), **change)


def test_columns_without_what_is_compared_are_refused() -> None:
    gt, dt = columns(Knobs(0, 1, 1, 3, 3, 5, True, False, 1, False), "bbox")
    with pytest.raises(InputError, match="no keypoints"):
        count(gt, dt, DetectionParams.of("keypoints"))


def test_the_number_of_sigmas_must_fit() -> None:
    gt, dt = columns(Knobs(0, 1, 1, 3, 3, 5, True, False, 1, False), "keypoints")
    with pytest.raises(InputError, match="17 keypoints and there are 2 sigmas"):
        count(gt, dt, DetectionParams.of("keypoints", sigmas=(0.1, 0.2)))
