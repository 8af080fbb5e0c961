"""From a scene to its picture and all of its annotations, which come from one map and so cannot disagree.

Parts are painted over one another into a map that says for each pixel which part is in front. The picture is the
surface of that part, instances and labels are its owner and category, masks and boxes are those of the pixels
that are seen, and a joint is visible where a pixel of its owner is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int, Masks
from cvbench.kernels import drawing
from cvbench.metrics.masks import rle_area, rle_boxes, rle_encode
from cvbench.scenes.geometry import Part, cosine, joints_of, landmarks_of, parts_of, sine
from cvbench.scenes.graph import Camera, Point, Scene, Surface, Thing
from cvbench.scenes.vocabulary import JOINTS, LANDMARKS, SIZE, STUFF_SEGMENT, VOID, VOID_LABEL

LEAST = 20
"""Pixels that must be seen of a thing; with fewer it is not annotated, and they are void."""

TEXTURES = {
    "plain": drawing.PLAIN,
    "noise": drawing.NOISE,
    "stripes": drawing.STRIPES,
    "checks": drawing.CHECKS,
    "dots": drawing.DOTS,
    "bricks": drawing.BRICKS,
    "waves": drawing.WAVES,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture with everything that can be said about it. N things are annotated, back to front.

    Attributes
    ----------
    scene : Scene
        What it shows.
    image : (128, 128, 3) uint8
        Red, green, blue.
    instances : (128, 128) int32
        Row of the thing in the columns below, plus 1; 0 for stuff and void.
    labels : (128, 128) uint8
        Category id minus 1; 255 for void.
    categories : (N,) int64
        Ids of `cvbench.scenes.CATEGORIES`.
    crowd : (N,) bool
        The row stands for many things.
    masks : Masks
        Of the pixels that are seen.
    boxes : (N, 4) float64
        ``[x, y, width, height]`` in pixels, around the mask.
    area : (N,) float64
        Of the mask, in pixels.
    keypoints : (N, 14, 3) float64
        Of people: ``x, y`` in pixels, the pixel in column x and row y being the square from (x, y) to (x + 1, y + 1),
        and visibility: 2 where the person is seen at that place, 1 where something else is, and all three 0 outside of
        the image. Zeros for crowds and all other things.
    landmarks : (N, 5, 3) float64
        Of faces, in the same way.
    """

    scene: Scene
    image: NDArray[np.uint8]
    instances: NDArray[np.int32]
    labels: NDArray[np.uint8]
    categories: Int
    crowd: Bool
    masks: Masks
    boxes: Float
    area: Float
    keypoints: Float
    landmarks: Float

    def __len__(self) -> int:
        return len(self.categories)

    @property
    def segments(self) -> NDArray[np.int32]:
        """(128, 128) int32: ids of panoptic segments. 0 is void, things have their instance, stuff 200 + category."""
        stuff = np.where(self.labels == VOID_LABEL, VOID, self.labels + np.int32(STUFF_SEGMENT + 1))
        return np.where(self.instances > 0, self.instances, stuff).astype(np.int32)


def render(scene: Scene) -> Sample:
    """Draw a scene.

    Parameters
    ----------
    scene
        Where nothing covers a pixel, it is black and void.

    Returns
    -------
    Sample
        Things of which fewer than `LEAST` pixels are seen are left out; their pixels are void.

    Notes
    -----
    What cannot be drawn is refused where it is made: by `Surface`, `Region`, `Thing` and `Camera`.

    Examples
    --------
    >>> from cvbench.scenes import Scene, Surface, Thing, render
    >>> disc = Thing(category=1, x=64 * 64, y=64 * 64, angle=0, size=10 * 64, surfaces=(Surface((200, 30, 30)),))
    >>> sample = render(Scene((disc,)))
    >>> sample.boxes.tolist(), sample.area.tolist(), sample.image[64, 64].tolist()
    ([[54.0, 54.0, 20.0, 20.0]], [316.0], [200, 30, 30])
    """
    everywhere = 2 * SIZE * drawing.UNIT
    backdrop = Part(drawing.ELLIPSE, (0, 0), 0, everywhere, everywhere, Surface((0, 0, 0)))
    parts, entities = [backdrop], [0]
    for k, entity in enumerate(scene.entities, 1):
        added = list(parts_of(entity))
        parts += added
        entities += [k] * len(added)
    rows = as_rows(parts)
    front = np.full((SIZE, SIZE), -1, np.int64)
    corners = np.array([corner for part in parts for corner in part.corners], np.int64).reshape(-1, 2)
    drawing.cover(rows, np.array([part.reach for part in parts], np.int64), corners, front)
    image = _photograph(front, rows, parts, scene.camera)
    return _annotated(scene, image, front, np.array(entities, np.int64))


def as_rows(parts: list[Part]) -> Int:
    """Parts as the kernels read them."""
    rows, stop = [], 0
    for part in parts:
        first, stop = stop, stop + len(part.corners)
        turn = (cosine(part.angle), sine(part.angle))
        rows.append((part.kind, *part.centre, *turn, part.a, part.b, part.hole, first, stop))
    return np.array(rows, np.int64)


def _photograph(front: Int, rows: Int, parts: list[Part], camera: Camera) -> NDArray[np.uint8]:
    """The image of the parts that are in front."""
    surfaces = [
        (TEXTURES[look.texture], *look.colour, *look.second, look.period, look.seed, look.grain)
        for look in (part.surface for part in parts)
    ]
    light = np.empty((SIZE, SIZE, 3), np.int64)
    gain, slope = np.array(camera.gain, np.int64), np.array(camera.slope, np.int64)
    drawing.shade(front, rows, np.array(surfaces, np.int64), gain, slope, light)
    for times, along_rows in zip(camera.blur, (True, False), strict=True):
        for _ in range(times):
            drawing.blur(light, along_rows)
    image = np.empty((SIZE, SIZE, 3), np.uint8)
    drawing.expose(light, camera.noise, camera.seed, image)
    return image


def _annotated(scene: Scene, image: NDArray[np.uint8], front: Int, entities: Int) -> Sample:
    """The annotations of a picture, given the part in front of each pixel and the entity of each part, from 1 on."""
    seen = np.zeros(len(scene.entities) + 1, np.int64)
    np.add.at(seen, entities, np.bincount(front.ravel(), minlength=len(entities)))
    instance_of, label_of = np.zeros(len(seen), np.int32), np.full(len(seen), VOID_LABEL, np.uint8)
    things: list[Thing] = []
    for k, entity in enumerate(scene.entities, 1):
        if isinstance(entity, Thing) and seen[k] >= LEAST:
            things.append(entity)
            instance_of[k] = len(things)
        elif isinstance(entity, Thing) or entity.category == VOID:
            continue
        label_of[k] = entity.category - 1
    instances, labels = instance_of[entities][front], label_of[entities][front]
    by_columns = np.ascontiguousarray(instances.T)  # the order of masks: they are encoded 2 times as fast
    rows = np.arange(1, len(things) + 1, dtype=np.int32)
    masks = rle_encode((by_columns == rows[:, None, None]).transpose(0, 2, 1))
    keypoints, landmarks = np.zeros((len(things), len(JOINTS), 3)), np.zeros((len(things), len(LANDMARKS), 3))
    for n, thing in enumerate(things):
        if thing.person:
            keypoints[n] = _visible(joints_of(thing), instances, n + 1)
        elif thing.face:
            landmarks[n] = _visible(landmarks_of(thing), instances, n + 1)
    return Sample(
        scene=scene,
        image=image,
        instances=instances,
        labels=labels,
        categories=np.array([thing.category for thing in things], np.int64),
        crowd=np.array([thing.crowd for thing in things], np.bool_),
        masks=masks,
        boxes=rle_boxes(masks),
        area=rle_area(masks),
        keypoints=keypoints,
        landmarks=landmarks,
    )


def _visible(points: tuple[Point, ...], instances: NDArray[np.int32], owner: int) -> list[tuple[float, float, float]]:
    """Points in pixels with their visibility."""
    rows = []
    for x, y in points:
        column, row = x // drawing.UNIT, y // drawing.UNIT
        if 0 <= column < SIZE and 0 <= row < SIZE:
            rows.append((x / drawing.UNIT, y / drawing.UNIT, 2.0 if instances[row, column] == owner else 1.0))
        else:
            rows.append((0.0, 0.0, 0.0))
    return rows
