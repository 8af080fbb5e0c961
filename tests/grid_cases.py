"""Generated label maps, edges first: one pixel, one row, one region, regions of one pixel, regions that come back."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mask_cases import LARGEST


@st.composite
def label_maps(draw: st.DrawFn, values: int = 4) -> NDArray[np.int64]:
    """Maps (H, W) of regions: blocks of several sizes, so that runs and single pixels occur; some of one value."""
    height, width = draw(st.tuples(st.integers(1, LARGEST + 4), st.integers(1, LARGEST + 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from((1, 2, 4, 7, 40)))
    blocks = rng.integers(0, values, (height // side + 1, width // side + 1))
    labels = np.kron(blocks, np.ones((side, side), int))[:height, :width]
    spots = rng.random(labels.shape) < draw(st.sampled_from((0, 0, 0.02, 0.2)))
    return np.ascontiguousarray(np.where(spots, rng.integers(0, values, labels.shape), labels))
