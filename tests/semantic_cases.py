"""Generated label maps that crowd around the edges: absent classes, classes only predicted, ignored borders, one pixel.

What a strategy draws are knobs and a seed, so that a failing example shrinks to small maps that still fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from cvbench.columns import Int
from mode import JIT

IGNORED = 255


@dataclass(frozen=True)
class MapKnobs:
    """How label maps are to be."""

    seed: int
    images: int
    classes: int
    side: int  # height and width, at most
    blocks: int  # rectangles painted into the ground truth, at most
    noise: float  # share of predicted pixels that are drawn anew
    ignored: bool


def map_knobs() -> st.SearchStrategy[MapKnobs]:
    """Strategy for a few pairs of maps."""
    return st.builds(
        MapKnobs,
        seed=st.integers(0, 2**32 - 1),
        images=st.integers(0, 4 if JIT else 2),
        classes=st.integers(1, 6),
        side=st.sampled_from((1, 2, 7, 24) if JIT else (1, 2, 9)),
        blocks=st.integers(0, 5),
        noise=st.sampled_from((0.0, 0.05, 0.5, 1.0)),
        ignored=st.booleans(),
    )


def label_maps(knobs: MapKnobs) -> list[tuple[Int, Int]]:
    """Ground truth and prediction of each image, of labels 0 to ``classes - 1`` and ignored pixels in the first."""
    rng = np.random.default_rng(knobs.seed)
    pairs = []
    for _ in range(knobs.images):
        size = rng.integers(1, knobs.side + 1, 2)
        gt = np.full(size, rng.integers(knobs.classes))
        for _ in range(rng.integers(0, knobs.blocks + 1)):
            (top, left), (bottom, right) = rng.integers(0, size), rng.integers(1, size + 1)
            gt[top:bottom, left:right] = rng.integers(knobs.classes)
        pred = np.roll(gt, rng.integers(0, 2, 2), (0, 1))
        pred = np.where(rng.random(size) < knobs.noise, rng.integers(0, knobs.classes, size), pred)
        if knobs.ignored:
            top = rng.integers(0, size[0])
            gt[top : top + 2] = IGNORED
            gt[rng.random(size) < 0.05] = IGNORED
        pairs.append((gt, pred))
    return pairs


def city_maps(knobs: MapKnobs) -> list[tuple[Int, Int]]:
    """Instance ids and predicted label ids of each image, as Cityscapes has them: stuff, groups and instances."""
    rng = np.random.default_rng(knobs.seed)
    pairs = []
    for gt, pred in label_maps(knobs):
        things = rng.integers(24, 34, 3) * 1000 + rng.integers(0, 3, 3)
        ids = np.concatenate([rng.integers(0, 34, 3), things, [1000]])[rng.permutation(7)]
        labels = np.where(ids < 1000, ids, ids // 1000)
        shift = rng.integers(0, 2)
        pairs.append((ids[gt % 7], labels[(pred + shift * (rng.random(pred.shape) < 0.3)) % 7]))
    return pairs
