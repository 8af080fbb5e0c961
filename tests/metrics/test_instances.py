"""What metrics of paired keypoints share: reading arrays, sizes, what is refused, states that merge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cvbench import InputError, MismatchError
from cvbench.columns import Keypoints
from cvbench.metrics.base import merge
from cvbench.metrics.instances import (
    InstanceState,
    Normalizer,
    columns_of,
    distances,
    hits_of,
    joined,
    names_of,
    normalizers,
    problems_of,
    state_of,
)

GT = [[[0, 0, 2], [3, 4, 1], [9, 9, 0]]]
PRED = [[[0, 1], [3, 4], [0, 0]]]


def columns(**changes: Any) -> Keypoints:
    return replace(columns_of(GT, PRED), **changes)


@pytest.mark.parametrize("form", [np.array, torch.tensor, list])
def test_arrays_of_any_kind_become_columns(form: Any) -> None:
    found = columns_of(form(GT), form(PRED))
    assert found.gt.tolist() == [[[0, 0], [3, 4], [9, 9]]]
    assert found.pred.tolist() == [[[0, 1], [3, 4], [0, 0]]]
    assert found.visible.tolist() == [[True, True, False]]
    assert found.boxes is found.size is found.groups is None


def test_one_instance_needs_no_first_axis() -> None:
    assert columns_of(GT[0], PRED[0]).gt.shape == (1, 3, 2)


def test_three_dimensions_have_no_visibility_beside_them() -> None:
    found = columns_of(np.zeros((2, 4, 3)), np.ones((2, 4, 3)), dims=3)
    assert found.gt.shape == (2, 4, 3)
    assert found.visible.all()


def test_flags_boxes_and_groups_come_in_a_dict() -> None:
    gt = {"keypoints": GT, "visible": [[1, 0, 1]], "boxes": [[1, 2, 4, 8]], "size": [3], "groups": [["b", "a"]]}
    found = columns_of(gt, {"keypoints": PRED, "scores": [0.5]})
    assert found.visible.tolist() == [[True, False, True]]
    np.testing.assert_equal(found.boxes, [[1, 2, 3, 6]])
    np.testing.assert_equal(found.size, [3])
    np.testing.assert_equal(found.groups, [[True, True]])
    assert found.group_names == ("a", "b")
    np.testing.assert_equal(columns_of(gt, PRED, box_format="xywh").boxes, [[1, 2, 4, 8]])


def test_arguments_are_copied() -> None:
    gt, pred = np.array(GT, np.float64), np.array(PRED, np.float64)
    found = columns_of(gt, pred)
    found.gt[:], found.pred[:] = -1, -1
    assert gt.tolist() == GT
    assert pred.tolist() == PRED


@pytest.mark.parametrize(
    ("gt", "pred", "message"),
    [
        (GT, [*PRED, *PRED], "gt has 1 instances of 3 keypoints and pred 2 of 3"),
        (GT, [PRED[0][:2]], "pred 1 of 2"),
        ([1, 2], PRED, r"gt.keypoints have shape (2,); expected (N, J, 2 or 3)"),
        ([["a"]], PRED, "gt.keypoints are no array of numbers"),
        ({"keypoint": GT}, PRED, "gt has a key 'keypoint', did you mean 'keypoints'"),
        ({"boxes": [[0, 0, 1, 1]]}, PRED, "gt has no 'keypoints'; it has boxes"),
        ({"keypoints": GT, "boxes": [[0, 0, 1]]}, PRED, r"gt.boxes has shape (1, 3); expected (1, 4)"),
        ({"keypoints": GT, "groups": "a"}, PRED, "gt.groups 'a': expected a label"),
    ],
)
def test_what_does_not_fit_is_refused(gt: Any, pred: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        columns_of(gt, pred)
    assert message in str(error.value).replace("; did you mean", ", did you mean").replace("`", "'")


SIZED = {
    "boxes": np.array([[0.0, 0, 9, 16]]),
    "head_boxes": np.array([[3.0, 4, 0, 0]]),
    "size": np.array([7.0]),
}


@pytest.mark.parametrize(
    ("rule", "size"),
    [
        ("bbox", 16.0),
        ("bbox_area", 12.0),
        ("bbox_diagonal", np.sqrt(337.0)),
        ("head", 5 * 0.6),
        ("size", 7.0),
        ("joints:0-1", 5.0),
        ("joints:0+1-1", 2.5),
        ("extent_diagonal", 5.0),
        ("fixed:30", 30.0),
        ("none", 1.0),
    ],
)
def test_sizes(rule: str, size: float) -> None:
    normalizer = Normalizer.parse(rule)
    assert normalizers(columns(**SIZED), normalizer).tolist() == [size]
    assert Normalizer.parse(str(normalizer)) == normalizer
    empty = joined([], np.zeros(0, np.int64), 2)
    assert normalizers(empty, normalizer).shape == (0,)


def test_sizes_that_are_not_there() -> None:
    assert np.isnan(normalizers(columns(), Normalizer.parse("joints:0-2"))).all(), "joint 2 is not visible"
    unseen = columns(visible=np.zeros((1, 3), np.bool_))
    assert np.isnan(normalizers(unseen, Normalizer("extent_diagonal"))).all()
    assert normalizers(columns(boxes=np.array([[0.0, 0, -4, 9]])), Normalizer("bbox_area")).tolist() == [0]
    for kind in ("bbox", "head", "size"):
        with pytest.raises(InputError, match=f"normalizer {kind} is .*, and the ground truth has no"):
            normalizers(columns(), Normalizer(kind))
    with pytest.raises(InputError, match="normalizer joints:0-3 names joint 3; there are 3"):
        normalizers(columns(), Normalizer.parse("joints:0-3"))


@pytest.mark.parametrize(
    "text", ["torso", "joints", "joints:1", "joints:a-b", "fixed", "fixed:0", "fixed:nan", "bbox:3"]
)
def test_texts_that_are_no_normalizer(text: str) -> None:
    with pytest.raises(InputError, match="normalizer"):
        Normalizer.parse(text)


def test_what_keeps_an_instance_from_being_scored() -> None:
    gt, pred = np.array([GT[0]] * 4, np.float64), np.array([PRED[0]] * 4, np.float64)
    gt[0, 1, 0], gt[0, 2, 0], pred[1, 0, 1], pred[2, 0, 0] = np.nan, np.nan, np.nan, np.inf
    found = columns_of(gt, pred)
    places = [(trouble.side, trouble.row) for trouble in problems_of(found)]
    assert places == [("gt", 0), ("pred", 1), ("pred", 2)], "keypoints that do not count may be anything"
    assert [trouble.row for trouble in problems_of(found, missing="miss")] == [0, 2]
    assert "keypoint 1 is at (nan, 4)" in problems_of(found)[0].message
    scale = np.array([1.0, 0.0, np.nan, -2.0])
    rows = [trouble.row for trouble in problems_of(found, scale) if "size to divide by" in trouble.message]
    assert rows == [1, 2, 3]
    assert len(problems_of(found, scale, zero_scale="skip")) == 3
    unseen = replace(found, visible=np.zeros((4, 3), np.bool_))
    assert problems_of(unseen, scale) == []


def test_instances_without_a_size_do_not_count() -> None:
    found = columns_of(GT * 3, PRED * 3)
    distance = distances(found, np.array([0.0, 2.0, np.nan]))
    np.testing.assert_equal(distance, [[np.nan] * 3, [0.5, 0, np.nan], [np.nan] * 3])


def state(groups: list[list[str]], image_id: int, params: int = 0) -> InstanceState:
    gt = {"keypoints": GT * len(groups), "groups": groups}
    found = replace(columns_of(gt, PRED * len(groups)), image_ids=np.array([image_id]))
    return state_of(InstanceState, found, distances(found), names_of(None, 3), params)


def test_states_join_their_groups() -> None:
    first, second = state([["b"], []], 0), state([["c", "a"]], 1)
    for whole in (merge([first, second]), merge([second, first])):
        assert whole.group_names == ("a", "b", "c")
        by_image = {image: whole.member[whole.image == i].tolist() for i, image in enumerate(whole.image_ids.tolist())}
        assert by_image == {0: [[False, True, False], [False] * 3], 1: [[True, False, True]]}
    assert whole.counts["instances"] == 3


def test_empty_states_merge_with_any_but_rules_are_compared() -> None:
    empty = state_of(InstanceState, joined([], np.zeros(0, np.int64), 2), np.zeros((0, 0)), (), 0)
    assert merge([empty, state([["a"]], 4)]).columns == ("0", "1", "2")
    with pytest.raises(MismatchError, match="params differ: 0 and 1"):
        merge([empty, state([["a"]], 4, params=1)])


def test_hits_keep_the_order_of_thresholds() -> None:
    distance = np.array([[0.1, np.nan], [0.3, np.inf]])
    hits, counted = hits_of(distance, np.array([2, 1]), [0.3, 0.1], strict=False)
    assert hits.tolist() == [[3, 2], [0, 0]]
    assert counted.tolist() == [3, 1]


def test_names_must_be_as_many_as_keypoints() -> None:
    assert names_of(("nose", "neck"), 2) == ("nose", "neck")
    with pytest.raises(InputError, match="1 names for 2 keypoints"):
        names_of(("nose",), 2)
