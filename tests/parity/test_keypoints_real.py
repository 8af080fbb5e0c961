"""PCKh of real people and predictions against what the protocols' own code made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench.columns import Float
from cvbench.metrics.mpii import PROTOCOLS, pckh

FOLDER, MODEL = "mpii_val", "bearpaw-hg_s2_b1"
ROUNDING = {"rtol": 0, "atol": 1e-11}
"""The figures are recorded with all digits, in percent."""


@pytest.fixture(scope="module")
def people(real_data: Path) -> tuple[dict[str, Any], Float]:
    from scipy.io import loadmat

    truth = loadmat(real_data / FOLDER / "detections_our_format.mat")
    points = truth["pos_gt_src"].transpose(2, 0, 1)
    boxes = truth["headboxes_src"].transpose(2, 0, 1).reshape(-1, 4)
    gt = {"keypoints": points, "visible": truth["jnt_missing"].T == 0, "head_boxes": boxes}
    return gt, loadmat(real_data / FOLDER / "preds" / f"{MODEL}.mat")["preds"].astype(np.float64)


@pytest.fixture(scope="module")
def official(real_data: Path) -> dict[str, dict[str, float]]:
    content: dict[str, Any] = json.loads((real_data / FOLDER / "expected.json").read_text())[MODEL]
    return content


@pytest.mark.parametrize("threshold", [0.5, 0.1])
@pytest.mark.parametrize(
    ("protocol", "rules", "recorded"),
    [
        ("hrnet", {}, "hrnet"),
        ("hrnet", {"shift": 0}, "hrnet_noshift"),
        # no distance is exactly on a threshold, so that < and <= agree
        ("mmpose", {}, "hrnet"),
    ],
)
def test_weighted_means(
    people: tuple[dict[str, Any], Float],
    official: dict[str, dict[str, float]],
    protocol: str,
    rules: dict[str, Any],
    recorded: str,
    threshold: float,
) -> None:
    result = pckh(*people, protocol, **rules)
    figures = {row["name"]: row[f"PCKh@{threshold}"] for row in result.tables["per_part"]}
    assert_equal(
        figures, result.values[f"PCKh@{threshold}"], official[f"{recorded}@0.1" if threshold < 0.5 else recorded]
    )


def test_the_plain_mean(people: tuple[dict[str, Any], Float], official: dict[str, dict[str, float]]) -> None:
    values = pckh(*people, "pytorch-pose").values
    figures = {name: figure for name, figure in values.items() if name in official["pytorch_pose"]}
    assert_equal(figures, values["PCKh@0.5"], official["pytorch_pose"])


def assert_equal(parts: dict[Any, Any], mean: float, expected: dict[str, float]) -> None:
    figures = {**parts, "Mean": mean}
    assert figures.keys() == expected.keys()
    np.testing.assert_allclose([100 * figures[name] for name in expected], list(expected.values()), **ROUNDING)


def test_the_published_row(people: tuple[dict[str, Any], Float]) -> None:
    values = pckh(*people, "pytorch-pose").values
    published = {"Head": 95.80, "Shoulder": 94.57, "Elbow": 88.12, "Wrist": 83.31, "Hip": 86.24, "Knee": 80.88}
    published |= {"Ankle": 77.44, "PCKh@0.5": 86.76}
    assert {name: round(100 * values[name], 2) for name in published} == published


def test_protocols_differ_where_they_say(people: tuple[dict[str, Any], Float]) -> None:
    values = {protocol: pckh(*people, protocol).values for protocol in PROTOCOLS}
    assert values["matlab"]["PCKh@0.5"] == pckh(*people, "hrnet", shift=0).values["PCKh@0.5"]
    # what HRNet prints as Mean@0.1 for predictions that are not shifted is recorded as 28.0822
    assert round(100 * pckh(*people, "hrnet", shift=0).values["PCKh@0.11"], 4) == 28.0822
    # the benchmark's Head is the mean of upper neck and top of the head
    neck, top = (pckh(*people).tables["per_joint"][joint]["PCKh@0.5"] for joint in (8, 9))
    assert values["matlab"]["Head"] == (float(neck) + float(top)) / 2
    assert values["pytorch-pose"]["Head"] == top
