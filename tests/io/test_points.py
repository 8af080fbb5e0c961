"""Paired keypoints: every row of the table of doubtful inputs, and all forms against each other."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import given, strategies as st

from cvbench.errors import CvbenchError, FormatError, InputError, MissingDependency
from cvbench.io.mat import Damaged, arrays_of_mat
from cvbench.io.points import check_keypoints, read_keypoints
from point_cases import CASES, Case, ground_truth, npz, predictions, write


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_row_of_the_table(case: Case, tmp_path: Path) -> None:
    files = write(case, tmp_path)
    listed = check_keypoints(*files, **case.options)
    if case.refused is None:
        reading = read_keypoints(*files, **case.options)
        assert {name: reading.counts[name] for name in case.counts} == case.counts
        assert all(part in " ".join(reading.notes) for part in case.says)
        assert listed == []
        return
    with pytest.raises(FormatError) as raised:
        read_keypoints(*files, **case.options)
    assert raised.value.where == str(tmp_path / case.refused)
    for part in case.says:
        assert part in raised.value.message
    assert str(raised.value).startswith(str(listed[0]))
    assert (f"and {len(listed) - 1} more problem" in str(raised.value)) == (len(listed) > 1)


def test_names_are_distinct() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_columns() -> None:
    reading = read_keypoints(ground_truth(), predictions())
    columns = reading.columns
    assert columns.image_ids.tolist() == [1, 2]
    assert columns.offsets.tolist() == [0, 1, 3]
    assert columns.gt.tolist() == [[[10, 10], [30, 10]]] * 3
    assert columns.pred.tolist() == [[[11, 10], [30, 11]]] * 3
    assert columns.visible.tolist() == [[True, True], [True, True], [True, False]]
    assert columns.boxes is not None
    assert columns.size is not None
    assert columns.boxes.tolist() == [[0, 0, 40, 40]] * 3
    assert columns.size.tolist() == [40] * 3
    assert columns.head_boxes is None
    assert columns.groups is None
    assert reading.joint_names == ("left", "right")
    assert [reading.gt_where(row) for row in range(3)] == [f"gt.annotations[{row}]" for row in (1, 0, 2)]
    assert [reading.pred_where(row) for row in range(3)] == [f"pred[{row}]" for row in (2, 1, 0)]
    assert reading.counts == {"images": 2, "instances": 3, "visible_keypoints": 5, "unpredicted": 0}
    types = [column.dtype for column in (columns.gt, columns.pred, columns.offsets, columns.visible, columns.size)]
    assert types == [np.float64, np.float64, np.int64, np.bool_, np.float64]


GT = np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12.5]]])
VISIBLE = np.array([[True, False, True], [True, True, True]])
EXTRAS: dict[str, Any] = {
    "ids": [7, 3],
    "image_ids": ["b", "a"],
    "boxes": [[1, 2, 3, 4], [5, 6, 7, 8]],
    "head_boxes": [[0, 0, 2, 2], [1, 1, 5, 5]],
    "size": [4.5, 9],
    "joint_names": ["eye", "nose", "chin"],
}


def forms(folder: Path) -> dict[str, Any]:
    """One ground truth in every form that holds all of it."""
    labels = [["easy", "day"], ["easy"]]
    records = [
        {
            "id": EXTRAS["ids"][i],
            "image_id": EXTRAS["image_ids"][i],
            "keypoints": np.column_stack([GT[i], 2 * VISIBLE[i]]).ravel().tolist(),
            "bbox": EXTRAS["boxes"][i],
            "head_box": EXTRAS["head_boxes"][i],
            "head_size": EXTRAS["size"][i],
            "groups": labels[i],
        }
        for i in range(2)
    ]
    names = EXTRAS["joint_names"]
    header = "size,id,image_id,groups,box_x,box_y,box_w,box_h,head_x1,head_y1,head_x2,head_y2"
    header += "".join(f",{name}_{axis}" for name in names for axis in "xyv")
    rows = [
        ",".join(map(str, [r["head_size"], r["id"], r["image_id"], ";".join(r["groups"]), *r["bbox"], *r["head_box"]]))
        + "".join(f",{x}" for x in r["keypoints"])
        for r in records
    ]
    quoted = [row.replace("easy;day", '"easy; day"') for row in rows]
    (folder / "gt.csv").write_text("\n".join([header, *rows]))
    (folder / "quoted.csv").write_bytes("\r\n".join(["\ufeff" + header, *quoted, ""]).encode())
    (folder / "gt.npz").write_bytes(npz(keypoints=GT, visible=VISIBLE, groups=["easy", "easy"], **EXTRAS))
    coco = {"annotations": records, "categories": [{"keypoints": names}]}
    nested = [r | {"keypoints": GT[i].tolist(), "visible": VISIBLE[i].tolist()} for i, r in enumerate(records)]
    memory = {"keypoints": torch.tensor(GT), "visible": VISIBLE.astype(float), "groups": labels, **EXTRAS}
    return {
        "csv": folder / "gt.csv",
        "quoted": folder / "quoted.csv",
        "npz": folder / "gt.npz",
        "coco": coco,
        "nested": {"annotations": nested, "categories": [{"keypoints": names}]},
        "memory": memory,
    }


FORMS = ("csv", "quoted", "npz", "coco", "nested", "memory")


@pytest.mark.parametrize("truth", FORMS)
@pytest.mark.parametrize("found", FORMS)
def test_all_forms_hold_the_same(truth: str, found: str, tmp_path: Path) -> None:
    held = forms(tmp_path)
    reading = read_keypoints(held[truth], held[found], joints=3)
    columns = reading.columns
    assert columns.image_ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(columns.gt, GT[::-1])
    np.testing.assert_array_equal(columns.pred, GT[::-1])
    np.testing.assert_array_equal(columns.visible, VISIBLE[::-1])
    for name in ("boxes", "head_boxes", "size"):
        np.testing.assert_array_equal(getattr(columns, name), np.array(EXTRAS[name])[::-1])
    assert reading.joint_names == tuple(EXTRAS["joint_names"])
    assert columns.groups is not None
    if truth == "npz":  # one label for each instance
        assert (columns.group_names, columns.groups.tolist()) == (("easy",), [[True], [True]])
    else:
        assert (columns.group_names, columns.groups.tolist()) == (("day", "easy"), [[False, True], [True, True]])
    assert reading.notes == []


def test_hashes_are_of_what_was_read(tmp_path: Path) -> None:
    held = forms(tmp_path)
    first, again = (read_keypoints(held["memory"], GT).gt_source for _ in range(2))
    other = read_keypoints(held["memory"] | {"size": [1, 2]}, GT).gt_source
    assert first == again != other
    stored = read_keypoints(held["csv"], GT).gt_source
    assert (stored.path, stored.bytes) == (str(held["csv"]), held["csv"].stat().st_size)


def test_three_dimensions(tmp_path: Path) -> None:
    gt = np.arange(18.0).reshape(2, 3, 3)
    header = ",".join(f"{j}_{axis}" for j in range(3) for axis in "xyz")
    rows = [",".join(map(str, row.ravel())) for row in gt]
    (tmp_path / "p.csv").write_text("\n".join([header, *rows]))
    flat = [{"keypoints": row.ravel().tolist()} for row in gt]
    for pred in (gt, tmp_path / "p.csv", flat, [{"keypoints": row.tolist()} for row in gt]):
        reading = read_keypoints(gt, pred, dims=3)
        np.testing.assert_array_equal(reading.columns.pred, gt)
        assert reading.columns.visible.all()
        assert reading.joint_names is None
    with pytest.raises(InputError, match=r"shape \(2, 3, 2\), expected \(N, J, 3\)"):
        read_keypoints(gt, gt[:, :, :2], dims=3)


def test_arguments_are_never_changed() -> None:
    gt, pred = GT.copy(), GT.copy()
    columns = read_keypoints(gt, pred).columns
    columns.gt[:] = columns.pred[:] = 0
    np.testing.assert_array_equal(gt, GT)
    np.testing.assert_array_equal(pred, GT)


def test_no_instances() -> None:
    reading = read_keypoints([], [])
    assert len(reading.columns) == 0
    assert "there are no instances" in reading.notes
    assert read_keypoints(np.zeros((0, 3, 2)), []).columns.gt.shape == (0, 3, 2)
    missed = read_keypoints({"keypoints": GT, "ids": [1, 2]}, {"keypoints": GT[:0], "ids": []}, unpaired="miss")
    assert np.isnan(missed.columns.pred).all()
    assert missed.counts["unpredicted"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 4}, "dims is 4, expected 2 or 3"),
        ({"joints": 0}, "joints is 0"),
        ({"unpaired": "drop"}, "unpaired is 'drop', expected one of refuse, miss"),
        ({"joints": 5}, "found 3 keypoints for each instance, expected 5"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_keypoints(GT, GT, **options)


@pytest.mark.parametrize(
    ("gt", "message"),
    [
        (5, "found int, expected a path, an array"),
        ({"boxes": [[1, 2, 3, 4]]}, "there are no `keypoints`; it has boxes"),
        (
            {"keypoints": GT, "visible": np.ones((2, 2))},
            r"\['visible'\]: found an array of shape \(2, 2\), expected \(2, 3\)",
        ),
        ({"keypoints": GT, "size": ["a", "b"]}, "expected numbers"),
        ({"keypoints": GT, "groups": ["a"]}, "found 1 entries, expected one for each of 2 instances"),
        ({"keypoints": GT, "groups": ["a", 5]}, r"\['groups'\]\[1\]: found 5, expected a label"),
        ({"keypoints": GT, "ids": [1, "a"]}, r"\['ids'\]"),
        ({"keypoints": GT, "joint_names": ["a", "a", "b"]}, 'two keypoints have the name "a"'),
        ({"keypoints": GT, "joint_names": ["a", "b"]}, "found 2 names of keypoints, but 3 keypoints"),
        ({"keypoints": GT, "preds": GT}, "two arrays of keypoints"),
        ([[1, 2], [3]], "this is no array"),
    ],
)
def test_what_is_no_ground_truth_in_memory(gt: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_keypoints(gt, GT)
    assert check_keypoints(gt, GT)


# MPII ----------------------------------------------------------------------------------------------------------------

NAMES = ("rank", "rkne", "head")


def mpii(folder: Path, compressed: bool = False) -> Path:
    cells = np.empty((1, 3), object)
    cells[0] = NAMES
    held = {
        "pos_gt_src": GT.transpose(1, 2, 0),
        "jnt_missing": (~VISIBLE.T).astype(np.uint8),
        "headboxes_src": np.array(EXTRAS["head_boxes"], float).reshape(2, 2, 2).transpose(1, 2, 0),
        "dataset_joints": cells,
        "other": {"a": 1},
    }
    scipy.io.savemat(folder / "gt.mat", held, do_compression=compressed)
    return folder / "gt.mat"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_mat(compressed: bool, dtype: Any, tmp_path: Path) -> None:
    pred = np.repeat(np.rint(GT), 2, axis=0)[:2].astype(dtype)
    scipy.io.savemat(tmp_path / "pred.mat", {"preds": pred}, do_compression=compressed)
    reading = read_keypoints(mpii(tmp_path, compressed), tmp_path / "pred.mat")
    np.testing.assert_array_equal(reading.columns.gt, GT)
    np.testing.assert_array_equal(reading.columns.pred, pred.astype(np.float64))
    np.testing.assert_array_equal(reading.columns.visible, VISIBLE)
    np.testing.assert_array_equal(reading.columns.head_boxes, EXTRAS["head_boxes"])
    assert reading.joint_names == NAMES
    assert reading.gt_where(1) == f"{tmp_path / 'gt.mat'}[1]"


def test_mat_of_matlab_7_3(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "gt.mat", "w", userblock_size=512) as file:
        file["pos_gt_src"] = GT.transpose(1, 2, 0).T
        file["jnt_missing"] = (~VISIBLE.T).astype(float).T
        texts = [file.create_dataset(f"#refs#/{name}", data=np.array([list(map(ord, name))]).T) for name in NAMES]
        file["dataset_joints"] = np.array([[text.ref] for text in texts], h5py.ref_dtype)
    with (tmp_path / "gt.mat").open("r+b") as stored:
        stored.write(b"MATLAB 7.3 MAT-file")
    reading = read_keypoints(tmp_path / "gt.mat", GT)
    np.testing.assert_array_equal(reading.columns.gt, GT)
    np.testing.assert_array_equal(reading.columns.visible, VISIBLE)
    assert reading.joint_names == NAMES


def test_hdf5(tmp_path: Path) -> None:
    part = GT.copy()
    part[0, 1] = 0, 0
    with h5py.File(tmp_path / "valid.h5", "w") as file:
        file.update({"part": part, "normalize": [2.0, 3.0], "index": [9.0, 4.0], "visible": np.zeros((2, 3))})
    with h5py.File(tmp_path / "preds.h5", "w") as file:
        file["preds"] = np.concatenate([GT, GT])[:2].transpose(2, 1, 0)
    reading = read_keypoints(tmp_path / "valid.h5", GT)
    assert reading.columns.visible.tolist() == [[True, True, True], [False, False, True]]
    assert reading.columns.image_ids.tolist() == [4, 9]
    assert reading.columns.size is not None
    assert reading.columns.size.tolist() == [3.0, 2.0]
    assert reading.counts["edge_keypoints"] == 1  # (1, 2)
    assert "1 keypoints with a coordinate of 1 or less do not count, as in pose-hg-demo" in reading.notes


def test_predictions_with_the_people_last(tmp_path: Path) -> None:
    people = np.arange(24.0).reshape(4, 3, 2)
    with h5py.File(tmp_path / "preds.h5", "w") as file:
        file["preds"] = people.transpose(2, 1, 0)
    np.testing.assert_array_equal(read_keypoints(people, tmp_path / "preds.h5").columns.pred, people)


def test_a_file_that_says_it_is_large(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file.create_dataset("preds", (10**9, 16, 2), np.float64, chunks=(1000, 16, 2))
    with pytest.raises(FormatError, match="holds 32,000,000,000 numbers, which it cannot"):
        read_keypoints(GT, tmp_path / "p.h5")


def test_swapped_mpii_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no `preds`; the file has pos_gt_src, .*swapped"):
        read_keypoints(GT, mpii(tmp_path))
    scipy.io.savemat(tmp_path / "pred.mat", {"preds": GT})
    with pytest.raises(FormatError, match=r"no annotations of MPII; the file has preds; .*swapped\?$"):
        read_keypoints(tmp_path / "pred.mat", GT)


def test_hdf5_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["preds"] = GT
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependency, match=r"h5py reads HDF5 files .* pip install 'cvbench\[files\]'"):
        read_keypoints(GT, tmp_path / "p.h5")


@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = forms(folder)[form] if (form := data.draw(st.sampled_from(["csv", "npz"]))) else None
    path = path if data.draw(st.booleans()) else mpii(folder, data.draw(st.booleans()))
    assert path is not None
    stored = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(stored) - 1), max_size=4)):
        stored[place] = data.draw(st.integers(0, 255))
    path.write_bytes(stored[: data.draw(st.integers(0, len(stored)) | st.just(len(stored)))])
    problems = check_keypoints(path, GT)
    if problems:
        with pytest.raises(CvbenchError) as raised:
            read_keypoints(path, GT)
        assert raised.value.where == problems[0].where
    else:
        assert len(read_keypoints(path, GT).columns) == 2


VALUES = st.sampled_from(
    [
        *(None, 5, -1, "a", "", 2.5, True, [], {}, ["x"], [True, 1], [1, 0], 2**70, float("nan")),
        *([1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [1, 2, 2, None, 4, 0], [1, 2, None, 3, 4, 1]),
        *([[1, 2], [3, 4]], [[1, 2, 3], [3, 4, 5]], [[1, 2], [3]], [[1, 2, float("nan")], [3, 4, 1]]),
    ]
)
FIELDS = st.sampled_from(
    [
        *("id", "annotation_id", "image_id", "keypoints", "bbox", "head_box"),
        *("size", "box_size", "head_size", "groups", "group", "visible"),
    ]
)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([(0,), (1,), (2,), (0, 1, 2)]), FIELDS, VALUES), max_size=4),
    st.sampled_from([2, 3]),
)
def test_records_that_are_refused_have_a_problem_that_is_named(
    edits: list[tuple[bool, tuple[int, ...], str, Any]], dims: int
) -> None:
    gt, pred = ground_truth(), predictions()
    for truth, rows, name, value in edits:
        for row in rows:
            (gt["annotations"] if truth else pred)[row][name] = value
    problems = check_keypoints(gt, pred, dims=dims)
    assert all(problem.where.startswith(("gt", "pred")) and problem.message for problem in problems)
    if not problems:
        assert len(read_keypoints(gt, pred, dims=dims).columns) == 3


@given(st.binary(max_size=300))
def test_any_bytes_are_a_mat_file_or_damaged(tail: bytes) -> None:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + bytes([0, 1]) + b"IM"
    with contextlib.suppress(Damaged):
        arrays, names = arrays_of_mat(header + tail, ["preds"])
        assert set(arrays) <= set(names)


def test_real_mpii_files(real_data: Path) -> None:
    folder = real_data / "mpii_val"
    names = ("pos_gt_src", "jnt_missing", "headboxes_src", "preds")
    for path in (folder / "detections_our_format.mat", folder / "preds" / "bearpaw-hg_s2_b1.mat"):
        arrays, _ = arrays_of_mat(path.read_bytes(), names)
        expected = scipy.io.loadmat(path)
        assert set(arrays) == set(names) & set(expected)
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, expected[name])
    reading = read_keypoints(folder / "detections_our_format.mat", folder / "preds" / "bearpaw-hg_s2_b1.mat", joints=16)
    assert reading.counts == {"images": 2958, "instances": 2958, "visible_keypoints": 44240, "unpredicted": 0}
    assert reading.joint_names is not None
    assert (reading.joint_names[9], reading.notes) == ("head", [])
