"""What holds for every metric, because every score is a summary of counts and counts add.

A new metric is one more entry of `CASES`.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench import (
    EPE,
    MPJPE,
    NME,
    PCK,
    PCP,
    CityscapesIoU,
    DetectionAP,
    MeanIoU,
    MismatchError,
    PanopticQuality,
    PCKh,
    Result,
)
from cvbench.metrics import crowdpose, detection, wholebody
from cvbench.metrics.base import Metric, image_weights, merge
from cvbench.metrics.keypoint_ap import CrowdPoseAP, WholeBodyAP
from generated import Knobs, coco, knobs
from keypoint_ap_cases import crowdpose_images, wholebody_images
from keypoint_cases import KeypointKnobs, keypoint_images
from panoptic_cases import CATEGORIES, panoptic_images
from semantic_cases import MapKnobs, city_maps, label_maps

Pair = tuple[dict[str, Any], dict[str, Any]]


def update_with_dicts(metric: Any, gt: dict[str, Any], pred: dict[str, Any]) -> None:
    metric.update(gt, pred)


def update_with_maps(metric: Any, gt: dict[str, Any], pred: dict[str, Any]) -> None:
    metric.update(gt["map"], pred["map"], gt.get("image_id"))


@dataclass(frozen=True)
class Case:
    """A metric, images for it, and how it takes them."""

    metric: Callable[[], Metric[Any]]
    images: Callable[[Knobs], list[Pair]]
    update: Callable[[Any, dict[str, Any], dict[str, Any]], None] = update_with_dicts


def detection_images(iou_type: str) -> Callable[[Knobs], list[Pair]]:
    names = {"bbox": "bbox", "segm": "segmentation", "boundary": "segmentation", "keypoints": "keypoints"}
    forms = {"bbox": "boxes", "segm": "masks", "boundary": "masks", "keypoints": "keypoints"}

    def shape(record: dict[str, Any]) -> Any:
        value = record[names[iou_type]]
        return np.reshape(value, (17, 3)) if iou_type == "keypoints" else value

    def images(knobs: Knobs) -> list[Pair]:
        gt, dt = coco(knobs, iou_type, polygons=False)
        pairs = []
        for image in gt["images"]:
            truths = [record for record in gt["annotations"] if record["image_id"] == image["id"]]
            found = [record for record in dt if record["image_id"] == image["id"]]
            truth: dict[str, Any] = {"labels": [record["category_id"] for record in truths], "image_id": image["id"]}
            truth |= {name: [record[name] for record in truths] for name in ("area", "iscrowd")}
            truth[forms[iou_type]] = [shape(record) for record in truths]
            if iou_type == "keypoints":
                truth["boxes"] = [record["bbox"] for record in truths]
            pred: dict[str, Any] = {"labels": [record["category_id"] for record in found]}
            pred |= {
                "scores": [record["score"] for record in found],
                forms[iou_type]: [shape(record) for record in found],
            }
            pairs.append((truth, pred))
        return sorted(pairs, key=lambda pair: pair[0]["image_id"])

    return images


def map_images(maps: Callable[[MapKnobs], list[tuple[Any, Any]]]) -> Callable[[Knobs], list[Pair]]:
    def images(knobs: Knobs) -> list[Pair]:
        side, noise = 9 if knobs.crowds else 4, 0.1 * (knobs.seed % 4)
        drawn = maps(MapKnobs(knobs.seed, knobs.images, 4, side, knobs.objects, noise, knobs.crowds))
        return [({"image_id": 2 * i, "map": gt}, {"map": pred}) for i, (gt, pred) in enumerate(drawn)]

    return images


def instance_images(joints: int, dims: int = 2) -> Callable[[Knobs], list[Pair]]:
    def images(knobs: Knobs) -> list[Pair]:
        hidden = 0.3 * (knobs.seed % 3)
        return keypoint_images(
            KeypointKnobs(knobs.seed, knobs.images, knobs.objects, joints, knobs.crowds, hidden, 0.0, True, dims)
        )

    return images


CASES = {
    f"detection {iou_type}": Case(
        lambda iou_type=iou_type: DetectionAP(iou_type, box_format="xywh"), detection_images(iou_type)
    )
    for iou_type in ("bbox", "segm", "boundary", "keypoints")
}
CASES["crowdpose"] = Case(lambda: CrowdPoseAP(box_format="xywh"), crowdpose_images)
CASES["wholebody"] = Case(lambda: WholeBodyAP(box_format="xywh"), wholebody_images)
CASES["panoptic"] = Case(lambda: PanopticQuality(CATEGORIES, area="json"), panoptic_images)
CASES["panoptic boundary"] = replace(
    CASES["panoptic"], metric=lambda: PanopticQuality(CATEGORIES, area="json", boundary=True, dilation_ratio=0.1)
)
CASES["semantic"] = Case(lambda: MeanIoU(4, ignore_index=255), map_images(label_maps), update_with_maps)
CASES["semantic by image"] = replace(CASES["semantic"], metric=lambda: MeanIoU(4, ignore_index=255, aggregate="image"))
CASES["semantic boundary"] = replace(
    CASES["semantic"], metric=lambda: MeanIoU(4, ignore_index=255, boundary=True, dilation_ratio=0.1)
)
CASES["cityscapes"] = Case(CityscapesIoU, map_images(city_maps), update_with_maps)
CASES["pck"] = Case(lambda: PCK(thresholds=(0.1, 0.5), curve=(0.0, 0.2, 0.5)), instance_images(5))
CASES["pck by instance"] = replace(CASES["pck"], metric=lambda: PCK("mmpose", mean="instances"))
CASES["pckh"] = Case(PCKh, instance_images(16))
CASES["pcp"] = Case(lambda: PCP("lsp", mean="limbs", zero_size="skip"), instance_images(14))
CASES["epe"] = Case(EPE, instance_images(5))
CASES["nme"] = Case(lambda: NME(normalizer="size", failure_thresholds=(0.1, 0.3)), instance_images(5))
CASES["nme pipnet"] = replace(CASES["nme"], metric=lambda: NME(normalizer="size", curve="pipnet", mean="points"))
CASES["mpjpe"] = Case(lambda: MPJPE(fit="visible", thresholds=5.0, curve=(0.0, 2.0, 9.0)), instance_images(5, 3))

every_metric = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def fed(case: Case, images: list[Pair]) -> Any:
    metric = case.metric()
    for gt, pred in images:
        case.update(metric, gt, pred)
    return metric


def scores(case: Case, images: list[Pair]) -> Result:
    result: Result = fed(case, images).compute()
    return result


@every_metric
@given(knobs=knobs(10), data=st.data())
def test_shards_merged_in_any_order_equal_the_whole(case: Case, knobs: Knobs, data: st.DataObject) -> None:
    images = case.images(knobs)
    whole = scores(case, images)
    home = data.draw(st.lists(st.integers(0, 2), min_size=len(images), max_size=len(images)))
    shards = [fed(case, [pair for pair, shard in zip(images, home, strict=True) if shard == i]) for i in range(3)]
    for order in ([0, 1, 2], [2, 0, 1]):
        merged = case.metric().merge(*(shards[i] for i in order))
        assert merged.compute().same_scores(whole)
    nested = case.metric().merge(case.metric().merge(shards[2], shards[1]), shards[0])
    assert nested.compute().same_scores(whole)


@every_metric
@given(knobs=knobs(10), data=st.data())
def test_images_without_ids_merge_in_any_order(case: Case, knobs: Knobs, data: st.DataObject) -> None:
    images = [
        ({name: value for name, value in gt.items() if name != "image_id"}, pred) for gt, pred in case.images(knobs)
    ]
    cut = data.draw(st.integers(0, len(images)))
    first, second = fed(case, images[:cut]), fed(case, images[cut:])
    there, back = (case.metric().merge(*pair).compute() for pair in ((first, second), (second, first)))
    assert there.same_scores(back)
    assert fed(case, images).compute().same_scores(scores(case, case.images(knobs)))


@every_metric
@given(knobs=knobs(10), data=st.data())
def test_the_order_of_updates_does_not_matter(case: Case, knobs: Knobs, data: st.DataObject) -> None:
    images = case.images(knobs)
    assert scores(case, data.draw(st.permutations(images))).same_scores(scores(case, images))


@every_metric
@given(knobs=knobs(10))
def test_the_number_of_threads_does_not_matter(case: Case, knobs: Knobs) -> None:
    metric = fed(case, case.images(knobs))
    results = []
    for threads in (1, 2, 3):
        again = copy.deepcopy(metric)
        again.threads = threads
        results.append(again.compute())
    assert results[0].same_scores(results[1])
    assert results[0].same_scores(results[2])


@every_metric
@given(knobs=knobs(10), data=st.data())
def test_a_weight_is_a_number_of_copies(case: Case, knobs: Knobs, data: st.DataObject) -> None:
    images = case.images(knobs)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(images), max_size=len(images)))
    copies = [
        (gt | {"image_id": gt["image_id"] * 4 + n}, pred)
        for (gt, pred), weight in zip(images, weights, strict=True)
        for n in range(weight)
    ]
    metric = fed(case, images)
    by_id = {gt["image_id"]: weight for (gt, _), weight in zip(images, weights, strict=True)}
    weighted, copied = metric.compute(weights=by_id), scores(case, copies)
    np.testing.assert_equal(weighted.values, copied.values)
    alike = np.array([by_id[number] for number in metric.state.image_ids.tolist()])
    assert metric.compute(weights=alike).same_scores(weighted)


@every_metric
@given(knobs=knobs(10), data=st.data())
def test_images_taken_from_a_state_are_those_counted_alone(case: Case, knobs: Knobs, data: st.DataObject) -> None:
    images = case.images(knobs)
    kept = data.draw(st.lists(st.booleans(), min_size=len(images), max_size=len(images)))
    state = fed(case, images).state
    ids = [gt["image_id"] for (gt, _), chosen in zip(images, kept, strict=True) if chosen]
    taken = state.take_images(np.isin(state.image_ids, ids))
    alone = fed(case, [pair for pair, chosen in zip(images, kept, strict=True) if chosen]).state
    assert taken.counts == alone.counts
    taken, alone = taken.align([alone])
    for name, one in vars(taken).items():
        other = getattr(alone, name)
        if not isinstance(one, np.ndarray) or len(one) or len(other):  # without rows, nobody knows how many columns
            np.testing.assert_equal(one, other, name)


@every_metric
@given(knobs=knobs(10))
def test_the_contract_of_a_metric(case: Case, knobs: Knobs) -> None:
    images = case.images(knobs)
    before = copy.deepcopy(images)
    metric = fed(case, images)
    first = metric.compute()
    assert metric.compute().same_scores(first), "computing twice gives the same"
    assert pickle.loads(pickle.dumps(metric)).compute().same_scores(first), "a metric survives pickling"
    np.testing.assert_equal(images, before, "inputs are not changed")
    other = fed(case, [])
    other.merge(metric)
    assert metric.compute().same_scores(first), "what was merged stays as it was"
    assert other.compute().same_scores(first), "an empty metric is neutral"
    assert metric.reset().compute().same_scores(case.metric().compute()), "reset forgets"


@every_metric
def test_an_image_counts_once(case: Case) -> None:
    images = case.images(Knobs(0, 2, 1, 2, 2, 5, True, False, 1, False))
    with pytest.raises(ValueError, match="came before"):
        fed(case, [images[0], images[0]])
    with pytest.raises(MismatchError, match="1 image ids occur more than once"):
        fed(case, images).merge(fed(case, images[:1]))


@pytest.mark.parametrize(
    ("name", "rules"), [("detection bbox", detection), ("crowdpose", crowdpose), ("wholebody", wholebody)]
)
@given(knobs=knobs(10), data=st.data())
def test_categories_scored_apart_give_the_figures_of_the_whole(
    name: str, rules: Any, knobs: Knobs, data: st.DataObject
) -> None:
    case = CASES[name]
    state = fed(case, case.images(knobs)).state
    cuts = [
        0,
        *sorted(data.draw(st.lists(st.integers(0, len(state.category_ids)), max_size=2))),
        len(state.category_ids),
    ]
    half = np.arange(len(state)) % 2 == 0
    shards = [state.take_images(~half), state.take_images(half)]
    parts = []
    for start, stop in pairwise(cuts):
        part = merge([shard.take_categories(start, stop) for shard in shards])
        parts.append([detection.scored(*view) for view in rules.views(part, image_weights(part, None))])
    found = rules.figures([detection.join_scored(of_view) for of_view in zip(*parts, strict=True)])
    whole = rules.summarize(state)
    np.testing.assert_equal(found.values, whole.values)
    assert found.tables.keys() == whole.tables.keys()
    np.testing.assert_equal(found.tables, whole.tables)
    np.testing.assert_equal(found.arrays, whole.arrays)


@every_metric
def test_images_are_taken_by_flags(case: Case) -> None:
    state = fed(case, case.images(Knobs(0, 2, 1, 2, 2, 5, True, False, 1, False))).state
    for chosen in ([True], [0, 1]):
        with pytest.raises(ValueError, match=r"expected bool \(2,\), one per image"):
            state.take_images(np.array(chosen))
    assert state.take_images(np.ones(2, np.bool_)) is state


def test_states_under_other_rules_do_not_merge() -> None:
    with pytest.raises(MismatchError, match="params differs"):
        DetectionAP().merge(DetectionAP(max_dets=(5,)))
    with pytest.raises(MismatchError, match="params differs"):
        MeanIoU(3).merge(MeanIoU(4))
    with pytest.raises(MismatchError, match="params differs"):
        PanopticQuality(CATEGORIES).merge(PanopticQuality(CATEGORIES, area="json"))
