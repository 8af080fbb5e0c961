"""Small data sets in COCO's form, full of edges: ties, crowds, areas on the limits, empty images, id 0."""

from __future__ import annotations

import pycocotools.mask
from hypothesis import strategies as st

IMAGES, CATEGORIES = (1, 2, 5), (1, 3)
SIZE = (40, 120)
SCORES = st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.5, 0.75, 0.9, 1, 1.0, -0.0, -3])
AREAS = st.sampled_from([0, 1023, 1024, 1024.0, 1025.5, 9216, 9216.5, 1e10, 2e10])
EDGES = st.sampled_from([0, 5, 10.25, 16, 32, 96])
BOXES = st.lists(EDGES, min_size=4, max_size=4)
CROWDS = st.sampled_from([0, 0, 0, 1])
FIRST_IDS = st.sampled_from([1, 1, 1, 0, -2, 10**6])
SHIFTS = st.sampled_from([0, 0.5, 1, 3])


def _places(n):
    """Images and categories; mostly one of each, so that there is something to match and to tell apart."""
    images, categories = st.sampled_from((*IMAGES, 1, 1)), st.sampled_from((*CATEGORIES, 3))
    return st.integers(0, n).flatmap(lambda k: st.lists(st.tuples(images, categories), min_size=k, max_size=n))


def data_set(annotations):
    return {
        "images": [{"id": image, "height": SIZE[0], "width": SIZE[1]} for image in (5, 1, 2, 7)],
        "categories": [{"id": category} for category in (3, 1, 4)],
        "annotations": annotations,
    }


@st.composite
def boxes(draw):
    """Ground truth and box results; many results lie on or near a ground truth."""
    first = draw(FIRST_IDS)
    gts = []
    for place in draw(_places(8)):
        gt = {"id": first + len(gts), "bbox": draw(BOXES), "area": draw(AREAS), "iscrowd": draw(CROWDS)}
        gts.append({**gt, "image_id": place[0], "category_id": place[1]})
    dts = [
        {"image_id": image, "category_id": category, "bbox": draw(BOXES), "score": draw(SCORES)}
        for image, category in draw(_places(6))
    ]
    for gt in gts:
        for _ in range(draw(st.integers(0, 2))):
            x, y, width, height = gt["bbox"]
            box = [x + draw(SHIFTS), y, width, height + draw(SHIFTS)]
            dts.append(
                {"image_id": gt["image_id"], "category_id": gt["category_id"], "bbox": box, "score": draw(SCORES)}
            )
    return data_set(gts), draw(st.permutations(dts))


@st.composite
def masks(draw):
    """The same with masks: polygons, run lengths and strings."""
    gt, dts = draw(boxes())
    for annotation in gt["annotations"]:
        annotation["segmentation"] = draw(_segmentations(annotation["bbox"], polygons=True))
    if draw(st.booleans()):  # else the boxes become rectangles
        for result in dts:
            result["segmentation"] = draw(_segmentations(result["bbox"], polygons=False))
        if draw(st.booleans()):
            for result in dts:
                del result["bbox"]
    return gt, dts


def _segmentations(box, polygons):
    x, y, width, height = box
    parts = [
        [x, y, x, y + height, x + width, y + height, x + width, y],
        [x, y, x + 2 * width, y + 1, x + 9, y + height],
    ]
    rectangle = [int(x) * SIZE[0] + int(y), int(height), max(SIZE[0] - int(height), 0)]
    counts = [*rectangle, 3, 0, 5]
    counts.append(max(SIZE[0] * SIZE[1] - sum(counts), 0))
    runs = {"size": list(SIZE), "counts": counts}
    string = {"size": list(SIZE), "counts": _string(counts)}
    forms = [string, {**string, "counts": string["counts"].decode()}]
    return st.sampled_from([parts[:1], parts, runs, *forms] if polygons else forms)


def _string(counts):
    return pycocotools.mask.frPyObjects({"size": list(SIZE), "counts": counts}, *SIZE)["counts"]


@st.composite
def keypoints(draw, joints=17):
    """Ground truth with `joints` keypoints, some without a visible one, and results near to them."""
    gt, dts = draw(boxes())
    numbers = st.lists(st.sampled_from([0, 3, 10, 25.5, 31]), min_size=2 * joints, max_size=2 * joints)
    for annotation in gt["annotations"]:
        visible = draw(st.lists(st.sampled_from([0, 0, 1, 2]), min_size=joints, max_size=joints))
        where = draw(numbers)
        annotation["keypoints"] = [value for j in range(joints) for value in (*where[2 * j : 2 * j + 2], visible[j])]
        annotation["num_keypoints"] = draw(st.sampled_from([sum(map(bool, visible)), 0]))
    shapes = [annotation["keypoints"] for annotation in gt["annotations"]]
    for result in dts:
        shift = draw(SHIFTS)
        if shapes:
            result["keypoints"] = [
                value + shift if i % 3 < 2 else 1 for i, value in enumerate(draw(st.sampled_from(shapes)))
            ]
        else:
            result["keypoints"] = [0, 0, 1] * joints
        del result["bbox"]
    return gt, dts
