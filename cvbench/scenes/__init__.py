"""A procedural world: pictures of 128 × 128 pixels with every kind of ground truth, made on the spot from integers."""

from __future__ import annotations

from cvbench.scenes.composition import WORLD
from cvbench.scenes.draws import Draws
from cvbench.scenes.graph import UNIT, Camera, Region, Scene, Surface, Thing
from cvbench.scenes.vocabulary import BONES, CATEGORIES, IDS, JOINTS, LANDMARKS, SIZE, STUFF, THINGS, VOID_LABEL

__all__ = [
    "BONES",
    "CATEGORIES",
    "IDS",
    "JOINTS",
    "LANDMARKS",
    "SIZE",
    "STUFF",
    "THINGS",
    "UNIT",
    "VOID_LABEL",
    "WORLD",
    "Camera",
    "Draws",
    "Region",
    "Scene",
    "Surface",
    "Thing",
]
