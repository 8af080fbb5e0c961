"""Angles, shapes, joints and landmarks of things in simple poses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cvbench.kernels.drawing import ONE
from cvbench.scenes import IDS, JOINTS, LANDMARKS, UNIT, Region, Surface, Thing
from cvbench.scenes.geometry import COSINES, TURN, cosine, joints_of, landmarks_of, moved, parts_of, sine

SKIN = Surface((200, 150, 120))
PERSON = Thing(IDS["person"], 64 * UNIT, 64 * UNIT, 0, 40 * UNIT, (SKIN, SKIN, SKIN), bends=(0,) * 9)
FACE = Thing(IDS["face"], 64 * UNIT, 64 * UNIT, 0, 40 * UNIT, (SKIN, SKIN, SKIN, SKIN), bends=(0,))


def test_cosines_are_rounded_ones():
    # the floating-point cosine is right to 1e-15, and no value of the table is that close to a half
    assert list(COSINES) == [round(math.cos(2 * math.pi * k / TURN) * ONE) for k in range(TURN)]
    assert [(cosine(k), sine(k)) for k in (0, 256, 512, -256)] == [(ONE, 0), (0, ONE), (-ONE, 0), (0, -ONE)]


def test_a_quarter_of_a_turn_takes_right_to_down():
    assert moved((10, 20), 256, 5, 0) == (10, 25)
    assert moved((10, 20), 256, 0, 5) == (5, 20)


def test_a_person_stands_with_hanging_arms():
    at = dict(zip(JOINTS, joints_of(PERSON), strict=True))
    column = ["head", "neck", "left_hip", "left_knee", "left_ankle"]
    heights = [at[name][1] for name in column]
    assert heights == sorted(heights)
    assert at["left_shoulder"][0] == at["left_elbow"][0] == at["left_wrist"][0] > at["neck"][0]
    assert at["right_shoulder"][0] == at["right_wrist"][0] < at["neck"][0], "who faces us has the right on the left"
    length = at["left_ankle"][1] - at["head"][1]
    assert 1.7 * PERSON.size < length < 2 * PERSON.size


def test_from_behind_left_is_left():
    behind = replace(PERSON, bends=(*PERSON.bends[:8], 1))
    at = dict(zip(JOINTS, joints_of(behind), strict=True))
    assert at["left_shoulder"][0] < at["right_shoulder"][0]


@pytest.mark.parametrize("bend", range(8))
def test_a_bend_moves_what_hangs_on_it(bend):
    bends = tuple(128 if k == bend else 0 for k in range(9))
    moved_ones = {
        name
        for name, old, new in zip(JOINTS, joints_of(PERSON), joints_of(replace(PERSON, bends=bends)), strict=True)
        if old != new
    }
    side, bone = ("left", "right")[bend // 4], bend % 4
    hanging = (("elbow", "wrist"), ("wrist",), ("knee", "ankle"), ("ankle",))[bone]
    assert moved_ones == {f"{side}_{name}" for name in hanging}


def test_left_limbs_are_darker():
    colours = {part.surface.colour for part in parts_of(PERSON)}
    assert len(colours) == 2


def test_a_face_has_its_landmarks_where_its_parts_are():
    at = dict(zip(LANDMARKS, landmarks_of(FACE), strict=True))
    assert at["left_eye"][0] > at["nose"][0] > at["right_eye"][0]
    assert at["left_eye"][1] < at["nose"][1] < at["mouth_left"][1]
    assert at["mouth_left"][0] > at["mouth_right"][0]
    centres = [part.centre for part in parts_of(FACE)]
    assert {at["left_eye"], at["right_eye"], at["nose"]} <= set(centres)


@pytest.mark.parametrize("thing", [PERSON, FACE], ids=["person", "face"])
def test_points_go_with_their_thing(thing):
    points = joints_of if thing.person else landmarks_of
    elsewhere = replace(thing, x=thing.x + 100, y=thing.y - 50)
    assert points(elsewhere) == tuple((x + 100, y - 50) for x, y in points(thing))
    upside_down = points(replace(thing, angle=TURN // 2))
    # two roundings down, of a unit each, per bone
    assert all(
        abs(x + u - 2 * thing.x) <= 8 and abs(y + v - 2 * thing.y) <= 8
        for (x, y), (u, v) in zip(points(thing), upside_down, strict=True)
    )


def test_a_crowd_has_the_parts_of_its_members_and_no_joints():
    crowd = replace(PERSON, surfaces=(), members=(PERSON, PERSON))
    assert list(parts_of(crowd)) == 2 * list(parts_of(PERSON))
    assert crowd.crowd
    assert not crowd.person


def test_a_pattern_goes_with_its_region():
    corners = ((0, 0), (200, 10), (100, 300))
    (part,) = parts_of(Region(9, corners, SKIN))
    (moved_part,) = parts_of(Region(9, tuple((x + 64, y - 32) for x, y in corners), SKIN))
    x, y = part.centre
    assert tuple((x + u, y + v) for u, v in part.corners) == corners
    assert moved_part == part._replace(centre=(x + 64, y - 32))
    assert part.reach == (100 + UNIT, 150 + UNIT)
