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
from cvbench.io import rasters
from cvbench.io.rasters import GREY, NPY, PALETTE, PNG, RGB, read_raster
from raster_cases import COLOUR_TABLE, COLOURS, IDS, PICTURES, WHOLE, WIDE, Picture, chunk, png, saved, stored_npy


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


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 8, 16]))
def test_interlaced_maps(tmp_path_factory: pytest.TempPathFactory, height: int, width: int, depth: int) -> None:
    array = (
        np.random.default_rng(height).integers(0, 1 << depth, (height, width)).astype(">u2" if depth == 16 else "u1")
    )
    pictures = (array[0::8, 0::8], array[0::8, 4::8], array[4::8, 0::4], array[0::4, 2::4], array[2::4, 0::2])
    rows = b""
    for picture in (*pictures, array[0::2, 1::2], array[1::2, 0::1]):
        lines = picture if picture.shape[1] else picture[:0]
        rows += b"".join(b"\0" + (np.packbits(line) if depth == 1 else line).tobytes() for line in lines)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, GREY, 0, 0, 1))
    path = tmp_path_factory.getbasetemp() / "interlaced.png"
    path.write_bytes(PNG + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    assert read_raster(path).pixels.tolist() == array.tolist()
    for damaged, message in ((rows[:-1], "bytes of pixels, found"), (b"\7" + rows[1:], "the unknown filter 7")):
        path.write_bytes(PNG + header + chunk(b"IDAT", zlib.compress(damaged)) + chunk(b"IEND", b""))
        with pytest.raises(FormatError, match=message):
            read_raster(path)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "int64", ">u2"])
def test_npy_of_any_integer_type(tmp_path: Path, dtype: str) -> None:
    array = (IDS % 2).astype(dtype)
    np.save(tmp_path / "map.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read_raster(tmp_path / "map.npy").pixels, array, strict=True)


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.name for picture in PICTURES])
def test_every_row_of_the_table(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(picture.stored)
    if picture.refused is None:
        assert read_raster(path).pixels.size > 0
        return
    with pytest.raises(FormatError) as raised:
        read_raster(path)
    assert raised.value.where == str(path)
    assert raised.value.message.startswith(picture.refused)


@pytest.mark.parametrize("picture", PICTURES, ids=[picture.name for picture in PICTURES])
def test_what_pillow_does(picture: Picture) -> None:
    try:
        with Image.open(io.BytesIO(picture.stored)) as image:
            np.asarray(image)
        outcome = "reads it"
    except Exception as error:  # noqa: BLE001  # which one is what the table says
        outcome = type(error).__name__
    assert outcome == picture.pillow.partition(",")[0]


def test_no_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(WHOLE)
    with pytest.raises(FormatError, match="there is no such file; did you mean `.*cat.png`?"):
        read_raster(tmp_path / "cats.png")
    with pytest.raises(FormatError, match="this is a folder, expected a PNG or .npy file"):
        read_raster(tmp_path)


def test_pillows_patience_lets_no_half_file_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    path = tmp_path / "map.png"
    path.write_bytes(WHOLE[:50])
    with Image.open(path) as image:
        assert np.asarray(image).shape == (3, 4, 3)
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


FORMS = [(GREY, depth) for depth in (1, 2, 4, 8, 16)] + [(PALETTE, depth) for depth in (1, 2, 4, 8)] + [(RGB, 8)]


@st.composite
def pngs(draw: st.DrawFn, damaged: bool = False) -> bytes:
    """PNGs of any form: filters, levels of compression, split streams, further chunks; damaged before the checksums."""
    (colour, depth), width, height = draw(st.sampled_from(FORMS)), draw(st.integers(1, 40)), draw(st.integers(1, 6))
    row_bytes = (width * depth * (3 if colour == RGB else 1) + 7) // 8
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    raw = rng.integers(0, draw(st.sampled_from([1, 2, 256])), (height, 1 + row_bytes)).astype(np.uint8)
    raw[:, 0] = rng.integers(0, 5, height)
    rows = bytearray(raw.tobytes())
    if damaged and draw(st.booleans()):
        rows[draw(st.integers(0, height - 1)) * (1 + row_bytes)] = draw(st.integers(5, 255))
    if damaged and draw(st.booleans()):
        rows = rows[: draw(st.integers(0, len(rows)))] + bytes(draw(st.integers(0, 40)))
    packer = zlib.compressobj(draw(st.integers(0, 9)), strategy=draw(st.integers(0, 4)))
    stream = bytearray(packer.compress(rows) + packer.flush())
    for _ in range(draw(st.integers(0, 2)) if damaged else 0):
        bit = draw(st.integers(0, 8 * len(stream) - 1))
        stream[bit // 8] ^= 1 << bit % 8
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    others = [chunk(b"PLTE", bytes(range(256)) * 3)] if colour == PALETTE else []
    others += draw(st.lists(st.sampled_from([chunk(b"gAMA", bytes(4)), chunk(b"tEXt", b"a\0b")]), max_size=2))
    pixels = [chunk(b"IDAT", bytes(part)) for part in parts]
    return b"".join([PNG, chunk(b"IHDR", header), *others, *pixels, chunk(b"IEND", b"")])


@given(pngs())
def test_pixels_of_every_form_are_decoded_as_by_pillow(stored: bytes) -> None:
    picture = rasters._examined(stored)
    assert isinstance(picture, rasters._Picture)
    found = rasters._decoded(picture, rasters._inflated(picture, "map.png"), "map.png", rasters.Memory())
    assert picture.plain == (b"tEXt" not in stored)
    np.testing.assert_array_equal(found, rasters._decoded_by_pillow(stored, picture, "map.png"), strict=True)


@given(pngs(damaged=True))
def test_damaged_pixels_with_sound_checksums_are_refused_or_those_of_pillow(stored: bytes) -> None:
    picture = rasters._examined(stored)
    assert isinstance(picture, rasters._Picture)
    try:
        found = rasters._decoded(picture, rasters._inflated(picture, "map.png"), "map.png", rasters.Memory())
    except FormatError:
        return
    np.testing.assert_array_equal(found, rasters._decoded_by_pillow(stored, picture, "map.png"), strict=True)


ROWS = (b"\0" + bytes(range(1, 251))) * 200
STREAM = zlib.compress(ROWS)
DAMAGED = {
    "half of the rows": (zlib.compress(ROWS[: 100 * 251]), "expected 50,200 bytes of pixels, found 25,100"),
    "a byte less": (zlib.compress(ROWS[:-1]), "expected 50,200 bytes of pixels, found 50,199"),
    "a byte more": (zlib.compress(ROWS + b"\0"), "expected 50,200 bytes of pixels, found more"),
    "many bytes more": (zlib.compress(ROWS + bytes(1 << 24)), "expected 50,200 bytes of pixels, found more"),
    "no stream": (b"", "expected 50,200 bytes of pixels, found 0"),
    "half of the stream": (STREAM[: len(STREAM) // 2], "expected 50,200 bytes of pixels, found"),
    "no checksum": (STREAM[:-4], "the checksum of its pixels is missing"),
    "another checksum": (STREAM[:-1] + bytes([STREAM[-1] ^ 1]), "incorrect data check"),
    "no stream of zlib": (b"\0" + STREAM[1:], "incorrect header check"),
    "an unknown filter": (zlib.compress(ROWS[:251] + b"\5" + ROWS[252:]), "a row has the unknown filter 5"),
}


@pytest.mark.parametrize(("stream", "message"), DAMAGED.values(), ids=list(DAMAGED))
@pytest.mark.parametrize("large", [True, False], ids=["large", "small"])
def test_damaged_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bytes, message: str, large: bool
) -> None:
    monkeypatch.setattr(rasters, "LARGE", 50_000 if large else 50_001)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    header, end = chunk(b"IHDR", struct.pack(">IIBBBBB", 250, 200, 8, GREY, 0, 0, 0)), chunk(b"IEND", b"")
    path = tmp_path / "map.png"
    path.write_bytes(PNG + header + chunk(b"IDAT", stream) + end)
    with pytest.raises(FormatError, match=f": the PNG cannot be decoded: .*{message}"):
        read_raster(path)
    # what comes behind a stream that is whole is no part of it, nor are pixels in another place
    path.write_bytes(PNG + header + chunk(b"IDAT", STREAM + b"\0\1") + end)
    assert read_raster(path).pixels.sum() == 200 * 250 * 251 // 2
    split = chunk(b"IDAT", STREAM[:60]) + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", STREAM[60:])
    path.write_bytes(PNG + header + split + end)
    with pytest.raises(FormatError, match="bytes of pixels, found"):
        read_raster(path)


@pytest.mark.parametrize("array", [np.repeat(IDS, 2000, 1), np.tile(COLOURS, (120, 90, 1))], ids=["grey", "rgb"])
def test_large_maps_are_read_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: np.ndarray) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(saved(array))
    assert array.shape[0] * array.shape[1] >= rasters.LARGE
    monkeypatch.setattr(rasters, "_decoded_by_pillow", None)
    np.testing.assert_array_equal(read_raster(path).pixels, array, strict=True)


def test_maps_of_one_memory_are_read_one_after_another(tmp_path: Path) -> None:
    rng, memory = np.random.default_rng(0), rasters.Memory()
    maps = [rng.integers(0, 9, shape).astype(np.uint8) for shape in ((300, 200), (190, 210, 3), (400, 100), (2, 2))]
    for n, array in enumerate(maps):
        path = tmp_path / f"{n}.png"
        path.write_bytes(saved(array))
        np.testing.assert_array_equal(read_raster(path, memory).pixels, array, strict=True)
    first, second = (read_raster(tmp_path / "0.png").pixels for _ in range(2))
    assert not np.shares_memory(first, second)
    assert np.shares_memory(*(read_raster(tmp_path / f"{n}.png", memory).pixels for n in (0, 1)))
