"""The rules of panoptic quality, one small case each; its state, counts and notes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvbench import InputError, MismatchError, Result
from cvbench.columns import Overlaps, Segments
from cvbench.metrics.base import merge
from cvbench.metrics.panoptic import PanopticParams, PanopticState, count, listed_problems, result_of, summarize
from naive.panoptic import overlaps_of

Listed = list[tuple[float, ...]]
"""Segments: id, index of the category, and where they matter crowd and stated area."""


def segments(listed: Listed, image: int = 1) -> Segments:
    rows = [(*row, *(0, math.nan)[len(row) - 2 :]) for row in listed]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Segments(
        image_ids=np.array([image]),
        category_ids=np.array([10, 20]),
        category_names=("person", "sky"),
        things=np.array([True, False]),
        offsets=np.array([0, len(listed)]),
        id=np.array(columns[0], np.int64),
        category=np.array(columns[1], np.int64),
        area=np.array(columns[3], np.float64),
        crowd=np.array(columns[2], np.bool_),
    )


def counted(gt: Listed, pred: Listed, runs: list[tuple[int, int, int]], image: int = 1, **rules: Any) -> PanopticState:
    """The state of an image of runs of (pixels, ground truth, prediction)."""
    pixels, gt_map, pred_map = np.array(runs).T
    overlaps = overlaps_of(np.repeat(gt_map, pixels), np.repeat(pred_map, pixels))
    return count(segments(gt, image), segments(pred, image), overlaps, PanopticParams(**({"area": "png"} | rules)))


def scored(gt: Listed, pred: Listed, runs: list[tuple[int, int, int]], **rules: Any) -> Result:
    return result_of(counted(gt, pred, runs, **rules), "coco.panoptic@1")


def outcome(result: Result, category: int = 10) -> tuple[Any, ...]:
    row = next(row for row in result.per_category if row["id"] == category)
    return row["tp"], row["fp"], row["fn"]


def test_an_iou_of_one_half_is_no_match() -> None:
    half = scored([(1, 0)], [(5, 0)], [(2, 1, 5), (1, 1, 0), (1, 2, 5)])
    assert outcome(half) == (0, 1, 1)
    more = scored([(1, 0)], [(5, 0)], [(3, 1, 5), (1, 1, 0), (1, 2, 5)])
    assert outcome(more) == (1, 0, 0)
    assert more.values["PQ"] == 3 / 5


def test_an_id_that_nobody_lists_is_not_void() -> None:
    unlisted = scored([(1, 0)], [(5, 0)], [(6, 1, 5), (4, 9, 5)])
    assert unlisted.values["PQ"] == 6 / 10
    assert unlisted.counts["unlisted_pixels"] == 4
    assert unlisted.notes == ["4 pixels of the ground truth have an id that no segment lists: neither segment nor void"]
    void = scored([(1, 0)], [(5, 0)], [(6, 1, 5), (4, 0, 5)])
    assert void.values["PQ"] == 1
    assert void.counts["void_pixels"] == 4


def test_predicted_void_stays_in_the_ground_truth() -> None:
    assert outcome(scored([(1, 0)], [(5, 0)], [(4, 1, 5), (6, 1, 0)])) == (0, 1, 1)


def test_of_two_crowds_of_a_category_the_last_one_excuses() -> None:
    halves = [(5, 1, 5), (5, 2, 5)]
    result = scored([(1, 0, 1), (2, 0, 1)], [(5, 0)], halves)
    assert outcome(result) == (0, 1, 0)
    assert result.counts["overruled_crowd"] == 1
    assert "1 of 2 ground truths are crowds behind which another one" in result.notes[0]
    last_is_larger = [(4, 1, 5), (6, 2, 5)]
    assert outcome(scored([(1, 0, 1), (2, 0, 1)], [(5, 0)], last_is_larger)) == (0, 0, 0)
    assert outcome(scored([(2, 0, 1), (1, 0, 1)], [(5, 0)], last_is_larger)) == (0, 1, 0)


def test_what_excuses_a_prediction() -> None:
    assert outcome(scored([], [(5, 0)], [(5, 0, 5), (5, 9, 5)])) == (0, 1, 0), "one half is not enough"
    excused = scored([], [(5, 0)], [(6, 0, 5), (5, 9, 5)])
    assert outcome(excused) == (0, 0, 0)
    assert excused.counts["ignored_predictions"] == 1
    assert outcome(scored([(1, 0, 1)], [(5, 0)], [(3, 0, 5), (3, 1, 5), (5, 9, 5)])) == (0, 0, 0), "void and crowd add"
    assert outcome(scored([(1, 1, 1)], [(5, 0)], [(9, 1, 5)])) == (0, 1, 0), "a crowd of another category is no excuse"


def test_a_listed_ground_truth_that_is_not_in_the_map_is_missed() -> None:
    result = scored([(1, 0), (2, 0)], [(5, 0)], [(4, 1, 5)])
    assert outcome(result) == (1, 0, 1)
    assert result.counts["absent_ground_truths"] == 1
    assert result.notes == ["1 of 2 ground truths are not in their map and count as missed unless they are crowds"]


def test_stated_areas_decide_where_they_are_asked_for() -> None:
    case: Any = ([(1, 0, 0, 15.0)], [(5, 0)], [(8, 1, 5), (2, 1, 0)])
    assert scored(*case).values["PQ"] == 0.8
    assert scored(*case).notes == []
    stated = scored(*case, area="json")
    assert stated.values["PQ"] == 8 / 15
    assert stated.notes == [
        "1 of 1 ground truths state another area than they have in the map (area=png takes the map)"
    ]


def test_a_wrong_area_can_make_an_iou_above_one() -> None:
    result = scored([(1, 0, 0, 3.0)], [(5, 0), (6, 0)], [(8, 1, 5), (7, 1, 6)], area="json")
    assert outcome(result) == (2, 0, 0), "as panopticapi has it: one ground truth matches twice"
    assert result.values["SQ"] == (8 / 3 + 7 / 3) / 2
    assert result.notes[-1] == "2 matches have an IoU above 1, which only wrong areas can make"


def test_areas_that_decide_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="image 1, segment 1: area=json takes stated areas and 1 of 1 .* have none"):
        scored([(1, 0)], [(5, 0)], [(8, 1, 5)], area="json")
    with pytest.raises(InputError, match=r"segment 1: states the area 0\.0, which leaves a union of 0; take area=png"):
        scored([(1, 0, 0, 0.0)], [(5, 0)], [(8, 1, 5)], area="json")


def test_boundaries_need_bands() -> None:
    with pytest.raises(InputError, match="no bands"):
        scored([(1, 0)], [(5, 0)], [(8, 1, 5)], boundary=True)


def test_the_smaller_iou_is_that_of_a_boundary_match() -> None:
    gt, pred = segments([(1, 0)]), segments([(5, 0)])
    rows = Overlaps(*(np.array(column) for column in ([0, 3], [0, 1, 1], [5, 0, 5], [1, 1, 9])))
    # in the band of the ground truth, of the prediction, of both; one banded pixel of the prediction is on void
    bands = np.array([[0, 1, 0], [1, 0, 0], [4, 5, 4]])
    params = PanopticParams(area="png", boundary=True)
    assert count(gt, pred, replace(rows, bands=bands), params).match_iou.tolist() == [4 / (6 + 5 - 4 - 1)]
    wide = np.array([[0, 1, 0], [1, 1, 1], [9, 9, 9]])
    assert count(gt, pred, replace(rows, bands=wide), params).match_iou.tolist() == [9 / 10], "the whole segment's"


def test_both_daggers() -> None:
    """Stuff of IoU 1/4 and 3/4 in two images, of 4 and 8 pixels, and a thing of PQ 1 in one of them."""
    first = counted([(1, 1)], [(5, 1)], [(1, 1, 5), (3, 1, 0)])
    second = counted([(1, 1), (2, 0)], [(5, 1), (6, 0)], [(6, 1, 5), (2, 1, 0), (3, 2, 6)], image=2)
    values = summarize(first + second).values
    assert values["PQ_stuff"] == (0.75 / (1 + 0.5 + 0.5))
    assert values["PQ_dagger_porzi"] == (1 + (1 / 4 + 3 / 4) / 2) / 2
    assert values["PQ_dagger_kitti"] == (1 + 7 / 12) / 2


def test_daggers_take_segments_of_a_class_together_without_void_and_crowds() -> None:
    gt: Listed = [(1, 1), (2, 1), (3, 1, 1)]
    runs = [(4, 1, 5), (4, 2, 6), (5, 0, 5), (6, 3, 6), (2, 9, 6)]
    values = scored(gt, [(5, 1), (6, 1)], runs).values
    assert values["PQ_dagger_porzi"] == values["PQ_dagger_kitti"] == 8 / 10
    unseen = scored([(1, 0)], [(5, 0), (6, 1)], [(4, 1, 5), (2, 1, 6)]).values
    assert unseen["PQ_dagger_porzi"] == unseen["PQ_things"], "stuff that no image shows has no images to be a mean of"
    assert unseen["PQ_dagger_kitti"] == unseen["PQ_things"] / 2, "and here it is in the union of what was predicted"


def test_what_is_undefined() -> None:
    nothing = scored([], [], [(4, 0, 0)])
    assert all(math.isnan(value) for value in nothing.values.values())
    assert nothing.notes == ["no category has a match, a false positive or a false negative, so nothing is defined"]
    missed = scored([(1, 0)], [], [(4, 1, 0)])
    assert [missed.values[name] for name in ("PQ", "SQ", "RQ", "PQ_things")] == [0, 0, 0, 0]
    assert math.isnan(missed.values["PQ_stuff"])
    absent = missed.per_category[1]
    assert all(math.isnan(float(absent[name])) for name in ("PQ", "SQ", "RQ", "IoU"))
    assert (absent["kind"], absent["tp"], absent["iou_sum"]) == ("stuff", 0, 0.0)


def test_no_categories_and_no_images() -> None:
    none = np.zeros(0, np.int64)
    empty = Segments(none, none, (), none.astype(bool), np.zeros(1, np.int64), none, none, np.zeros(0), none > 0)
    overlaps = Overlaps(np.zeros(1, np.int64), none, none, none)
    result = result_of(count(empty, empty, overlaps, PanopticParams()), "coco.panoptic@1")
    assert math.isnan(result.values["PQ"])
    assert result.per_category == []


def test_states_of_other_categories_merge() -> None:
    first = counted([(1, 0)], [(5, 0)], [(4, 1, 5)])
    other = replace(counted([(1, 1)], [(5, 1)], [(3, 1, 5), (1, 1, 0)], image=2), category_ids=np.array([5, 10]))
    other = replace(other, things=np.array([False, True]))
    other = replace(other, category=other.category - 1, match_category=other.match_category - 1)
    whole = merge([first, other])
    assert whole.category_ids.tolist() == [5, 10, 20]
    assert whole.things.tolist() == [False, True, False]
    rows = {row["id"]: row["PQ"] for row in summarize(whole, names={5: "grass"}).tables["per_category"]}
    assert (rows[5], rows[10]) == (0.75, 1.0)
    with pytest.raises(MismatchError, match="category 10 is thing in one state and stuff in another"):
        merge([first, replace(first, image_ids=np.array([3]), things=~first.things)])
    with pytest.raises(MismatchError, match="params differs"):
        merge([first, replace(first, image_ids=np.array([3]), params=PanopticParams())])


def test_weights_are_copies() -> None:
    parts = [counted([(1, 0)], [(5, 0)], [(n, 1, 5), (3, 1, 0)], image=n) for n in (4, 5, 7)]
    whole = merge(parts)
    copies = [replace(part, image_ids=part.image_ids + 100 * n) for part in (parts[0], parts[2]) for n in range(3)]
    weighted, copied = summarize(whole, np.array([3, 0, 3])), summarize(merge(copies))
    np.testing.assert_equal((weighted.values, weighted.tables), (copied.values, copied.tables))
    assert weighted.tables["per_category"][0]["tp"] == 6


def test_the_signature_has_every_rule() -> None:
    state = counted([(1, 0)], [(5, 0)], [(4, 1, 5)])
    result = result_of(state, "cityscapes.panoptic@1", {10: "rider"}, [("void", "ignoreInEval")])
    assert str(result.signature) == "cityscapes.panoptic@1|area:png|boundary:no|void:ignoreInEval"
    assert result.per_category[0]["name"] == "rider"
    thin = replace(state, params=PanopticParams(boundary=True, dilation_ratio=0.005))
    expected = "coco.panoptic@1|area:json|boundary:yes|dilation_ratio:0.005"
    assert str(result_of(thin, "coco.panoptic@1").signature) == expected


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"area": "mask"}, "area 'mask' is unknown; expected one of json, png"),
        ({"boundary": "yes"}, "boundary 'yes': expected True or False"),
        ({"dilation_ratio": 0}, "dilation_ratio: 0 is not above 0"),
        ({"dilation_ratio": math.nan}, "dilation_ratio: nan is not above 0"),
    ],
)
def test_rules_that_are_none(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PanopticParams(**rules)


def test_a_map_and_its_list_hold_the_same_ids() -> None:
    ids, pixels = np.array([0, 3, 3, 4, 9]), np.array([5, 2, 6, 1, 1])
    assert listed_problems(ids, pixels, np.array([3, 4, 9])) == []
    assert listed_problems(ids, pixels, np.array([9, 7])) == [
        "the map has id 3 in 8 pixels and no segment lists it; list it, or make these pixels 0 (void)",
        "the map has id 4 in 1 pixels and no segment lists it; list it, or make these pixels 0 (void)",
        "segment 7 is listed and the map does not have it; drop it from the list",
    ]
