"""Detections in pieces: put together, they are those of the whole; what is wrong with a piece is said of the file."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import FormatError, check, score
from cvbench.io import read_detections, read_ground_truth
from cvbench.io.pieces import Piece, file_source, join_columns, join_readings, pieces_of, placed, read_piece
from generated import Knobs, coco

KNOBS = Knobs(7, 9, 4, 6, 12, 5, False, True, 1, True)
GT, DT = coco(KNOBS, "bbox")
TRUTH = read_ground_truth(GT, "bbox").columns


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("size", [1, 500, 5000])
def test_pieces_make_up_the_whole(iou_type: Any, indent: int | None, size: int, tmp_path: Path) -> None:
    gt, dt = coco(KNOBS, iou_type)
    truth = read_ground_truth(gt, iou_type)
    path = written(tmp_path, "pred.json", json.dumps(dt, indent=indent) + "\n")
    reading = {"sizes": truth.image_sizes}
    pieces = pieces_of(path, size)
    assert len(pieces) > 1
    assert size > 1 or len(pieces) == len(dt)
    parts = [read_piece(piece, truth.columns, iou_type, **reading) for piece in pieces]
    whole = read_detections(path, truth.columns, iou_type, **reading)
    joined = join_readings(parts, file_source(path, path))
    np.testing.assert_equal(fields_of(join_columns([part.columns for part in parts])), fields_of(whole.columns))
    assert joined.source == whole.source
    assert (joined.detection_area, joined.notes) == (whole.detection_area, whole.notes)
    assert joined.counts == {name: n for name, n in whole.counts.items() if name != "images_without_detections"}


def fields_of(columns: Any) -> dict[str, Any]:
    found = {name: getattr(columns, name) for name in columns.__slots__}
    masks = found.pop("masks")
    return found | ({} if masks is None else {name: getattr(masks, name) for name in masks.__slots__})


def test_what_is_no_large_list_stays_whole(tmp_path: Path) -> None:
    packed = tmp_path / "pred.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(DT).encode()))
    short, other = written(tmp_path, "short.json", DT[:1]), written(tmp_path, "other.json", {"annotations": DT})
    for path in (str(packed), short, other, written(tmp_path, "empty.json", ""), str(tmp_path / "nothing.json")):
        assert pieces_of(path, 300) == [Piece(path, path)]
    path = written(tmp_path, "pred.json", DT)
    assert pieces_of(path) == [Piece(path, path)], "no size is asked for"


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "preds"
    folder.mkdir()
    written(folder, "b.json", DT[3:])
    (folder / "a.json.gz").write_bytes(gzip.compress(json.dumps(DT[:3]).encode()))
    written(folder, "_SUCCESS", "")
    written(folder, ".hidden", "")
    assert [piece.name for piece in pieces_of(str(folder))] == [str(folder / "a.json.gz"), str(folder / "b.json")]
    result, whole = score("coco.bbox", GT, str(folder)), score("coco.bbox", GT, DT)
    assert result.same_scores(whole)
    lines = [f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in ("a.json.gz", "b.json")]
    size = sum((folder / name).stat().st_size for name in ("a.json.gz", "b.json"))
    digest = sha256("".join(lines).encode()).hexdigest()
    assert result.inputs["pred"] == {"path": str(folder), "sha256": digest, "bytes": size}
    assert check("coco.bbox", [GT, str(folder)]) == []


def test_records_of_equal_scores_stand_in_the_order_of_files(tmp_path: Path) -> None:
    records = [record | {"score": 0.5} for record in DT]
    for name, part in (("2.json", records[:9]), ("1.json", records[9:])):
        written(tmp_path, name, part)
    assert score("coco.bbox", GT, str(tmp_path)).same_scores(score("coco.bbox", GT, records[9:] + records[:9]))


def test_what_is_noted_of_pieces_is_noted_of_the_whole(tmp_path: Path) -> None:
    stray = {"image_id": GT["images"][0]["id"], "category_id": 999, "bbox": [1, 2, 3, 0], "score": 0.5}
    for n in range(2):
        written(tmp_path, f"{n}.json", [DT[n], stray])
    written(tmp_path, "2.json", [])
    result = score("coco.bbox", GT, str(tmp_path))
    assert result.notes == ["2 of 4 detections have a category that the ground truth lacks and are dropped"]
    assert result.counts["dropped_unknown_category"] == result.counts["zero_size_detections"] == 2


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="the folder is empty, expected files of predictions"):
        score("coco.bbox", GT, tmp_path)
    assert [problem.where for problem in check("coco.bbox", [GT, tmp_path])] == [str(tmp_path)]
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(FormatError, match="a folder inside of a folder of predictions") as caught:
        score("coco.bbox", GT, tmp_path)
    assert caught.value.where == str(inner)


def test_problems_are_those_of_a_file(tmp_path: Path) -> None:
    written(tmp_path, "a.json", DT[:2])
    path = written(tmp_path, "b.json", [DT[2], DT[3] | {"score": "high"}, DT[4] | {"bbox": [1, 2, -3, 4]}])
    with pytest.raises(FormatError) as caught:
        score("coco.bbox", GT, tmp_path)
    assert caught.value.where == f"{path}[1].score"
    assert [problem.where for problem in check("coco.bbox", [GT, tmp_path])] == [f"{path}[1].score", f"{path}[2].bbox"]


def test_boxes_are_in_all_pieces_or_in_none(tmp_path: Path) -> None:
    points = {"keypoints": [1.0, 2.0, 1.0] * 17}
    gt, dt = coco(KNOBS, "keypoints")
    written(tmp_path, "1.json", [record | {"bbox": [1, 2, 3, 4]} for record in dt[:2]])
    written(tmp_path, "0.json", [dt[2] | points])
    with pytest.raises(FormatError, match=r"areas .* those of the box, and of the keypoints in .*0\.json") as caught:
        score("coco.keypoints", gt, tmp_path)
    assert caught.value.where.endswith("1.json")
    assert score("coco.keypoints", gt, tmp_path, detection_area="keypoints").counts["detections"] == 3


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = written(tmp_path, "pred.json", json.dumps(DT)[:-1])
    *pieces, last = pieces_of(path, 500)
    records = sum(len(read_piece(piece, TRUTH, "bbox").columns) for piece in pieces)
    with pytest.raises(FormatError, match="the file is cut short") as caught:
        read_piece(last, TRUTH, "bbox")
    error = placed(caught.value, last, records)
    assert error.where == path
    assert error.message.startswith(f"what follows byte {last.start:,} and {records} records is not read as a list")


def test_a_cut_at_the_wrong_place_is_no_silent_one(tmp_path: Path) -> None:
    records = [record | {"more": [{"bbox": [1, 2, 3, 4]}] * 9, "text": "}, {"} for record in DT]
    refused = 0
    for piece in pieces_of(written(tmp_path, "pred.json", records), 600):
        try:
            read_piece(piece, TRUTH, "bbox")
        except FormatError:
            refused += 1
    assert refused


def test_problems_count_from_the_first_record_of_the_file(tmp_path: Path) -> None:
    records = [*DT[:-1], DT[-1] | {"bbox": [1, 2, -3, 4]}]
    path = written(tmp_path, "pred.json", records)
    *pieces, last = pieces_of(path, 500)
    found = [read_piece(piece, TRUTH, "bbox") for piece in pieces]
    with pytest.raises(FormatError, match="width -3") as caught:
        read_piece(last, TRUTH, "bbox")
    assert placed(caught.value, last, sum(part.counts["detections"] for part in found)).where == (
        f"{path}[{len(DT) - 1}].bbox"
    )
