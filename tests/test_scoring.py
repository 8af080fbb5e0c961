"""The path from inputs to a result: choices of images and categories, and what the signature says of them."""

from __future__ import annotations

import numpy as np
import pytest

from cvbench import InputError, comparable, score
from generated import Knobs, coco

GT, DT = coco(Knobs(3, 3, 3, 5, 9, 5, False, True, 1, True), "bbox")
IMAGES = sorted(image["id"] for image in GT["images"])
CATEGORIES = sorted(category["id"] for category in GT["categories"])


def test_a_choice_is_in_the_signature_and_in_the_counts() -> None:
    result = score("coco.bbox", GT, DT, images=IMAGES[:2], categories=CATEGORIES[1])
    assert f"images:{IMAGES[0]},{IMAGES[1]}" in str(result.signature)
    assert f"categories:{CATEGORIES[1]}" in str(result.signature)
    assert [row["id"] for row in result.per_category] == [CATEGORIES[1]]
    chosen = [d for d in DT if d["image_id"] in IMAGES[:2] and d["category_id"] == CATEGORIES[1]]
    assert result.counts["detections"] == len(chosen)
    assert result.counts["detections_elsewhere"] == len(DT) - len(chosen)
    assert result.counts["images"] == 2


def test_categories_by_name() -> None:
    by_id = score("coco.bbox", GT, DT, categories=[CATEGORIES[0]])
    assert score("coco.bbox", GT, DT, categories=f"category {CATEGORIES[0]}").same_scores(by_id)


def test_ids_in_any_form() -> None:
    expected = score("coco.bbox", GT, DT, images=IMAGES[:2])
    for images in (np.array(IMAGES[:2]), [*IMAGES[1::-1], IMAGES[0]], [str(image) for image in IMAGES[:2]]):
        assert score("coco.bbox", GT, DT, images=images).same_scores(expected)


def test_a_long_or_odd_choice_is_hashed() -> None:
    gt = {"images": [{"id": f"{n}|{n}"} for n in range(30)], "categories": [{"id": 1}], "annotations": []}
    first, second = (str(score("coco.bbox", gt, [], images=[f"{n}|{n}"]).signature) for n in (1, 2))
    assert "|images:1 with sha256 " in first
    assert first != second
    assert "|images:25 with sha256 " in str(
        score("coco.bbox", gt, [], images=[f"{n}|{n}" for n in range(25)]).signature
    )


def test_a_default_that_is_spelt_out_is_still_the_default() -> None:
    spelt = score("coco.bbox", GT, DT, missing_area="refuse", class_agnostic=False)
    assert spelt.signature == score("coco.bbox", GT, DT).signature


def test_all_is_the_default() -> None:
    assert score("coco.bbox", GT, DT, images="all", categories="all").same_scores(score("coco.bbox", GT, DT))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"images": [999]}, "there is no image 999; expected one of"),
        ({"categories": ["categry 1"]}, "there is no category 'categry 1'; did you mean 'category"),
        ({"caps": [1]}, "coco.bbox has no parameter 'caps'"),
    ],
)
def test_choices_that_are_none(choice: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score("coco.bbox", GT, DT, **choice)


def test_results_compare_under_equal_rules_only() -> None:
    first, other = score("coco.bbox", GT, DT), score("coco.bbox", GT, DT, max_dets=(5,))
    comparable(first, score("coco.bbox", GT, DT[:3]))
    with pytest.raises(ValueError, match="max_dets is 1,10,100 and 5"):
        comparable(first, other)
    with pytest.raises(ValueError, match="different ground truths"):
        comparable(first, score("coco.bbox", GT | {"annotations": GT["annotations"][1:]}, DT))


def test_progress_reaches_its_end() -> None:
    seen: list[tuple[str, int, int]] = []
    score("coco.bbox", GT, DT, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("comparing", seen[-1][2], seen[-1][2])
