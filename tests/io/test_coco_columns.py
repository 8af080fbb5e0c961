"""What sound files become: grouped columns, areas, masks of every form, and what the reader says of them."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.columns import image_of_rows
from cvbench.errors import FormatError, InputError
from cvbench.io import Reading, check_detections, coco, read_detections, read_ground_truth, source
from cvbench.io.extract import RADIX
from cvbench.metrics.masks import masks_from_boxes, masks_from_polygons, rle_area, rle_decode, rle_to_strings
from input_cases import ground_truth, predictions

pytestmark = pytest.mark.usefixtures("each_way_of_reading")

RECTANGLE = [5, 10, 5, 50, 45, 50, 45, 10]


def found_in(records: list[Any], task: Any, gt: Any = None, **options: Any) -> Reading[Any]:
    truth = read_ground_truth(ground_truth() if gt is None else gt, task)
    return read_detections(records, truth.columns, task, sizes=truth.image_sizes, **options)


def test_rows_are_grouped_by_ascending_image() -> None:
    gt = read_ground_truth(ground_truth(), "bbox").columns
    assert gt.image_ids.tolist() == [1, 2]
    assert gt.category_ids.tolist() == [1, 3]
    assert gt.category_names == ("cat", "dog")
    assert gt.offsets.tolist() == [0, 1, 3]
    assert gt.boxes is not None
    assert gt.boxes[:, 0].tolist() == [20.0, 5.0, 50.0]
    assert gt.category.tolist() == [1, 0, 1]
    found = found_in(predictions(ground_truth()), "bbox").columns
    assert found.offsets.tolist() == [0, 1, 3]
    assert found.score.tolist() == [0.8, 0.9, 0.7]


def test_string_ids_ascend_as_text() -> None:
    gt = {"images": [{"id": name} for name in ("b", "10", "9", "a")], "categories": [], "annotations": []}
    assert read_ground_truth(gt, "bbox").columns.image_ids.tolist() == ["10", "9", "a", "b"]


IMAGES = st.lists(st.integers(-3, 2**40), unique=True, max_size=6)


@st.composite
def files(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """A ground truth without objects, and detections in any order, some of an unknown category."""
    images = draw(IMAGES)
    categories = draw(st.lists(st.integers(-3, 300), unique=True, max_size=4))
    gt = {"images": [{"id": n} for n in images], "categories": [{"id": n} for n in categories], "annotations": []}
    number = st.floats(-1e6, 1e6)
    size = st.floats(0, 1e6)
    record = st.fixed_dictionaries(
        {
            "image_id": st.sampled_from(images),
            "category_id": st.sampled_from([*categories, 1000]),
            "bbox": st.tuples(number, number, size, size).map(list),
            "score": number,
        }
    )
    return gt, draw(st.lists(record, max_size=20)) if images else []


@given(files=files(), part=st.integers(0, 300))
def test_what_is_written_is_read(
    files: tuple[Any, list[Any]], part: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gt, records = files
    path = tmp_path_factory.getbasetemp() / "written.json.gz"
    path.write_bytes(gzip.compress(json.dumps(records).encode()))
    truth = read_ground_truth(gt, "bbox").columns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PART", part)
        reading = read_detections(path, truth, "bbox")
    known = {category["id"] for category in gt["categories"]}
    expected: dict[int, list[Any]] = defaultdict(list)
    for record in records:
        if record["category_id"] in known:
            expected[record["image_id"]].append((record["category_id"], record["score"], record["bbox"]))
    columns = reading.columns
    assert columns.boxes is not None
    seen: dict[int, list[Any]] = defaultdict(list)
    rows = zip(
        image_of_rows(columns.offsets), columns.category, columns.score.tolist(), columns.boxes.tolist(), strict=True
    )
    for image, category, score, box in rows:
        seen[int(truth.image_ids[image])].append((int(truth.category_ids[category]), score, box))
    assert seen == expected
    assert list(seen) == sorted(seen)
    assert columns.area.tolist() == (columns.boxes[:, 2] * columns.boxes[:, 3]).tolist()
    assert reading.counts["detections"] == len(records)
    assert reading.counts["dropped_unknown_category"] == len(records) - len(columns)
    assert reading.counts["images_without_detections"] == len(truth.image_ids) - len(seen)


def test_more_images_than_16_bits_count() -> None:
    n = RADIX + 10
    gt = {"images": [{"id": i} for i in range(n)], "categories": [{"id": 1}], "annotations": []}
    records = [{"image_id": i, "category_id": 1, "bbox": [i, 0, 1, 1], "score": 0.5} for i in (n - 1, 3, n - 9, 0)]
    columns = found_in(records, "bbox", gt).columns
    assert columns.boxes is not None
    assert columns.boxes[:, 0].tolist() == [0, 3, n - 9, n - 1]
    assert np.flatnonzero(np.diff(columns.offsets)).tolist() == [0, 3, n - 9, n - 1]


def forms() -> list[dict[str, Any]]:
    """The same rectangle as polygons, run lengths, a compressed string, bytes, and as a box."""
    masks = masks_from_polygons([[RECTANGLE]], [[80, 100]])
    runs, text = masks.counts.tolist(), rle_to_strings(masks)[0]
    base = {"image_id": 1, "category_id": 1}
    shapes: list[Any] = [
        [RECTANGLE],
        {"size": [80, 100], "counts": runs},
        {"size": [80, 100], "counts": text.decode()},
        {"size": [80, 100], "counts": text},
    ]
    records = [base | {"score": 1 - n / 10, "segmentation": shape} for n, shape in enumerate(shapes)]
    return [*records, base | {"score": 0.1, "bbox": [5, 10, 40, 40]}]


def test_masks_of_every_form_keep_their_order() -> None:
    records = [dict(record) for record in forms() for _ in range(2)]
    records = [records[n] for n in (8, 0, 2, 4, 6, 9, 1, 3, 5, 7)]
    for n, record in enumerate(records):
        if "bbox" in record:
            record["bbox"] = [5 + n, 10, 40, 40]
    with pytest.raises(FormatError, match=r"pred\[1\]\.bbox: this record has no box, but pred\[0\] has one"):
        found_in(records, "segm", box_masks=True)
    columns = found_in(records, "segm", box_masks=True, detection_area="mask").columns
    assert columns.masks is not None
    boxes = [[5 + n if "bbox" in record else 5, 10, 40, 40] for n, record in enumerate(records)]
    expected = rle_decode(masks_from_boxes(boxes, [[80, 100]] * 10))
    assert (rle_decode(columns.masks) == expected).all()
    assert columns.area.tolist() == [1600.0] * 10


@pytest.mark.parametrize(
    ("task", "options", "area", "area_from"),
    [
        ("bbox", {}, 200.0, "box"),
        ("segm", {}, 200.0, "box"),
        ("boundary", {"detection_area": "box"}, 200.0, "box"),
        ("segm", {"detection_area": "mask"}, 1600.0, "mask"),
        ("keypoints", {}, 200.0, "box"),
        ("keypoints", {"detection_area": "keypoints"}, 16 * 32.0, "keypoints"),
    ],
)
def test_where_areas_come_from(task: Any, options: dict[str, Any], area: float, area_from: str) -> None:
    records = predictions(ground_truth())
    for record in records:
        record["bbox"] = [0, 0, 20, 10]
    reading = found_in(records, task, **options)
    assert reading.columns.area.tolist() == [area] * 3
    assert reading.detection_area == area_from
    assert len(reading.notes) == (task != "bbox" and not options)


@pytest.mark.parametrize(("task", "area"), [("segm", 1600.0), ("keypoints", 512.0)])
def test_areas_without_boxes(task: Any, area: float) -> None:
    records = predictions(ground_truth())
    for record in records:
        del record["bbox"]
    assert found_in(records, task).columns.area.tolist() == [area] * 3
    for record in records:
        record["bbox"] = []
    assert found_in(records, task).columns.area.tolist() == [area] * 3


def test_boxes_around_masks_and_keypoints() -> None:
    records = predictions(ground_truth())
    for record in records:
        del record["bbox"]
    by_mask = found_in(records, "bbox")
    assert by_mask.columns.boxes is not None
    assert by_mask.columns.boxes.tolist() == [[20, 10, 40, 40], [5, 10, 40, 40], [50, 10, 40, 40]]
    assert (by_mask.columns.area.tolist(), by_mask.detection_area) == ([1600.0] * 3, "mask")
    for record in records:
        del record["segmentation"]
    by_keypoints = found_in(records, "bbox")
    assert by_keypoints.columns.boxes is not None
    assert by_keypoints.columns.boxes.tolist() == [[20, 10, 16, 32], [5, 10, 16, 32], [50, 10, 16, 32]]
    assert (by_keypoints.columns.area.tolist(), by_keypoints.detection_area) == ([512.0] * 3, "keypoints")


def test_image_sizes_follow_the_images() -> None:
    gt = ground_truth()
    gt["images"][0]["height"] = 70
    gt["annotations"] = []
    sizes = read_ground_truth(gt, "segm").image_sizes
    assert sizes is not None
    assert sizes.tolist() == [[80, 100], [70, 100]]
    assert read_ground_truth(gt, "bbox").image_sizes is None


def test_any_number_of_keypoints() -> None:
    gt = ground_truth()
    for record in gt["annotations"]:
        record["keypoints"] = [1.0, 2.0, 1, 3.0, 5.0, 0]
        del record["num_keypoints"]
    truth = read_ground_truth(gt, "keypoints", keypoints=None)
    assert truth.columns.keypoints is not None
    assert truth.columns.keypoints.shape == (3, 2, 3)
    assert truth.columns.num_keypoints is not None
    assert truth.columns.num_keypoints.tolist() == [1, 1, 1]
    records = [{key: record[key] for key in ("image_id", "category_id", "keypoints")} for record in gt["annotations"]]
    records = [record | {"score": 0.5} for record in records]
    found = read_detections(records, truth.columns, "keypoints", keypoints=None)
    assert found.columns.area.tolist() == [6.0] * 3
    records[1]["keypoints"] = [1, 2, 3]
    with pytest.raises(FormatError, match=r"pred\[1\]\.keypoints: found 1 keypoints \(3 numbers\), expected 2 \(6"):
        read_detections(records, truth.columns, "keypoints", keypoints=None)


def test_keypoints_in_several_fields() -> None:
    gt = ground_truth()
    gt["images"] = [image | {"crowdIndex": 0.1 * image["id"]} for image in gt["images"]]
    for n, record in enumerate(gt["annotations"]):
        record |= {"keypoints": [n, n, 2, n + 2.0, n + 3.0, 0], "foot_kpts": [50.0, 50.0, 1], "area": None}
    parts = {"keypoints": 2, "foot_kpts": 1}
    truth = read_ground_truth(gt, "keypoints", keypoints=parts, crowd_index=True, missing_area="unused")
    assert truth.crowd_index is not None
    assert truth.crowd_index.tolist() == [0.1, 0.2]
    assert truth.columns.num_keypoints is None
    assert np.isnan(truth.columns.area).all()
    assert truth.columns.keypoints is not None
    assert truth.columns.keypoints[0].tolist() == [[1, 1, 2], [3, 4, 0], [50, 50, 1]]
    records = [
        {key: record[key] for key in ("image_id", "category_id", *parts)} | {"score": score}
        for record, score in zip(gt["annotations"], (0.25, 0.5, 0.75), strict=True)
    ]
    records[1]["foot_score"] = 0.125
    names = ("foot_score", "face_score")
    found = read_detections(records, truth.columns, "keypoints", keypoints=parts, part_scores=names)
    assert found.columns.area.tolist() == [6.0] * 3, "the extent of the first part"
    assert found.columns.score.tolist() == [0.5, 0.25, 0.75]
    assert found.columns.part_scores is not None
    assert found.columns.part_scores.tolist() == [[0.125, 0.5], [0.25, 0.25], [0.75, 0.75]]
    assert {name: found.counts[name] for name in found.counts if name.startswith("missing")} == {
        "missing_foot_score": 2,
        "missing_face_score": 3,
    }
    assert "2 of 3 detections have no foot_score: their score is taken" in found.notes


def test_parts_and_areas_that_are_none() -> None:
    for parts in (0, {}, {"keypoints": 0}):
        with pytest.raises(InputError, match="expected a number of keypoints from 1"):
            read_ground_truth(ground_truth(), "keypoints", keypoints=parts)
    with pytest.raises(InputError, match="missing_area=unused is for keypoints; iou_type is 'bbox'"):
        read_ground_truth(ground_truth(), "bbox", missing_area="unused")
    with pytest.raises(FormatError, match=r"images\[0\].crowdIndex: missing"):
        read_ground_truth(ground_truth(), "keypoints", crowd_index=True)


def test_keypoints_of_several_numbers_in_several_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "PART", 10)
    empty = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    truth = read_ground_truth(empty, "keypoints").columns
    records = [{"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": [1.0] * 6 * n} for n in (1, 1, 1, 2)]
    path = tmp_path / "pred.json"
    path.write_text(json.dumps(records))
    with pytest.raises(FormatError) as raised:
        read_detections(path, truth, "keypoints", keypoints=None)
    assert raised.value.where == f"{path}[3].keypoints"


def test_masks_in_several_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    records = predictions(ground_truth())
    path = tmp_path / "pred.json"
    path.write_text(json.dumps(records))
    truth = read_ground_truth(ground_truth(), "segm")
    monkeypatch.setattr(source, "PART", 10)
    parts = read_detections(path, truth.columns, "segm", sizes=truth.image_sizes).columns.masks
    whole = read_detections(records, truth.columns, "segm", sizes=truth.image_sizes).columns.masks
    assert parts is not None
    assert whole is not None
    assert rle_area(parts).tolist() == [1600.0] * 3
    for name in ("counts", "offsets", "sizes"):
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist()


def test_an_error_counts_the_other_problems(tmp_path: Path) -> None:
    records = predictions(ground_truth())
    truth = read_ground_truth(ground_truth(), "bbox").columns
    records[0]["score"] = None
    records[2]["bbox"] = [1, 2, -3, 4]
    path = tmp_path / "pred.json"
    path.write_text(json.dumps(records))
    with pytest.raises(FormatError) as by_file:
        read_detections(path, truth, "bbox")
    lists = f"(and 1 more problem; `cvbench check coco.bbox GT {path}` lists them)"
    assert str(by_file.value) == f"{path}[0].score: found null, expected a number {lists}"
    records[1]["image_id"] = 9
    with pytest.raises(FormatError) as by_data:
        read_detections(records, truth, "bbox")
    assert str(by_data.value).endswith("(and 2 more problems; `cvbench.io.check_detections` lists them)")
    assert [problem.where for problem in check_detections(records, truth, "bbox")] == [
        "pred[0].score",
        "pred[1].image_id",
        "pred[2].bbox",
    ]


def test_records_can_be_checked_without_a_ground_truth() -> None:
    records = predictions(ground_truth())
    records[0]["image_id"] = 99
    assert check_detections(records, None, "bbox") == []
    records[1]["image_id"] = "1"
    assert [str(problem) for problem in check_detections(records, None, "bbox")] == [
        'pred[1].image_id: found "1", a string, but pred[0].image_id is an integer; image ids must all be of one type'
    ]


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("boxes", {}, "iou_type is 'boxes', expected one of bbox, segm, boundary, keypoints"),
        ("keypoint", {}, "did you mean 'keypoints'?"),
        ("bbox", {"detection_area": "mask"}, "detection_area of bbox is 'mask', expected one of auto, box"),
        ("bbox", {"box_masks": True}, "box_masks is for masks; iou_type is 'bbox'"),
        ("keypoints", {"keypoints": 0}, "keypoints is 0, expected a number of keypoints from 1, or None"),
        ("segm", {}, "masks need the sizes of their images; pass sizes=reading.image_sizes of the ground truth"),
    ],
)
def test_impossible_arguments(task: Any, options: dict[str, Any], message: str) -> None:
    gt = read_ground_truth(ground_truth(), "bbox").columns
    with pytest.raises(InputError) as raised:
        read_detections([], gt, task, **options)
    assert message in str(raised.value)


def test_a_choice_for_missing_areas_that_is_none() -> None:
    with pytest.raises(
        InputError, match="missing_area is 'boxes', expected one of refuse, box, unused; did you mean 'box'"
    ):
        read_ground_truth(ground_truth(), "bbox", missing_area="boxes")  # type: ignore[arg-type]  # that is the test


def test_keys_of_counts_do_not_depend_on_what_is_found() -> None:
    for task in coco.AREAS:
        empty = {"images": [{"id": 1, "height": 1, "width": 1}], "categories": [], "annotations": []}
        truths = [read_ground_truth(gt, task) for gt in (ground_truth(), empty)]  # type: ignore[arg-type]  # its keys
        assert list(truths[0].counts) == list(truths[1].counts)
        found = [found_in(records, task) for records in (predictions(ground_truth()), [])]
        assert list(found[0].counts) == list(found[1].counts)
