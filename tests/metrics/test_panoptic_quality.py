"""PanopticQuality: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from cvbench import InputError
from cvbench.metrics.overlaps import Rgb
from cvbench.metrics.panoptic_quality import PanopticQuality, panoptic_quality
from mode import JIT

CATEGORIES = {1: {"name": "person", "isthing": 1}, 2: {"name": "sky", "isthing": 0}}
GT = {
    "map": [[7, 7, 9, 9], [7, 7, 9, 0]],
    "segments": [{"id": 7, "category_id": 1}, {"id": 9, "category_id": 2}],
}
PRED = {
    "map": [[3, 3, 3, 4], [3, 3, 4, 4]],
    "segments": [{"id": 4, "category_id": 2}, {"id": 3, "category_id": 1}],
}
LABELLED = {"classes": [[1, 1, 1, 2], [1, 1, 2, 2]], "instances": [[5, 5, 5, 0], [5, 5, 8, 1]]}
FIGURES = {"PQ": (4 / 5 + 2 / 3) / 2, "PQ_things": 4 / 5, "PQ_stuff": 2 / 3}


def scores(gt: Any, pred: Any, **options: Any) -> dict[str, float]:
    return panoptic_quality(gt, pred, CATEGORIES, **options).values


def with_map(image: dict[str, Any], form: Any) -> dict[str, Any]:
    return image | {"map": form(image["map"])}


def rgb(ids: Any) -> np.ndarray:
    ids = np.asarray(ids)
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)


def test_maps_of_every_form_give_one_result() -> None:
    forms: list[Any] = [list, torch.tensor, rgb, lambda ids: Rgb(rgb(ids)), np.asfortranarray]
    forms += [lambda ids, kind=kind: np.array(ids, kind) for kind in (np.uint8, np.int16, np.uint16, ">i4", np.int64)]
    for boundary in (False, True):
        expected = scores(GT, PRED, boundary=boundary)
        for form in forms:
            np.testing.assert_equal(scores(with_map(GT, form), with_map(PRED, form), boundary=boundary), expected)
    assert {name: scores(GT, PRED)[name] for name in FIGURES} == pytest.approx(FIGURES)


def test_classes_and_instances_are_segments() -> None:
    stacked = np.stack([LABELLED["classes"], LABELLED["instances"]], axis=-1)
    expected = scores(GT, PRED)
    for pred in (LABELLED, stacked, torch.tensor(stacked), stacked.astype(np.uint8)):
        np.testing.assert_equal(scores(GT, pred), expected)
    # 200 is no category: void in the ground truth, and in the prediction where void names it
    gt = {"classes": [[1, 1, 2, 2], [1, 1, 2, 200]], "instances": [[0, 0, 0, 0], [0, 0, 0, 6]]}
    np.testing.assert_equal(scores(gt, PRED), expected)
    strange = {"classes": [[1, 1, 1, 2], [1, 1, 2, 200]], "instances": np.zeros((2, 4), np.int32)}
    assert scores(gt, strange, void=[200, 255])["PQ_stuff"] == 2 / 3
    with pytest.raises(InputError, match=r"pred: class 200 in 1 pixels is no category; expected one of 1, 2, or name"):
        scores(gt, strange)


def listed_form(classes: np.ndarray, instances: np.ndarray, categories: dict[int, Any]) -> dict[str, Any]:
    """The same image as a map with a table, pixel by pixel."""
    ids, segments = np.zeros(classes.shape, np.int64), {}
    for at in np.ndindex(classes.shape):
        kind = int(classes[at])
        if kind in categories:
            key = (kind, int(instances[at]) if categories[kind]["isthing"] else 0)
            ids[at] = segments.setdefault(key, len(segments) + 1)
    return {"map": ids, "segments": [{"id": number, "category_id": kind} for (kind, _), number in segments.items()]}


@settings(max_examples=60 if JIT else 10)
@given(seed=st.integers(0, 2**32 - 1), boundary=st.booleans(), negative=st.booleans(), size=st.integers(0, 9))
def test_both_forms_of_an_image_are_one(seed: int, boundary: bool, negative: bool, size: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.array([-5, 0, 3, 2**31 - 1] if negative else [0, 3, 4, 250])
    categories = {int(kind): {"name": str(kind), "isthing": int(i % 2)} for i, kind in enumerate(kinds[:3])}
    classes = kinds[rng.integers(0, 4, (2, size, 10))].repeat(2, axis=1)
    instances = rng.choice([0, 1, 2**32 - 2], (2, 2 * size, 10))
    both = [{"classes": kind, "instances": number} for kind, number in zip(classes, instances, strict=True)]
    listed = [listed_form(*image.values(), categories) for image in both]
    rules = {"void": kinds[3], "boundary": boundary}
    result = panoptic_quality(*both, categories, **rules)
    assert result.same_scores(panoptic_quality(*listed, categories, **rules))


def test_a_batch_equals_its_images() -> None:
    one, batch = PanopticQuality(CATEGORIES), PanopticQuality(CATEGORIES, threads=2)
    for image in range(3):
        one.update(GT, PRED, image)
    assert batch.update([GT] * 3, [PRED] * 3, [2, 1, 0]).compute().same_scores(one.compute())
    stacked = np.stack([LABELLED["classes"], LABELLED["instances"]], axis=-1)
    assert (
        len(PanopticQuality(CATEGORIES).update(np.stack([stacked] * 4), torch.tensor(np.stack([stacked] * 4))).state)
        == 4
    )


def test_ids_of_images() -> None:
    def ids(*arguments: Any) -> list[Any]:
        found: list[Any] = PanopticQuality(CATEGORIES).update(*arguments).state.image_ids.tolist()
        return found

    assert ids(GT | {"image_id": "b"}, PRED) == ["b"]
    assert ids([GT, GT], [PRED, PRED], ["d", "c"]) == ["c", "d"]
    assert ids(GT, PRED, np.int32(4)) == [4]
    assert ids(GT, PRED, "name") == ["name"]
    for given_ids in ([1], "ab", [1, 2, 3]):
        with pytest.raises(InputError, match="for 2 images; expected one for each"):
            ids([GT, GT], [PRED, PRED], given_ids)
    with pytest.raises(InputError, match=r"image_id: is 1\.5; expected an integer"):
        ids(GT, PRED, 1.5)


def test_crowds_and_areas_of_the_ground_truth_are_read() -> None:
    crowd = GT | {"segments": [GT["segments"][0] | {"iscrowd": 1}, GT["segments"][1]]}
    assert np.isnan(scores(crowd, PRED)["RQ_things"]), "excused, and nothing else is there"
    stated = GT | {"segments": [segment | {"area": 4.5} for segment in GT["segments"]]}
    assert scores(stated, PRED)["PQ_things"] == 4 / 5
    assert scores(stated, PRED, area="json")["PQ_things"] == 4 / 5.5
    assert scores(LABELLED, LABELLED, area="json")["PQ"] == 1, "classes and instances have the area of their pixels"


def test_inputs_stay_as_they_are() -> None:
    images = [with_map(GT, np.array), with_map(PRED, np.array), copy.deepcopy(LABELLED)]
    before = copy.deepcopy(images)
    for gt in images:
        scores(gt, images[1], boundary=True)
    np.testing.assert_equal(images, before)


def test_images_without_pixels_or_segments() -> None:
    empty = {"map": np.zeros((0, 5), np.int32), "segments": []}
    void = {"map": np.zeros((3, 5), np.int32), "segments": []}
    for image in (empty, void, np.full((2, 3, 2), 77), np.zeros((0, 3, 2), np.int64)):
        assert np.isnan(list(scores(image, image, void=77).values())).all()


@pytest.mark.parametrize(
    ("categories", "options"),
    [
        ([{"id": 1, "name": "person", "isthing": 1}, {"id": 2, "name": "sky", "isthing": 0, "color": [1, 2, 3]}], {}),
        ({1: "person", 2: "sky"}, {"things": (1,)}),
        ({1: {"name": "person"}, 2: {"name": "sky"}}, {"things": np.array([1])}),
        (CATEGORIES, {"things": [1]}),
    ],
)
def test_categories_of_every_form(categories: Any, options: dict[str, Any]) -> None:
    metric = PanopticQuality(categories, **options)
    assert metric.categories == {1: "person", 2: "sky"}
    assert metric.things == {1}
    assert [row["name"] for row in metric.update(GT, PRED).compute().per_category] == ["person", "sky"]


@pytest.mark.parametrize(
    ("categories", "options", "message"),
    [
        ({1: "person"}, {}, r"whether category 1 is a thing; give isthing, or things=\[ids\]"),
        ({1: "person"}, {"things": [4]}, "things names 4; expected one of 1"),
        (CATEGORIES, {"things": [1, 2]}, "isthing of category 2 is 0, and things says otherwise"),
        ({1: {"isthing": 2}}, {}, "isthing of 1 is 2; expected 0 or 1"),
        ([{"id": 1, "isthing": 1}] * 2, {}, "id 1 comes more than once"),
        ({}, {"things": []}, "there are none"),
        (["person"], {}, "expected a list of {id, name, isthing}, or a mapping"),
        ({1.5: "person"}, {"things": []}, r"categories: is 1\.5; expected an integer"),
        (CATEGORIES, {"void": 2}, "void names 2, which is the category 'sky'"),
        (CATEGORIES, {"area": "mask"}, "area 'mask' is unknown"),
    ],
)
def test_categories_and_rules_that_are_refused(categories: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PanopticQuality(categories, **options)


def changed(image: dict[str, Any], i: int, **changes: Any) -> dict[str, Any]:
    segments = [dict(segment) for segment in image["segments"]]
    segments[i] |= changes
    return image | {"segments": segments}


@pytest.mark.parametrize(
    ("gt", "pred", "message"),
    [
        (
            GT,
            {"segmentation": [[1]], "segments_info": []},
            "pred: has no 'map'; it has segmentation, segments_info; exp",
        ),
        (GT, {"map": [[1]]}, "pred: has no 'segments'; it has map; expected a dict"),
        (GT, {"classes": [[1]]}, "pred: has no 'instances'; expected a dict"),
        (GT, (torch.tensor(PRED["map"]), PRED["segments"]), r"pred\[1\]: is a list; expected a dict of \"map\""),
        (GT, np.zeros((2, 4)), r"pred: has shape \(2, 4\); expected a dict of .* or an array \(H, W, 2\)"),
        (GT, with_map(PRED, lambda ids: np.array(ids)[None]), r"pred\.map: has shape \(1, 2, 4\); expected \(H, W\)"),
        (
            GT,
            with_map(PRED, lambda ids: np.array(ids)[:1]),
            r"pred\.map: has shape \(1, 4\), the ground truth \(2, 4\)",
        ),
        (GT, with_map(PRED, lambda ids: np.array(ids, float)), r"pred\.map: holds float64; expected integers"),
        (GT, PRED | {"segments": {3: 1}}, r"pred\.segments: expected a list of dicts with id and category_id"),
        (GT, PRED | {"segments": [{"id": 3, "label_id": 1}]}, r"segments\[0\]: has no 'category_id'; it has id, label"),
        (GT, changed(PRED, 1, category_id=8), r"pred\.segments\[1\]\.category_id: is 8; expected one of 1, 2"),
        (changed(GT, 0, category_id=8), PRED, r"gt\.segments\[0\]\.category_id: is 8; expected one of 1, 2"),
        (GT, changed(PRED, 0, id=0), r"pred\.segments\[0\]\.id: is 0, which is void; number segments from 1 on"),
        (GT, changed(PRED, 0, id=4.0), r"pred\.segments\[0\]\.id: is 4\.0; expected an integer"),
        (GT, changed(PRED, 0, id=3), r"pred\.segments: id 3 is listed more than once"),
        (GT, changed(PRED, 0, id=6), "pred: the map has id 4 in 3 pixels and no segment lists it; .* \\(and 1 more\\)"),
        (GT, with_map(PRED, lambda ids: np.where(np.array(ids) == 4, 0, ids)), "pred: segment 4 is listed and the map"),
        (changed(GT, 0, iscrowd=2), PRED, r"gt\.segments\[0\]\.iscrowd: is 2; expected 0 or 1"),
        (changed(GT, 0, area=-1), PRED, r"gt\.segments\[0\]\.area: is -1; expected pixels, 0 or more"),
        (changed(GT, 0, area="4"), PRED, r"gt\.segments\[0\]\.area: is '4'; expected pixels, 0 or more"),
        (changed(GT, 0, area=None), PRED, r"gt\.segments\[0\]\.area: is None; expected pixels, 0 or more"),
        ([GT], [PRED, PRED], "1 images in gt and 2 in pred"),
        ([GT, changed(GT, 0, id=0)], [PRED, PRED], r"gt\[1\]\.segments\[0\]\.id: is 0"),
        (GT, LABELLED | {"classes": [[1.0] * 4] * 2}, r"pred\.classes: holds float64; expected integers"),
        (GT, LABELLED | {"instances": [[0] * 4]}, r"pred\.instances: has shape \(1, 4\); expected two equal"),
        (GT, LABELLED | {"instances": [[-1] * 4] * 2}, r"pred\.instances: holds -1; expected 0 to 4294967294"),
        (GT, LABELLED | {"classes": [[2**31] * 4] * 2}, r"pred\.classes: holds 2147483648; expected -2147483647 to"),
    ],
)
def test_what_is_refused(gt: Any, pred: Any, message: str) -> None:
    metric = PanopticQuality(CATEGORIES)
    with pytest.raises(InputError, match=message):
        metric.update(gt, pred)
    assert len(metric.state) == 0, "nothing of a refused batch is kept"


def test_areas_are_asked_for_where_they_decide() -> None:
    with pytest.raises(
        InputError, match=r"gt\.segments\[0\]: has no 'area', which area=json takes; area=png takes the"
    ):
        PanopticQuality(CATEGORIES, area="json").update(GT, PRED)
