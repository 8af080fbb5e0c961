"""PanopticQuality: what it takes, what it refuses and how it says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cvbench import InputError
from cvbench.metrics.overlaps import Rgb
from cvbench.metrics.panoptic_quality import panoptic_quality

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
