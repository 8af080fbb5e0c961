"""Pictures and annotations: what the front map says is what all of them say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvbench.kernels import drawing
from cvbench.metrics.masks import rle_decode
from cvbench.scenes import (
    IDS,
    JOINTS,
    SIZE,
    STUFF,
    THINGS,
    UNIT,
    VOID_LABEL,
    Camera,
    Region,
    Sample,
    Scene,
    Surface,
    Thing,
    generate,
    render,
    scene,
)
from cvbench.scenes.geometry import parts_of
from cvbench.scenes.rendering import LEAST, as_rows
from mode import JIT

RED, BLUE = Surface((200, 30, 30)), Surface((30, 30, 200))
FULL = ((0, 0), (SIZE * UNIT, 0), (SIZE * UNIT, SIZE * UNIT), (0, SIZE * UNIT))
SKY = Region(IDS["sky"], FULL, Surface((120, 160, 220)))
PERSON = Thing(IDS["person"], 64 * UNIT, 64 * UNIT, 0, 40 * UNIT, (RED, RED, BLUE), bends=(0,) * 9)


def disc(x: int, y: int, radius: int, surface: Surface = RED) -> Thing:
    return Thing(IDS["disc"], x * UNIT, y * UNIT, 0, radius * UNIT, (surface,))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [generate(split, index) for split in ("train", "val") for index in range(60 if JIT else 3)]


def test_what_is_in_front_owns_the_pixel():
    sample = render(Scene((SKY, disc(40, 40, 10), disc(46, 40, 10, BLUE))))
    assert sample.instances[40, 44] == 2
    assert sample.instances[40, 32] == 1
    assert sample.image[40, 44].tolist() == [30, 30, 200]
    assert sample.labels[40, 44] == IDS["disc"] - 1
    assert sample.labels[0, 0] == IDS["sky"] - 1
    assert sample.segments[0, 0] == 200 + IDS["sky"]
    assert sample.boxes.tolist() == [[30.0, 30.0, 13.0, 20.0], [36.0, 30.0, 20.0, 20.0]]


def test_what_is_cut_off_has_the_box_of_what_is_left():
    sample = render(Scene((SKY, disc(0, 64, 10))))
    assert sample.boxes.tolist() == [[0.0, 54.0, 10.0, 20.0]]


def test_slivers_are_void():
    """Of a box behind another one, a pixel to the right, 20 pixels are seen; then a speck hides some of these."""
    behind = Thing(IDS["box"], 64 * UNIT, 64 * UNIT, 0, 10 * UNIT, (RED,))
    before = replace(behind, x=63 * UNIT, surfaces=(BLUE,))
    assert render(Scene((SKY, behind, before))).area.tolist() == [LEAST, 400]
    sample = render(Scene((SKY, behind, before, disc(73, 54, 1, BLUE))))
    assert sample.area.tolist() == [399], "neither the speck nor what is left of the box is annotated"
    assert sample.labels[60, 73] == VOID_LABEL
    assert sample.segments[60, 73] == sample.instances[60, 73] == 0


def test_smudges_and_nothing_are_void():
    sample = render(Scene((Region(0, ((64 * UNIT, 64 * UNIT), (9 * UNIT, 9 * UNIT)), RED),)))
    assert (sample.labels == VOID_LABEL).all()
    assert (sample.segments == 0).all()
    assert len(sample) == 0
    assert sample.boxes.shape == (0, 4)
    assert sample.keypoints.shape == (0, 14, 3)


def test_joints_are_seen_hidden_or_outside():
    low = replace(PERSON, y=110 * UNIT)
    sample = render(Scene((SKY, low, disc(64, 81, 8, BLUE))))
    seen = dict(zip(JOINTS, sample.keypoints[0].tolist(), strict=True))
    assert seen["left_ankle"] == [0, 0, 0], "below the image"
    assert seen["neck"][2] == 1, "behind the disc"
    assert seen["left_wrist"][2] == 2
    assert not sample.keypoints[1].any(), "a disc has no joints"
    assert not sample.landmarks.any()


def test_a_crowd_is_one_thing_without_joints():
    crowd = replace(PERSON, surfaces=(), members=(PERSON, replace(PERSON, x=74 * UNIT)))
    sample = render(Scene((SKY, crowd)))
    assert sample.crowd.tolist() == [True]
    assert not sample.keypoints.any()
    assert sample.area[0] > render(Scene((SKY, PERSON))).area[0]


def test_the_camera_changes_the_picture_and_nothing_else():
    shown = Scene((SKY, disc(40, 40, 10)))
    camera = Camera((128, 256, 300), (100, -50), (2, 1), 20, 3)
    plain, taken = render(shown), render(replace(shown, camera=camera))
    assert (plain.labels == taken.labels).all()
    assert abs(taken.image[:, :, 0].mean() - plain.image[:, :, 0].mean() / 2) < 2, "half of the red light"
    edge = plain.image[40, 28:33, 0].astype(int)
    blurred = render(replace(shown, camera=Camera(blur=(1, 0)))).image[40, 28:33, 0]
    assert set(edge.tolist()) == {120, 200}
    assert len(set(blurred.tolist())) == 4


def test_a_thing_that_moves_is_the_next_frame():
    first = Scene((SKY, PERSON))
    step = replace(first, entities=(SKY, replace(PERSON, x=PERSON.x + 5 * UNIT)))
    before, after = render(first), render(step)
    assert (before.instances[:, :-5] == after.instances[:, 5:]).all()
    assert (after.keypoints - before.keypoints == (5, 0, 0)).all()


def test_all_annotations_tell_the_same(samples):
    for sample in samples:
        assert sample.image.shape == (SIZE, SIZE, 3)
        if len(sample):
            masks = rle_decode(sample.masks)
            assert (masks == (sample.instances == np.arange(1, len(sample) + 1)[:, None, None])).all()
        for n in range(len(sample)):
            rows, columns = np.nonzero(sample.instances == n + 1)
            assert sample.area[n] == len(rows) >= LEAST
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert sample.boxes[n].tolist() == box
            assert (sample.labels[rows, columns] == sample.categories[n] - 1).all()
        assert sample.instances.max() == len(sample)
        assert ((sample.segments == 0) == (sample.labels == VOID_LABEL)).all()
        stuff = (sample.instances == 0) & (sample.labels != VOID_LABEL)
        assert (sample.labels[stuff] >= len(THINGS)).all()
        assert (sample.segments[stuff] == sample.labels[stuff] + 201).all()


def test_points_are_in_the_image_and_seen_on_their_owner(samples):
    for sample in samples:
        for n, points in [*enumerate(sample.keypoints), *enumerate(sample.landmarks)]:
            labelled = points[points[:, 2] > 0]
            assert ((labelled[:, :2] >= 0) & (labelled[:, :2] < SIZE)).all()
            assert not points[points[:, 2] == 0].any()
            x, y = labelled[:, :2].astype(int).T
            assert ((sample.instances[y, x] == n + 1) == (labelled[:, 2] == 2)).all()


def test_joints_that_nothing_hides_are_on_the_person():
    sample = render(Scene((SKY, PERSON)))
    assert (sample.keypoints[0, :, 2] == 2).all()


@pytest.mark.skipif(not JIT, reason="needs more samples than plain Python draws in time")
def test_the_world_has_all_that_it_promises(samples):
    categories = np.concatenate([sample.categories for sample in samples])
    assert set(categories.tolist()) == {IDS[name] for name in THINGS}
    labels = np.unique([sample.labels for sample in samples])
    assert set(labels.tolist()) == {*range(len(THINGS) + len(STUFF)), VOID_LABEL}
    assert any(sample.crowd.any() for sample in samples)
    joints = np.concatenate(
        [sample.keypoints[(sample.categories == IDS["person"]) & ~sample.crowd] for sample in samples]
    )
    assert set(np.unique(joints[:, :, 2]).tolist()) == {0, 1, 2}


@pytest.mark.skipif(not JIT, reason="looks for every part in every pixel, which takes plain Python too long")
def test_no_part_covers_more_than_it_says():
    """Whoever looks for parts everywhere, not within their reach only, finds the same."""
    for index in range(20):
        parts = [part for entity in scene("train", index).entities for part in parts_of(entity)]
        corners = np.array([corner for part in parts for corner in part.corners], np.int64).reshape(-1, 2)
        near, far = np.full((2, SIZE, SIZE), -1, np.int64)
        drawing.cover(as_rows(parts), np.array([part.reach for part in parts], np.int64), corners, near)
        drawing.cover(as_rows(parts), np.full((len(parts), 2), 1 << 20), corners, far)
        assert (near == far).all()
