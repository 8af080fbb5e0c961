"""Panoptic quality against its slow twin, which says panopticapi's and boundary-iou-api's rules in plain Python, on
generated images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings

from cvbench.metrics.panoptic_quality import PanopticQuality
from generated import Knobs, knobs
from mode import JIT
from naive import panoptic as naive
from panoptic_cases import CATEGORIES, Pair, panoptic_images

THINGS = {category for category, about in CATEGORIES.items() if about["isthing"]}
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "json": ({"area": "json"}, {"area": "json"}),
    "png": ({"area": "png"}, {"area": "png"}),
    "boundary": ({"area": "json", "boundary": True}, {"area": "json", "ratio": 0.02}),
    "wide boundary": ({"area": "png", "boundary": True, "dilation_ratio": 0.125}, {"area": "png", "ratio": 0.125}),
}
"""Ours and the twin's."""


def metric_of(images: list[Pair], **rules: Any) -> PanopticQuality:
    metric = PanopticQuality(CATEGORIES, **rules)
    for gt, pred in images:
        metric.update(gt, pred)
    return metric


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=150 if JIT else 15)
@given(knobs=knobs())
@example(Knobs(4, 3, 4, 8, 20, 1, True, True, 1, True))
def test_every_count_and_figure(name: str, knobs: Knobs) -> None:
    images = panoptic_images(knobs)
    ours, theirs = RULES[name]
    metric = metric_of(images, **ours)
    found, result = naive.tallies(images, list(CATEGORIES), **theirs), metric.compute()
    for row in result.per_category:
        tally = found[int(row["id"])]
        assert (row["tp"], row["fp"], row["fn"]) == (tally.tp, tally.fp, tally.fn), row["id"]
        assert row["iou_sum"] == naive.exact_sum(tally.ious), "both round the sum of the same IoUs once"
        np.testing.assert_equal(row["IoU"], tally.shared / tally.union if tally.union else np.nan)
    figures = naive.figures(found, THINGS)
    # a few operations apart, each within half a unit in the last place
    np.testing.assert_allclose([result.values[figure] for figure in figures], list(figures.values()), rtol=1e-14)
    assert list(result.values) == [*figures]


@given(knobs=knobs())
def test_counts_of_the_input(knobs: Knobs) -> None:
    images = panoptic_images(knobs)
    counts = metric_of(images).compute().counts
    truths = [(gt["map"], segment) for gt, _ in images for segment in gt["segments"]]
    assert counts["images"] == len(images)
    assert counts["ground_truths"] == len(truths)
    assert counts["predictions"] == sum(len(pred["segments"]) for _, pred in images)
    assert counts["crowd"] == sum(segment["iscrowd"] for _, segment in truths)
    areas = [int((ids == segment["id"]).sum()) for ids, segment in truths]
    assert counts["absent_ground_truths"] == areas.count(0)
    assert counts["differing_areas"] == sum(
        area != segment["area"] for area, (_, segment) in zip(areas, truths, strict=True)
    )
    assert counts["void_pixels"] == sum(int((gt["map"] == 0).sum()) for gt, _ in images)
    listed = counts["void_pixels"] + sum(areas)
    assert counts["unlisted_pixels"] == sum(gt["map"].size for gt, _ in images) - listed


def test_the_generated_images_have_every_edge() -> None:
    """What the comparisons above are worth: all of this comes about, and not once in a while."""
    seen: dict[str, int] = {}
    for seed in range(60):
        images = panoptic_images(Knobs(seed, 3, 4, 8, 20, 1, seed % 2 == 0, True, 1, seed % 3 == 0))
        metric = metric_of(images, area="json")
        counts, state = metric.compute().counts, metric.state
        edges = {name: counts[name] for name in counts if name != "images"}
        edges |= {name: int(getattr(state, name).sum()) for name in ("tp", "fp", "fn")}
        edges["iou above 1"] = int((state.match_iou > 1).sum())
        for gt, pred in images:
            overlaps = naive.overlaps_of(gt["map"], pred["map"])
            areas = {value: overlaps.pixels[overlaps.pred == value].sum() for value in overlaps.pred.tolist()}
            halves = [2 * n == areas[p] for p, n in zip(overlaps.pred.tolist(), overlaps.pixels.tolist(), strict=True)]
            edges["halves"] = edges.get("halves", 0) + sum(halves)
            edges["one pixel"] = edges.get("one pixel", 0) + sum(area == 1 for area in areas.values())
            edges["empty"] = edges.get("empty", 0) + (not gt["segments"]) + (not pred["segments"])
        seen = {name: seen.get(name, 0) + n for name, n in edges.items()}
    assert min(seen.values()) >= 5, seen
