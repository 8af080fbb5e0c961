"""Semantic figures of real maps against what NumPy made of them elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvbench.columns import Int
from cvbench.metrics.mean_iou import MeanIoU, confusion_matrix

FOLDER = "panoptic_deeplab2"
MEANS = {"rtol": 0, "atol": 1e-9}
"""The figures are recorded with all digits; their sums were taken in another order."""


@pytest.fixture(scope="module")
def maps(real_data: Path) -> tuple[list[Int], list[Int]]:
    """Ground truth and predictions of all images as maps of category ids, 0 where there is no segment."""
    sides = []
    for side in ("gt", "pred"):
        content = json.loads((real_data / FOLDER / f"{side}.json").read_text())
        sides.append([classes_of(real_data / FOLDER / side, record) for record in content["annotations"]])
    return sides[0], sides[1]


def classes_of(folder: Path, record: dict[str, Any]) -> Int:
    ids = np.asarray(Image.open(folder / record["file_name"]).convert("RGB")).astype(np.int64) @ (1, 256, 65536)
    classes = np.zeros_like(ids)
    for segment in record["segments_info"]:
        classes[ids == segment["id"]] = segment["category_id"]
    return classes


@pytest.fixture(scope="module")
def official(real_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_data / FOLDER / "expected.json").read_text())["semantic"]
    return content


def test_the_confusion_matrix(maps: tuple[list[Int], list[Int]], official: dict[str, Any]) -> None:
    assert confusion_matrix(*maps, 7).tolist() == official["confusion_rows_gt"]


@pytest.mark.parametrize(
    ("key", "rules"),
    [
        ("gt0_is_a_class", {}),
        ("gt0_is_a_class", {"preset": "detectron2", "ignore_index": 99}),
        ("gt0_ignored", {"ignore_index": 0, "exclude": 0}),
        ("gt0_ignored", {"ignore_index": 0, "pred_only": "skip"}),
    ],
)
def test_every_figure(
    maps: tuple[list[Int], list[Int]], official: dict[str, Any], key: str, rules: dict[str, Any]
) -> None:
    result, expected = MeanIoU(7, **rules).update(*maps).compute(), official[key]
    for name, recorded in (("mIoU", "mIoU"), ("fwIoU", "fwIoU"), ("aAcc", "pixel_acc")):
        np.testing.assert_allclose(result.values[name], expected[recorded], **MEANS)
    ious = [row["IoU"] for row in result.per_category]
    if rules.get("pred_only") == "skip":
        assert np.isnan(ious[0]), "it is predicted and never looked for"
        ious[0] = 0.0  # as the record has it
    np.testing.assert_allclose(ious, expected["IoU"], **MEANS)
