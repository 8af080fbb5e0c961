"""What becomes of every kind of doubtful file of paired keypoints: the table behind the tests and ``docs/inputs.md``.

``python tests/point_cases.py`` prints it.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from input_cases import Edit, at, each, every

ABSENT = b"absent"
"""What stands for a file that is not written."""


@dataclass(frozen=True)
class Case:
    """One row: two files, and what comes of them."""

    name: str
    gt: Any = None
    """An edit of the JSON ground truth, or a name and bytes; None leaves it as it is."""
    pred: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    """The place, from the folder on; None where the input is read."""
    says: tuple[str, ...] = ()
    """Parts of the message, or of one of the notes."""
    counts: dict[str, int] = field(default_factory=dict)
    why: str = ""


def ground_truth() -> dict[str, Any]:
    """Three faces of two images with two keypoints; the second keypoint of the last one does not count."""
    places = ((7, 2, 1), (5, 1, 1), (9, 2, 0))
    annotations = [
        {
            "id": number,
            "image_id": image,
            "keypoints": [10, 10, 2, 30, 10, seen],
            "bbox": [0, 0, 40, 40],
            "box_size": 40,
        }
        for number, image, seen in places
    ]
    return {"categories": [{"keypoints": ["left", "right"]}], "annotations": annotations}


def predictions() -> list[dict[str, Any]]:
    return [{"annotation_id": number, "keypoints": [11, 10, 1, 30, 11, 1]} for number in (9, 7, 5)]


def write(case: Case, folder: Path) -> tuple[Path, Path]:
    """The files of a case in `folder`."""
    return _write(folder, "gt", ground_truth(), case.gt), _write(folder, "pred", predictions(), case.pred)


def _write(folder: Path, stem: str, data: Any, change: Any) -> Path:
    name, stored = (change[0], change[1]) if isinstance(change, tuple) else (f"{stem}.json", None)
    if stored is None:
        changed = None if change is None else change(data)
        stored = json.dumps(data if changed is None else changed).encode()
    if stored != ABSENT:
        (folder / name).write_bytes(stored)
    return folder / name


def npy(array: Any) -> bytes:
    stored = io.BytesIO()
    np.save(stored, np.asarray(array))
    return stored.getvalue()


def npz(**arrays: Any) -> bytes:
    stored = io.BytesIO()
    np.savez(stored, **{name: np.asarray(array) for name, array in arrays.items()})
    return stored.getvalue()


def csv(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def again(data: Any) -> None:
    data.append(copy.deepcopy(data[0]))


POINTS = np.full((3, 2, 2), 10.0)
HEADER = "id,left_x,left_y,right_x,right_y"
ROWS = ("7,11,10,30,11", "5,11,10,30,11", "9,11,10,30,11")
first: Callable[..., Edit] = lambda *path, to=...: at("annotations", 0, *path, to=to)  # noqa: E731  # short, used often

PAIRS = [
    Case("as it should be", counts={"unpredicted": 0}, why="paired by `annotation_id`, in any order"),
    Case(
        "annotation without prediction",
        pred=at(2),
        refused="pred.json",
        says=("there is no prediction of id 5, which", "gt.json.annotations[1] asks for; missing=miss counts"),
        why="an evaluator that goes by rows would pair the wrong ones",
    ),
    Case(
        "annotation without prediction, missing=miss",
        pred=at(2),
        options={"unpaired": "miss"},
        counts={"unpredicted": 1},
        says=("1 of 3 instances have no prediction: all their keypoints are missed",),
    ),
    Case(
        "no predictions at all",
        pred=lambda _: [],
        refused="pred.json",
        says=("found 0 instances, but 3 in", "missing=miss counts keypoints without prediction as misses"),
    ),
    Case(
        "no predictions at all, missing=miss",
        pred=lambda _: [],
        options={"unpaired": "miss"},
        counts={"unpredicted": 3},
        says=("3 of 3 instances have no prediction",),
    ),
    Case(
        "no annotations, but predictions",
        gt=at("annotations", to=[]),
        refused="pred.json",
        says=("found 3 instances, but 0 in", "do the two belong to the same set?"),
    ),
    Case(
        "annotation without prediction, of which no keypoint counts",
        gt=at("annotations", 1, "keypoints", to=[0, 0, 0, 0, 0, 0]),
        pred=at(2),
        counts={"unpredicted": 0},
        why="no figure depends on it",
    ),
    Case(
        "prediction without annotation",
        pred=at(0, "annotation_id", to=8),
        options={"unpaired": "miss"},
        refused="pred.json[0]",
        says=("id 8 is not among the 3 annotations of", "do the two belong to the same set?"),
    ),
    Case(
        "predictions in place of the ground truth",
        gt=lambda _: predictions(),
        refused="gt.json[0].annotation_id",
        says=(
            "annotations have an `id`, it is predictions that name an annotation",
            "are ground truth and predictions swapped?",
        ),
        why="many a metric would score them",
    ),
    Case("annotation predicted twice", pred=again, refused="pred.json[3]", says=("found the id 9 again", "[0] has")),
    Case("annotation id twice", gt=first("id", to=5), refused="gt.json.annotations[1]", says=("found the id 5 again",)),
    Case(
        "ids of another type",
        pred=lambda data: [record | {"annotation_id": str(record["annotation_id"])} for record in data],
        refused="pred.json",
        says=('the ids are strings (the first is "9"), but those of', "are integers (7); write them alike"),
    ),
    Case(
        "ids of two types",
        pred=at(1, "annotation_id", to="7"),
        refused="pred.json[1].annotation_id",
        says=('found "7", but', "[0].annotation_id is 9; ids must all be of one type"),
    ),
    Case(
        "prediction without id, beside others with one",
        pred=at(1, "annotation_id"),
        refused="pred.json[1].annotation_id",
        says=("missing; ", "[0] has one"),
    ),
    Case(
        "prediction on another image than its annotation",
        pred=lambda data: [record | {"image_id": 2} for record in data],
        refused="pred.json[2]",
        says=("found image 2, but", "annotations[1] is of image 1"),
    ),
    Case(
        "image ids alone, and one instance in each image",
        gt=at("annotations", 2),
        pred=lambda _: [{"image_id": image, "keypoints": [10, 10, 1, 30, 10, 1]} for image in (1, 2)],
        counts={"unpredicted": 0},
        why="an image is enough to find its only instance",
    ),
    Case(
        "image ids alone, and an image with two instances",
        pred=lambda _: [{"image_id": image, "keypoints": [10, 10, 1, 30, 10, 1]} for image in (1, 2)],
        refused="pred.json",
        says=("found 2 instances, but 3 in", "image 2 of", "has 2 instances; give every prediction the `id`"),
    ),
    Case(
        "predictions without ids",
        pred=each("annotation_id"),
        says=("ids do not say which predictions belong to which annotations: paired row by row",),
    ),
    Case(
        "array of another length",
        pred=("pred.npy", npy(POINTS[:2])),
        refused="pred.npy",
        says=("found 2 instances, but 3 in", "without ids on both sides rows are paired in order"),
    ),
    Case(
        "another number of keypoints",
        pred=("pred.npy", npy(POINTS[:, :1])),
        refused="pred.npy",
        says=("found 1 keypoints for each instance, but 2 in",),
    ),
    Case(
        "keypoints in another order, with names",
        pred=("pred.csv", csv("id,right_x,right_y,left_x,left_y", *ROWS)),
        counts={"unpredicted": 0},
        why="paired by name",
    ),
    Case(
        "keypoints of other names",
        pred=("pred.csv", csv("id,left_x,left_y,rigth_x,rigth_y", *ROWS)),
        refused="pred.csv",
        says=("there is a keypoint `rigth`, which", "does not name; did you mean `right`?"),
    ),
]

RECORDS = [
    Case(
        "no annotations",
        gt=at("annotations"),
        refused="gt.json.annotations",
        says=("missing; the file has categories",),
    ),
    Case(
        "visibility, dims=3",
        options={"dims": 3},
        says=("every z of the ground truth is 0, 1 or 2: if that is visibility, these keypoints have 2 dimensions",),
        why="it could be z",
    ),
    Case(
        "record that is no object",
        pred=at(1, to=5),
        refused="pred.json[1]",
        says=("found 5, expected an object with keypoints",),
    ),
    Case(
        "no keypoints",
        gt=every("annotations", "keypoints"),
        refused="gt.json.annotations[0].keypoints",
        says=("missing",),
    ),
    Case(
        "keypoints that are no triples",
        gt=first("keypoints", to=[1, 2, 3, 4]),
        refused="gt.json.annotations[0].keypoints",
        says=("found 4 numbers, expected three for each keypoint: x, y, visibility",),
    ),
    Case(
        "records with other numbers of keypoints",
        pred=at(1, "keypoints", to=[1, 2, 1]),
        refused="pred.json[1].keypoints",
        says=("found 1 keypoints, expected 2",),
    ),
    Case(
        "keypoints as lists of lists", pred=lambda data: [record | {"keypoints": [[1, 2], [3, 4]]} for record in data]
    ),
    Case(
        "some keypoints as lists of lists",
        pred=at(1, "keypoints", to=[[1, 2], [3, 4]]),
        refused="pred.json[1].keypoints",
        says=("keypoints of some records are flat lists, of others lists of lists; write one form",),
    ),
    Case(
        "coordinate null",
        pred=at(0, "keypoints", 0, to=None),
        why="a keypoint that was not predicted; metrics judge it",
    ),
    Case(
        "coordinate in quotes",
        pred=at(0, "keypoints", 0, to="11"),
        refused="pred.json[0].keypoints",
        says=('number 0: found "11", expected a number, or null where there is none',),
    ),
    Case(
        "visibility null",
        gt=first("keypoints", 2, to=None),
        refused="gt.json.annotations[0].keypoints",
        says=("visibility of keypoint 0: found null, expected a number above 0 where the keypoint counts",),
    ),
    Case(
        "box of three numbers",
        gt=first("bbox", to=[1, 2, 3]),
        refused="gt.json.annotations[0].bbox",
        says=("found [1, 2, 3], expected [x, y, width, height] in pixels",),
    ),
    Case(
        "two sizes",
        gt=first("size", to=3),
        refused="gt.json.annotations[0].box_size",
        says=("the record has size, too, which means the same; keep one",),
    ),
    Case(
        "categories with other names for keypoints",
        gt=at("categories", 0, "keypoints", to=["left"]),
        says=("categories name 1 keypoints, but records have 2: no names are taken",),
    ),
    Case("truncated JSON", pred=("pred.json", b'[{"annotation_id": 9'), refused="pred.json", says=("cut short",)),
]

TABLES = [
    Case("table", pred=("pred.csv", csv(HEADER, *ROWS)), counts={"unpredicted": 0}),
    Case(
        "empty coordinate",
        pred=("pred.csv", csv(HEADER, *ROWS[:2], "9,,,30,11")),
        why="a keypoint that was not predicted; metrics judge it",
    ),
    Case(
        "cell that is no number",
        pred=("pred.csv", csv(HEADER, "7,11,1o,30,11", *ROWS[1:])),
        refused="pred.csv:2",
        says=('column left_y: found "1o", expected a number',),
    ),
    Case(
        "row of another length",
        pred=("pred.csv", csv(HEADER, ROWS[0], "5,11,10", ROWS[2])),
        refused="pred.csv:3",
        says=("found 3 cells, expected 5, one for each name of line 1",),
    ),
    Case(
        "no id in a row",
        pred=("pred.csv", csv(HEADER, *ROWS[:2], ",1,2,3,4")),
        refused="pred.csv:4",
        says=("column id: found nothing, expected an id",),
    ),
    Case(
        "x without y",
        pred=("pred.csv", csv("left_x,left_y,right_x", "1,2,3")),
        refused="pred.csv:1",
        says=("there is no column right_y; there is right_x",),
    ),
    Case(
        "no keypoints at all",
        pred=("pred.csv", csv("id,x,y", "7,1,2")),
        refused="pred.csv:1",
        says=("there is no column whose name ends with _x; there is id, x, y",),
    ),
    Case(
        "two columns of one name",
        pred=("pred.csv", csv("id,left_x,left_x", "7,1,2")),
        refused="pred.csv:1",
        says=('two columns have the name "left_x"; names must differ',),
    ),
    Case(
        "misspelt column",
        pred=("pred.csv", csv("imageid,left_x,left_y,right_x,right_y", *ROWS)),
        refused="pred.csv:1",
        says=("there is a column `imageid`, did you mean `image_id`?",),
    ),
    Case(
        "column of no known name",
        pred=("pred.csv", csv(HEADER + ",score", *(row + ",0.5" for row in ROWS))),
        says=("columns score are of no known name and not read",),
    ),
    Case(
        "semicolons for commas",
        pred=("pred.csv", csv("id;left_x;left_y", "7;1;2")),
        refused="pred.csv:1",
        says=("found no comma between names, expected one after each",),
    ),
    Case("empty table", pred=("pred.csv", b"\n"), refused="pred.csv", says=("the file is empty (1 bytes)",)),
]

ARRAYS = [
    Case("array", pred=("pred.npy", npy(POINTS)), says=("paired row by row",)),
    Case("array with a third number", pred=("pred.npy", npy(np.ones((3, 2, 3)))), why="a score, which is not read"),
    Case(
        "array of two axes",
        pred=("pred.npy", npy(np.ones((3, 4)))),
        refused="pred.npy",
        says=("found an array of shape (3, 4), expected (N, J, 2 or 3): instances, keypoints, coordinates",),
    ),
    Case(
        "text for numbers",
        pred=("pred.npy", npy([[["1", "2"]]])),
        refused="pred.npy",
        says=("found <U1, expected numbers",),
    ),
    Case(
        "pickled objects",
        pred=("pred.npy", npy(np.array([{}, None], object))),
        refused="pred.npy",
        says=("the .npy file is damaged, cut short or holds objects",),
        why="loading them could run any code",
    ),
    Case("truncated array", pred=("pred.npy", npy(POINTS)[:-8]), refused="pred.npy", says=("damaged, cut short",)),
    Case(
        "two arrays in a file",
        pred=("pred.npy", npy(POINTS) * 2),
        refused="pred.npy",
        says=("224 bytes after the array",),
    ),
    Case("archive", pred=("pred.npz", npz(keypoints=POINTS, ids=[5, 7, 9])), counts={"unpredicted": 0}),
    Case(
        "misspelt name in an archive",
        pred=("pred.npz", npz(keypoint=POINTS, ids=[5, 7, 9])),
        refused="pred.npz['keypoint']",
        says=("there is no such name, did you mean `keypoints`?",),
    ),
    Case(
        "ids that are no integers",
        pred=("pred.npz", npz(keypoints=POINTS, ids=[5.0, 7, 9])),
        refused="pred.npz['ids']",
        says=("found float64 of shape (3,), expected (3,) of integers or of strings",),
    ),
    Case("truncated archive", pred=("pred.npz", npz(a=POINTS)[:-30]), refused="pred.npz", says=("damaged, cut short",)),
    Case(
        "visibility NaN",
        gt=("gt.npy", npy(np.full((3, 2, 3), np.nan))),
        refused="gt.npy[0]",
        says=("found NaN for the",),
    ),
    Case("truncated .mat", pred=("p.mat", b"MATLAB 5.0 MAT-file"), refused="p.mat", says=("the header is cut short",)),
    Case(
        "damaged HDF5",
        pred=("p.h5", b"\x89HDF\r\n\x1a\n" + bytes(90)),
        refused="p.h5",
        says=("the HDF5 file is damaged",),
    ),
    Case("no such file", pred=("pred.npy", ABSENT), refused="pred.npy", says=("there is no such file",)),
    Case("empty file", pred=("pred.npy", b""), refused="pred.npy", says=("the file is empty (0 bytes)",)),
    Case(
        "other content", pred=("pred.npy", b"hello"), refused="pred.npy", says=("this is no .npy file: it starts with",)
    ),
    Case(
        "unknown form",
        pred=("pred.txt", b"1 2 3"),
        refused="pred.txt",
        says=("this is of no known form, expected one of",),
    ),
]

GROUPS = {
    "Paired keypoints": PAIRS,
    "Paired keypoints: JSON": RECORDS,
    "Paired keypoints: tables": TABLES,
    "Paired keypoints: arrays": ARRAYS,
}
CASES = [case for group in GROUPS.values() for case in group]


def section() -> str:
    """The table as Markdown, a part of ``docs/inputs.md``."""
    lines: list[str] = []
    for group, cases in GROUPS.items():
        lines += [f"## {group}", "", "| input | cvbench |", "|---|---|"]
        lines += [f"| {case.name} | {_answer(case)} |" for case in cases]
        lines.append("")
    return "\n".join(lines)


def _answer(case: Case) -> str:
    said = " … ".join(part.strip().replace("|", "\\|") for part in case.says)
    if case.refused is not None:
        answer = f"**refused** at `{case.refused}`: *{said}*"
    else:
        counted = ", ".join(f"`{name}` {n}" for name, n in case.counts.items() if n)
        answer = "; ".join(filter(None, ["read", counted and f"counted: {counted}", said and f"noted: *{said}*"]))
    return f"{answer} ({case.why})" if case.why else answer


if __name__ == "__main__":
    import sys

    sys.stdout.write(section())
