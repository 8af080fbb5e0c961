"""Panoptic quality against examples whose answers other projects publish, and where rules differ, how."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cvbench.metrics.panoptic_quality import PanopticQuality, panoptic_quality

LETTERS = {"A": (0, 0), "a": (0, 1), "c": (0, 2), "B": (1, 0), "g": (6, 0), "h": (7, 0), ".": (255, 0)}
"""Class and instance of a letter in the drawings; 0 and 1 are things, 6 and 7 stuff, 255 is unknown."""

RULES = {"categories": {0: "a", 1: "b", 6: "g", 7: "h"}, "things": (0, 1)}


def drawn(*rows: str) -> np.ndarray:
    return np.array([[LETTERS[letter] for letter in row] for row in rows])


def blocks(*runs: tuple[int, int, int]) -> np.ndarray:
    """A map of one row from runs of (pixels, class, instance)."""
    return np.concatenate([np.tile([kind, instance], (1, pixels, 1)) for pixels, kind, instance in runs], axis=1)


def test_the_docstring_of_torchmetrics() -> None:
    pred = drawn("gAgg", "AAga", "AAga", "AhgB", "Ahhh")
    gt = drawn("gaga", "aaga", "aagB", "ahBB", "ahhh")
    result = panoptic_quality(gt, pred, **RULES)
    assert [round(result.values[name], 4) for name in ("PQ", "SQ", "RQ")] == [0.5463, 0.6111, 0.6667]
    assert [round(float(row["PQ"]), 4) for row in result.per_category] == [0.5185, 0.0, 0.6667, 1.0]


def test_the_test_of_torchmetrics() -> None:
    pred = drawn("gAgga", "AAgaa", "AAgaB", "AhgBB", "Ahhhh")
    gt = drawn("ggggA", "aagAA", "aagBB", "ahhBB", "ahhhh")
    batch = (torch.tensor(gt)[None], torch.tensor(pred)[None])
    values = PanopticQuality(**RULES).update(*batch).compute().values
    assert round(values["PQ"], 4) == 0.7753
    assert round(values["PQ_dagger_porzi"], 4) == 0.7753, "all stuff matches, so that the threshold changes nothing"


def test_the_modified_quality_of_torchmetrics() -> None:
    values = panoptic_quality(drawn("aAghg."), drawn("AaghcB"), **RULES).values
    assert round(values["PQ_dagger_porzi"], 4) == 0.7667


def test_predicted_void_is_not_taken_from_the_ground_truth() -> None:
    """panopticapi's rule: 4 of 10 pixels are no match. torchmetrics takes the void from both sides and says 1.0."""
    result = panoptic_quality(drawn("A" * 10), drawn("AAAA......"), **RULES, void=255)
    row = result.per_category[0]
    assert (row["tp"], row["fp"], row["fn"]) == (0, 1, 1)
    assert result.values["PQ"] == 0


def test_the_example_of_semantic_kitti_api() -> None:
    """Its ``eval_np.py``, run as a script: 50 ignored pixels, two halves of stuff, a dog taken for a person, and
    three people of whom two are found.
    """
    gt = blocks((50, 0, 0), (50, 1, 0), (50, 2, 0), (50, 4, 22), (150, 3, 33), (50, 3, 42), (100, 3, 11))
    pred = blocks(
        (50, 0, 0), (40, 1, 0), (10, 2, 0), (40, 2, 0), (10, 1, 0), (50, 3, 35), (200, 3, 8), (100, 3, 95)
    )  # fmt: skip
    names = {1: "grass", 2: "sky", 3: "person", 4: "dog"}
    result = panoptic_quality(gt, pred, names, things=(3, 4), void=0)
    # the original adds and multiplies in another order
    assert result.values["PQ"] == pytest.approx(0.47916666666666663, rel=1e-15)
    assert result.values["SQ"] == pytest.approx(0.5520833333333333, rel=1e-15)
    assert result.values["RQ"] == pytest.approx(0.6666666666666666, rel=1e-15)
    columns = {name: [row[name] for row in result.per_category] for name in ("PQ", "SQ", "RQ", "IoU")}
    assert columns["PQ"] == pytest.approx([0.6666666666666666, 0.6666666666666666, 0.5833333333333333, 0.0], rel=1e-15)
    assert columns["SQ"] == pytest.approx([0.6666666666666666, 0.6666666666666666, 0.875, 0.0], rel=1e-15)
    assert columns["RQ"] == pytest.approx([1.0, 1.0, 0.6666666666666666, 0.0], rel=1e-15)
    assert np.mean(columns["IoU"]) == pytest.approx(0.5476190476190476, rel=1e-15)
    # evaluate_panoptic.py of the same project: the mean of PQ over things and of IoU over stuff
    assert result.values["PQ_dagger_kitti"] == pytest.approx(np.mean([7 / 12, 0, 2 / 3, 2 / 3]), rel=1e-15)
