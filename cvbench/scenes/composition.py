"""The scene that belongs to a split and an index: what is drawn by lot, and from which ranges.

Each thing and each stage draws from a stream of its own, named by split, index and what it is for.
"""

from __future__ import annotations

from cvbench.scenes.draws import Draws
from cvbench.scenes.geometry import TURN
from cvbench.scenes.graph import UNIT, Camera, Colour, Point, Region, Scene, Surface, Texture, Thing
from cvbench.scenes.vocabulary import IDS, SIZE, THINGS, VOID

WORLD = 1
"""Version of the world. Every change of a pixel or an annotation of any scene raises it."""

EDGE = SIZE * UNIT
BEYOND = 24 * UNIT
"""How far the background reaches beyond the image."""

LOOKS: dict[str, tuple[Texture, tuple[int, int], int, tuple[tuple[Colour, Colour], ...]]] = {
    "sky": ("noise", (24, 56), 4, (((96, 142, 208), (206, 216, 230)), ((150, 156, 172), (196, 196, 204)))),
    "grass": ("noise", (3, 7), 26, (((58, 104, 44), (112, 146, 70)), ((104, 112, 56), (150, 146, 88)))),
    "water": ("waves", (5, 11), 6, (((44, 88, 136), (112, 156, 196)), ((84, 112, 120), (140, 160, 164)))),
    "road": ("noise", (16, 40), 18, (((84, 84, 90), (112, 110, 112)), ((118, 112, 108), (142, 138, 132)))),
    "sand": ("noise", (5, 10), 12, (((196, 172, 120), (222, 204, 160)), ((160, 132, 96), (196, 170, 130)))),
    "wall": ("bricks", (9, 18), 8, (((156, 84, 66), (190, 176, 162)), ((128, 122, 116), (168, 164, 156)))),
}
"""Of stuff: texture, range of periods in pixels, grain, and pairs of colours."""

PATTERNS: tuple[Texture, ...] = ("plain", "plain", "plain", "noise", "noise", "stripes", "checks", "dots")
SKINS: tuple[Colour, ...] = ((236, 194, 164), (214, 160, 122), (172, 118, 84), (122, 80, 56), (86, 58, 44))
SHAPES = {"box": (90, 256), "triangle": (150, 280), "star": (90, 130), "cross": (60, 100), "ring": (120, 190)}
"""Ranges of `Thing.shape`; that of faces is in `_face`."""

KINDS = (*THINGS, "person", "person", "face")
"""What things are drawn from: people and faces are more frequent, as only they have keypoints."""


def compose(draws: Draws) -> Scene:
    """The scene of a stream: background, things from far to near, now and then a crowd and smudges on the lens."""
    regions = _background(draws.child(1))
    looks = [region.surface for region in regions]
    things = [_thing(draws.child(100 + k), looks) for k in range(draws.between(1, 8))]
    if draws.chance(1, 6):
        things.append(_crowd(draws.child(2), looks))
    things.sort(key=_nearness)
    smudges = [_smudge(draws.child(10 + k)) for k in range(draws.between(0, 5) - 3)]
    return Scene((*regions, *things, *smudges), _camera(draws.child(3)))


def _nearness(thing: Thing) -> int:
    """The lower on the picture, the nearer, as on open ground; larger ones a little nearer."""
    return thing.y + thing.size // 2


# Background ----------------------------------------------------------------------------------------------------------


def _background(draws: Draws) -> list[Region]:
    """Something up, something down, and up to three patches of other stuff."""
    horizon = draws.between(EDGE // 5, EDGE * 3 // 5)
    far, near = draws.pick(("sky", "sky", "sky", "wall")), draws.pick(("grass", "water", "road", "sand"))
    low, high = -BEYOND, EDGE + BEYOND
    tilt = draws.between(-10 * UNIT, 10 * UNIT)
    line = _ragged(draws, (low, horizon - tilt), (high, horizon + tilt), draws.pick((1, 3, 8)) * UNIT)
    regions = [
        _stuff(draws, far, ((low, low), (high, low), (high, high), (low, high))),
        _stuff(draws, near, (*line, (high, high), (low, high))),
    ]
    patches = [draws.pick(tuple(LOOKS)[1:]) for _ in range(draws.between(0, 3))]
    return regions + [_patch(draws, name, horizon) for name in patches]


def _patch(draws: Draws, name: str, horizon: int) -> Region:
    """Walls stand on the horizon, roads lead there, all else lies about."""
    x, width = draws.between(0, EDGE), draws.between(12 * UNIT, 44 * UNIT)
    if name == "wall":
        top, foot = horizon - draws.between(10 * UNIT, 60 * UNIT), horizon + draws.between(0, 12 * UNIT)
        return _stuff(draws, name, ((x - width, top), (x + width, top), (x + width, foot), (x - width, foot)))
    if name == "road":
        near, far = draws.between(0, EDGE), width // 6
        bottom = EDGE + BEYOND
        corners = ((x - far, horizon), (x + far, horizon), (near + width, bottom), (near - width, bottom))
        return _stuff(draws, name, corners)
    centre = x, draws.between(horizon, EDGE + 10 * UNIT)
    return _stuff(draws, name, (centre, (width, width * draws.between(80, 200) >> 8)))


def _ragged(draws: Draws, start: Point, end: Point, height: int) -> tuple[Point, ...]:
    """A line of eight pieces whose inner points are off by up to this height."""
    inner = (
        (
            start[0] + (end[0] - start[0]) * k // 8,
            start[1] + (end[1] - start[1]) * k // 8 + draws.between(-height, height),
        )
        for k in range(1, 8)
    )
    return (start, *inner, end)


def _stuff(draws: Draws, name: str, outline: tuple[Point, ...]) -> Region:
    texture, (shortest, longest), grain, palettes = LOOKS[name]
    shift = draws.between(-24, 24)
    colour, second = (_shifted(draws, colour, shift, 14) for colour in draws.pick(palettes))
    period = draws.between(shortest * UNIT, longest * UNIT)
    return Region(IDS[name], outline, Surface(colour, second, texture, period, draws.between(0, (1 << 31) - 2), grain))


def _smudge(draws: Draws) -> Region:
    """A grey and grainy spot that hides what is there, and that is not annotated."""
    centre = draws.between(0, EDGE), draws.between(0, EDGE)
    axes = draws.between(4 * UNIT, 14 * UNIT), draws.between(4 * UNIT, 14 * UNIT)
    dark, light = draws.between(20, 110), draws.between(110, 200)
    period, seed = draws.between(3 * UNIT, 12 * UNIT), draws.between(0, 9999)
    return Region(VOID, (centre, axes), Surface((dark,) * 3, (light,) * 3, "noise", period, seed, grain=70))


# Things --------------------------------------------------------------------------------------------------------------


def _thing(draws: Draws, looks: list[Surface]) -> Thing:
    """One thing anywhere; some are cut off by the border of the image."""
    name = draws.pick(KINDS)
    x, y = draws.between(-4 * UNIT, EDGE + 4 * UNIT), draws.between(4 * UNIT, EDGE + 4 * UNIT)
    smallest, largest = {"person": (16, 48), "face": (10, 36)}.get(name, (6, 32))
    size = min(draws.between(smallest * UNIT, largest * UNIT) for _ in range(2))
    return _made(draws, name, x, y, size, looks)


def _made(draws: Draws, name: str, x: int, y: int, size: int, looks: list[Surface]) -> Thing:
    if name == "person":
        return _person(draws, x, y, size, looks)
    if name == "face":
        return _face(draws, x, y, size)
    shape = draws.between(*SHAPES.get(name, (256, 256)))
    return Thing(IDS[name], x, y, draws.between(0, TURN - 1), size, (_look(draws, looks),), shape)


def _person(draws: Draws, x: int, y: int, size: int, looks: list[Surface]) -> Thing:
    angle = _lean(draws, 40)
    limbs: list[int] = []
    for out in (1, -1):
        limbs += (-out * draws.between(-40, 420), draws.between(-260, 260))
        limbs += (-out * draws.between(-60, 150), draws.between(-150, 150))
    turned = draws.between(0, 1)
    if turned:
        limbs = [-bend for bend in limbs]
    clothes = (_look(draws, looks), _look(draws, looks))
    return Thing(IDS["person"], x, y, angle, size, (_skin(draws), *clothes), bends=(*limbs, turned))


def _face(draws: Draws, x: int, y: int, size: int) -> Thing:
    hair = draws.pick(((40, 30, 24), (96, 62, 36), (190, 152, 84), (150, 146, 142), (140, 52, 30)))
    eyes = draws.pick(((30, 24, 20), (52, 84, 110), (60, 92, 56)))
    mouth = Surface(_shifted(draws, (150, 60, 60), 0, 24))
    grain = draws.between(0, 30)
    surfaces = (_skin(draws), Surface(_shifted(draws, hair, 0, 16), grain=grain), Surface(eyes), mouth)
    shape, aside = draws.between(170, 220), draws.between(-50, 50)
    return Thing(IDS["face"], x, y, _lean(draws, 90), size, surfaces, shape, (aside,))


def _crowd(draws: Draws, looks: list[Surface]) -> Thing:
    """Small things of one kind that stand too close to be told apart."""
    name = draws.pick(("person", "person", "person", "face", "disc", "star"))
    x, y = draws.between(10 * UNIT, EDGE - 10 * UNIT), draws.between(20 * UNIT, EDGE - 10 * UNIT)
    size = draws.between(8 * UNIT, 14 * UNIT) if name == "person" else draws.between(4 * UNIT, 8 * UNIT)
    members = []
    for k in range(draws.between(6, 12)):
        own = draws.child(k)
        place = x + own.between(-20 * UNIT, 20 * UNIT), y + own.between(-6 * UNIT, 6 * UNIT)
        members.append(_made(own, name, *place, size * own.between(200, 300) >> 8, looks))
    members.sort(key=_nearness)
    return Thing(IDS[name], x, y, 0, size, (), members=tuple(members))


def _lean(draws: Draws, most: int) -> int:
    """Upright within some angle; one in five is turned in any way."""
    return draws.between(0, TURN - 1) if draws.chance(1, 5) else draws.between(-most, most)


# Colours and light ---------------------------------------------------------------------------------------------------


def _look(draws: Draws, looks: list[Surface]) -> Surface:
    """The surface of a thing; every third resembles something of the background."""
    if draws.chance(1, 3):
        like = draws.pick(looks)
        colour, second = (_shifted(draws, each, draws.pick((-34, 34)), 12) for each in (like.colour, like.second))
    else:
        colour, second = _colour(draws), _colour(draws)
    period = draws.between(4 * UNIT, 14 * UNIT)
    return Surface(colour, second, draws.pick(PATTERNS), period, draws.between(0, 9999), draws.between(0, 16))


def _skin(draws: Draws) -> Surface:
    return Surface(_shifted(draws, draws.pick(SKINS), 0, 10), grain=draws.between(0, 8))


def _colour(draws: Draws) -> Colour:
    return draws.between(16, 240), draws.between(16, 240), draws.between(16, 240)


def _shifted(draws: Draws, colour: Colour, shift: int, most: int) -> Colour:
    """A colour that is lighter by `shift`, and off by up to `most` in each channel."""
    red, green, blue = (min(max(value + shift + draws.between(-most, most), 0), 255) for value in colour)
    return red, green, blue


def _camera(draws: Draws) -> Camera:
    light = draws.between(150, 300)
    gain = light + draws.between(-24, 24), light + draws.between(-24, 24), light + draws.between(-24, 24)
    slope = draws.between(-180, 180), draws.between(-180, 180)
    blur = draws.between(1, 2)
    streak = draws.pick((0, 0, 0, 4))
    blurs = (blur + streak, blur) if draws.chance(1, 2) else (blur, blur + streak)
    return Camera(gain, slope, blurs, draws.pick((4, 10, 18, 28)), draws.between(0, 9999))
