"""Scanned files: the same columns as decoded ones, wherever the text is cut, and nothing that is not certain."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.columns import Masks
from cvbench.io import read_detections, read_ground_truth, scan, source
from cvbench.io.coco_scan import scanned_dataset, scanned_detections
from cvbench.io.fields import DetectionOptions, GroundTruthOptions
from cvbench.io.scan import Column, File, Form, Memory, Places, Rows, scan_list, scan_whole_list
from cvbench.io.source import Document
from cvbench.kernels.scanning import INTEGER, NUMBERS, SPAN
from cvbench.metrics.masks import masks_from_counts, rle_to_strings
from input_cases import ground_truth, predictions

FORM = [Column("id", INTEGER), Column("at", NUMBERS, 2), Column("score", NUMBERS), Column("shape", SPAN)]
SOUND = [
    {"id": n, "at": [n / 7, -n], "score": 1 / (n + 1), "shape": {"s": "a}, {b"}, "other": [[], {}, "x", None]}
    for n in range(40)
]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Everything is scanned, a few records at a time."""
    monkeypatch.setattr(source, "LARGE", 0)
    monkeypatch.setattr(source, "compiled", lambda: True)
    for name, value in (("BLOCK", 200), ("AHEAD", 40), ("ROWS", 3)):
        monkeypatch.setattr(scan, name, value)
    return monkeypatch


def records(rows: Rows) -> list[Any]:
    """The rows as objects."""
    found = []
    for n in range(rows.n):
        start, end = rows.spans("shape")[n].tolist()
        values: dict[str, Any] = {
            "id": int(rows.integers("id")[n]),
            "at": rows.numbers("at")[n].tolist(),
            "score": float(rows.numbers("score")[n]),
        }
        if rows.seen("shape")[n]:
            values["shape"] = json.loads(bytes(rows.text[start:end]))
        found.append({name: value for name, value in values.items() if rows.seen(name)[n]})
    return found


def memory(text: bytes) -> Memory:
    return Memory(np.frombuffer(bytearray(text + b"\0"), np.uint8))


def scanned(text: bytes, form: list[Column] = FORM) -> list[Any] | None:
    found: list[Any] = []
    shares = [0.0]

    def keep(part: list[Any], share: float) -> None:
        found.extend(part)
        shares.append(share)

    read = scan_whole_list(memory(text), Form(form), records, keep)
    assert shares == sorted(shares)
    assert shares[-1] <= 1
    return found if read else None


def wanted(data: list[Any]) -> list[Any]:
    return [{name: value for name, value in record.items() if name != "other"} for record in data]


@pytest.mark.parametrize("indent", [None, 0, 3])
@pytest.mark.parametrize("block", [1, 30, 97, 98, 99, 100, 500, 10_000])
def test_wherever_the_text_is_cut(block: int, indent: int | None, small: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # strings that look like the place between two records make guesses fail, which is noticed
    data = [record | {"shape": {"s": "a}"}} for record in SOUND]
    text = json.dumps(data, indent=indent).encode()
    small.setattr(scan, "BLOCK", block)
    assert scanned(b" " + text + b"\n ") == wanted(data)
    path = tmp_path / "list.json"
    path.write_bytes(text)
    found: list[Any] = []
    with File(str(path)) as file:
        assert scan_whole_list(file, Form(FORM), records, lambda part, _: found.extend(part))
    assert found == wanted(data)


@pytest.mark.parametrize("block", range(60, 160, 7))
def test_a_cut_inside_of_a_string_is_never_believed(block: int, small: pytest.MonkeyPatch) -> None:
    small.setattr(scan, "BLOCK", block)
    assert scanned(json.dumps(SOUND).encode()) in (None, wanted(SOUND))
    nested = [{"id": n, "shape": [{"id": 5}, {"id": 6}, {"id": 7}]} for n in range(30)]
    assert scanned(json.dumps(nested).encode()) in (None, nested)


def test_fields_may_be_absent_and_in_any_order(small: pytest.MonkeyPatch) -> None:
    data = [{"score": 2.0}, {}, {"at": [1.0, 2.0], "id": 3}, {"idd": 3, "i": 4}, {"shape": None, "id": 5}]
    assert scanned(json.dumps(data).encode()) == [{"score": 2.0}, {}, {"at": [1.0, 2.0], "id": 3}, {}, data[4]]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{}",
            "[]",
            "[1]",
            "[{}",
            "[{}]]",
            "[{}],",
            "[{},]",
            "[,{}]",
            "[{} {}]",
            "[[{}]]",
            '{"a": [{}]}',
            "[{}]x",
        ),
        *('[{"id": 1.0}]', '[{"id": "1"}]', '[{"id": null}]', '[{"id": 1, "id": 1}]', '[{"i\\u0064": 1}]'),
        *(
            '[{"at": [1]}]',
            '[{"at": [1, 2, 3]}]',
            '[{"at": []}]',
            '[{"at": [1, "2"]}]',
            '[{"at": [1 2]}]',
            '[{"at": 1}]',
        ),
        *('[{"score": NaN}]', '[{"score": "1"}]', '[{"score": 1e999}]', '[{"score": 01}]', '[{"score": .5}]'),
        *('[{"id" 1}]', '[{"id": 1,}]', "[{id: 1}]", '[{"id": 1 "at": 2}]', '[{"other": [1,]}]', '[{"other": {1: 2}}]'),
        *('[{"other": "\n"}]', '[{"other": tru}]', '[{"other": "\\x"}]', '[{"other": "a}]', '[{"id": 1'),
        "\ufeff[{}]",
    ],
)
def test_what_is_not_certain_is_left_to_others(text: str, small: pytest.MonkeyPatch) -> None:
    assert scanned(text.encode()) is None


def test_a_record_longer_than_a_stretch(small: pytest.MonkeyPatch) -> None:
    data = [{"id": 1}, {"id": 2, "other": "x" * 5_000}, {"id": 3}]
    assert scanned(json.dumps(data).encode()) == [{"id": 1}, {"id": 2}, {"id": 3}]
    small.setattr(scan, "LONGEST", 1_000)
    assert scanned(json.dumps(data).encode()) == [{"id": 1}, {"id": 2}, {"id": 3}]  # in memory there is no window


def test_the_end_of_a_list_is_told() -> None:
    text = b'{"list": [{"id": 1}, {"id": 2}], "rest": 1}'
    found: list[Any] = []
    assert scan_list(memory(text), 10, Form(FORM), records, lambda part, _: found.extend(part)) == 31
    assert found == [{"id": 1}, {"id": 2}]


@given(st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 50), unique=True, min_size=1), st.data())
def test_places(ids: list[int], data: st.DataObject) -> None:
    ascending = np.array(sorted(ids), np.int64)
    values = data.draw(st.lists(st.sampled_from(ids) | st.integers(-(2**62), 2**62)))
    place = {value: n for n, value in enumerate(ascending.tolist())}
    assert Places(ascending).of(np.array(values, np.int64)).tolist() == [place.get(value, -1) for value in values]


# COCO ----------------------------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Masks) or type(a).__name__ in ("GroundTruth", "Detections"):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b)


def written(folder: Path, name: str, data: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "boundary", "keypoints"])
def test_sound_files_are_scanned(iou_type: Any, small: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = ground_truth()
    paths = written(tmp_path, "gt.json", data), written(tmp_path, "pred.json", predictions(data))
    parts = (("keypoints", 17),) if iou_type == "keypoints" else ()
    dataset = scanned_dataset(Document(paths[0], "gt"), GroundTruthOptions(iou_type, "refuse", parts, False))
    assert dataset is not None
    truth = read_ground_truth(data, iou_type)
    assert dataset.image_ids.tolist() == truth.columns.image_ids.tolist()
    sizes = truth.image_sizes
    options = DetectionOptions(iou_type, sizes, False, "auto", parts)
    assert scanned_detections(Document(paths[1], "pred"), truth.columns, options) is not None
    by_scan = read_ground_truth(paths[0], iou_type)
    assert same(by_scan.columns, truth.columns)
    assert by_scan.counts == truth.counts
    found, plain = (
        read_detections(pred, truth.columns, iou_type, sizes=sizes) for pred in (paths[1], predictions(data))
    )
    assert same(found.columns, plain.columns)
    assert found.counts == plain.counts


def test_zipped_files_are_scanned_too(small: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = ground_truth()
    path = tmp_path / "pred.json.gz"
    path.write_bytes(gzip.compress(json.dumps(predictions(data)).encode()))
    truth = read_ground_truth(data, "bbox").columns
    assert (
        scanned_detections(Document(path, "pred"), truth, DetectionOptions("bbox", None, False, "auto", ())) is not None
    )
    found = read_detections(path, truth, "bbox")
    assert same(found.columns, read_detections(predictions(data), truth, "bbox").columns)
    assert found.source.bytes == path.stat().st_size


def test_masks_of_all_kinds_in_one_file(small: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = ground_truth()
    size = [data["images"][0]["height"], data["images"][0]["width"]]
    area = size[0] * size[1]
    string = rle_to_strings(masks_from_counts([[1000, 300, area - 1300]], size))[0].decode()
    assert "\\" in string
    shapes: list[Any] = [
        {"size": size, "counts": [0, area]},
        {"counts": [5, 7, area - 12], "size": size, "more": {}},
        [[1, 1, 9, 1, 9, 9], [20.5, 20, 30, 20, 30, 30, 20, 30]],
        {"size": size, "counts": string},
    ]
    records = [
        {"image_id": data["images"][0]["id"], "category_id": 1, "score": 0.5, "segmentation": shapes[n % 4]}
        for n in range(9)
    ]
    truth = read_ground_truth(data, "segm")
    path = written(tmp_path, "pred.json", records)
    found = read_detections(path, truth.columns, "segm", sizes=truth.image_sizes)
    assert same(found.columns, read_detections(records, truth.columns, "segm", sizes=truth.image_sizes).columns)


def test_small_files_are_decoded(tmp_path: Path) -> None:
    path = written(tmp_path, "pred.json", predictions(ground_truth()))
    assert not Document(path, "pred").is_large
