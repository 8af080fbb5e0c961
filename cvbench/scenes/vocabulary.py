"""What there is in the world: categories, joints and landmarks, by their names and numbers."""

from __future__ import annotations

SIZE = 128
"""Height and width of an image in pixels."""

THINGS = ("disc", "box", "triangle", "star", "cross", "ring", "person", "face")
STUFF = ("sky", "grass", "water", "road", "sand", "wall")

CATEGORIES = dict(enumerate((*THINGS, *STUFF), 1))
"""Names by category id: things are 1 to 8, stuff is 9 to 14. The label of a category in label maps is its id - 1."""

IDS = {name: category for category, name in CATEGORIES.items()}

VOID = 0
"""Category, and id of the segment, of what is not annotated."""

VOID_LABEL = 255
"""Its label in label maps."""

STUFF_SEGMENT = 200
"""The segment of a stuff category has this plus the category's id as its id; those of things are 1, 2, ..."""

JOINTS = (
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck"),
)
"""The 14 joints of CrowdPose in its order, so that its sigmas (``crowdpose14``) fit."""

BONES = (
    *((12, 13), (13, 0), (13, 1), (0, 2), (2, 4), (1, 3), (3, 5)),
    *((13, 6), (13, 7), (6, 8), (8, 10), (7, 9), (9, 11)),
)
"""Joints that a line is drawn between."""

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Left and right are the face's own, as for people: without a turn its left eye is on the right of the image."""
