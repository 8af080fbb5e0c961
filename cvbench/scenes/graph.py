"""The scene graph: what an image shows, before there is an image.

A `Scene` says everything that its picture and all its annotations depend on, in integers. Positions and lengths are in
units of 1/64 pixel from the top left corner of the image, x to the right and y down; angles are in 1/1024 of a turn,
clockwise; colours are (red, green, blue) from 0 to 255. A scene with a thing in another place
(`dataclasses.replace`) is the next frame of a video; one with other surfaces is the same scene in another style.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cvbench.scenes.vocabulary import IDS

UNIT = 64
"""Units of length in a pixel."""

Colour = tuple[int, int, int]
Point = tuple[int, int]
Texture = Literal["plain", "noise", "stripes", "checks", "dots", "bricks", "waves"]


@dataclass(frozen=True, slots=True)
class Surface:
    """How something looks: a pattern of two colours that moves and turns with its owner.

    Attributes
    ----------
    colour, second : Colour
        What the pattern goes between.
    texture : Texture
    period : int
        Length in which the pattern repeats, or size of its features, in units.
    seed : int
        Of patterns that are random, below 2**31.
    grain : int
        How far single pixels may be off, in grey levels.
    """

    colour: Colour
    second: Colour = (0, 0, 0)
    texture: Texture = "plain"
    period: int = UNIT
    seed: int = 0
    grain: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the background, or something that nobody annotates.

    Attributes
    ----------
    category : int
        Of stuff, or `cvbench.scenes.vocabulary.VOID`.
    outline : tuple of Point
        Corners of a polygon; two points are the centre and the half axes of an ellipse.
    surface : Surface
    """

    category: int
    outline: tuple[Point, ...]
    surface: Surface


@dataclass(frozen=True, slots=True)
class Thing:
    """An object, or a crowd of them.

    Attributes
    ----------
    category : int
        Of a thing.
    x, y : int
        Its centre; of a person, the middle between the hips.
    angle : int
        By which it is turned.
    size : int
        Half of its length: of a person upright, of a face.
    shape : int
        In 1/256: width against length of a box, triangle or face, of the arms of a cross, the hole of a ring.
    bends : tuple of int
        Of a person: angles of the upper arm, forearm, thigh and shin on the left, then on the right, each against what
        it hangs on; then 0, or 1 for one who is seen from behind. Of a face: how far it looks aside, in 1/256 of its
        size.
    surfaces : tuple of Surface
        Of a person: skin, shirt, trousers; of a face: skin, hair, eyes, mouth; of others one.
    members : tuple of Thing
        Of a crowd; its own place and surfaces then mean nothing.
    """

    category: int
    x: int
    y: int
    angle: int
    size: int
    surfaces: tuple[Surface, ...]
    shape: int = 256
    bends: tuple[int, ...] = ()
    members: tuple[Thing, ...] = ()

    @property
    def crowd(self) -> bool:
        """Whether this is many things that are annotated as one."""
        return bool(self.members)

    @property
    def person(self) -> bool:
        """Whether this is one person, who has joints."""
        return self.category == IDS["person"] and not self.crowd

    @property
    def face(self) -> bool:
        """Whether this is one face, which has landmarks."""
        return self.category == IDS["face"] and not self.crowd


@dataclass(frozen=True, slots=True)
class Camera:
    """What becomes of the colours of a scene on their way into the image.

    Attributes
    ----------
    gain : Colour
        By which red, green and blue are multiplied, in 1/256.
    slope : Point
        How much the gain grows from a pixel to its right, and to its lower neighbour, in 1/65536; none in the middle.
    blur : Point
        How often neighbours in rows, and in columns, are averaged with weights 1, 2, 1.
    noise : int
        How far a pixel may be off, in grey levels.
    seed : int
        Of the noise, below 2**31.
    """

    gain: Colour = (256, 256, 256)
    slope: Point = (0, 0)
    blur: Point = (0, 0)
    noise: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """All that an image shows, from back to front, and how it is taken."""

    entities: tuple[Region | Thing, ...]
    camera: Camera = Camera()
