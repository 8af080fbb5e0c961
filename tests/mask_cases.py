"""Generated masks, run lengths and polygons, edges first: empty, full, one pixel, one row, one column, runs of zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mode import JIT

LARGEST = 12 if JIT else 7


@st.composite
def stacks(draw: st.DrawFn, least: int = 0, most: int = 5) -> NDArray[np.bool_]:
    """Masks (N, H, W) of one size."""
    height, width = draw(st.tuples(st.integers(1, LARGEST), st.integers(1, LARGEST)))
    masks = [draw(pixels(height, width)) for _ in range(draw(st.integers(least, most)))]
    return np.array(masks, bool).reshape(-1, height, width)


@st.composite
def pixels(draw: st.DrawFn, height: int, width: int) -> NDArray[np.bool_]:
    """One mask (H, W)."""
    kind = draw(st.sampled_from(("empty", "full", "pixel", "column", "row", "frame", "box", "noise", "holes")))
    mask = np.zeros((height, width), bool)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y, x = rng.integers(height), rng.integers(width)
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[y, x] = True
    elif kind == "column":
        mask[:, x] = True
    elif kind == "row":
        mask[y] = True
    elif kind == "frame":
        mask[[0, -1]] = mask[:, [0, -1]] = True
    elif kind == "box":
        mask[y : y + rng.integers(height) + 1, x : x + rng.integers(width) + 1] = True
    elif kind != "empty":
        mask = rng.random((height, width)) < (0.3 if kind == "noise" else 0.95)
    return mask


@st.composite
def split(draw: st.DrawFn, counts: list[int]) -> list[int]:
    """The same mask in other words: a run of length zero splits some runs in two."""
    parts: list[int] = []
    for count in counts:
        cut = draw(st.integers(0, count)) if draw(st.integers(0, 3)) == 0 else None
        parts += [count] if cut is None else [cut, 0, count - cut]
    return parts


@st.composite
def run_lists(draw: st.DrawFn, pixels: int, most: int = 8) -> list[int]:
    """Run lengths that cover so many pixels, any of them zero."""
    cuts = sorted(draw(st.lists(st.integers(0, pixels), max_size=most)))
    return np.diff([0, *cuts, pixels]).tolist()


COORDINATES: dict[str, st.SearchStrategy[float]] = {
    "anywhere": st.floats(-8, 20),
    "pixel borders": st.integers(-2, 14).map(float),
    "fine grid": st.integers(-20, 70).map(lambda k: k / 10),
    "just beside": st.tuples(st.integers(-10, 70), st.sampled_from((-1e-12, 0.0, 1e-12))).map(
        lambda p: p[0] / 10 + p[1]
    ),
    "narrow": st.integers(2, 4).map(float),
    "far outside": st.floats(-300, 300),
}


@st.composite
def polygons(draw: st.DrawFn, most: int = 3) -> list[list[float]]:
    """The parts of one mask: of any shape, crossing themselves and each other, of no area, with points that repeat."""
    parts = []
    for _ in range(draw(st.integers(1, most))):
        coordinate = COORDINATES[draw(st.sampled_from(sorted(COORDINATES)))]
        points = draw(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8))
        points += draw(st.sampled_from(([], points[:1], points[-1:] * 2, points[::-1])))
        parts.append([value for point in points for value in point])
    return parts


def sizes() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(1, LARGEST), st.integers(1, LARGEST))


def as_dicts(masks: Any, strings: list[bytes]) -> list[dict[str, Any]]:
    """The masks as pycocotools takes them."""
    return [{"size": size, "counts": string} for size, string in zip(masks.sizes.tolist(), strings, strict=True)]
