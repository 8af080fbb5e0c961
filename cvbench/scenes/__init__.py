"""A procedural world: pictures of 128 × 128 pixels with every kind of ground truth, made on the spot from integers."""

from __future__ import annotations

from cvbench.scenes.draws import Draws

__all__ = [
    "Draws",
]
