"""Sets of maps: how they are found and named, what is refused, which belong together, and their hashes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvbench.errors import FormatError, InputError
from cvbench.io.label_maps import digest_of, open_maps, pair_maps, pairing_problems

MAPS = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)


def write(folder: Path, *names: str) -> Path:
    """PNG maps of these paths, the first one all 0, the second one all 1, and so on."""
    for value, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(path, "PNG")
    return folder


def values(maps: Any) -> list[int]:
    return [int(maps.read(i).pixels[0, 0]) for i in range(len(maps))]


def test_a_folder_of_cityscapes_form_beside_a_flat_one(tmp_path: Path) -> None:
    gt = write(
        tmp_path / "gt", "ulm/ulm_2_gtFine_labelIds.png", "bonn/bonn_1_gtFine_labelIds.PNG", "ulm/ulm_2_color.png"
    )
    pred = write(tmp_path / "pred", "bonn_1.png", "other.png", "ulm_2.png")
    truth, found = open_maps(gt, "gt", suffix="_gtFine_labelIds"), open_maps(str(pred), "pred")
    assert (truth.names, values(truth), truth.ignored) == (("bonn_1", "ulm_2"), [1, 0], 1)
    assert truth.where(0) == str(gt / "bonn" / "bonn_1_gtFine_labelIds.PNG")
    assert (found.name, found.path, len(found)) == (str(pred), str(pred), 3)
    pairs = pair_maps(truth, found)
    assert (pairs.names, pairs.gt.tolist(), pairs.pred.tolist()) == (("bonn_1", "ulm_2"), [0, 1], [0, 2])
    assert (pairs.extra, len(pairs)) == (1, 2)


def test_files_of_equal_name_in_folders_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, "bear/00000.png", "swan/00000.png", "swan/00001_x.png")
    with pytest.raises(
        FormatError, match=r"bear/00000.png and .*swan/00000.png both have the name `00000`;.* by='path'"
    ):
        open_maps(tmp_path, "gt")
    assert open_maps(tmp_path, "gt", by="path").names == ("bear/00000", "swan/00000", "swan/00001_x")
    assert open_maps(tmp_path, "gt", by="path", suffix="_x").names == ("swan/00001",)
    np.save(tmp_path / "bear" / "00000.npy", MAPS[0])
    with pytest.raises(FormatError, match="both have the name `bear/00000`; keep one"):
        open_maps(tmp_path, "gt", by="path")


def test_what_a_folder_holds_beside_maps_is_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "._a.png", ".ipynb_checkpoints/a.png", "b.jpg")
    (tmp_path / "readme.txt").write_text("labels")
    np.save(tmp_path / "c.npy", MAPS[1])
    maps = open_maps(tmp_path, "gt")
    assert (maps.names, maps.ignored) == (("a", "c"), 3)


def test_links_to_files_are_followed_and_to_folders_not(tmp_path: Path) -> None:
    stored = write(tmp_path / "stored", "x.png", "more/y.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").symlink_to(stored / "x.png")
    (folder / "more").symlink_to(stored / "more")
    assert open_maps(folder, "gt").names == ("a",)


@pytest.mark.parametrize(
    ("files", "suffix", "message"),
    [
        ((), "", "there are no maps (.png, .npy) in this folder; it is empty"),
        (("a.jpg", "b.jpg", "c.txt"), "", "there are no maps (.png, .npy) in this folder; it has .jpg, .txt"),
        (("a.png",), "_ids", "there is no map whose name ends with `_ids`; there is a.png"),
    ],
)
def test_a_folder_without_maps(tmp_path: Path, files: tuple[str, ...], suffix: str, message: str) -> None:
    write(tmp_path, *files)
    with pytest.raises(FormatError) as raised:
        open_maps(tmp_path, "gt", suffix=suffix)
    assert (raised.value.where, raised.value.message) == (str(tmp_path), message)


def archive(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


STACKS: dict[str, Callable[[Path], Any]] = {
    "npy": lambda folder: (np.save(folder / "x.npy", MAPS), folder / "x.npy")[1],
    "npz": lambda folder: archive(folder / "x.npz", maps=MAPS),
    "npz of many": lambda folder: archive(folder / "x.npz", **{f"{i:06d}": MAPS[i] for i in (2, 0, 1)}),
    "array": lambda _: MAPS,
    "list": lambda _: list(MAPS),
    "mapping": lambda _: {f"{i:06d}": MAPS[i] for i in (2, 0, 1)},
}


@pytest.mark.parametrize("source", STACKS.values(), ids=STACKS)
def test_the_same_maps_in_every_form(tmp_path: Path, source: Callable[[Path], Any]) -> None:
    maps = open_maps(source(tmp_path), "gt")
    assert maps.names == ("000000", "000001", "000002")
    rasters = [maps.read(i) for i in range(3)]
    for raster, expected in zip(rasters, MAPS, strict=True):
        np.testing.assert_array_equal(raster.pixels, expected, strict=True)
        assert raster.bytes == 8
    content = [hashlib.sha256(b"('|u1', (2, 4))" + expected.tobytes()).hexdigest() for expected in MAPS]
    assert [raster.sha256 for raster in rasters] == content


def test_colours_of_stacks_and_maps_of_unlike_sizes() -> None:
    assert open_maps(np.zeros((2, 4, 5, 3), np.uint8), "gt").read(1).rgb
    maps = open_maps([np.zeros((2, 3), np.int64), np.zeros((4, 4, 3), np.uint8)], "gt")
    assert [maps.read(i).pixels.shape for i in range(2)] == [(2, 3), (4, 4, 3)]
    assert [maps.where(i) for i in range(2)] == ["gt[0]", "gt[1]"]
    assert maps.path is None


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    stack = torch.arange(12).reshape(2, 2, 3)
    for source in (stack, list(stack), {"000000": stack[0], "000001": stack[1]}):
        assert open_maps(source, "gt").read(1).pixels.tolist() == [[6, 7, 8], [9, 10, 11]]


def test_keys_that_are_no_texts() -> None:
    assert open_maps({7: MAPS[0], 10: MAPS[1]}, "gt").names == ("10", "7")
    with pytest.raises(InputError, match="gt: two keys have the same text"):
        open_maps({1: MAPS[0], "1": MAPS[1]}, "gt")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "gt: found int, expected a path, a stack, a mapping from name to map, or a sequence of maps"),
        (b"gt.npy", "gt: found bytes, expected a path"),
        ([], "gt: there are no maps"),
        ({}, "gt: there are no maps"),
        ([[[0, 1]]], "gt[0]: found list, expected an array"),
        (MAPS[0], "gt: found an array of shape (2, 4), expected a stack of maps (I, H, W)"),
        (MAPS[:0], "gt: found an array of shape (0, 2, 4), expected a stack of maps (I, H, W)"),
        (
            np.zeros((4, 5, 3), np.uint8),
            "gt: found uint8 of shape (4, 5, 3), which may be one map of colours, or maps 3",
        ),
        (np.zeros((4, 5, 6)), "gt: each map of the stack: found float64, expected labels or ids, which are integers"),
    ],
)
def test_arrays_that_are_no_maps(source: Any, message: str) -> None:
    with pytest.raises(InputError) as raised:
        open_maps(source, "gt")
    assert str(raised.value).startswith(message)


def test_one_array_that_is_no_map() -> None:
    maps = open_maps({"a": MAPS[0], "b": np.zeros((2, 2))}, "gt")
    with pytest.raises(InputError, match=r"gt\['b'\]: found float64, expected labels or ids"):
        maps.read(1)


def zipped(**members: bytes) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stored.getvalue()


def stored_npy(array: np.ndarray) -> bytes:
    stored = io.BytesIO()
    np.save(stored, array)
    return stored.getvalue()


@pytest.mark.parametrize(
    ("stored", "where", "message"),
    [
        (b"", "", "this is no folder of maps, and no whole .npy or .npz file of integers"),
        (b"\x89PNG\r\n\x1a\n", "", "this is no folder of maps, and no whole"),
        (stored_npy(MAPS)[:-1], "", "this is no folder of maps, and no whole"),
        (b"PK\x03\x04 and nothing more", "", "this is no folder of maps, and no whole"),
        (stored_npy(np.array([None])), "", "this is no folder of maps, and no whole"),
        (stored_npy(MAPS[0]), "", "found an array of shape (2, 4), expected a stack of maps (I, H, W)"),
        (zipped(), "", "the archive is empty, expected one array for each map"),
        (zipped(readme=b"labels"), "['readme']", "this is no array, expected .npy files alone"),
        (zipped(**{"a.npy": stored_npy(MAPS)[:-3]}), "['a']", "the array is damaged: "),
    ],
)
def test_files_that_are_no_stacks(tmp_path: Path, stored: bytes, where: str, message: str) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(stored)
    with pytest.raises(FormatError) as raised:
        open_maps(path, "gt")
    assert raised.value.where == f"{path}{where}"
    assert raised.value.message.startswith(message)


def test_arguments_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no such file or folder"):
        open_maps(tmp_path / "nothing", "gt")
    with pytest.raises(InputError, match="gt: suffix and by are for names of files, not for arrays in memory"):
        open_maps(MAPS, "gt", suffix="_ids")
    with pytest.raises(InputError, match="x.npy is no folder; suffix and by are for names of files"):
        open_maps(tmp_path / "x.npy", "gt", by="path")
    with pytest.raises(InputError, match="by is 'name', expected one of stem, path"):
        open_maps(tmp_path, "gt", by="name")  # type: ignore[arg-type]  # the mistake that is tested


def test_an_archive_is_read_by_many_threads(tmp_path: Path) -> None:
    arrays = {f"{i:02d}": np.full((60, 70), i, np.uint16) for i in range(20)}
    maps = open_maps(archive(tmp_path / "maps.npz", **arrays), "gt")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: np.unique(maps.read(i % 20).pixels).tolist(), range(100)))
    assert found == [[i % 20] for i in range(100)]


def test_every_ground_truth_needs_a_prediction(tmp_path: Path) -> None:
    gt = open_maps(write(tmp_path / "gt", "a1.png", "b2.png", "c3.png"), "gt")
    pred = open_maps(write(tmp_path / "pred", "b2.png", "a1_pred.png"), "pred")
    problems = [str(problem) for problem in pairing_problems(gt, pred)]
    folder, first, third = tmp_path / "pred", tmp_path / "gt" / "a1.png", tmp_path / "gt" / "c3.png"
    assert problems == [
        f"{folder}: there is no map `a1`, which {first} asks for; its maps are named a1_pred, b2",
        f"{folder}: there is no map `c3`, which {third} asks for",
    ]
    with pytest.raises(FormatError, match=r"there is no map `a1`.* \(and 1 more problem; `.*` lists them\)"):
        pair_maps(gt, pred)


@pytest.mark.parametrize(
    ("gt", "pred", "hint"),
    [
        (["a_ids", "b_ids"], ["a", "b"], "; all names of gt end with `_ids`, which suffix='_ids' takes off"),
        (["a", "b"], ["a_p", "b_p"], "; all names of pred end with `_p`, which suffix='_p' takes off"),
        (["frame_0001"], ["frame_001"], "; there is `frame_001`"),
        (["x"], ["a", "b", "c", "d"], "; its maps are named a, b, c, ..."),
    ],
)
def test_names_that_differ_get_a_hint(gt: list[str], pred: list[str], hint: str) -> None:
    one = np.ones((1, 1), np.uint8)
    problem = next(
        pairing_problems(open_maps(dict.fromkeys(gt, one), "gt"), open_maps(dict.fromkeys(pred, one), "pred"))
    )
    assert problem.message.endswith(f"asks for{hint}")


def test_a_digest_tells_names_and_contents_but_no_order() -> None:
    whole = digest_of(["a", "b"], ["1", "2"])
    assert digest_of(["b", "a"], ["2", "1"]) == whole
    others = [
        digest_of(["a", "b"], ["2", "1"]),
        digest_of(["a"], ["1"]),
        digest_of(["a", "c"], ["1", "2"]),
        digest_of([], []),
    ]
    assert len({whole, *others}) == 5
