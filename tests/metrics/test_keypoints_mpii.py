"""PCKh: what its protocols differ in, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvbench.metrics.mpii import COUNTED, PROTOCOLS, PCKh, pckh

POINTS = np.full((2, 16, 2), 100.0)
GT: dict[str, Any] = {"keypoints": POINTS, "head_boxes": [[0, 0, 30, 40]] * 2}
"""Two people whose heads are 0.6 times 50, 30 pixels."""

FIGURES = ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]


def moved(by: dict[int, float]) -> np.ndarray:
    """Predictions of the first person, to the right by so many pixels at some joints; the second is exact."""
    found = POINTS.copy()
    for joint, pixels in by.items():
        found[0, joint, 0] += pixels
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_and_order_of_figures(protocol: str) -> None:
    arms = ["UpperBody"] if protocol == "matlab" else []
    also = ["PCKh@0.11"] if protocol == "hrnet" else []
    assert list(pckh(GT, POINTS, protocol).values) == [*FIGURES, *arms, "PCKh@0.5", "PCKh@0.1", *also, "AUC"]
    assert list(PCKh(protocol).compute().values) == list(pckh(GT, POINTS, protocol).values)


def test_equal_to_half_a_head() -> None:
    found = moved({9: 15})
    assert {p: pckh(GT, found, p, shift=0).values["Head"] for p in PROTOCOLS} == {
        "matlab": 1,
        "hrnet": 1,
        "mmpose": 0.5,
        "pytorch-pose": 0.5,
    }


def test_what_head_is() -> None:
    neck = moved({8: 99})
    assert pckh(GT, neck).values["Head"] == 0.75
    assert pckh(GT, neck, "hrnet", shift=0).values["Head"] == 1
    assert pckh(GT, neck).values["PCKh@0.5"] == 27 / 28


def test_pelvis_and_thorax_count_nowhere() -> None:
    for protocol in PROTOCOLS:
        values = pckh(GT, moved({6: 99, 7: 99}), protocol, shift=0).values
        assert {name: figure for name, figure in values.items() if name != "AUC"} == dict.fromkeys(
            (name for name in values if name != "AUC"), 1.0
        )
    assert [row["PCKh@0.5"] for row in pckh(GT, moved({6: 99})).tables["per_joint"]][6] == 0.5
    assert sorted({*COUNTED, 6, 7}) == list(range(16))
