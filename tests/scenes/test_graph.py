"""What cannot be drawn cannot be made; what can be made at most is drawn."""

from __future__ import annotations

import re

import pytest

from cvbench.errors import InputError
from cvbench.scenes import IDS, Camera, Region, Scene, Surface, Thing, render
from cvbench.scenes.graph import FAR, SEEDS, TEXTURES
from cvbench.scenes.rendering import TEXTURES as KERNEL_TEXTURES
from mode import JIT

PLAIN = Surface((1, 2, 3))
CORNERS = ((0, 0), (9, 0), (9, 9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Surface((0, 256, 0)), "Surface.colour: 256; expected 0 to 255"),
        (lambda: Surface((0, 0, 0), period=0), "Surface.period: 0; expected 1 to 16384"),
        (lambda: Surface((0, 0, 0), seed=-1), f"Surface.seed: -1; expected 0 to {SEEDS}"),
        (lambda: Surface((0, 0, 0), texture="dot"), "unknown texture 'dot'; did you mean 'dots'?"),
        (lambda: Region(1, CORNERS, PLAIN), "Region.category: category 1; expected one of stuff, or 0 for void"),
        (lambda: Region(9, ((0, 0),), PLAIN), "Region.outline: expected corners, or the centre and half axes"),
        (lambda: Region(9, ((0, 0), (0, 5)), PLAIN), "Region.outline: 0; expected 1 to 16384"),
        (lambda: Region(9, (*CORNERS, (0, FAR + 1)), PLAIN), "Region.outline: 16385; expected -16384 to 16384"),
        (lambda: Thing(9, 0, 0, 0, 640, (PLAIN,)), "Thing.category: category 9; expected one of things"),
        (lambda: Thing(1, 0, 0, 0, 0, (PLAIN,)), "Thing.size: 0; expected 64 to 8192"),
        (lambda: Thing(7, 0, 0, 0, 640, (PLAIN,)), "Thing.surfaces: 1; a person has 3"),
        (lambda: Thing(8, 0, 0, 0, 640, (PLAIN,) * 4), "Thing.bends: 0; a face has 1"),
        (lambda: Camera(blur=(0, -1)), "Camera.blur: -1; expected 0 to 100"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        make()


def test_every_texture_can_be_drawn():
    assert tuple(KERNEL_TEXTURES) == TEXTURES


@pytest.mark.parametrize("texture", TEXTURES if JIT else TEXTURES[-1:])
def test_the_largest_of_all_stays_within_64_bits(texture):
    """Without the compiler, NumPy raises where it does not; with it, the disc would not cover the first row."""
    look = Surface((255,) * 3, (255,) * 3, texture, 1, SEEDS, 255)
    behind = Region(9, ((-FAR, -FAR), (FAR, -FAR), (FAR, FAR)), look)
    ellipse = Region(10, ((FAR, FAR), (FAR, FAR)), look)
    disc = Thing(IDS["disc"], 0, 0, 77, FAR // 2, (look,), 512)
    far = Thing(IDS["ring"], -FAR, FAR, 77, FAR // 2, (look,), 512)
    camera = Camera((4096,) * 3, (4096, -4096), (1, 1), 255, SEEDS)
    sample = render(Scene((behind, ellipse, far, disc), camera))
    assert sample.categories.tolist() == [IDS["disc"]]
    assert sample.instances[0].all()
