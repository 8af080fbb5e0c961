"""What becomes of every kind of doubtful panoptic file: the table behind the tests and behind ``docs/inputs.md``.

``python tests/raster_cases.py`` prints it. The column on panopticapi (commit 7bb4655) is as run, not as read.
"""

from __future__ import annotations

import copy
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cvbench.io.rasters import GREY, GREY_ALPHA, NPY, PALETTE, PNG, RGB, RGB_ALPHA
from input_cases import Edit, at, both, encoded, text


@dataclass(frozen=True)
class Case:
    """One row: an edit of the ground truth, the predictions or the files, and what comes of it."""

    name: str
    gt: Edit | None = None
    pred: Edit | None = None
    files: Callable[[Path], object] | None = None
    """Changes the folder that holds ``gt.json``, ``gt/``, ``pred.json`` and ``pred/``."""
    refused: str | None = None
    """The place, from the folder on; None where the input is read."""
    says: tuple[str, ...] = ()
    """Parts of the message, or of one of the notes."""
    counts: dict[str, int] = field(default_factory=dict)
    panopticapi: str = "scores"
    """What panopticapi does with the same files: an exception's name, or "scores"."""


def annotation(image: int | str, *segments: tuple[int, int]) -> dict[str, Any]:
    listed = [{"id": one, "category_id": category, "area": 12, "iscrowd": 0} for one, category in segments]
    return {"image_id": image, "file_name": f"{image}.png", "segments_info": listed}


def ground_truth() -> dict[str, Any]:
    return {
        "info": {"year": "2023"},
        "images": [{"id": 2, "height": 4, "width": 6}, {"id": 1, "height": 4, "width": 6}],
        "categories": [{"id": 3, "name": "sky", "isthing": 0}, {"id": 1, "name": "cat", "isthing": 1}],
        "annotations": [annotation(2, (70_000, 1), (5, 3)), annotation(1, (8, 3), (300, 1))],
    }


def predictions() -> dict[str, Any]:
    return {"annotations": [annotation(1, (1, 3), (2, 1)), annotation(2, (2, 1), (9, 3))]}


def write_maps(folder: Path, data: dict[str, Any]) -> None:
    """The maps of the annotations: the first segment on the left half, the second one on the right."""
    folder.mkdir()
    for record in data["annotations"]:
        ids = np.repeat([segment["id"] for segment in record["segments_info"]], 3) * np.ones((4, 1), np.int64)
        colours = np.stack([ids % 256, ids // 256 % 256, ids >> 16], axis=-1)
        Image.fromarray(colours.astype(np.uint8)).save(folder / record["file_name"])


def write(case: Case, folder: Path) -> None:
    """The files of a case in `folder`."""
    for name, data, edit in (("gt", ground_truth(), case.gt), ("pred", predictions(), case.pred)):
        write_maps(folder / name, data)
        changed = None if edit is None else edit(data)
        stored = changed if isinstance(changed, bytes) else encoded(data if changed is None else changed)
        (folder / f"{name}.json").write_bytes(stored)
    if case.files is not None:
        case.files(folder)


def again(number: int, **changes: Any) -> Edit:
    """Append a copy of an annotation, with changes."""

    def edit(data: Any) -> None:
        data["annotations"].append(copy.deepcopy(data["annotations"][number]) | changes)

    return edit


def renamed(folder: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda path: (path / folder / old).rename(path / folder / new)


def string_ids(data: Any) -> None:
    for record in (*data.get("images", []), *data["annotations"]):
        key = "id" if "id" in record else "image_id"
        record[key] = f"image {record[key]}"


GT, PRED = ("annotations", 0), ("annotations", 1)
SEGMENT = ("annotations", 0, "segments_info", 1)
IN_GT, IN_PRED = "gt.json.annotations[0]", "pred.json.annotations[0]"

FILES = [
    Case("as it should be", counts={"images": 2, "segments": 4, "predicted_segments": 4, "extra_predictions": 0}),
    Case(
        "list for predictions",
        pred=lambda data: data["annotations"],
        refused="pred.json",
        says=("found a list, expected an object with annotations", 'write {"annotations": [...]}'),
        panopticapi="TypeError",
    ),
    Case(
        "no annotations",
        gt=at("annotations"),
        refused="gt.json.annotations",
        says=("missing; the file has info, images, categories", "expected a list"),
        panopticapi="KeyError",
    ),
    Case(
        "no categories",
        gt=at("categories"),
        refused="gt.json.categories",
        says=("missing; the file has", "expected a list"),
        panopticapi="KeyError",
    ),
    Case(
        "no `images`",
        gt=at("images"),
        counts={"images": 2, "images_without_size": 2},
        says=("2 of 2 images have no height and width: maps are compared with each other alone",),
    ),
    Case(
        "images that are no list",
        gt=at("images", to=5),
        refused="gt.json.images",
        says=("found 5; expected a list, or nothing",),
    ),
    Case(
        "image without a size",
        gt=at("images", 0, "height"),
        counts={"images_without_size": 1},
        says=("1 of 2 images have no height and width",),
    ),
    Case(
        "image of height 0",
        gt=at("images", 1, "height", to=0),
        refused="gt.json.images[1].height",
        says=("found 0, expected a positive number of pixels",),
    ),
    Case(
        "NaN where nothing is read",
        gt=text('"year": "2023"', '"year": NaN'),
        says=("is not strict JSON (NaN",),
    ),
    Case(
        "truncated file",
        pred=lambda data: encoded(data)[:-20],
        refused="pred.json",
        says=("the file is cut short",),
        panopticapi="JSONDecodeError",
    ),
    Case(
        "record that is no object",
        pred=at("annotations", 0, to=[1, 2]),
        refused=IN_PRED,
        says=("found [1, 2], expected an object with image_id, file_name, segments_info",),
        panopticapi="TypeError",
    ),
]

IMAGES = [
    Case("string image ids", gt=string_ids, pred=string_ids, counts={"images": 2}),
    Case(
        "predictions with another type of image id",
        pred=string_ids,
        refused="pred.json.annotations",
        says=(
            "there is no prediction for image 2, which ",
            "annotations[0].image_id asks for; image ids must be of one",
        ),
        panopticapi="Exception",
    ),
    Case(
        "image ids of two types",
        gt=at(*GT, "image_id", to="2"),
        refused=f"{IN_GT}.image_id",
        says=('found "2", but ', "images[0].id is 2; image ids must all be of one type"),
        panopticapi="Exception",
    ),
    Case(
        "float image id",
        gt=at(*GT, "image_id", to=2.0),
        refused=f"{IN_GT}.image_id",
        says=("found 2.0, expected an integer or a string; write 2 without a decimal point",),
    ),
    Case(
        "image that is annotated twice",
        gt=again(0, file_name="other.png"),
        files=lambda path: (path / "gt" / "other.png").write_bytes((path / "gt" / "2.png").read_bytes()),
        refused="gt.json.annotations[2].image_id",
        says=("found 2 again; ", "annotations[0] has the same image_id"),
    ),
    Case(
        "image that is predicted twice",
        pred=again(0),
        refused="pred.json.annotations[2].image_id",
        says=("found 1 again; ", "annotations[0] has the same image_id"),
    ),
    Case(
        "image without annotation",
        gt=lambda data: data["images"].append({"id": 7, "height": 4, "width": 6}),
        counts={"images": 2, "images_without_annotation": 1},
        says=("1 images of the ground truth have no annotation and are not scored, as in panopticapi",),
    ),
    Case(
        "annotation of an image that `images` lacks",
        gt=at("images", 0),
        counts={"annotations_without_image": 1, "images_without_size": 1},
        says=("1 of 2 annotations are of images that `images` does not list",),
    ),
    Case(
        "image listed twice",
        gt=lambda data: data["images"].append({"id": 2}),
        refused="gt.json.images[2].id",
        says=("found 2 again; ", "images[0] has the same id"),
    ),
    Case(
        "image without prediction",
        pred=at("annotations", 1),
        refused="pred.json.annotations",
        says=("there is no prediction for image 2, which ", "gt.json.annotations[0].image_id asks for"),
        panopticapi="Exception",
    ),
    Case(
        "prediction of an image that the ground truth lacks",
        pred=again(0, image_id=7, file_name="nowhere.png"),
        counts={"images": 2, "extra_predictions": 1, "predicted_segments": 4},
        says=("1 predictions of images that the ground truth does not annotate are not scored",),
    ),
    Case(
        "no images at all",
        gt=at("annotations", to=[]),
        counts={"images": 0, "extra_predictions": 2, "images_without_annotation": 2},
        says=("there are no images",),
        panopticapi="ZeroDivisionError",
    ),
]

MAPS = [
    Case(
        "no file_name",
        gt=at(*GT, "file_name"),
        refused=f"{IN_GT}.file_name",
        says=("missing; the record has image_id, segments_info; the name of the image's PNG in the folder of maps",),
        panopticapi="KeyError",
    ),
    Case(
        "map that is not there",
        files=lambda path: (path / "pred" / "1.png").unlink(),
        refused=f"{IN_PRED}.file_name",
        says=('there is no file "1.png" in ',),
        panopticapi="FileNotFoundError",
    ),
    Case(
        "name of the photograph",
        gt=at(*GT, "file_name", to="2.jpg"),
        refused=f"{IN_GT}.file_name",
        says=('there is no file "2.jpg" in ', "; there is `2.png`"),
        panopticapi="FileNotFoundError",
    ),
    Case(
        "no folder of maps",
        files=renamed(".", "pred", "other"),
        refused="pred",
        says=("there is no such folder; the maps of ", "are expected there unless pred_folder is given"),
        panopticapi="Exception",
    ),
    Case(
        "file name that leads out of the folder",
        pred=at(*PRED, "file_name", to="../gt/2.png"),
        refused="pred.json.annotations[1].file_name",
        says=('"../gt/2.png" leads out of the folder of the maps',),
        panopticapi="KeyError",
    ),
    Case(
        "absolute file name",
        pred=at(*PRED, "file_name", to="/etc/passwd"),
        refused="pred.json.annotations[1].file_name",
        says=('"/etc/passwd" leads out of the folder of the maps',),
        panopticapi="UnidentifiedImageError",
    ),
    Case(
        "empty file name",
        gt=at(*GT, "file_name", to=""),
        refused=f"{IN_GT}.file_name",
        says=('found "", expected the name of a PNG file',),
        panopticapi="IsADirectoryError",
    ),
    Case(
        "one map for two images",
        gt=at("annotations", 1, "file_name", to="2.png"),
        refused="gt.json.annotations[1].file_name",
        says=('found "2.png" again; ', "annotations[0] has the same file_name"),
    ),
    Case(
        "map in a folder of its own",
        gt=at(*GT, "file_name", to="more/2.png"),
        files=lambda path: ((path / "gt" / "more").mkdir(), renamed("gt", "2.png", "more/2.png")(path)),
        counts={"images": 2},
    ),
]

SEGMENTS = [
    Case(
        "segment listed twice",
        pred=at(*SEGMENT, "id", to=1),
        refused=f"{IN_PRED}.segments_info[1].id",
        says=("found 1 again; ", "segments_info[0] has the same id"),
        panopticapi="KeyError",
    ),
    Case(
        "segment with id 0",
        gt=at(*SEGMENT, "id", to=0),
        refused=f"{IN_GT}.segments_info[1].id",
        says=("id 0 is void, which is no segment; ids of segments are from 1",),
    ),
    Case(
        "id that no colour codes",
        gt=at(*SEGMENT, "id", to=1 << 24),
        refused=f"{IN_GT}.segments_info[1].id",
        says=("id 16777216 cannot be coded as a colour; ids of segments are from 1 to 16,777,215",),
    ),
    Case(
        "negative id",
        gt=at(*SEGMENT, "id", to=-5),
        refused=f"{IN_GT}.segments_info[1].id",
        says=("id -5 cannot be coded as a colour",),
    ),
    Case(
        "float id",
        pred=at(*SEGMENT, "id", to=2.0),
        refused=f"{IN_PRED}.segments_info[1].id",
        says=("found 2.0, expected an integer; write 2 without a decimal point",),
    ),
    Case(
        "unknown category in the ground truth",
        gt=at(*SEGMENT, "category_id", to=99),
        refused=f"{IN_GT}.segments_info[1].category_id",
        says=("category 99 is not among the 2 categories of the ground truth",),
    ),
    Case(
        "unknown category in the predictions",
        pred=at(*SEGMENT, "category_id", to=99),
        refused=f"{IN_PRED}.segments_info[1].category_id",
        says=("category 99 is not among the 2 categories of the ground truth",),
        panopticapi="KeyError",
    ),
    Case(
        "no category",
        pred=at(*SEGMENT, "category_id"),
        refused=f"{IN_PRED}.segments_info[1].category_id",
        says=("missing; the record has id, area, iscrowd",),
        panopticapi="KeyError",
    ),
    Case(
        "no iscrowd",
        gt=at(*SEGMENT, "iscrowd"),
        counts={"missing_iscrowd": 1, "crowd": 0},
        says=("1 of 4 segments have no iscrowd: taken for 0",),
        panopticapi="KeyError",
    ),
    Case(
        "iscrowd of 2",
        gt=at(*SEGMENT, "iscrowd", to=2),
        refused=f"{IN_GT}.segments_info[1].iscrowd",
        says=("found 2, expected 0 or 1",),
    ),
    Case(
        "prediction that is a crowd",
        pred=at(*SEGMENT, "iscrowd", to=1),
        counts={"crowd": 0},
    ),
    Case(
        "no area",
        gt=at(*SEGMENT, "area"),
        counts={"missing_area": 1},
        says=("1 of 4 segments have no area",),
        panopticapi="KeyError",
    ),
    Case(
        "negative area",
        gt=at(*SEGMENT, "area", to=-12),
        refused=f"{IN_GT}.segments_info[1].area",
        says=("area -12 < 0; an area is a number of square pixels",),
    ),
    Case(
        "area that is no number",
        gt=at(*SEGMENT, "area", to="12"),
        refused=f"{IN_GT}.segments_info[1].area",
        says=('found "12", expected a number',),
        panopticapi="UFuncTypeError",
    ),
    Case("area of a prediction that is no number", pred=at(*SEGMENT, "area", to="12"), counts={"images": 2}),
    Case(
        "no segments",
        gt=at(*GT, "segments_info", to=[]),
        counts={"segments": 2, "images_without_segments": 1},
    ),
    Case(
        "segments that are no list",
        gt=at(*GT, "segments_info", to={}),
        refused=f"{IN_GT}.segments_info",
        says=("found {}, expected a list of segments",),
        panopticapi="scores",
    ),
]

CATEGORIES = [
    Case(
        "no isthing",
        gt=at("categories", 0, "isthing"),
        refused="gt.json.categories[0].isthing",
        says=("missing; the record has id, name; 1 for things, which have instances, 0 for stuff",),
        panopticapi="KeyError",
    ),
    Case(
        "isthing of 2",
        gt=at("categories", 0, "isthing", to=2),
        refused="gt.json.categories[0].isthing",
        says=("found 2, expected 0 or 1",),
    ),
    Case(
        "category listed twice",
        gt=lambda data: data["categories"].append({"id": 1, "name": "dog", "isthing": 1}),
        refused="gt.json.categories[2].id",
        says=("found 1 again; ", "categories[1] has the same id"),
    ),
    Case("category without name", gt=at("categories", 0, "name"), counts={"categories": 2}),
    Case(
        "two categories of one name",
        gt=at("categories", 0, "name", to="cat"),
        counts={"duplicate_category_names": 1},
        says=("1 of 2 categories have the name of another one",),
    ),
    Case(
        "several problems",
        gt=both(at("categories", 0, "isthing"), at(*SEGMENT, "id", to=0)),
        pred=at("annotations", 1),
        refused="gt.json.categories[0].isthing",
        says=(
            "missing; the record has id, name",
            "(and 2 more problems; `cvbench check TASK GT PRED` lists them)",
        ),
        panopticapi="Exception",
    ),
]


@dataclass(frozen=True)
class Picture:
    """One kind of file that may be taken for a map."""

    name: str
    stored: bytes
    refused: str | None = None
    """How the message begins; None where it is read."""
    note: str = ""
    """What the values are that are read."""
    pillow: str = "reads it"
    """What ``np.asarray(Image.open(file))`` does, by which official evaluators read maps: an exception's name, or
    "reads it", perhaps with what is lost."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: tuple[int, int], depth: int, colour: int, lines: list[bytes], *others: bytes) -> bytes:
    """A PNG of (width, height), its lines as they are packed into bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    rows = b"".join(b"\0" + line for line in lines)
    return b"".join((PNG, header, *others, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")))


def saved(array: np.ndarray, image_format: str = "PNG", **options: object) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(array).save(stored, image_format, **options)
    return stored.getvalue()


def stored_npy(array: np.ndarray) -> bytes:
    stored = io.BytesIO()
    np.save(stored, array)
    return stored.getvalue()


def animation() -> bytes:
    frames = [Image.fromarray(IDS), Image.fromarray(IDS + np.uint8(1))]
    stored = io.BytesIO()
    frames[0].save(stored, "PNG", save_all=True, append_images=frames[1:])
    return stored.getvalue()


def flipped(stored: bytes, at: int) -> bytes:
    changed = bytearray(stored)
    changed[at] ^= 1
    return bytes(changed)


IDS = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLOURS = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
WIDE = np.array([[0, 255, 256], [65535, 24001, 1]], np.uint16)
COLOUR_TABLE = chunk(b"PLTE", bytes(range(255, 255 - 48, -1)))
WHOLE = saved(COLOURS)

PICTURES = [
    Picture("grey of 8 bits", saved(IDS)),
    Picture("grey of 1 bit", png((4, 1), 1, GREY, [b"\xb0"]), note="0 and 1"),
    Picture("grey of 2 bits", png((4, 1), 2, GREY, [b"\x1b"]), note="0 to 3 as stored", pillow="reads it, times 85"),
    Picture("grey of 4 bits", png((2, 1), 4, GREY, [b"\x12"]), note="0 to 15 as stored", pillow="reads it, times 17"),
    Picture("grey of 16 bits", saved(WIDE)),
    Picture("palette", png((4, 1), 2, PALETTE, [b"\x1b"], COLOUR_TABLE), note="indices, never colours"),
    Picture("RGB", WHOLE, note="ids coded as colours"),
    Picture(".npy of integers", stored_npy(IDS), pillow="UnidentifiedImageError"),
    Picture("empty", b"", "the file is empty (0 bytes), expected a PNG or .npy file", pillow="UnidentifiedImageError"),
    Picture(
        "text",
        b"# labels of 2 images\n",
        "this is neither PNG nor .npy: it starts with b'# labels of '",
        pillow="UnidentifiedImageError",
    ),
    Picture("JPEG", saved(COLOURS, "JPEG"), "this is a JPEG file, which changes pixels and so destroys labels"),
    Picture("GIF", saved(IDS, "GIF"), "this is a GIF file; save it as PNG"),
    Picture("TIFF", saved(IDS, "TIFF"), "this is a TIFF file; save it as PNG or .npy"),
    Picture("BMP", saved(IDS, "BMP"), "this is a BMP file; save it as PNG"),
    Picture("WebP", b"RIFF\x24\0\0\0WEBPVP8 ", "this is a WebP file, which may have changed pixels", pillow="OSError"),
    Picture("zip", b"PK\x03\x04", "this is a zip or .npz file; expected one map", pillow="UnidentifiedImageError"),
    Picture(
        "pointer of Git LFS",
        b"version https://git-lfs.github.com/spec/v1\n",
        "this is a pointer of Git LFS; fetch the file itself",
        pillow="UnidentifiedImageError",
    ),
    Picture("signature alone", PNG, "the PNG has no end: the file is cut short", pillow="UnidentifiedImageError"),
    Picture(
        "cut in the pixels",
        WHOLE[:50],
        "the PNG ends inside of a chunk IDAT: the file is cut short",
        pillow="OSError, or reads it with LOAD_TRUNCATED_IMAGES",
    ),
    Picture("cut after the pixels", WHOLE[:-20], "the PNG ends inside of a chunk IDAT: the file is cut short"),
    Picture("without its end", WHOLE[:-12], "the PNG has no end: the file is cut short"),
    Picture(
        "flipped bit in the pixels",
        flipped(WHOLE, -20),
        "the checksum of the PNG's chunk IDAT at byte 33 is wrong",
        pillow="OSError",
    ),
    Picture(
        "flipped bit in the header",
        flipped(WHOLE, 18),
        "the checksum of the PNG's chunk IHDR at byte 8 is wrong",
        pillow="UnidentifiedImageError",
    ),
    Picture("no header", PNG + chunk(b"IEND", b""), "the PNG has no header", pillow="UnidentifiedImageError"),
    Picture(
        "no pixels",
        png((0, 3), 8, GREY, []),
        "the image is 0 x 3 pixels, expected at least one",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "no compressed data",
        PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, GREY, 0, 0, 0)) + chunk(b"IEND", b""),
        "the PNG cannot be decoded",
        pillow="OSError",
    ),
    Picture(
        "half of the rows",
        PNG
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 4, 8, GREY, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0\1\0\1"))
        + chunk(b"IEND", b""),
        "the PNG cannot be decoded: expected 8 bytes of pixels, found 4",
        pillow="reads it, the others as 0",
    ),
    Picture(
        "unknown filter",
        PNG
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, GREY, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\7\1"))
        + chunk(b"IEND", b""),
        "the PNG cannot be decoded",
        pillow="OSError",
    ),
    Picture(
        "bits that there are not",
        png((1, 1), 3, GREY, [b"\0"]),
        "the PNG cannot be decoded",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "unknown colour type",
        png((1, 1), 8, 5, [b"\0"]),
        "the PNG's header is damaged: there is no colour type 5",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "grey with alpha",
        png((1, 1), 8, GREY_ALPHA, [b"\1\2"]),
        "found grey with alpha, which is part of no label or id; save the map as grey alone",
    ),
    Picture(
        "RGB with alpha",
        png((1, 1), 8, RGB_ALPHA, [b"\1\2\3\4"]),
        "found RGB with alpha, which is part of no label or id; save the map as RGB or grey alone",
    ),
    Picture(
        "RGB of 16 bits",
        png((1, 1), 16, RGB, [b"\0\1\0\2\0\3"]),
        "found RGB of 16 bits, expected 8 bits for ids as colours",
    ),
    Picture("animation", animation(), "the PNG is an animation of 2 frames, expected one map in a file"),
    Picture(
        "npy cut short",
        stored_npy(IDS)[:-1],
        "the .npy file is damaged, cut short or holds objects",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy header alone", NPY, "the .npy file is damaged, cut short or holds objects", pillow="UnidentifiedImageError"
    ),
    Picture(
        "npy of objects",
        stored_npy(np.array([[None]])),
        "the .npy file is damaged, cut short or holds objects",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy of more than there is memory",
        stored_npy(IDS).replace(b"(4, 6), }" + b" " * 16, b"(4, 6000000000000000), }" + b" "),
        "the .npy file is damaged, cut short or holds objects",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy of scores",
        stored_npy(np.zeros((2, 3))),
        "found float64, expected labels or ids, which are integers",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy of complex numbers",
        stored_npy(np.array([[1j]])),
        "found complex128, expected labels or ids, which are integers",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy of three axes",
        stored_npy(np.zeros((2, 3, 4), np.uint8)),
        "found uint8 of shape (2, 3, 4), expected (H, W), or (H, W, 3) of uint8",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy of wide colours",
        stored_npy(np.zeros((2, 3, 3), np.int64)),
        "found int64 of shape (2, 3, 3), expected (H, W), or (H, W, 3) of uint8",
        pillow="UnidentifiedImageError",
    ),
    Picture(
        "npy without pixels",
        stored_npy(np.zeros((0, 3), np.uint8)),
        "found a map of shape (0, 3), which has no pixels",
        pillow="UnidentifiedImageError",
    ),
]

GROUPS = {
    "Panoptic files": FILES,
    "Panoptic images": IMAGES,
    "Panoptic maps": MAPS,
    "Panoptic segments": SEGMENTS,
    "Panoptic categories": CATEGORIES,
}
CASES = [case for group in GROUPS.values() for case in group]

READ = ("images", "categories", "segments", "predicted_segments")
"""Counts that say no more than that something was read."""


def section() -> str:
    """The table as Markdown, a part of ``docs/inputs.md``."""
    lines: list[str] = []
    for group, cases in GROUPS.items():
        lines += [f"## {group}", "", "| input | cvbench | panopticapi 7bb4655 |", "|---|---|---|"]
        lines += [f"| {case.name} | {_answer(case)} | {_reference(case)} |" for case in cases]
        lines.append("")
    lines += ["## Files of maps", "", "| file | cvbench | Pillow |", "|---|---|---|"]
    lines += [f"| {picture.name} | {_reading(picture)} | {_as_code(picture.pillow)} |" for picture in PICTURES]
    return "\n".join([*lines, ""])


def _answer(case: Case) -> str:
    said = " … ".join(part.strip().replace("|", "\\|") for part in case.says)
    if case.refused is not None:
        return f"**refused** at `{case.refused}`: *{said}*"
    counted = ", ".join(f"`{name}` {n}" for name, n in case.counts.items() if name not in READ)
    return "; ".join(filter(None, ["read", counted and f"counted: {counted}", said and f"noted: *{said}*"]))


def _reading(picture: Picture) -> str:
    if picture.refused is None:
        return f"read: {picture.note}" if picture.note else "read"
    return f"**refused**: *{picture.refused}*"


def _reference(case: Case) -> str:
    return "scores it" if case.panopticapi == "scores" else f"`{case.panopticapi}`"


def _as_code(outcome: str) -> str:
    name, comma, more = outcome.partition(",")
    return outcome if name == "reads it" else f"`{name}`{comma}{more}"


if __name__ == "__main__":
    import sys

    sys.stdout.write(section())
