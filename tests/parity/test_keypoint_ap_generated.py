"""CrowdPose and COCO-WholeBody against pycocotools on data rewritten by the benchmarks' rules, bit for bit.

The benchmarks' own evaluators do not run on current NumPy. They are pycocotools with a few lines changed, and what
these lines change can be done to the data instead. In ``xtcocotools/cocoeval.py`` (1.14.3) they are: ``_prepare`` for
ignored people, dropped detections and scores of parts, ``computeOks`` and ``evaluateImg`` for areas of 0.53 times the
box, ``get_type_result`` for easy, medium and hard. Figures of xtcocotools itself: ``test_keypoint_ap_recorded.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cvbench import score
from cvbench.metrics.sigmas import SIGMAS
from generated import Knobs, knobs
from keypoint_ap_cases import Data, crowdpose, wholebody
from mode import JIT
from parity.test_coco_generated import reference

LEVELS = {"easy": (-1, 0.2), "medium": (0.2, 0.8), "hard": (0.8, 2)}
PARTS = {
    "wholebody": (("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"), "wholebody_score"),
    "body": (("keypoints",), "score"),
    "foot": (("foot_kpts",), "foot_score"),
    "face": (("face_kpts",), "face_score"),
    "lefthand": (("lefthand_kpts",), "lefthand_score"),
    "righthand": (("righthand_kpts",), "righthand_score"),
}
OF_PART = {
    "wholebody": SIGMAS["wholebody133"],
    "body": SIGMAS["wholebody133"][:17],
    "foot": SIGMAS["foot6"],
    "face": SIGMAS["face68"],
    "lefthand": SIGMAS["hand21"],
    "righthand": SIGMAS["hand21"],
}
NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def of_crowdpose(gt: dict[str, Any], dt: list[dict[str, Any]], drop: bool) -> Data:
    truths = [
        record | {"id": record["id"] + 1, "area": record["bbox"][2] * record["bbox"][3] * 0.53}
        for record in gt["annotations"]
    ]
    return gt | {"annotations": truths}, [record for record in dt if not drop or is_seen(record["keypoints"])]


def of_part(gt: dict[str, Any], dt: list[dict[str, Any]], part: str, by_box: bool) -> Data:
    fields, name = PARTS[part]

    def points(record: dict[str, Any]) -> list[float]:
        return [number for field in fields for number in record[field]]

    truths, found = [], []
    for record in gt["annotations"]:
        labelled = sum(v > 0 for v in points(record)[2::3])
        area = record["bbox"][2] * record["bbox"][3] * 0.53 if by_box else record["area"]
        truths.append(
            record | {"id": record["id"] + 1, "area": area, "keypoints": points(record), "num_keypoints": labelled}
        )
    for record in dt:
        if is_seen(points(record)):
            x, y = record["keypoints"][0::3], record["keypoints"][1::3]
            box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            own = {"keypoints": points(record), "bbox": box, "score": record.get(name, record["score"])}
            found.append(record | own)
    return gt | {"annotations": truths}, found


def is_seen(keypoints: list[float]) -> bool:
    return any(v > 0 for v in keypoints[2::3])


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(np.where(np.isnan(found), -1, found), expected)


@settings(max_examples=40 if JIT else 6)
@given(knobs=knobs(), drop=st.booleans())
def test_crowdpose(knobs: Knobs, drop: bool) -> None:
    gt, dt = crowdpose(knobs)
    rewritten = of_crowdpose(gt, dt, drop)
    sigmas = np.array(SIGMAS["crowdpose14"])
    evaluation = reference(*rewritten, "keypoints", kpt_oks_sigmas=sigmas)
    result = score("crowdpose.keypoints", gt, dt, **({} if drop else {"zero_keypoints": "keep"}))
    for name in ("precision", "recall", "scores"):
        assert_equal(result.arrays[name], evaluation.eval[name][..., :1, :])
    for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"):
        assert_equal(np.array(result.values[name]), evaluation.stats[NAMES.index(name)])
    for level, (low, high) in LEVELS.items():
        images = [image["id"] for image in gt["images"] if low <= image["crowdIndex"] < high]
        expected = -1.0
        if images:
            expected = reference(*rewritten, "keypoints", kpt_oks_sigmas=sigmas, imgIds=images).stats[0]
        assert_equal(np.array(result.values[f"AP_{level}"]), expected)


@pytest.mark.parametrize("by_box", [False, True], ids=["annotated areas", "areas by box"])
@settings(max_examples=25 if JIT else 3)
@given(knobs=knobs())
def test_wholebody(knobs: Knobs, by_box: bool) -> None:
    gt, dt = wholebody(knobs)
    result = score("coco.wholebody", gt, dt, scale_area="box053" if by_box else "annotated")
    for row in result.tables["per_part"]:
        part = row["part"]
        rewritten = of_part(gt, dt, part, by_box)
        evaluation = reference(*rewritten, "keypoints", kpt_oks_sigmas=np.array(OF_PART[part]))
        assert_equal(np.array([row[name] for name in NAMES]), evaluation.stats)
        dropped = "dropped_zero_keypoints" + ("" if part == "wholebody" else f"_{part}")
        assert result.counts[dropped] == len(dt) - len(rewritten[1])
        for name in ("AP", "AP50", "AP75", "AR"):
            value = result.values[name if part == "wholebody" else f"{name}_{part}"]
            assert_equal(np.array(value), evaluation.stats[NAMES.index(name)])
