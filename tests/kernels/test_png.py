"""The decoder of PNG pixels: what it takes is what zlib and the definition of the filters give, or it says no."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels.png import CODES, LENGTHS, adler, inflate, unfilter
from mode import JIT

STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)


def compressed(content: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, strategy=strategy)
    return packer.compress(content) + packer.flush()


def inflated(stream: bytes, room: int) -> bytes | None:
    """What `inflate` makes of a stream with a header and a checksum; nothing else may be written to."""
    out = np.full(room + 64, 0xA5, np.uint8)
    codes, lengths = np.full(2 * CODES, 77, np.int16), np.full(LENGTHS, 77, np.int64)
    data = np.frombuffer(stream + bytes(4), np.uint8)
    size = inflate(data, 2, len(stream), out[:room], codes, lengths)
    assert (out[room:] == 0xA5).all()
    return None if size < 0 else out[:size].tobytes()


def by_zlib(stream: bytes) -> bytes | None:
    """The same by zlib, whatever the checksum; None where the stream is damaged or ends elsewhere."""
    unpacker = zlib.decompressobj(-15)
    try:
        content = unpacker.decompress(stream[2:])
    except zlib.error:
        return None
    return content if unpacker.eof and len(unpacker.unused_data) == 4 else None


@given(
    st.lists(st.tuples(st.binary(max_size=12), st.integers(1, 400)), max_size=30),
    st.integers(0, 9),
    st.sampled_from(STRATEGIES),
)
def test_streams_of_any_kind(parts: list[tuple[bytes, int]], level: int, strategy: int) -> None:
    content = b"".join(part * times for part, times in parts)
    stream = compressed(content, level, strategy)
    assert inflated(stream, len(content)) == content
    assert inflated(stream, len(content) + 9) == content
    if content:
        assert inflated(stream, len(content) - 1) is None


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("seed", range(3))
def test_long_codes_and_many_blocks(level: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = np.minimum(rng.geometric(0.4, 200_000 if JIT else 20_000), 255).astype(np.uint8).tobytes()
    content += rng.bytes(70_000 if JIT else 2000)
    assert inflated(compressed(content, level), len(content)) == content


@given(st.data())
def test_damaged_streams_are_refused_or_read_as_zlib_reads_them(data: st.DataObject) -> None:
    content = data.draw(st.lists(st.sampled_from([b"abc" * 30, bytes(400), b"xyz", bytes(range(60))]), max_size=12))
    level, strategy = data.draw(st.sampled_from([0, 1, 6])), data.draw(st.sampled_from(STRATEGIES))
    stream = bytearray(compressed(b"".join(content), level, strategy))
    for _ in range(data.draw(st.integers(1, 4))):
        bit = data.draw(st.integers(16, 8 * len(stream) - 1))
        stream[bit // 8] ^= 1 << bit % 8
    del stream[data.draw(st.integers(6, len(stream))) :]
    found = inflated(bytes(stream), 20_000)
    if found is not None:
        assert found == by_zlib(bytes(stream))


@given(st.binary(min_size=4, max_size=200))
def test_any_bytes_are_refused_or_read_as_zlib_reads_them(content: bytes) -> None:
    for start in (b"x\x9c\x05", b"x\x9c\x03", b"x\x9c\x01", b"x\x9c"):  # codes in the stream, fixed ones, none, any
        found = inflated(start + content, 5000)
        if found is not None:
            assert found == by_zlib(start + content)


@pytest.mark.parametrize("n", [0, 1, 5551, 5552, 5553, 30_000])
def test_checksums_are_those_of_zlib(n: int) -> None:
    for content in (bytes(n), b"\xff" * n, np.random.default_rng(n).bytes(n)):
        assert adler(np.frombuffer(content, np.uint8)) == zlib.adler32(content)


def filtered(lines: np.ndarray, kinds: np.ndarray, step: int) -> np.ndarray:
    """Rows as PNG's definition filters them."""
    rows = []
    for i, kind in enumerate(kinds):
        line, above = lines[i].astype(int), (lines[i - 1] if i else np.zeros_like(lines[0])).astype(int)
        left, corner = (np.concatenate([np.zeros(step, int), side])[: len(side)] for side in (line, above))
        paeth = []
        for a, b, c in zip(left, above, corner, strict=True):
            paeth.append(min((abs(a + b - c - one), place, one) for place, one in enumerate((a, b, c)))[2])
        guess = (np.zeros_like(line), left, above, (left + above) // 2, np.array(paeth))[kind]
        rows.append(np.append(kind, (line - guess) % 256))
    return np.concatenate(rows).astype(np.uint8)


@given(st.data())
def test_filters_are_undone(data: st.DataObject) -> None:
    step, pixels = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    height, width = data.draw(st.integers(1, 6)), pixels * step
    runs = rng.integers(0, data.draw(st.sampled_from([2, 256])), (height, pixels, step))
    lines = np.repeat(runs, data.draw(st.sampled_from([1, 9, 50])), axis=1)[:, :pixels].reshape(height, width)
    lines = lines[np.sort(rng.integers(0, height, height))].astype(np.uint8)
    raw = filtered(lines, np.array(data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))), step)
    rows = np.concatenate([np.full(width + 1, 9, np.uint8), raw]).reshape(height + 1, width + 1)
    strange = rows.copy()
    assert unfilter(rows, step)
    np.testing.assert_array_equal(rows[1:, 1:], lines)
    strange[data.draw(st.integers(1, height)), 0] = data.draw(st.integers(5, 255))
    assert not unfilter(strange, step)
