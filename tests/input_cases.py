"""What becomes of every kind of doubtful input: the table behind the tests and behind ``docs/inputs.md``.

``python tests/input_cases.py`` prints the page.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cvbench import masks_from_counts, rle_to_strings

Edit = Callable[[Any], object]

ABSENT, FOLDER = "absent", "folder"
"""What an edit returns where no file is to be written, or a folder in its place."""


@dataclass(frozen=True)
class Case:
    """One row of the documentation.

    An edit changes the data of `ground_truth` or `predictions` in place, or returns what replaces them: bytes for the
    file, a list or a dict, `ABSENT` or `FOLDER`.
    """

    name: str
    gt: Edit | None = None
    pred: Edit | None = None
    task: Any = "bbox"
    options: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    """The place in the file, from its name on; None where the input is read."""
    says: tuple[str, ...] = ()
    """Parts of the message, or of one of the notes."""
    counts: dict[str, int] = field(default_factory=dict)
    pycocotools: str = "scores"
    """What pycocotools does with the same files: an exception's name, "scores", or "unsafe" where it reads beyond its
    memory or does not return."""
    compatible: str | None = None
    """What the compatibility module does where it is not the same."""


def annotation(number: int, image: int, category: int, x: float) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x, 10.0, 40.0, 40.0],
        "area": 1600.0,
        "iscrowd": 0,
        "segmentation": [[x, 10.0, x, 50.0, x + 40.0, 50.0, x + 40.0, 10.0]],
        "keypoints": [value for joint in range(17) for value in (x + joint, 10.0 + 2 * joint, 2)],
        "num_keypoints": 17,
    }


def ground_truth() -> dict[str, Any]:
    return {
        "info": {"year": "2023"},
        "licenses": None,
        "images": [{"id": 2, "height": 80, "width": 100}, {"id": 1, "height": 80, "width": 100}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [annotation(1, 2, 1, 5.0), annotation(2, 1, 3, 20.0), annotation(3, 2, 3, 50.0)],
    }


def predictions(gt: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object found exactly, with run lengths for masks."""
    records = []
    for score, record in zip((0.9, 0.8, 0.7), gt["annotations"], strict=True):
        x = int(record["bbox"][0])
        runs = [80 * x + 10, *[40, 40] * 39, 40, 80 * 100 - 80 * (x + 39) - 50]
        found = {name: record[name] for name in ("image_id", "category_id", "bbox", "keypoints")}
        records.append(found | {"score": score, "segmentation": {"size": [80, 100], "counts": runs}})
    return records


def at(*path: Any, to: Any = ...) -> Edit:
    """Set the value at `path`, or delete it."""

    def edit(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        if to is ...:
            del data[path[-1]]
        else:
            data[path[-1]] = to

    return edit


def each(*names: str) -> Edit:
    """Delete these fields of every record."""

    def edit(records: Any) -> None:
        for record in records:
            for name in names:
                record.pop(name, None)

    return edit


def every(key: str, *names: str) -> Edit:
    return lambda data: each(*names)(data[key])


def both(*edits: Edit) -> Edit:
    def edit(data: Any) -> None:
        for one in edits:
            one(data)

    return edit


def text(pattern: str, replacement: str) -> Edit:
    """Change the JSON text."""

    def edit(data: Any) -> bytes:
        changed, n = re.subn(pattern, replacement, json.dumps(data), count=1)
        assert n == 1
        return changed.encode()

    return edit


def as_strings(data: Any) -> None:
    for image in data["images"]:
        image["id"] = f"image {image['id']}"
    for record in data["annotations"]:
        record["image_id"] = f"image {record['image_id']}"


def compressed(data: Any) -> None:
    for record in data:
        runs = masks_from_counts([record["segmentation"]["counts"]], [record["segmentation"]["size"]])
        record["segmentation"]["counts"] = rle_to_strings(runs)[0].decode()


def encoded(data: Any) -> bytes:
    return json.dumps(data).encode()


FILES = [
    Case(
        "no such file",
        pred=lambda _: ABSENT,
        refused="",
        says=("there is no such file",),
        pycocotools="FileNotFoundError",
    ),
    Case(
        "folder",
        pred=lambda _: FOLDER,
        refused="",
        says=("this is a folder", "expected a JSON file"),
        pycocotools="IsADirectoryError",
    ),
    Case(
        "empty file",
        pred=lambda _: b"",
        refused="",
        says=("the file is empty (0 bytes)", "expected JSON"),
        pycocotools="JSONDecodeError",
    ),
    Case(
        "truncated file",
        pred=lambda data: encoded(data)[:-50],
        refused="",
        says=("the text ends inside of a value (line 1 column", "the file is cut short"),
        pycocotools="JSONDecodeError",
    ),
    Case(
        "not JSON",
        gt=lambda _: b"# YOLO\n0 0.5 0.5 1 1\n",
        refused="",
        says=("this is not JSON: Expecting value at line 1 column 1, near '# YOLO",),
        pycocotools="JSONDecodeError",
    ),
    Case(
        "gzip",
        gt=lambda data: gzip.compress(encoded(data)),
        counts={"annotations": 3},
        pycocotools="UnicodeDecodeError",
    ),
    Case(
        "damaged gzip",
        gt=lambda data: gzip.compress(encoded(data))[:-20],
        refused="",
        says=("the gzip data are damaged or cut short",),
        pycocotools="UnicodeDecodeError",
    ),
    Case(
        "byte-order mark",
        pred=lambda data: b"\xef\xbb\xbf" + encoded(data),
        says=("is not strict JSON (NaN, Infinity, a byte-order mark or UTF-16)",),
        counts={"detections": 3},
        pycocotools="JSONDecodeError",
    ),
    Case(
        "not UTF-8",
        gt=lambda _: b'{"images": "\xff"}',
        refused="",
        says=("this is not JSON: byte 12 is not text in UTF-8",),
        pycocotools="UnicodeDecodeError",
    ),
    Case(
        "nested too deeply",
        pred=lambda _: b"[" * 100_000,
        refused="",
        says=("the JSON is nested too deeply to be read",),
        pycocotools="RecursionError",
    ),
    Case(
        "results for a ground truth",
        gt=lambda _: [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}],
        refused="",
        says=("found a list of results; are ground truth and predictions swapped?", "expected an object with images"),
        pycocotools="AssertionError",
    ),
    Case(
        "list for a ground truth",
        gt=lambda data: data["annotations"],
        refused="",
        says=("found a list, expected an object with images, categories and annotations",),
        pycocotools="AssertionError",
    ),
    Case(
        "ground truth for results",
        pred=lambda _: {"images": [], "annotations": [], "categories": []},
        refused="",
        says=("found an object with images, annotations, categories", "swapped?", "expected a list of results"),
        pycocotools="AssertionError",
    ),
    Case(
        "object for results",
        pred=lambda data: {"predictions": data},
        refused="",
        says=("found an object with predictions, expected a list of results", "write the list alone"),
        pycocotools="AssertionError",
    ),
    Case(
        "record that is no object",
        pred=at(1, to=[1, 2]),
        refused="[1]",
        says=("found [1, 2], expected an object with image_id, category_id, score, bbox",),
        pycocotools="TypeError",
    ),
    Case(
        "no images",
        gt=at("images"),
        refused=".images",
        says=("missing; the file has info, licenses, categories, annotations", "expected a list"),
        pycocotools="KeyError",
    ),
    Case(
        "no categories",
        gt=at("categories"),
        refused=".categories",
        says=("missing; ", "expected a list"),
        pycocotools="KeyError",
    ),
    Case("no annotations", gt=at("annotations"), refused=".annotations", says=("missing; ", "expected a list")),
    Case(
        "images that are no list",
        gt=at("images", to=5),
        refused=".images",
        says=("found 5; expected a list",),
        pycocotools="TypeError",
    ),
    Case("licenses null, year a string", counts={"annotations": 3}),
    Case(
        "NaN where nothing is read",
        gt=at("info", to={"x": float("nan")}),
        says=("is not strict JSON (NaN",),
        counts={"annotations": 3},
    ),
    Case("empty annotations", gt=at("annotations", to=[]), counts={"annotations": 0}),
    Case(
        "empty predictions",
        pred=lambda _: [],
        counts={"detections": 0},
        says=("there are no detections",),
        pycocotools="IndexError",
    ),
]

IDS = [
    Case(
        "string image ids",
        gt=as_strings,
        pred=lambda data: [record | {"image_id": f"image {record['image_id']}"} for record in data],
        counts={"images": 2},
    ),
    Case(
        "images with ids of two types",
        gt=at("images", 1, "id", to="1"),
        refused=".images[1].id",
        says=('found "1", a string, but ', ".images[0].id is an integer", "must all be of one type"),
        pycocotools="AssertionError",
    ),
    Case(
        "annotation with another type of image id",
        gt=at("annotations", 1, "image_id", to="1"),
        refused=".annotations[1].image_id",
        says=('found "1", a string, but image ids in this file are integers (the first is 2)',),
    ),
    Case(
        "detection with another type of image id",
        pred=at(1, "image_id", to="1"),
        refused="[1].image_id",
        says=('found "1", a string, but image ids in the ground truth are integers (the first is 1)',),
        pycocotools="AssertionError",
    ),
    Case(
        "float image id",
        pred=at(1, "image_id", to=1.0),
        refused="[1].image_id",
        says=("found 1.0, expected an integer or a string; write 1 without a decimal point",),
    ),
    Case(
        "float category id",
        gt=at("annotations", 0, "category_id", to=1.0),
        refused=".annotations[0].category_id",
        says=("found 1.0, expected an integer; write 1",),
    ),
    Case(
        "string category id",
        pred=at(0, "category_id", to="cat"),
        refused="[0].category_id",
        says=('found "cat", expected an integer',),
    ),
    Case(
        "id beyond 64 bits",
        gt=at("images", 0, "id", to=2**70),
        refused=".images[0].id",
        says=("expected an integer of at most 64 bits",),
        pycocotools="AssertionError",
    ),
    Case(
        "negative ids",
        gt=both(
            at("images", 1, "id", to=-1), at("annotations", 1, "image_id", to=-1), at("annotations", 0, "id", to=-5)
        ),
        pred=at(1, "image_id", to=-1),
        counts={"images": 2},
    ),
    Case("annotation id 0", gt=at("annotations", 0, "id", to=0), counts={"id_zero": 1}),
    Case(
        "annotation without id",
        gt=at("annotations", 1, "id"),
        refused=".annotations[1].id",
        says=("missing; the record has image_id", "annotations are numbered, best from 1"),
        pycocotools="KeyError",
    ),
    Case(
        "duplicate image id",
        gt=at("images", 1, "id", to=2),
        refused=".images[1].id",
        says=("found 2 again; ", ".images[0] has the same id"),
        pycocotools="AssertionError",
    ),
    Case(
        "duplicate category id",
        gt=at("categories", 1, "id", to=3),
        refused=".categories[1].id",
        says=("found 3 again; ", ".categories[0] has"),
    ),
    Case(
        "duplicate annotation id",
        gt=at("annotations", 2, "id", to=1),
        refused=".annotations[2].id",
        says=("found 1 again; ", ".annotations[0] has"),
    ),
    Case(
        "annotation on an unknown image",
        gt=at("annotations", 2, "image_id", to=7),
        refused=".annotations[2].image_id",
        says=("image 7 is not among the 2 images of this file",),
    ),
    Case(
        "annotation of an unknown category",
        gt=at("annotations", 2, "category_id", to=7),
        refused=".annotations[2].category_id",
        says=("category 7 is not among the 2 categories of this file",),
    ),
    Case(
        "detection on an unknown image",
        pred=at(2, "image_id", to=7),
        refused="[2].image_id",
        says=("image 7 is not among the 2 images of the ground truth; do the two files belong to the same set?",),
        pycocotools="AssertionError",
    ),
    Case(
        "detection of an unknown category",
        pred=at(2, "category_id", to=7),
        counts={"dropped_unknown_category": 1, "detections": 3},
        says=("1 of 3 detections have a category that the ground truth lacks (7) and are dropped",),
    ),
    Case("category without a name", gt=at("categories", 0, "name"), counts={"categories": 2}),
    Case(
        "category whose name is no string",
        gt=at("categories", 0, "name", to=5),
        refused=".categories[0].name",
        says=("found 5, expected a string",),
    ),
    Case(
        "two categories of one name",
        gt=at("categories", 0, "name", to="cat"),
        counts={"duplicate_category_names": 1},
        says=("1 of 2 categories have the name of another one",),
    ),
]

SCORES = [
    Case(
        "missing score",
        pred=at(1, "score"),
        refused="[1].score",
        says=(
            "missing; the record has image_id, category_id, bbox",
            "every detection needs one, by which detections are ranked",
        ),
        pycocotools="KeyError",
    ),
    Case(
        "misspelt score",
        pred=both(at(1, "scores", to=0.5), at(1, "score")),
        refused="[1].score",
        says=("missing; the record has `scores`, did you mean `score`?",),
        pycocotools="KeyError",
    ),
    Case(
        "score by another name",
        pred=both(at(1, "confidence", to=0.5), at(1, "score")),
        refused="[1].score",
        says=("the record has `confidence`, did you mean `score`?",),
        pycocotools="KeyError",
    ),
    Case(
        "score null",
        pred=at(1, "score", to=None),
        refused="[1].score",
        says=("found null, expected a number",),
        pycocotools="TypeError",
    ),
    Case(
        "score in quotes",
        pred=at(1, "score", to="0.5"),
        refused="[1].score",
        says=('found "0.5", expected a number',),
        pycocotools="TypeError",
    ),
    Case(
        "score NaN",
        pred=at(1, "score", to=float("nan")),
        refused="[1].score",
        says=("found NaN, expected a finite number",),
    ),
    Case(
        "score Infinity",
        pred=at(1, "score", to=float("inf")),
        refused="[1].score",
        says=("found Infinity, expected a finite number",),
    ),
    Case(
        "score too large for a float",
        pred=text(r'"score": 0.8', '"score": 1e999'),
        refused="[1].score",
        says=("found Infinity, expected a finite number",),
    ),
    Case("score outside of 0 to 1", pred=at(1, "score", to=-17.5), counts={"detections": 3}),
]

BOXES = [
    Case(
        "missing box",
        pred=at(1, "bbox"),
        refused="[1].bbox",
        says=(
            "missing; the record has image_id, category_id, keypoints, score, segmentation; boxes around masks or keypoints are taken only where no record has a box",
        ),
        pycocotools="KeyError",
    ),
    Case(
        "annotation without box",
        gt=at("annotations", 1, "bbox"),
        refused=".annotations[1].bbox",
        says=("missing; the record has id, image_id",),
        pycocotools="KeyError",
    ),
    Case(
        "box by another name",
        pred=both(at(0, "box", to=[1, 2, 3, 4]), at(0, "bbox")),
        refused="[0].bbox",
        says=("the record has `box`, did you mean `bbox`?",),
        pycocotools="TypeError",
    ),
    Case(
        "box null",
        pred=at(0, "bbox", to=None),
        refused="[0].bbox",
        says=("found null, expected [x, y, width, height] in pixels",),
        pycocotools="TypeError",
    ),
    Case(
        "empty box",
        pred=at(1, "bbox", to=[]),
        refused="[1].bbox",
        says=("found 0 numbers, expected 4",),
        pycocotools="IndexError",
    ),
    Case(
        "box of five numbers",
        pred=at(0, "bbox", to=[1, 2, 3, 4, 5]),
        refused="[0].bbox",
        says=("found 5 numbers, expected 4: [x, y, width, height] in pixels",),
        pycocotools="Exception",
    ),
    Case(
        "box with a string",
        pred=at(0, "bbox", 2, to="3"),
        refused="[0].bbox",
        says=('width: found "3", expected a number',),
        pycocotools="TypeError",
    ),
    Case(
        "box NaN",
        pred=at(0, "bbox", 0, to=float("nan")),
        refused="[0].bbox",
        says=("x: found NaN, expected a finite number",),
    ),
    Case(
        "annotated box Infinity",
        gt=at("annotations", 0, "bbox", 3, to=float("inf")),
        refused=".annotations[0].bbox",
        says=("height: found Infinity, expected a finite number",),
    ),
    Case(
        "negative width",
        pred=at(1, "bbox", 2, to=-3.0),
        refused="[1].bbox",
        says=("width -3.0 < 0; COCO boxes are [x, y, w, h] in pixels",),
    ),
    Case(
        "negative height of an annotation",
        gt=at("annotations", 2, "bbox", 3, to=-1),
        refused=".annotations[2].bbox",
        says=("height -1 < 0; COCO boxes are [x, y, w, h] in pixels",),
    ),
    Case("box of no width", pred=at(1, "bbox", 2, to=0), counts={"zero_size_detections": 1}),
    Case("annotated box of no height", gt=at("annotations", 1, "bbox", 3, to=0), counts={"zero_size_annotations": 1}),
    Case(
        "run lengths for boxes",
        pred=each("bbox"),
        pycocotools="TypeError",
        counts={"detections": 3},
        says=("no detection has a box: boxes are those around the masks, areas those of the masks",),
    ),
    Case(
        "compressed masks for boxes",
        pred=both(each("bbox"), compressed),
        counts={"detections": 3},
        says=("no detection has a box: boxes are those around the masks, areas those of the masks",),
    ),
    Case(
        "keypoints for boxes",
        pred=each("bbox", "segmentation"),
        counts={"detections": 3},
        says=("no detection has a box: boxes are those around the keypoints",),
    ),
]

ANNOTATIONS = [
    Case(
        "missing area",
        gt=at("annotations", 1, "area"),
        refused=".annotations[1].area",
        says=("missing; the record has id", "missing_area=box takes width x height of the box"),
        pycocotools="KeyError",
    ),
    Case(
        "missing area, missing_area=box",
        gt=at("annotations", 1, "area"),
        options={"missing_area": "box"},
        counts={"missing_area": 1},
        says=("1 of 3 annotations have no area: width x height of the box is taken",),
        pycocotools="KeyError",
    ),
    Case(
        "negative area",
        gt=at("annotations", 1, "area", to=-4),
        refused=".annotations[1].area",
        says=("area -4 < 0; an area is a number of square pixels",),
    ),
    Case(
        "area NaN",
        gt=at("annotations", 1, "area", to=float("nan")),
        refused=".annotations[1].area",
        says=("found NaN, expected a finite number",),
    ),
    Case(
        "area null",
        gt=at("annotations", 1, "area", to=None),
        options={"missing_area": "box"},
        refused=".annotations[1].area",
        says=("found null, expected a number",),
        pycocotools="TypeError",
    ),
    Case(
        "missing iscrowd",
        gt=at("annotations", 1, "iscrowd"),
        counts={"missing_iscrowd": 1},
        says=("1 of 3 annotations have no iscrowd: taken for 0",),
        pycocotools="KeyError",
    ),
    Case(
        "iscrowd neither 0 nor 1",
        gt=at("annotations", 1, "iscrowd", to=2),
        refused=".annotations[1].iscrowd",
        says=("found 2, expected 0 or 1",),
    ),
    Case("iscrowd true", gt=at("annotations", 1, "iscrowd", to=True), counts={"crowd": 1}),
    Case("ignore", gt=at("annotations", 1, "ignore", to=1), counts={"explicit_ignore": 1}),
]

KEYPOINTS = [
    Case(
        "keypoints that are no triples",
        task="keypoints",
        pred=at(0, "keypoints", to=[1.0] * 50),
        refused="[0].keypoints",
        says=("found 50 numbers, expected three for each keypoint: x, y, visibility",),
    ),
    Case(
        "another number of keypoints",
        task="keypoints",
        gt=at("annotations", 1, "keypoints", to=[1] * 42),
        refused=".annotations[1].keypoints",
        says=("found 14 keypoints (42 numbers), expected 17 (51 numbers); other skeletons need their own sigmas",),
        pycocotools="ValueError",
    ),
    Case(
        "missing keypoints",
        task="keypoints",
        pred=at(0, "keypoints"),
        refused="[0].keypoints",
        says=("missing; the record has image_id",),
        pycocotools="KeyError",
    ),
    Case(
        "keypoint NaN",
        task="keypoints",
        pred=at(0, "keypoints", 4, to=float("nan")),
        refused="[0].keypoints",
        says=("y of keypoint 1: found NaN, expected a finite number",),
    ),
    Case(
        "missing num_keypoints",
        task="keypoints",
        gt=at("annotations", 1, "num_keypoints"),
        counts={"missing_num_keypoints": 1},
        says=("1 of 3 annotations have no num_keypoints: labelled keypoints are counted",),
        pycocotools="KeyError",
    ),
    Case(
        "num_keypoints that is not the number",
        task="keypoints",
        gt=at("annotations", 1, "num_keypoints", to=3),
        counts={"num_keypoints_differ": 1},
        says=(
            "1 of 3 annotations have a num_keypoints that is not the number of their labelled keypoints: it is taken",
        ),
    ),
    Case(
        "num_keypoints out of range",
        task="keypoints",
        gt=at("annotations", 1, "num_keypoints", to=18),
        refused=".annotations[1].num_keypoints",
        says=("found 18, expected a number of keypoints from 0 to 17",),
    ),
    Case(
        "keypoint results with boxes",
        task="keypoints",
        counts={"detections": 3},
        says=(
            "areas of detections are width x height of their boxes, as in pycocotools; detection_area=keypoints takes the keypoints",
        ),
    ),
]

MASKS = [
    Case(
        "image without height",
        task="segm",
        gt=at("images", 0, "height"),
        refused=".images[0].height",
        says=("missing; the record has id, width; the size of a mask is the size of its image",),
        pycocotools="KeyError",
    ),
    Case(
        "image of no pixels",
        task="segm",
        gt=at("images", 0, "height", to=0),
        refused=".images[0].height",
        says=("found 0, expected a positive number of pixels",),
        compatible="InputError",
    ),
    Case(
        "missing segmentation",
        task="segm",
        gt=at("annotations", 0, "segmentation"),
        refused=".annotations[0].segmentation",
        says=("missing; the record has id",),
        pycocotools="KeyError",
    ),
    Case(
        "boxes for masks",
        task="segm",
        pred=each("segmentation"),
        refused="[0].segmentation",
        says=("missing; the record has image_id", "box_masks=True takes the filled box for the mask"),
    ),
    Case(
        "boxes for masks, box_masks",
        task="segm",
        pred=each("segmentation"),
        options={"box_masks": True},
        counts={"box_masks": 3},
        says=("3 of 3 detections have no mask: the filled box is taken",),
    ),
    Case(
        "run lengths of another size",
        task="segm",
        pred=at(0, "segmentation", "size", to=[100, 80]),
        refused="[0].segmentation",
        says=("size: found [100, 80], expected that of the image, [height, width] = [80, 100]",),
    ),
    Case(
        "run lengths that do not fill the image",
        task="segm",
        pred=at(0, "segmentation", "counts", -1, to=1),
        refused="[0].segmentation",
        says=("counts: the run lengths add to", "expected height x width = 80 x 100 = 8,000"),
        pycocotools="unsafe",
    ),
    Case(
        "compressed mask that does not fill the image",
        task="segm",
        pred=at(0, "segmentation", "counts", to="0123"),
        refused="[0].segmentation",
        says=("counts: ", "pixels; expected 8000"),
    ),
    Case(
        "negative run length",
        task="segm",
        pred=at(0, "segmentation", "counts", 0, to=-1),
        refused="[0].segmentation",
        says=("counts[0]: found -1, expected a run length in pixels, an integer from 0",),
        pycocotools="OverflowError",
    ),
    Case(
        "polygon of four numbers",
        task="segm",
        gt=at("annotations", 0, "segmentation", to=[[1, 2, 3, 4]]),
        refused=".annotations[0].segmentation",
        says=("polygon 0: found 4 numbers, expected at least 6; a polygon has three corners or more",),
        pycocotools="TypeError",
    ),
    Case(
        "polygon of an odd number",
        task="segm",
        gt=at("annotations", 0, "segmentation", 0, to=[1, 2, 3, 4, 5, 6, 7]),
        refused=".annotations[0].segmentation",
        says=("polygon 0: found 7 numbers, expected pairs",),
    ),
    Case(
        "polygon NaN",
        task="segm",
        gt=at("annotations", 0, "segmentation", 0, 3, to=float("nan")),
        refused=".annotations[0].segmentation",
        says=("polygon 0: y of corner 1: found NaN, expected a finite number",),
        pycocotools="unsafe",
    ),
    Case(
        "no polygon",
        task="segm",
        gt=at("annotations", 0, "segmentation", to=[]),
        refused=".annotations[0].segmentation",
        says=("found no polygon, expected at least one",),
        pycocotools="IndexError",
    ),
    Case(
        "polygon without its list",
        task="segm",
        gt=at("annotations", 0, "segmentation", to=[1, 2, 3, 4, 5, 6]),
        refused=".annotations[0].segmentation",
        says=("found a list of numbers, expected a list of polygons; write [[x1, y1, x2, y2, ...]]",),
        pycocotools="TypeError",
    ),
    Case(
        "segmentation null",
        task="segm",
        gt=at("annotations", 0, "segmentation", to=None),
        refused=".annotations[0].segmentation",
        says=("found null, expected polygons",),
        pycocotools="TypeError",
    ),
    Case(
        "mask results with boxes",
        task="segm",
        counts={"detections": 3},
        says=(
            "areas of detections are width x height of their boxes, as in pycocotools; detection_area=mask takes the mask",
        ),
    ),
    Case(
        "mask results, some with boxes",
        task="segm",
        pred=at(1, "bbox"),
        refused="[1].bbox",
        says=("this record has no box, but ", "[0] has one", "choose detection_area"),
        pycocotools="KeyError",
    ),
    Case(
        "polygons for results",
        task="segm",
        pred=lambda data: [record | {"segmentation": [[5, 10, 5, 50, 45, 50, 45, 10]]} for record in data],
        counts={"detections": 3},
    ),
]

GROUPS = {
    "Files": FILES,
    "Ids": IDS,
    "Scores": SCORES,
    "Boxes": BOXES,
    "Annotations": ANNOTATIONS,
    "Keypoints": KEYPOINTS,
    "Masks": MASKS,
}
CASES = [case for group in GROUPS.values() for case in group]


def page() -> str:
    """The text of ``docs/inputs.md``."""
    import point_cases  # which take the edits from here
    import raster_cases

    lines = [INTRODUCTION, ""]
    for group, cases in GROUPS.items():
        lines += [f"## {group}", "", "| input | cvbench | pycocotools 2.0.11 |", "|---|---|---|"]
        lines += [f"| {case.name} | {_answer(case)} | {_reference(case)} |" for case in cases]
        lines.append("")
    return "\n".join([*lines, point_cases.section(), raster_cases.section()]).rstrip() + "\n"


def _answer(case: Case) -> str:
    said = " … ".join(part.strip().replace("|", "\\|") for part in case.says)
    if case.refused is None:
        counted = ", ".join(f"`{name}` {n}" for name, n in case.counts.items() if name not in READ)
        return "; ".join(filter(None, ["read", counted and f"counted: {counted}", said and f"noted: *{said}*"]))
    file = "gt.json" if case.gt is not None and case.pred is None else "pred.json"
    return f"**refused** at `{file}{case.refused}`: *{said}*"


def _reference(case: Case) -> str:
    if case.pycocotools == "unsafe":
        return "reads beyond its memory, or does not return"
    answer = "scores it" if case.pycocotools == "scores" else f"`{case.pycocotools}`"
    return answer if case.compatible is None else f"{answer} (compatibility module: `{case.compatible}`)"


READ = ("annotations", "detections", "images", "categories")
"""Counts that say no more than that something was read."""

INTRODUCTION = """# Inputs, and what doubtful ones get

A record is read, or counted and noted, or the input is refused with file, record and field, what was found, what was expected
and how to mend it. Nothing is dropped or changed in silence. `cvbench check TASK GT PRED` lists every problem of the files, with
its record; scoring names the first one and says how many there are.

Refusals are `cvbench.FormatError`; on the command line, the message on standard error and exit code 2. Counts and notes
are part of the result.

- A **ground truth** is a JSON object with `images`, `categories` and `annotations`; **predictions** are a JSON list of records. Either
  may be gzipped. What a task does not need is not read: `info`, `licenses`, and the masks of a box task may hold anything.
- **Columns**: predictions of the COCO tasks may be Parquet (`pip install 'cvbench[parquet]'`) or `.npz`, one row for each detection, recognised by content. Columns
  are `image_id`, `category_id`, `score`, and `bbox` (lists of 4 numbers, or columns `x`, `y`, `w`, `h`), `segmentation` (compressed run lengths: text, in
  Parquet also `{size, counts}`; no polygons) or `keypoints` (lists of numbers, in `.npz` also N × J × 3). An empty cell is a missing field. They get the figures, notes
  and refusals of the same records in JSON; a row is named like a record: `pred.parquet[1841].bbox: width -3.0 < 0`. Pickled arrays are refused.
- **Ids** of images are integers or strings, of one type throughout; ids of categories and annotations are integers.
- **Boxes** are `[x, y, width, height]` in pixels, areas square pixels, scores any finite numbers.
- **Masks** are polygons, run lengths, or compressed run lengths, in the size of their image.
- **Paired keypoints**, of single people, faces and hands, are JSON with `annotations`, tables (`.csv`), arrays (`.npy`, `.npz`) or MPII's
  `.mat` and HDF5 files; ground truth and predictions need not be of one form. Predictions belong to annotations by id where both have
  ids, else by image where every image has one instance, else row by row. What coordinates and sizes may be depends on the task.
- **Panoptic files** are JSON objects with `annotations` of `image_id`, `file_name` and `segments_info`; the ground truth has `categories` with
  `isthing`, too. Their maps lie in a folder: an id is a colour, R + 256 G + 65536 B, or a number of a grey map or array; 0 is void.
- **Maps** are PNG or `.npy` files. A label map has one number per pixel, its class; a palette's indices are the labels.
  Folders match by the names of their files without suffix. A ground truth without a prediction is refused, predictions without a ground
  truth are counted.

`cvbench.compat.pycocotools` does with every input what pycocotools does (last column), exceptions included, unless the row says
otherwise; where pycocotools reads beyond its memory or does not return, it raises.

The rows on panoptic files say what panopticapi (commit 7bb4655) does with the same files, those on files of maps what Pillow does.

Every row is a test: `tests/io/test_cases.py` holds cvbench, pycocotools and the compatibility module to it, `tests/io/test_points.py`,
`tests/io/test_panoptic_files.py` and `tests/io/test_rasters.py` hold cvbench to the rows on paired keypoints, panoptic files and maps, and the first one this page to the tables."""


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
