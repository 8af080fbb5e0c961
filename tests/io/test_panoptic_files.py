"""COCO panoptic files: every row of the table of doubtful ones, columns, maps, and the real ones."""

from __future__ import annotations

import copy
import gzip
import random
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.errors import FormatError, InputError
from cvbench.io import panoptic
from cvbench.io.panoptic import check_panoptic, read_panoptic
from input_cases import at
from raster_cases import CASES, Case, ground_truth, predictions, write

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A folder with sound files."""
    write(Case("sound"), tmp_path)
    return tmp_path


@each_case
def test_every_row_of_the_table(case: Case, tmp_path: Path) -> None:
    write(case, tmp_path)
    files = tmp_path / "gt.json", tmp_path / "pred.json"
    listed = check_panoptic(*files)
    if case.refused is None:
        reading = read_panoptic(*files)
        assert {name: reading.counts[name] for name in case.counts} == case.counts
        notes = " ".join(reading.notes)
        assert all(part in notes for part in case.says)
        assert listed == []
        return
    with pytest.raises(FormatError) as raised:
        read_panoptic(*files)
    assert raised.value.where == str(tmp_path / case.refused)
    for part in case.says:
        assert part in raised.value.message
    assert str(raised.value).startswith(str(listed[0]))
    more = f"and {len(listed) - 1} more problem"
    assert (more in str(raised.value)) == (len(listed) > 1)


def test_names_are_distinct() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_columns(sound: Path) -> None:
    reading = read_panoptic(sound / "gt.json", sound / "pred.json")
    gt, pred = reading.gt, reading.pred
    assert gt.image_ids.tolist() == [1, 2]
    assert gt.category_ids.tolist() == [1, 3]
    assert gt.category_names == ("cat", "sky")
    assert gt.things.tolist() == [True, False]
    assert gt.offsets.tolist() == pred.offsets.tolist() == [0, 2, 4]
    assert gt.id.tolist() == [8, 300, 70_000, 5]
    assert gt.category.tolist() == [1, 0, 0, 1]
    assert gt.area.tolist() == [12.0] * 4
    assert not gt.crowd.any()
    assert pred.id.tolist() == [1, 2, 2, 9]
    assert pred.category.tolist() == [1, 0, 0, 1]
    assert np.isnan(pred.area).all()
    assert pred.image_ids is gt.image_ids
    assert pred.things is gt.things
    assert reading.sizes is not None
    assert reading.sizes.tolist() == [[4, 6], [4, 6]]
    types = [column.dtype for column in (gt.id, gt.category, gt.offsets, gt.area, gt.crowd, gt.things)]
    assert types == [np.int64, np.int64, np.int64, np.float64, np.bool_, np.bool_]


def test_maps_come_in_the_order_of_the_images(sound: Path) -> None:
    reading = read_panoptic(sound / "gt.json", sound / "pred.json")
    assert reading.gt_maps.names == reading.pred_maps.names == ("1.png", "2.png")
    assert reading.pred_maps.where(1) == str(sound / "pred" / "2.png")
    raster = reading.gt_maps.read(1)
    assert raster.rgb
    assert raster.pixels[0, 0].tolist() == [70_000 % 256, 70_000 // 256 % 256, 1]


def test_areas_crowds_and_missing_ones(sound: Path) -> None:
    gt = ground_truth()
    gt["annotations"][0]["segments_info"][0] |= {"area": 7.5, "iscrowd": True}
    del gt["annotations"][1]["segments_info"][1]["area"]
    reading = read_panoptic(gt, sound / "pred.json", gt_folder=sound / "gt")
    np.testing.assert_array_equal(reading.gt.area, [12, np.nan, 7.5, 12])
    assert reading.gt.crowd.tolist() == [False, False, True, False]
    assert reading.counts["crowd"] == 1


def test_content_in_place_of_files(sound: Path) -> None:
    gt, pred = ground_truth(), predictions()
    before = copy.deepcopy((gt, pred))
    reading = read_panoptic(gt, pred, sound / "gt", sound / "pred")
    assert (gt, pred) == before
    assert reading.gt_source.path is None
    assert reading.gt.id.tolist() == read_panoptic(sound / "gt.json", sound / "pred.json").gt.id.tolist()
    with pytest.raises(
        InputError, match="pred: the content of a file does not say where its maps are; pass pred_folder"
    ):
        read_panoptic(gt, pred, sound / "gt")
    broken = at("annotations", 0, "segments_info", 0, "id", to=0)
    broken(pred)
    with pytest.raises(FormatError, match=r"^pred.annotations\[0\].segments_info\[0\].id: id 0 is void"):
        read_panoptic(gt, pred, sound / "gt", sound / "pred")


def test_zipped_files_and_other_names(sound: Path) -> None:
    (sound / "gt.json.gz").write_bytes(gzip.compress((sound / "gt.json").read_bytes()))
    assert len(read_panoptic(sound / "gt.json.gz", sound / "pred.json").gt) == 4
    (sound / "truth").write_bytes((sound / "gt.json").read_bytes())
    with pytest.raises(
        FormatError, match="truth: the name does not end with .json, so pass the folder .* as gt_folder"
    ):
        read_panoptic(sound / "truth", sound / "pred.json")
    assert len(read_panoptic(sound / "truth", sound / "pred.json", gt_folder=sound / "gt").gt) == 4


def test_a_missing_file_is_a_problem_too(sound: Path) -> None:
    found = check_panoptic(sound / "gt.json", sound / "predictions.json")
    assert [problem.where for problem in found] == [str(sound / "predictions.json")]
    assert found[0].message.startswith("there is no such file")


def test_every_problem_is_listed(sound: Path) -> None:
    gt, pred = ground_truth(), predictions()
    at("annotations", 1, "segments_info", 0, "iscrowd", to=3)(gt)
    at("annotations", 0, "file_name", to="../1.png")(pred)
    at("annotations", 0, "segments_info", 1, "category_id", to=2)(pred)
    at("annotations", 1, "image_id", to=9)(pred)
    (sound / "gt" / "1.png").unlink()
    found = check_panoptic(gt, pred, sound / "gt", sound / "pred")
    assert [problem.where for problem in found] == [
        "gt.annotations[1].file_name",
        "gt.annotations[1].segments_info[0].iscrowd",
        "pred.annotations[0].file_name",
        "pred.annotations[0].segments_info[1].category_id",
        "pred.annotations",
    ]


VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    2,
    -1,
    1.0,
    0.5,
    float("nan"),
    1 << 24,
    1 << 70,
    "",
    "1",
    "2.png",
    "../x",
    [],
    {},
]


def places(tree: Any) -> list[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in items for path in ((key,), *((key, *rest) for rest in places(value)))]


@given(seed=st.integers(0, 2**32), edits=st.integers(1, 3))
def test_whatever_is_wrong_is_read_or_named(tmp_path_factory: pytest.TempPathFactory, seed: int, edits: int) -> None:
    """The fast reader refuses what the slow one finds fault with, and nothing else raises."""
    folder = tmp_path_factory.getbasetemp() / "panoptic"
    if not folder.exists():
        folder.mkdir()
        write(Case("sound"), folder)
    rng = random.Random(seed)
    gt, pred = ground_truth(), predictions()
    for _ in range(edits):
        tree = rng.choice([one for one in (gt, pred) if one])
        at(*rng.choice(places(tree)), to=rng.choice([*VALUES, ...]))(tree)
    found = check_panoptic(gt, pred, folder / "gt", folder / "pred")
    if found:
        with pytest.raises(FormatError) as raised:
            read_panoptic(gt, pred, folder / "gt", folder / "pred")
        assert str(raised.value).startswith(str(found[0]))
    else:
        assert len(read_panoptic(gt, pred, folder / "gt", folder / "pred").gt.image_ids) <= 2


@pytest.mark.parametrize(
    ("folder", "gt", "pred", "segments"),
    [("panoptic_coco_sample", "gt", "synthetic_pred", 50), ("panoptic_deeplab2", "gt", "pred", 13)],
)
def test_real_files(real_data: Path, folder: str, gt: str, pred: str, segments: int) -> None:
    reading = read_panoptic(real_data / folder / f"{gt}.json", real_data / folder / f"{pred}.json")
    assert len(reading.gt) == segments
    assert reading.sizes is not None
    for i, size in enumerate(reading.sizes.tolist()):
        raster = reading.gt_maps.read(i)
        assert raster.pixels.shape == (*size, 3)
        ids = raster.pixels.astype(np.int64) @ [1, 256, 65536]
        own = reading.gt.id[reading.gt.offsets[i] : reading.gt.offsets[i + 1]]
        assert set(own.tolist()) == set(ids.ravel().tolist()) - {0}
        areas = reading.gt.area[reading.gt.offsets[i] : reading.gt.offsets[i + 1]]
        assert areas.tolist() == [np.count_nonzero(ids == one) for one in own]


@given(st.from_regex(panoptic.PLAIN, fullmatch=True))
def test_plain_names_are_those_of_files_in_the_folder(name: str) -> None:
    path = PureWindowsPath(name)
    assert not path.anchor
    assert path.parts == (name,) == PurePosixPath(name).parts
    assert panoptic.file_name_rule(name) is None
