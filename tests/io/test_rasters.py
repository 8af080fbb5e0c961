"""Maps from files: every kind of PNG that holds labels or ids, ``.npy``, and what is refused."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageFile

from cvbench.errors import FormatError
from cvbench.io.rasters import GREY, GREY_ALPHA, NPY, PALETTE, PNG, RGB, RGB_ALPHA, read_raster


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


IDS = np.arange(24, dtype=np.uint8).reshape(4, 6)
COLOURS = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
WIDE = np.array([[0, 255, 256], [65535, 24001, 1]], np.uint16)
COLOUR_TABLE = chunk(b"PLTE", bytes(range(255, 255 - 48, -1)))
WHOLE = saved(COLOURS)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [GREY, PALETTE])
def test_samples_of_any_number_of_bits_are_read_as_stored(tmp_path: Path, depth: int, colour: int) -> None:
    values = np.array([[0, 1, 1, 0, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0, 1, 0]]) * ((1 << min(depth, 4)) - 1)
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    lines = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    path = tmp_path / "map.png"
    path.write_bytes(png((8, 2), depth, colour, lines, *([COLOUR_TABLE] if colour == PALETTE else [])))
    raster = read_raster(path)
    assert raster.pixels.tolist() == values.tolist()
    assert raster.pixels.dtype == np.uint8
    assert not raster.rgb


@pytest.mark.parametrize("array", [IDS, COLOURS, WIDE], ids=["grey", "rgb", "grey of 16 bits"])
@pytest.mark.parametrize("encode", [saved, stored_npy], ids=["png", "npy"])
def test_values_types_and_hash(tmp_path: Path, array: np.ndarray, encode: Callable[[np.ndarray], bytes]) -> None:
    path, stored = tmp_path / "anything.dat", encode(array)
    path.write_bytes(stored)
    raster = read_raster(str(path))
    np.testing.assert_array_equal(raster.pixels, array, strict=True)
    assert raster.rgb == (array.ndim == 3)
    assert (raster.sha256, raster.bytes) == (hashlib.sha256(stored).hexdigest(), len(stored))


def test_a_palette_is_its_indices_whatever_is_transparent(tmp_path: Path) -> None:
    image = Image.fromarray(IDS, "L").convert("P")
    image.putpalette(list(np.random.default_rng(0).permutation(768) % 256))
    path = tmp_path / "map.png"
    image.save(path, transparency=3)
    np.testing.assert_array_equal(read_raster(path).pixels, np.asarray(image), strict=True)


def test_interlaced_lines(tmp_path: Path) -> None:
    # one pixel is the same in every order of lines; the flag alone makes Pillow take its other decoder
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, GREY, 0, 0, 1))
    path = tmp_path / "map.png"
    path.write_bytes(PNG + header + chunk(b"IDAT", zlib.compress(b"\0\x07")) + chunk(b"IEND", b""))
    assert read_raster(path).pixels.tolist() == [[7]]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", ">u2"])
def test_npy_of_any_integer_type(tmp_path: Path, dtype: str) -> None:
    array = (IDS % 2).astype(dtype)
    np.save(tmp_path / "map.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read_raster(tmp_path / "map.npy").pixels, array, strict=True)


def animation() -> bytes:
    frames = [Image.fromarray(IDS), Image.fromarray(IDS + np.uint8(1))]
    stored = io.BytesIO()
    frames[0].save(stored, "PNG", save_all=True, append_images=frames[1:])
    return stored.getvalue()


def flipped(stored: bytes, at: int) -> bytes:
    changed = bytearray(stored)
    changed[at] ^= 1
    return bytes(changed)


REFUSED = {
    "empty": (b"", "the file is empty (0 bytes), expected a PNG or .npy file"),
    "text": (b"# labels of 2 images\n", "this is neither PNG nor .npy: it starts with b'# labels of '"),
    "JPEG": (saved(COLOURS, "JPEG"), "this is a JPEG file, which changes pixels and so destroys labels; write the"),
    "GIF": (saved(IDS, "GIF"), "this is a GIF file; save it as PNG"),
    "TIFF": (saved(IDS, "TIFF"), "this is a TIFF file; save it as PNG or .npy"),
    "BMP": (saved(IDS, "BMP"), "this is a BMP file; save it as PNG"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 ", "this is a WebP file, which may have changed pixels"),
    "zip": (b"PK\x03\x04", "this is a zip or .npz file; expected one map"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", "this is a pointer of Git LFS; fetch the file itself"),
    "signature alone": (PNG, "the PNG has no end: the file is cut short"),
    "cut in the pixels": (WHOLE[:-20], "the PNG ends inside of a chunk IDAT: the file is cut short"),
    "without its end": (WHOLE[:-12], "the PNG has no end: the file is cut short"),
    "flipped bit in the pixels": (flipped(WHOLE, -20), "the checksum of the PNG's chunk IDAT at byte 33 is wrong"),
    "flipped bit in the header": (flipped(WHOLE, 18), "the checksum of the PNG's chunk IHDR at byte 8 is wrong"),
    "no header": (PNG + chunk(b"IEND", b""), "the PNG has no header"),
    "no pixels": (png((0, 3), 8, GREY, []), "the image is 0 x 3 pixels, expected at least one"),
    "no compressed data": (
        PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, GREY, 0, 0, 0)) + chunk(b"IEND", b""),
        "the PNG cannot be decoded",
    ),
    "unknown filter": (
        PNG
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, GREY, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\7\1"))
        + chunk(b"IEND", b""),
        "the PNG cannot be decoded",
    ),
    "bits that there are not": (png((1, 1), 3, GREY, [b"\0"]), "the PNG cannot be decoded"),
    "unknown colour type": (png((1, 1), 8, 5, [b"\0"]), "the PNG's header is damaged: there is no colour type 5"),
    "grey with alpha": (png((1, 1), 8, GREY_ALPHA, [b"\1\2"]), "found grey with alpha, which is part of no label"),
    "RGB with alpha": (png((1, 1), 8, RGB_ALPHA, [b"\1\2\3\4"]), "found RGB with alpha, which is part of no label"),
    "RGB of 16 bits": (png((1, 1), 16, RGB, [b"\0\1\0\2\0\3"]), "found RGB of 16 bits, expected 8 bits"),
    "animation": (animation(), "the PNG is an animation of 2 frames, expected one map in a file"),
    "npy cut short": (stored_npy(IDS)[:-1], "the .npy file is damaged, cut short or holds objects"),
    "npy header alone": (NPY, "the .npy file is damaged, cut short or holds objects"),
    "npy of objects": (stored_npy(np.array([[None]])), "the .npy file is damaged, cut short or holds objects: Object"),
    "npy of more than there is memory": (
        stored_npy(IDS).replace(b"(4, 6), }" + b" " * 16, b"(4, 6000000000000000), }" + b" "),
        "the .npy file is damaged, cut short or holds objects",
    ),
    "npy of scores": (stored_npy(np.zeros((2, 3))), "found float64, expected labels or ids, which are integers; of sc"),
    "npy of texts": (stored_npy(np.array([["a"]])), "found <U1, expected labels or ids, which are integers"),
    "npy of three axes": (stored_npy(np.zeros((2, 3, 4), np.uint8)), "found uint8 of shape (2, 3, 4), expected (H, W)"),
    "npy of wide colours": (stored_npy(np.zeros((2, 3, 3), np.int64)), "found int64 of shape (2, 3, 3), expected (H, "),
    "npy without pixels": (stored_npy(np.zeros((0, 3), np.uint8)), "found a map of shape (0, 3), which has no pixels"),
}


@pytest.mark.parametrize(("stored", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_map(tmp_path: Path, stored: bytes, message: str) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(stored)
    with pytest.raises(FormatError) as raised:
        read_raster(path)
    assert raised.value.where == str(path)
    assert raised.value.message.startswith(message)


def test_no_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(WHOLE)
    with pytest.raises(FormatError, match="there is no such file; did you mean `.*cat.png`?"):
        read_raster(tmp_path / "cats.png")
    with pytest.raises(FormatError, match="this is a folder, expected a PNG or .npy file"):
        read_raster(tmp_path)


def test_pillows_patience_lets_no_half_file_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "map.png"
    path.write_bytes(WHOLE[:-20])
    with pytest.raises(FormatError, match="cut short"):
        read_raster(path)


def test_files_that_explode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(WHOLE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 11)
    with pytest.raises(FormatError, match="the image has 12 pixels; Pillow's limit .* is 11: raise PIL"):
        read_raster(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_raster(path).rgb


@given(at=st.integers(len(PNG), len(WHOLE) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "flipped.png"
    path.write_bytes(changed)
    with pytest.raises(FormatError):
        read_raster(path)


@given(stored=st.binary(max_size=40), start=st.sampled_from([b"", PNG, NPY, WHOLE[:33], stored_npy(IDS)[:100]]))
def test_bytes_of_any_kind_are_a_map_or_refused(
    tmp_path_factory: pytest.TempPathFactory, stored: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(start + stored)
    with pytest.raises(FormatError):
        read_raster(path)


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (32, 40, 3), np.uint8) for _ in range(8)]
    for i, array in enumerate(arrays):
        (tmp_path / f"{i}.png").write_bytes(saved(array))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: read_raster(tmp_path / f"{i % 8}.png").pixels, range(64)))
    for i, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, arrays[i % 8], strict=True)


def test_pillow_spreads_grey_of_few_bits(tmp_path: Path) -> None:
    """The reason for `SPREAD`: were it to change, labels would be wrong."""
    path = tmp_path / "map.png"
    path.write_bytes(png((4, 1), 2, GREY, [b"\x1b"]))
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[0, 85, 170, 255]]
    assert read_raster(path).pixels.tolist() == [[0, 1, 2, 3]]
