"""Native tasks on real files against the official evaluators' recorded figures, to the last digit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import DetectionAP, FormatError, Result, score

VAL = "coco_val2014_100"
GT, BOXES, MASKS = (
    f"{VAL}/instances_val2014_100.json",
    f"{VAL}/instances_val2014_fakebbox100_results.json",
    f"{VAL}/instances_val2014_fakesegm100_results.json",
)
FCE, KEYPOINTS, CARS = "coco_fce_small", "coco_keypoints_fce", "det2_car_v10"

# task, ground truth, predictions, rules, key of expected.json
CASES = {
    "boxes": ("bbox", GT, BOXES, {}, "bbox"),
    "boxes of a mask file": ("bbox", GT, MASKS, {}, "bbox_from_segm_results"),
    "pooled boxes": ("bbox", GT, BOXES, {"class_agnostic": True}, "bbox_useCats0"),
    "few boxes": ("bbox", GT, BOXES, {"max_dets": (1, 3, 5)}, "bbox_maxDets_1_3_5"),
    "masks": ("segm", GT, MASKS, {}, "segm"),
    "pooled masks": ("segm", GT, MASKS, {"class_agnostic": True}, "segm_useCats0"),
    "boundaries": ("boundary", GT, MASKS, {}, "boundary_dilation_0.02"),
    "thin boundaries": ("boundary", GT, MASKS, {"dilation_ratio": 0.008}, "boundary_dilation_0.008"),
    "small boxes": ("bbox", f"{FCE}/gt_dataset.json", f"{FCE}/dt_dataset.json", {}, "bbox"),
    "small masks": ("segm", f"{FCE}/gt_dataset.json", f"{FCE}/dt_dataset.json", {}, "segm"),
    "keypoints": ("keypoints", f"{KEYPOINTS}/gt.json", f"{KEYPOINTS}/dt.json", {}, "keypoints"),
    "people": ("bbox", f"{KEYPOINTS}/gt.json", f"{KEYPOINTS}/dt.json", {}, "bbox"),
    "cars": ("bbox", f"{CARS}/gt.json", f"{CARS}/dt.json", {}, "bbox"),
}


def expected(folder: Path, gt: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / gt).with_name("expected.json").read_text())
    return content


@pytest.mark.parametrize("name", CASES)
def test_every_recorded_figure(real_data: Path, name: str) -> None:
    iou_type, gt, pred, rules, key = CASES[name]
    official = expected(real_data, gt)[key]
    result = score(f"coco.{iou_type}", real_data / gt, real_data / pred, **rules)
    figures = list(result.values.items())
    if name == "few boxes":
        assert official["stats"].pop("AP") == -1, "the official AP asks for a cap of 100"
        figures = figures[1:]
    for (value_name, value), (official_name, figure) in zip(figures, official["stats"].items(), strict=True):
        np.testing.assert_equal(value, np.nan if figure == -1 else figure, err_msg=f"{value_name} ({official_name})")
    rows = {str(-1 if rules.get("class_agnostic") else row["id"]): row for row in result.per_category}
    for column, table in (("AP", "AP_per_category"), ("AP50", "AP50_per_category"), ("AR", "AR_per_category")):
        for category, figure in official.get(table, {}).items():
            np.testing.assert_equal(
                rows[category][column], np.nan if figure == -1 else figure, err_msg=f"{table} {category}"
            )
    assert [row["AP"] for row in result.tables["per_iou"]] == list(official["AP_per_iou"].values())


@pytest.mark.parametrize(("name", "arrays"), [("boxes", "bbox"), ("masks", "segm")])
def test_recorded_arrays(real_data: Path, name: str, arrays: str) -> None:
    iou_type, gt, pred, *_ = CASES[name]
    result = score(f"coco.{iou_type}", real_data / gt, real_data / pred)
    with np.load(real_data / VAL / f"expected_{arrays}_arrays.npz") as recorded:
        for key in recorded:
            found = np.where(np.isnan(result.arrays[key]), -1, result.arrays[key])
            np.testing.assert_array_equal(found, recorded[key], err_msg=key)


def test_four_ways_give_one_result(real_data: Path, tmp_path: Path) -> None:
    gt, pred = json.loads((real_data / GT).read_text()), json.loads((real_data / MASKS).read_text())
    from_files = score("coco.segm", real_data / GT, real_data / MASKS)
    from_memory = score("coco.segm", gt, pred)
    sizes = {image["id"]: (image["height"], image["width"]) for image in gt["images"]}
    metric = DetectionAP("segm", categories={category["id"]: category["name"] for category in gt["categories"]})
    for image, size in sizes.items():
        truths = [record for record in gt["annotations"] if record["image_id"] == image]
        found = [record for record in pred if record["image_id"] == image]
        truth = {name: [record[name] for record in truths] for name in ("area", "iscrowd")}
        truth |= {"labels": [record["category_id"] for record in truths], "image_id": image}
        truth["masks"] = [encoded(record["segmentation"], size) for record in truths]
        metric.update(
            truth,
            {
                "labels": [record["category_id"] for record in found],
                "scores": [record["score"] for record in found],
                "masks": [record["segmentation"] for record in found],
            },
        )
    path = tmp_path / "result.json"
    command = [sys.executable, "-m", "cvbench", "score", "coco.segm", real_data / GT, real_data / MASKS, "-o", path]
    subprocess.run(command, check=True)
    for other in (from_memory, metric.compute(), Result.load(path)):
        assert other.same_scores(from_files)


def encoded(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """An RLE of a segmentation, by the reference."""
    from pycocotools import mask

    rles = mask.frPyObjects(segmentation, *size)
    rle: dict[str, Any] = mask.merge(rles) if isinstance(rles, list) else rles
    return rle


def test_an_image_id_of_two_types_is_refused(real_data: Path) -> None:
    with pytest.raises(FormatError, match="2299"):
        score("coco.bbox", real_data / FCE / "gt_ignore_test.json", real_data / FCE / "dt_ignore_test.json")
