"""From the shell's text to the value of a parameter; each raises ValueError with what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST_NUMBERS = 100_000
"""More thresholds or recall points than anybody wants; a step with a slip of the pen would ask for all memory."""


def numbers(text: str) -> tuple[float, ...]:
    """``0.5,0.75``, or ``0.5:0.95:0.05`` for evenly spaced ones with both ends."""
    if ":" not in text:
        return tuple(number(part) for part in text.split(","))
    first, last, step = _split(text, ":", 3, "first:last:step")
    low, high, width = number(first), number(last), number(step)
    count = round((high - low) / width) if width else -1
    if count > MOST_NUMBERS:
        raise ValueError(f"expected {MOST_NUMBERS:,} numbers or fewer, found {count + 1:,}")
    if count < 0 or abs(low + count * width - high) > 1e-9 * max(abs(high), 1):
        raise ValueError(f"expected first:last:step where steps of {step} lead from {first} to {last}")
    import numpy as np

    return tuple(np.linspace(low, high, count + 1).tolist())


def number(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected an integer, found {text!r}") from None


def integers(text: str) -> tuple[int, ...]:
    """``1,10,100``."""
    return tuple(integer(part) for part in text.split(","))


def yes_or_no(text: str) -> bool:
    """``yes``, ``true`` or ``1``, and their opposites."""
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("expected yes or no")
    return words[text.lower()]


def names(text: str) -> tuple[int | str, ...]:
    """Ids or names: what looks like an integer is one."""
    return tuple(int(part) if part.lstrip("-").isdigit() else part for part in text.split(","))


def choice(*choices: str) -> Callable[[str], str]:
    """The parser that takes one of `choices`."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return parse


def unless(word: str, value: Any, parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The parser that takes `word` for `value` and leaves everything else to `parse`."""
    return lambda text: value if text == word else parse(text)


def pairs(text: str) -> tuple[tuple[int, int], ...]:
    """``7:0,8:1``: old label, new label."""
    parts = [_split(part, ":", 2, "old:new, two labels") for part in text.split(",")]
    return tuple((integer(old), integer(new)) for old, new in parts)


def words(text: str) -> tuple[str, ...]:
    """``road,car``."""
    return tuple(part.strip() for part in text.split(","))


labels = unless("none", (), integers)
"""Integers, or ``none``."""


def areas(text: str) -> tuple[tuple[str, float, float], ...]:
    """``all:0:1e10,small:0:1024``: label, low, high."""
    found = []
    for part in text.split(","):
        label, low, high = _split(part, ":", 3, "label:low:high, in square pixels")
        found.append((label, number(low), number(high)))
    return tuple(found)


def _split(text: str, separator: str, parts: int, form: str) -> list[str]:
    found = text.split(separator)
    if len(found) != parts:
        raise ValueError(f"expected {form}, found {text!r}")
    return found
