"""Panoptic quality of real files against the recorded figures of panopticapi and boundary-iou-api."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvbench import Result
from cvbench.metrics.panoptic_quality import PanopticQuality

ANIMALS, COCO = "panoptic_deeplab2", "panoptic_coco_sample"

# folder, predictions, rules, key of expected.json
CASES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "animals": (ANIMALS, "pred", {}, "all"),
    "animals by area of the map": (ANIMALS, "pred", {"area": "png"}, "all"),
    "animals, boundary": (ANIMALS, "pred", {"boundary": True}, "boundary_pq_dilation_0.02"),
    "animals, thin boundary": (
        ANIMALS,
        "pred",
        {"boundary": True, "dilation_ratio": 0.008},
        "boundary_pq_dilation_0.008",
    ),
    "coco": (COCO, "synthetic_pred", {}, "pq"),
    "coco, boundary": (COCO, "synthetic_pred", {"boundary": True}, "boundary_pq_0.02"),
}


def expected(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return content


def scored(folder: Path, pred: str, rules: dict[str, Any], only: str = "") -> Result:
    """The result of the images whose file is called `only`, or of all."""
    gt, found = (json.loads((folder / f"{name}.json").read_text()) for name in ("gt", pred))
    metric = PanopticQuality(gt["categories"], **({"area": "json"} | rules))
    by_image = {annotation["image_id"]: annotation for annotation in found["annotations"]}
    for truth in gt["annotations"]:
        if only in truth["file_name"]:
            image = truth["image_id"]
            metric.update(read(folder / "gt", truth), read(folder / pred, by_image[image]), image)
    return metric.compute()


def read(folder: Path, annotation: dict[str, Any]) -> dict[str, Any]:
    with Image.open(folder / annotation["file_name"]) as image:
        return {"map": np.asarray(image), "segments": annotation["segments_info"]}


def assert_same(result: Result, official: dict[str, Any]) -> None:
    """Means within 1e-9: panopticapi adds floats in the order of its processes."""
    for group, suffix in (("All", ""), ("Things", "_things"), ("Stuff", "_stuff")):
        kinds = {"": ("thing", "stuff"), "_things": ("thing",), "_stuff": ("stuff",)}[suffix]
        rows = [row for row in result.per_category if row["kind"] in kinds and not math.isnan(float(row["PQ"]))]
        if group in official:
            assert len(rows) == official[group]["n"]
            for name in ("PQ", "SQ", "RQ"):
                assert result.values[name + suffix] == pytest.approx(official[group][name.lower()], abs=1e-9)
    assert len(result.per_category) == len(official["per_class"])
    for row in result.per_category:
        for name in ("PQ", "SQ", "RQ"):
            figure = float(row[name])  # panopticapi says 0 of what does not occur
            recorded = official["per_class"][str(row["id"])][name.lower()]
            assert (0.0 if math.isnan(figure) else figure) == pytest.approx(recorded, abs=1e-9), row["id"]


@pytest.mark.parametrize("name", CASES)
def test_every_recorded_figure(real_data: Path, name: str) -> None:
    folder, pred, rules, key = CASES[name]
    assert_same(scored(real_data / folder, pred, rules), expected(real_data / folder)[key])


def test_things_without_stuff(real_data: Path) -> None:
    """One image without stuff, for which the original stops with a division by zero."""
    result = scored(real_data / ANIMALS, "pred", {}, only="team")
    official = expected(real_data / ANIMALS)
    assert_same(result, official["team_only"])
    assert math.isnan(result.values["PQ_stuff"])
    for row in result.per_category:
        recorded = official["counts"][str(row["id"])]
        assert {name: row[name] for name in ("tp", "fp", "fn")} == {name: recorded[name] for name in ("tp", "fp", "fn")}
        assert row["iou_sum"] == pytest.approx(recorded["iou_sum"], rel=1e-12)  # the original rounds at each addition
    published = official["published_deeplab2"]["team_only (num_classes=3, class 0 counted nowhere)"]
    for name in ("PQ", "SQ", "RQ"):
        assert result.values[name] == pytest.approx(published[name.lower()], abs=5e-8)  # published in single precision
    assert sum(int(row["tp"]) for row in result.per_category) / 2 == published["tp_mean"]
    assert sum(int(row["fn"]) for row in result.per_category) / 2 == published["fn_mean"]
    assert sum(int(row["fp"]) for row in result.per_category) / 2 == published["fp_mean"]


def test_what_was_read_is_counted(real_data: Path) -> None:
    counts = scored(real_data / COCO, "synthetic_pred", {}).counts
    assert (counts["images"], counts["ground_truths"], counts["crowd"]) == (2, 50, 3)
    assert counts["differing_areas"] == counts["unlisted_pixels"] == counts["absent_ground_truths"] == 0
