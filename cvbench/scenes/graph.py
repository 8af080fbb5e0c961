"""The scene graph: what an image shows, before there is an image.

A `Scene` says everything that its picture and all its annotations depend on, in integers. Positions and lengths are in
units of 1/64 pixel from the top left corner of the image, x to the right and y down; angles are in 1/1024 of a turn,
clockwise; colours are (red, green, blue) from 0 to 255. A scene with a thing in another place
(`dataclasses.replace`) is the next frame of a video; one with other surfaces is the same scene in another style.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from cvbench.errors import InputError, did_you_mean
from cvbench.scenes.vocabulary import CATEGORIES, IDS, STUFF, THINGS, VOID

UNIT = 64
"""Units of length in a pixel."""

Colour = tuple[int, int, int]
Point = tuple[int, int]
Texture = Literal["plain", "noise", "stripes", "checks", "dots", "bricks", "waves"]

TEXTURES: tuple[Texture, ...] = get_args(Texture)

FAR = 256 * UNIT
"""Largest coordinate and length: beyond, products of four lengths could leave 64 bits."""

NEEDED = {"person": (3, 9), "face": (4, 1)}
"""How many surfaces and bends a thing has, where not 1 and 0."""

SEEDS = (1 << 31) - 4
"""Seeds are below this: kernels add up to 3, and multiply by what leaves 64 bits from 2**32 on."""


def _check(owner: object, name: str, values: int | Iterable[int], low: int, high: int) -> None:
    """Refuse numbers out of range, which kernels would take for what they are."""
    for value in (values,) if isinstance(values, int) else values:
        if not low <= value <= high:
            raise InputError(f"{value}; expected {low} to {high}", where=f"{type(owner).__name__}.{name}")


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

    def __post_init__(self) -> None:
        _check(self, "colour", (*self.colour, *self.second, self.grain), 0, 255)
        _check(self, "period", self.period, 1, FAR)
        _check(self, "seed", self.seed, 0, SEEDS)
        if self.texture not in TEXTURES:
            raise InputError(f"unknown texture {self.texture!r}{did_you_mean(self.texture, TEXTURES)}")


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

    def __post_init__(self) -> None:
        if self.category != VOID and CATEGORIES.get(self.category) not in STUFF:
            raise InputError(f"category {self.category}; expected one of stuff, or 0 for void", where="Region.category")
        if len(self.outline) < 2:
            raise InputError("expected corners, or the centre and half axes of an ellipse", where="Region.outline")
        _check(self, "outline", (value for point in self.outline for value in point), -FAR, FAR)
        if len(self.outline) == 2:
            _check(self, "outline", self.outline[1], 1, FAR)


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

    def __post_init__(self) -> None:
        name = CATEGORIES.get(self.category)
        if name not in THINGS:
            raise InputError(f"category {self.category}; expected one of things", where="Thing.category")
        _check(self, "place", (self.x, self.y), -FAR, FAR)
        _check(self, "size", self.size, UNIT, FAR // 2)
        _check(self, "shape", self.shape, 8, 512)
        if self.members:
            return
        for field, wanted in zip(("surfaces", "bends"), NEEDED.get(name, (1, 0)), strict=True):
            if len(getattr(self, field)) != wanted:
                raise InputError(f"{len(getattr(self, field))}; a {name} has {wanted}", where=f"Thing.{field}")

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

    def __post_init__(self) -> None:
        _check(self, "gain", self.gain, 0, 4096)
        _check(self, "slope", self.slope, -4096, 4096)
        _check(self, "blur", self.blur, 0, 100)
        _check(self, "noise", self.noise, 0, 255)
        _check(self, "seed", self.seed, 0, SEEDS)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that an image shows, from back to front, and how it is taken."""

    entities: tuple[Region | Thing, ...]
    camera: Camera = Camera()
