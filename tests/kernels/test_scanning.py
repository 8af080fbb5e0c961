"""The scanner of JSON against Python's own reader: what it takes has the same value, and what is no JSON it refuses."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.kernels.scanning import REFUSED, after_value, integer_at, number_at, powers_of_ten
from mode import JIT

POWERS = powers_of_ten()
MANY = 200_000 if JIT else 2_000


def padded(text: str | bytes) -> Any:
    """The text as the scanner wants it."""
    return np.frombuffer(bytearray((text.encode() if isinstance(text, str) else text) + b"\0"), np.uint8)


def number(text: str) -> float | None:
    """The number that the text is, None where it is refused."""
    value, end = number_at(padded(text), 0, POWERS)
    assert end in (REFUSED, len(text))
    return None if end == REFUSED else value


def same(a: float, b: float) -> bool:
    return struct.pack("d", a) == struct.pack("d", b)


def numbers_like(form: str, seed: int) -> list[str]:
    """Numbers as files have them."""
    rng = np.random.default_rng(seed)
    if form == "scores":
        return [repr(float(value)) for value in rng.random(MANY // 4, np.float32)]
    if form == "small scores":
        return [repr(float(value)) for value in np.exp(-rng.exponential(20, MANY // 4)).astype(np.float32)]
    if form == "doubles":
        return [repr(value) for value in (rng.random(MANY // 4) * 10 ** rng.uniform(-9, 9, MANY // 4)).tolist()]
    if form == "pixels":
        return [f"{value:.3f}" for value in rng.uniform(-100, 2000, MANY // 4).tolist()]
    bits = rng.integers(0, 2**63, MANY, dtype=np.int64).view(np.float64)
    return [repr(value) for value in bits[np.isfinite(bits)].tolist()]


@pytest.mark.parametrize("form", ["scores", "small scores", "doubles", "pixels", "any"])
def test_numbers_are_the_nearest_float64(form: str) -> None:
    texts = numbers_like(form, 1)
    found = [number(text) for text in texts]
    assert all(same(value, float(text)) for text, value in zip(texts, found, strict=True) if value is not None)
    refused = sum(value is None for value in found) / len(found)
    # of any float64, those beyond 1e-64 and 1e22 are left to others
    assert refused == 0 if form != "any" else refused < 0.97


@given(st.integers(-(10**19), 10**19), st.integers(-80, 30), st.booleans())
@example(9007199254740993, 0, False)
@example(5, -1, False)
@example(9007199254740993, -1, True)
@example(36028797018963969, -2, True)  # half-way between two float64
def test_numbers_of_any_form(digits: int, power: int, capital: bool) -> None:
    text = str(digits)
    forms = [f"{text}{'E' if capital else 'e'}{power}", f"{text}.0e{power}", f"{text}e+{abs(power)}"]
    if 0 < -power < len(text.lstrip("-")):
        forms.append(f"{text[:power]}.{text[power:]}")
    if power <= 0:
        forms.append(f"{'-' if digits < 0 else ''}0.{'0' * -power}{abs(digits)}")
    for form in forms:
        value = number(form)
        assert value is None or same(value, float(form)), form


def half_way(seed: int) -> list[str]:
    """Decimals at and next to the middle between two float64, where rounding is hardest."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(MANY // 40):
        value = float(rng.random())
        upper = math.nextafter(value, 2)
        middle = (int(value * 2**80) + int(upper * 2**80)) * 10**30 // 2**81
        found += [f"0.{str(middle + step).zfill(30)[:18]}" for step in (-1, 0, 1)]
    return found


def test_numbers_next_to_half_way() -> None:
    for text in half_way(2):
        value = number(text)
        assert value is None or same(value, float(text)), text


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".5", "5.", "01", "-01", "00", "1.e5", "1e", "1e+", "+1", "-.5", "--1", "nan", "Infinity", "0x1"),
        "-0",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    _, end = number_at(padded(text), 0, POWERS)
    # a number may be followed by anything, which is for its owner to look at
    assert end == REFUSED or (
        re.fullmatch(r"-?\d+", text[:end]) and end < len(text) and text[end] not in ".eE0123456789"
    )


@given(st.integers(-(10**20), 10**20))
def test_integers(value: int) -> None:
    text = str(value)
    found, end = integer_at(padded(text), 0)
    assert (end == REFUSED) == (abs(value) >= 10**18)
    assert end == REFUSED or (found == value and end == len(text))


@pytest.mark.parametrize("text", ["1.0", "1e0", "1E0", "-0", "01", "", "-", "true", '"1"'])
def test_what_is_no_integer_is_refused(text: str) -> None:
    assert integer_at(padded(text), 0)[1] == REFUSED


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(TREES, st.sampled_from([None, 1]), st.booleans())
def test_values_are_passed_over(tree: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    end = after_value(padded(text + b" ,"), 0)
    assert end in (len(text), REFUSED)
    # unicode escapes are left to others
    assert (end == REFUSED) == (b"\\u" in text)


@given(TREES, st.data())
def test_damaged_values_are_refused(tree: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(tree).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        byte = data.draw(st.sampled_from(list(b'[]{}",:\\0e.-+ tn\x01x')))
        if data.draw(st.booleans()):
            text[place] = byte
        elif data.draw(st.booleans()) and len(text) > 1:
            del text[place]
        else:
            text.insert(place, byte)
    end = after_value(padded(bytes(text)), 0)
    assert end == REFUSED or is_json(bytes(text[:end]))


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_deep_values_are_refused() -> None:
    for depth, passed in ((60, True), (61, False)):
        text = "[" * depth + "]" * depth
        assert (after_value(padded(text), 0) == len(text)) == passed
