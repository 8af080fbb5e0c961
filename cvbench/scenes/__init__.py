"""A procedural world: pictures of 128 × 128 pixels with every kind of ground truth, made on the spot from integers.

Conventions
-----------
- ``generate(split, index)`` is a pure function: the same pixels and annotations on every machine, with every version of
  NumPy and Numba. No floating point number decides on a pixel.
- A `Scene` says what a picture shows; `render` draws it. The picture and all annotations come from the same map of what
  is in front, so they agree with each other to the pixel.
- Masks and boxes are those of the pixels that are seen, as in COCO: ``[x, y, width, height]`` in pixels.
- Coordinates are in pixels from the top left corner; the pixel in column x and row y is the square from (x, y) to
  (x + 1, y + 1).
- 8 categories of things, 6 of stuff (`CATEGORIES`), and void: smudges on the lens, and things of which less than 20
  pixels are seen.

Examples
--------
>>> from cvbench import scenes
>>> sample = scenes.generate("train", 5)
>>> sample.image.shape, sample.labels.shape, len(sample.masks) == len(sample)
((128, 128, 3), (128, 128), True)
"""

from __future__ import annotations

from cvbench.scenes.composition import WORLD
from cvbench.scenes.draws import Draws
from cvbench.scenes.folder import write_folder
from cvbench.scenes.graph import UNIT, Camera, Region, Scene, Surface, Thing
from cvbench.scenes.rendering import Sample, render
from cvbench.scenes.splits import SPLITS, Dataset, dataset, generate, scene
from cvbench.scenes.truth import ground_truth
from cvbench.scenes.vocabulary import BONES, CATEGORIES, IDS, JOINTS, LANDMARKS, SIZE, STUFF, THINGS, VOID_LABEL

__all__ = [
    "BONES",
    "CATEGORIES",
    "IDS",
    "JOINTS",
    "LANDMARKS",
    "SIZE",
    "SPLITS",
    "STUFF",
    "THINGS",
    "UNIT",
    "VOID_LABEL",
    "WORLD",
    "Camera",
    "Dataset",
    "Draws",
    "Region",
    "Sample",
    "Scene",
    "Surface",
    "Thing",
    "dataset",
    "generate",
    "ground_truth",
    "render",
    "scene",
    "write_folder",
]
