"""Predictions in columns, Parquet and ``.npz``: the figures, counts, notes and refusals are those of the JSON file."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cvbench import (
    FormatError,
    InputError,
    MissingDependency,
    masks_from_boxes,
    masks_from_counts,
    rle_to_strings,
    score,
)
from cvbench.io import check_detections, read_detections, read_ground_truth
from input_cases import CASES, Case, ground_truth, predictions

IMAGES, SIZE, JOINTS = 12, (60, 90), 17
Records = list[dict[str, Any]]
Writer = Callable[[Path, Records], Path]


def truth(ids: Callable[[int], Any] = int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    annotations = []
    for number in range(1, 60):
        x, y, w, h = random.uniform((0, 0, 2, 2), (30, 20, 42, 32)).tolist()
        points = random.uniform(0, 50, (JOINTS, 3))
        points[:, 2] = 2
        annotations.append(
            {
                "id": number,
                "image_id": ids(int(random.integers(IMAGES))),
                "category_id": int(random.integers(1, 4)),
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": [[x, y, x, y + h, x + w, y + h, x + w, y]],
                "keypoints": points.ravel().tolist(),
                "num_keypoints": JOINTS,
            }
        )
    images = [{"id": ids(n), "height": SIZE[0], "width": SIZE[1]} for n in reversed(range(IMAGES))]
    return {"images": images, "categories": [{"id": n} for n in (3, 1, 2)], "annotations": annotations}


def found(gt: dict[str, Any], n: int = 200) -> Records:
    """Annotations moved a little, in no order, some of an unknown category."""
    random = np.random.default_rng(2)
    records = []
    for choice in random.integers(len(gt["annotations"]), size=n).tolist():
        own = gt["annotations"][choice]
        box = (np.array(own["bbox"]) + random.uniform(-1, 1, 4)).clip(0.25)
        mask = masks_from_boxes([box], SIZE)
        records.append(
            {
                "image_id": own["image_id"],
                "category_id": own["category_id"] if random.random() < 0.9 else 77,
                "bbox": box.tolist(),
                "score": float(random.random()),
                "segmentation": {"size": list(SIZE), "counts": rle_to_strings(mask)[0].decode()},
                "keypoints": (np.array(own["keypoints"]) + random.normal(0, 1, 3 * JOINTS)).tolist(),
            }
        )
    return records


def columns(records: Records) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def stored(path: Path, arrays: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(arrays), path, **options)
    return path


def as_pandas_has_it(path: Path, records: Records) -> Path:
    """Lists of any length, structs, row groups."""
    return stored(path, columns(records), row_group_size=37)


def as_fixed_lists(path: Path, records: Records) -> Path:
    own: dict[str, Any] = columns(records)
    own["bbox"] = pa.array(own["bbox"], pa.list_(pa.float64(), 4))
    own["keypoints"] = pa.array(own["keypoints"], pa.list_(pa.float64(), 3 * JOINTS))
    own["category_id"] = pa.array(own["category_id"], pa.int16())
    own["segmentation"] = pa.array([mask["counts"].encode() for mask in own["segmentation"]], pa.binary())
    own["image_id"] = pa.array(own["image_id"]).dictionary_encode()
    return stored(path, own)


def as_sides(path: Path, records: Records) -> Path:
    own: dict[str, Any] = columns(records)
    for number, side in enumerate("xywh"):
        own[side] = [box[number] for box in own["bbox"]]
    del own["bbox"]
    own["segmentation"] = [mask["counts"] for mask in own["segmentation"]]
    return stored(path, own)


def as_arrays(path: Path, records: Records) -> Path:
    own: dict[str, Any] = columns(records)
    own["segmentation"] = [mask["counts"].encode() for mask in own["segmentation"]]
    np.savez(path, **{name: np.array(column) for name, column in own.items()})
    return path


def as_compressed_arrays(path: Path, records: Records) -> Path:
    own: dict[str, Any] = columns(records)
    own["segmentation"] = [mask["counts"] for mask in own["segmentation"]]
    own["keypoints"] = np.asfortranarray(np.reshape(own["keypoints"], (-1, JOINTS, 3)))
    own["category_id"] = np.array(own["category_id"], np.uint8)
    for number, side in enumerate("xywh"):
        own[side] = [box[number] for box in own["bbox"]]
    del own["bbox"]
    np.savez_compressed(path, **own)
    return path


FORMS: list[Writer] = [as_pandas_has_it, as_fixed_lists, as_sides, as_arrays, as_compressed_arrays]
in_each_form = pytest.mark.parametrize("write", FORMS, ids=lambda form: form.__name__)


def told(task: str, gt: Any, pred: Any, **parameters: Any) -> dict[str, Any]:
    result = score(task, gt, pred, threads=1, **parameters)
    arrays = {name: (array.dtype, array.tobytes()) for name, array in result.arrays.items()}
    values = {name: value.hex() for name, value in result.values.items()}
    return {"values": values, "counts": result.counts, "notes": result.notes, "arrays": arrays} | {
        "signature": result.signature
    }


@in_each_form
@pytest.mark.parametrize("ids", [int, "image {:02}".format], ids=["integers", "texts"])
@pytest.mark.parametrize("task", ["bbox", "segm", "boundary", "keypoints"])
def test_figures_are_those_of_the_json_file(
    task: str, ids: Callable[[int], Any], write: Writer, tmp_path: Path
) -> None:
    gt = truth(ids)
    records = found(gt)
    plain = tmp_path / "pred.json"
    plain.write_text(json.dumps(records))
    own = told(f"coco.{task}", gt, write(tmp_path / "pred.npz", records))
    assert own == told(f"coco.{task}", gt, plain)
    assert own["counts"]["dropped_unknown_category"] > 0
    assert 0 < float.fromhex(own["values"]["AP"]) < 1


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_rows_in_the_order_of_images_are_taken_as_they_lie(suffix: str, tmp_path: Path) -> None:
    """Nothing copies these columns on the way to compiled code, which takes read-only arrays for another type."""
    gt = truth()
    records = [record for record in found(gt) if record["category_id"] != 77]
    records.sort(key=lambda record: record["image_id"])
    path = (as_arrays if suffix == "npz" else as_fixed_lists)(tmp_path / "pred", records)
    path = path if path.exists() else tmp_path / "pred.npz"
    for task, name in (("bbox", "boxes"), ("keypoints", "keypoints")):
        own = read_ground_truth(gt, task)
        read = read_detections(path, own.columns, task).columns
        for array in (read.score, read.category, getattr(read, name)):
            assert array.flags.writeable
            assert array.flags.c_contiguous


@pytest.mark.parametrize("missing", [("bbox",), ("bbox", "segmentation")], ids=["masks", "keypoints"])
def test_boxes_around_shapes(missing: tuple[str, ...], tmp_path: Path) -> None:
    gt = truth()
    records = [{name: value for name, value in record.items() if name not in missing} for record in found(gt)]
    assert told("coco.bbox", gt, as_pandas_has_it(tmp_path / "p", records)) == told("coco.bbox", gt, records)


def test_boxes_around_masks_need_their_sizes(tmp_path: Path) -> None:
    records = [{name: value for name, value in record.items() if name != "bbox"} for record in found(truth())]
    with pytest.raises(FormatError, match="there is no size of the masks, expected {size, counts}, to take boxes from"):
        score("coco.bbox", truth(), as_arrays(tmp_path / "pred.npz", records))


@pytest.mark.parametrize("area", ["auto", "box", "mask"])
def test_areas_and_boxes_for_masks(area: str, tmp_path: Path) -> None:
    gt = truth()
    records = found(gt)
    for record in records[::3]:
        del record["segmentation"]
    path = as_pandas_has_it(tmp_path / "p", records)
    chosen = {"box_masks": True, "detection_area": area}
    assert told("coco.segm", gt, path, **chosen) == told("coco.segm", gt, records, **chosen)


def test_scores_of_parts_may_be_lacking(tmp_path: Path) -> None:
    fields = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    random = np.random.default_rng(3)
    gt, records = truth(), found(truth())
    for record in (*gt["annotations"], *records):
        for name, joints in fields.items():
            record[name] = [float(value) for value in random.uniform(1, 50, 3 * joints)]
    for record in records[::2]:
        record["foot_score"] = float(random.random())
    path = as_pandas_has_it(tmp_path / "p", records)
    own = told("coco.wholebody", gt, path)
    assert own == told("coco.wholebody", gt, records)
    assert own["counts"]["missing_foot_score"] == 100


# Doubtful input ------------------------------------------------------------------------------------------------------


def edited(case: Case) -> Any:
    """What the case makes of the predictions, run lengths compressed."""
    pred = predictions(ground_truth())
    changed = None if case.pred is None else case.pred(pred)
    pred = pred if changed is None else changed
    for record in pred if isinstance(pred, list) else []:
        mask = record.get("segmentation") if isinstance(record, dict) else None
        if isinstance(mask, dict) and isinstance(mask.get("counts"), list):
            with contextlib.suppress(InputError):  # what cannot be compressed is wrong as a list, too
                runs = masks_from_counts([mask["counts"]], [mask["size"]], check=False)
                record["segmentation"] = mask | {"counts": rle_to_strings(runs)[0].decode()}
    return pred


def as_table(records: Any) -> pa.Table | None:
    """The records as pyarrow takes them, None where they have no form in columns."""
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        return None
    try:
        return pa.table(columns(records))
    except (pa.ArrowException, TypeError, OverflowError):
        return None  # values of several types in a column


def outcome(case: Case, pred: Any) -> tuple[Any, ...]:
    """What becomes of the predictions: columns, counts and notes, or the place and the message."""
    options = dict(case.options)
    options.pop("missing_area", None)
    own = read_ground_truth(ground_truth(), case.task)
    try:
        reading = read_detections(pred, own.columns, case.task, sizes=own.image_sizes, **options)
    except FormatError as error:
        listed = check_detections(pred, own.columns, case.task, sizes=own.image_sizes, **options)
        name = str(pred) if isinstance(pred, Path) else "pred"
        says = [str(problem).replace(name, "FILE") for problem in listed]
        return error.where.replace(name, "FILE"), says
    return repr(reading.columns), reading.counts, reading.notes, reading.detection_area


ROWS = [case for case in CASES if case.gt is None and case.pred is not None and as_table(edited(case)) is not None]


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_doubtful_rows_get_what_doubtful_records_get(case: Case, tmp_path: Path) -> None:
    records = edited(case)
    path = tmp_path / "pred.parquet"
    pq.write_table(as_table(records), path)
    got, expected = outcome(case, path), outcome(case, records)
    if isinstance(got[1], list) and not got[0].startswith("FILE["):
        # of a column it is said once; in records it is each one that is wrong, or nothing is
        assert len(got[1]) == 1
        assert case.name == "polygons for results" or expected[0].endswith(got[0].removeprefix("FILE"))
    elif isinstance(got[1], list) and "missing; the record has" in got[1][0]:
        assert [place(said) for said in got[1]] == [place(said) for said in expected[1]]
    else:
        assert got == expected


def place(problem: str) -> str:
    return problem.partition(": ")[0]


def test_many_kinds_of_doubtful_rows_are_compared() -> None:
    assert len(ROWS) > 30


def written(tmp_path: Path, suffix: str, edit: Callable[[dict[str, Any]], None]) -> Path:
    own: dict[str, Any] = columns(found(truth(), 20))
    own["segmentation"] = [mask["counts"] for mask in own["segmentation"]]
    edit(own)
    path = tmp_path / f"pred.{suffix}"
    if suffix == "npz":
        np.savez(path, **{name: np.array(column) for name, column in own.items()})
        return path
    return stored(path, own)


def to(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda own: own.update({name: value})


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    return lambda own: [own.pop(name) for name in names] and None


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    return lambda own: own.update({new: own.pop(old)})


def cell(name: str, row: int, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda own: own[name].__setitem__(row, value)


DEFECTS: dict[str, tuple[str, str, Callable[[dict[str, Any]], None], str, str]] = {
    "no score": ("parquet", "bbox", without("score"), ".score", "missing; the file has image_id, category_id, bbox"),
    "score by another name": ("npz", "bbox", renamed("score", "conf"), ".score", "the file has `conf`, did you mean"),
    "no box": ("npz", "bbox", without("bbox", "segmentation", "keypoints"), ".bbox", "or columns x, y, w and h"),
    "no keypoints": ("npz", "keypoints", without("keypoints"), ".keypoints", "missing; the file has image_id, cat"),
    "ids as floats": ("parquet", "bbox", to("image_id", [1.0] * 20), ".image_id", "of double, expected integers or"),
    "ids as floats, npz": ("npz", "bbox", to("image_id", [1.0] * 20), ".image_id", "(20,) of float64, expected (N,) i"),
    "text for categories": ("parquet", "bbox", to("category_id", ["a"] * 20), ".category_id", "of string, expected in"),
    "flags for scores": ("parquet", "bbox", to("score", [True] * 20), ".score", "a column of bool, expected numbers"),
    "flags for scores, npz": ("npz", "bbox", to("score", [True] * 20), ".score", "(20,) of bool, expected (N,) numb"),
    "boxes of 5": ("npz", "bbox", to("bbox", np.zeros((20, 5))), ".bbox", "array (20, 5) of float64, expected (N, 4)"),
    "a number for boxes": ("parquet", "bbox", to("bbox", [1.0] * 20), ".bbox", "expected lists of 4 numbers: [x, y"),
    "a box of 3": ("parquet", "bbox", cell("bbox", 3, [1.0, 2, 3]), "[3].bbox", "found 3 numbers, expected 4"),
    "null in a box": ("parquet", "bbox", cell("bbox", 3, [1.0, None, 3, 4]), "[3].bbox", "y: found null, expected a"),
    "no box in a row": ("parquet", "bbox", cell("bbox", 3, None), "[3].bbox", "missing; the record has image_id, cat"),
    "NaN in a box": ("npz", "bbox", cell("bbox", 3, [1.0, math.nan, 3, 4]), "[3].bbox", "y: found NaN, expected a fi"),
    "negative width": ("npz", "bbox", cell("bbox", 3, [1.0, 1, -3, 4]), "[3].bbox", "width -3.0 < 0"),
    "infinite score": ("npz", "bbox", cell("score", 19, math.inf), "[19].score", "found Infinity, expected a finite n"),
    "no score in a row": ("parquet", "bbox", cell("score", 19, None), "[19].score", "missing; the record has image_id"),
    "another image": ("npz", "bbox", cell("image_id", 4, 99), "[4].image_id", "image 99 is not among the 12 images"),
    "image ids of text": ("npz", "bbox", to("image_id", ["a"] * 20), "[0].image_id", "image ids must all be of one t"),
    "text in Parquet": ("parquet", "bbox", to("image_id", ["1"] * 20), "[0].image_id", "image ids must all be of one"),
    "ids of 65 bits": (
        "npz",
        "bbox",
        to("category_id", np.full(20, 2**63, np.uint64)),
        "[0].category_id",
        "of at most 64",
    ),
    "unsigned ids": (
        "parquet",
        "bbox",
        to("category_id", pa.array([2**63] * 20, pa.uint64())),
        "[0].category_id",
        "64",
    ),
    "fewer rows": ("npz", "bbox", to("score", [0.5] * 19), ".score", "found 19 rows, expected 20, as many as image_id"),
    "a number": ("npz", "bbox", to("image_id", 3), ".image_id", "found an array () of int64, expected (N,) integers"),
    "keypoints of 16": ("npz", "keypoints", to("keypoints", np.zeros((20, 48))), "[0].keypoints", "found 16 keypoints"),
    "keypoints of 50 numbers": (
        "npz",
        "keypoints",
        to("keypoints", np.zeros((20, 50))),
        "[0].keypoints",
        "found 50 num",
    ),
    "keypoints in 2-D": (
        "npz",
        "keypoints",
        to("keypoints", np.zeros((20, 17, 2))),
        ".keypoints",
        "(20, 17, 2) of flo",
    ),
    "a keypoint less": (
        "parquet",
        "keypoints",
        cell("keypoints", 7, [1.0] * 48),
        "[7].keypoints",
        "found 16 keypoints",
    ),
    "polygons": (
        "parquet",
        "segm",
        to("segmentation", [[[1.0] * 6]] * 20),
        ".segmentation",
        "list<element: list<eleme",
    ),
    "numbers for masks": (
        "npz",
        "segm",
        to("segmentation", [1] * 20),
        ".segmentation",
        "(20,) of int64, expected (N,)",
    ),
    "not of the code": (
        "npz",
        "segm",
        cell("segmentation", 5, "~~"),
        "[5].segmentation",
        "counts: not of the code",
    ),
    "no text": ("npz", "segm", cell("segmentation", 5, ""), "[5].segmentation", "expected the runs of a mask"),
    "no mask in a row": (
        "parquet",
        "segm",
        cell("segmentation", 5, None),
        "[5].segmentation",
        "missing; the record has",
    ),
    "a mask too small": ("parquet", "segm", cell("segmentation", 5, "11"), "[5].segmentation", "2 runs cover 2 pixels"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_wrong_is_said_with_its_place(name: str, tmp_path: Path) -> None:
    suffix, task, edit, where, says = DEFECTS[name]
    path = written(tmp_path, suffix, edit)
    with pytest.raises(FormatError) as raised:
        score(f"coco.{task}", truth(), path)
    assert raised.value.where == f"{path}{where}"
    assert says in raised.value.message
    own = read_ground_truth(truth(), task)
    listed = check_detections(path, own.columns, task, sizes=own.image_sizes)
    assert (listed[0].where, says in listed[0].message) == (raised.value.where, True)


def test_columns_are_checked_without_a_ground_truth(tmp_path: Path) -> None:
    good = written(tmp_path, "npz", lambda _: None)
    assert check_detections(good, None, "segm") == []
    bad = written(tmp_path, "npz", cell("score", 4, math.nan))
    assert [problem.where for problem in check_detections(bad, None, "segm")] == [f"{bad}[4].score"]


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_no_rows_are_no_detections(suffix: str, tmp_path: Path) -> None:
    for task in ("bbox", "segm", "keypoints"):
        path = written(tmp_path, suffix, lambda own: [own.update({name: []}) for name in own] and None)
        assert told(f"coco.{task}", truth(), path) == told(f"coco.{task}", truth(), [])


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_files_that_are_cut_short(suffix: str, keep: float, tmp_path: Path) -> None:
    path = written(tmp_path, suffix, lambda _: None)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(FormatError, match=r"file is damaged or cut short") as raised:
        score("coco.bbox", truth(), path)
    assert raised.value.where == str(path)


def test_damage_inside_of_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "npz", lambda _: None)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"score.npy")
    whole[at + 150] ^= 1
    path.write_bytes(whole)
    with pytest.raises(FormatError, match="damaged, cut short or holds objects"):
        score("coco.bbox", truth(), path)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = written(tmp_path, "npz", to("score", np.array([0.5, "a"] * 10, object)))
    with pytest.raises(FormatError, match="Object arrays cannot be loaded when allow_pickle=False") as raised:
        score("coco.bbox", truth(), path)
    assert raised.value.where == f"{path}.score"


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], ["score", "score"])
    pq.write_table(table, tmp_path / "p")
    with pytest.raises(FormatError, match="several columns of the name score"):
        score("coco.bbox", truth(), tmp_path / "p")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "parquet", lambda _: None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cvbench\[parquet\]'"):
        score("coco.bbox", truth(), path)


@pytest.mark.parametrize("write", [as_fixed_lists, as_arrays])
def test_the_result_has_the_hash_of_the_file(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "pred.npz", found(truth()))
    pred = score("coco.bbox", truth(), path).inputs["pred"]
    stored = path.read_bytes()
    assert pred == {"path": str(path), "sha256": hashlib.sha256(stored).hexdigest(), "bytes": len(stored)}


def test_compressed_json_predictions(tmp_path: Path) -> None:
    records = found(truth())
    path = tmp_path / "pred.json.gz"
    path.write_bytes(gzip.compress(json.dumps(records).encode()))
    assert told("coco.bbox", truth(), path) == told("coco.bbox", truth(), records)
