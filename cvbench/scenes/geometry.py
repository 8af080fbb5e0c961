"""Where things are: from poses to parts that can be drawn, and to joints and landmarks.

Sines come from a table that is computed with integer square roots: no mathematical library has a say.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import NamedTuple

from cvbench.kernels.drawing import BAR, ELLIPSE, ONE, POLYGON, UNIT
from cvbench.scenes.graph import Point, Region, Surface, Thing
from cvbench.scenes.vocabulary import CATEGORIES

TURN = 1024
THINNEST = UNIT * 3 // 4
"""Smallest half width of a bar in units: thinner ones would have gaps."""


def _cosines() -> tuple[int, ...]:
    """Cosines of all angles, in `ONE`, rounded."""
    unit = 1 << 60
    cos, sin = 0, unit  # a quarter of a turn, to be halved
    for _ in range((TURN // 4).bit_length() - 1):
        cos, sin = isqrt(unit * (unit + cos) // 2), isqrt(unit * (unit - cos) // 2)
    table, x, y = [], unit, 0
    for _ in range(TURN):
        table.append((x * ONE + unit // 2) // unit)
        x, y = (x * cos - y * sin) // unit, (x * sin + y * cos) // unit
    return tuple(table)


COSINES = _cosines()


def cosine(angle: int) -> int:
    """Cosine of an angle in 1/1024 of a turn, in 1/16384."""
    return COSINES[angle % TURN]


def sine(angle: int) -> int:
    """Sine of an angle in 1/1024 of a turn, in 1/16384."""
    return COSINES[(angle - TURN // 4) % TURN]


def moved(origin: Point, angle: int, u: int, v: int) -> Point:
    """The place that is (u, v) in axes with this origin, turned by this angle."""
    cos, sin = cosine(angle), sine(angle)
    return origin[0] + ((u * cos - v * sin) >> 14), origin[1] + ((u * sin + v * cos) >> 14)


class Part(NamedTuple):
    """A simple shape with one surface. Kinds and measures: `cvbench.kernels.drawing`."""

    kind: int
    centre: Point
    angle: int
    a: int
    b: int
    surface: Surface
    hole: int = 0
    corners: tuple[Point, ...] = ()

    @property
    def reach(self) -> Point:
        """How far from its centre it may cover anything, across and down, in units."""
        if self.kind == POLYGON:
            across, down = (max(map(abs, axis)) for axis in zip(*self.corners, strict=True))
        else:
            across, down = self.a + (self.b if self.kind == BAR else 0), self.b
        if self.angle % TURN:
            across = down = isqrt(across * across + down * down) if self.kind == POLYGON else max(across, down)
        return across + UNIT, down + UNIT


def parts_of(entity: Region | Thing) -> Iterator[Part]:
    """The parts of something, back to front."""
    if isinstance(entity, Region):
        yield _region(entity)
    elif entity.members:
        for member in entity.members:
            yield from parts_of(member)
    else:
        yield from _SHAPES[CATEGORIES[entity.category]](entity)


def _region(region: Region) -> Part:
    if len(region.outline) == 2:
        centre, (a, b) = region.outline
        return Part(ELLIPSE, centre, 0, a, b, region.surface)
    left, right = (choose(x for x, _ in region.outline) for choose in (min, max))
    top, bottom = (choose(y for _, y in region.outline) for choose in (min, max))
    x, y = (left + right) >> 1, (top + bottom) >> 1  # in the middle, so that it does not reach farther than it has to
    corners = tuple((u - x, v - y) for u, v in region.outline)
    return Part(POLYGON, (x, y), 0, 0, 0, region.surface, corners=corners)


# Simple shapes -------------------------------------------------------------------------------------------------------


def _ellipse(thing: Thing) -> Iterator[Part]:
    yield Part(ELLIPSE, (thing.x, thing.y), thing.angle, thing.size, thing.size, thing.surfaces[0])


def _ring(thing: Thing) -> Iterator[Part]:
    yield from (part._replace(hole=thing.shape) for part in _ellipse(thing))


def _polygon(thing: Thing, corners: tuple[Point, ...]) -> Iterator[Part]:
    yield Part(POLYGON, (thing.x, thing.y), thing.angle, 0, 0, thing.surfaces[0], corners=corners)


def _box(thing: Thing) -> Iterator[Part]:
    a, b = thing.size, thing.size * thing.shape >> 8
    yield from _polygon(thing, ((-a, -b), (a, -b), (a, b), (-a, b)))


def _triangle(thing: Thing) -> Iterator[Part]:
    a, b = thing.size, thing.size * thing.shape >> 8
    yield from _polygon(thing, ((0, -a), (b, a), (-b, a)))


def _star(thing: Thing) -> Iterator[Part]:
    radii = (thing.size, thing.size * thing.shape >> 8)
    corners = (moved((0, 0), k * TURN // 10, 0, -radii[k % 2]) for k in range(10))
    yield from _polygon(thing, tuple(corners))


def _cross(thing: Thing) -> Iterator[Part]:
    a, b = thing.size, thing.size * thing.shape >> 8
    quarter = ((-b, -a), (b, -a), (b, -b))
    yield from _polygon(thing, tuple(moved((0, 0), k * TURN // 4, *corner) for k in range(4) for corner in quarter))


# People --------------------------------------------------------------------------------------------------------------

TORSO, NECK, SHOULDER, HIP, HEAD = 140, 36, 44, 28, 40
"""Hips to shoulders, shoulders to chin, half widths, half height of the head: in 1/256 of half of a person."""

LIMBS = ((72, 68, 17, 13), (108, 104, 21, 16))
"""Of arms and legs: lengths, then half widths, of the upper and the lower bone, in 1/256 of half of a person."""

DIM = 150
"""Left limbs are darker, by this in 1/256: it is how a person's left is told from the right."""


def joints_of(person: Thing) -> tuple[Point, ...]:
    """The joints of one person, in the order of `cvbench.scenes.vocabulary.JOINTS`."""
    size, angle, *bends = person.size, person.angle, *person.bends
    hips = person.x, person.y
    across = -1 if bends[8] else 1  # seen from behind, left is on the left
    shoulders = moved(hips, angle, 0, -_scaled(size, TORSO))
    joints: dict[int, Point] = {}
    for side in (0, 1):
        out = across if side == 0 else -across
        for limb, (base, half) in enumerate(((shoulders, SHOULDER), (hips, HIP))):
            place, direction = moved(base, angle, out * _scaled(size, half), 0), angle
            joints[6 * limb + side] = place
            for bone in (0, 1):
                direction += bends[4 * side + 2 * limb + bone]
                place = moved(place, direction, 0, _scaled(size, LIMBS[limb][bone]))
                joints[6 * limb + 2 * bone + 2 + side] = place
    joints[12] = moved(shoulders, angle, 0, -_scaled(size, NECK + 2 * HEAD - 8))
    joints[13] = shoulders
    return tuple(joints[j] for j in range(14))


def _person(person: Thing) -> Iterator[Part]:
    """Left leg and arm behind the trunk, right leg and arm before it."""
    size, angle = person.size, person.angle
    skin, shirt, trousers = person.surfaces
    joints = joints_of(person)
    yield from _limb(person, joints, 0, 1, _dimmed(trousers), _dimmed(trousers))
    yield from _limb(person, joints, 0, 0, _dimmed(shirt), _dimmed(skin))
    middle = moved((person.x, person.y), angle, 0, -_scaled(size, TORSO) // 2)
    yield Part(BAR, moved(joints[13], angle, 0, 0), angle + TURN // 4, _scaled(size, NECK), _wide(size, 14), skin)
    trunk = ((SHOULDER + 10, -TORSO // 2), (HIP + 14, TORSO // 2 + 10))
    right = [(_scaled(size, u), _scaled(size, v)) for u, v in trunk]
    corners = (*right, *((-u, v) for u, v in reversed(right)))
    yield Part(POLYGON, middle, angle, 0, 0, shirt, corners=corners)
    yield from _limb(person, joints, 1, 1, trousers, trousers)
    yield from _limb(person, joints, 1, 0, shirt, skin)
    centre = moved(joints[13], angle, 0, -_scaled(size, NECK + HEAD))
    yield Part(ELLIPSE, centre, angle, _wide(size, HEAD * 4 // 5), _wide(size, HEAD), skin)


def _limb(
    person: Thing, joints: tuple[Point, ...], side: int, limb: int, upper: Surface, lower: Surface
) -> Iterator[Part]:
    """An arm (`limb` 0) or a leg: two bars."""
    direction = person.angle
    for bone, surface in enumerate((upper, lower)):
        direction += person.bends[4 * side + 2 * limb + bone]
        start, end = (joints[6 * limb + 2 * k + side] for k in (bone, bone + 1))
        middle = (start[0] + end[0]) >> 1, (start[1] + end[1]) >> 1
        length, width = LIMBS[limb][bone], LIMBS[limb][2 + bone]
        yield Part(
            BAR, middle, direction + TURN // 4, _scaled(person.size, length) // 2, _wide(person.size, width), surface
        )


def _scaled(size: int, share: int) -> int:
    return size * share >> 8


def _wide(size: int, share: int) -> int:
    return max(size * share >> 8, THINNEST)


def _dimmed(surface: Surface) -> Surface:
    red, green, blue = (value * DIM >> 8 for value in surface.colour)
    r, g, b = (value * DIM >> 8 for value in surface.second)
    return Surface((red, green, blue), (r, g, b), surface.texture, surface.period, surface.seed, surface.grain)


# Faces ---------------------------------------------------------------------------------------------------------------

EYES, EYE, NOSE, MOUTH, LIP = (82, -50), 34, (40, 34), (70, 120), 16
"""Place and radius of the eyes, tip of the nose, corner of the mouth, half width of the lips: in 1/256 of its size."""


def landmarks_of(face: Thing) -> tuple[Point, ...]:
    """The landmarks of one face, in the order of `cvbench.scenes.vocabulary.LANDMARKS`."""
    aside = face.bends[0]
    places = ((EYES[0] + aside, EYES[1]), (-EYES[0] + aside, EYES[1]), (aside + aside // 2, NOSE[1]))
    mouth = ((MOUTH[0] + aside, MOUTH[1]), (-MOUTH[0] + aside, MOUTH[1]))
    return tuple(_on_face(face, u, v) for u, v in (*places, *mouth))


def _on_face(face: Thing, u: int, v: int) -> Point:
    """A place in 1/256 of the size, whatever is across narrower in a narrow face."""
    return moved((face.x, face.y), face.angle, _scaled(face.size * face.shape >> 8, u), _scaled(face.size, v))


def _face(face: Thing) -> Iterator[Part]:
    size, angle, across = face.size, face.angle, face.size * face.shape >> 8
    skin, hair, eyes, mouth = face.surfaces
    yield Part(ELLIPSE, _on_face(face, 0, -40), angle, across + size // 12, size * 15 // 16, hair)
    yield Part(ELLIPSE, _on_face(face, 0, 30), angle, across, size * 7 // 8, skin)
    left_eye, right_eye, nose, *_ = landmarks_of(face)
    for eye in (left_eye, right_eye):
        yield Part(ELLIPSE, eye, angle, _wide(across, EYE + 16), _wide(size, EYE), Surface((235, 235, 235)))
        yield Part(ELLIPSE, eye, angle, _wide(across, EYE // 2), _wide(size, EYE // 2), eyes)
    half, back = _wide(across, NOSE[0]), -_scaled(size, 60)
    yield Part(POLYGON, nose, angle, 0, 0, _dimmed(skin), corners=((0, back), (half, 0), (-half, 0)))
    lips = _on_face(face, face.bends[0], MOUTH[1])
    yield Part(BAR, lips, angle, _scaled(across, MOUTH[0]), _wide(size, LIP), mouth)


_SHAPES = {
    "disc": _ellipse,
    "box": _box,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "person": _person,
    "face": _face,
}
