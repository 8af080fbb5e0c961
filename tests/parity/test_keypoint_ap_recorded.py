"""CrowdPose and COCO-WholeBody against recorded figures of xtcocotools 1.14.3, bit for bit.

``tests/golden/record_keypoint_ap.py`` records them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import score

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def recorded(name: str) -> Any:
    path = Path(__file__).parents[1] / "golden" / f"xtcocotools_{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def printed(values: list[float]) -> list[float]:
    """As the evaluator prints figures: undefined ones are -1."""
    return [-1.0 if np.isnan(value) else value for value in values]


def test_crowdpose() -> None:
    found = recorded("crowdpose")
    values = score("crowdpose.keypoints", *found["data"]).values
    *expected, easy, medium, hard = found["figures"]["keypoints_crowd"]
    assert printed([values[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")]) == expected
    levels = printed([values[f"AP_{level}"] for level in ("easy", "medium", "hard")])
    assert [round(value, 4) for value in levels] == [easy, medium, hard], "the evaluator rounds them"
    assert len({*expected, easy, medium, hard}) > 6, "the data tell the figures apart"


@pytest.mark.parametrize(("key", "scale_area"), [("figures", "annotated"), ("figures_by_box", "box053")])
def test_wholebody(key: str, scale_area: str) -> None:
    found = recorded("wholebody")
    result = score("coco.wholebody", *found["data"], scale_area=scale_area)
    rows = {f"keypoints_{row['part']}": printed([row[name] for name in NAMES]) for row in result.tables["per_part"]}
    assert rows == found[key]
    assert len({value for row in rows.values() for value in row}) > 12, "the data tell the figures apart"
