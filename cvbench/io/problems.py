"""What is wrong with an input: how a problem is worded, collected and raised."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cvbench.errors import FormatError

SHOWN = 60
"""A value in a message is cut to this many characters; the place in front of the message finds the whole of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that keeps an input from being scored.

    Attributes
    ----------
    where
        Its place, as ``preds.json[1841].bbox`` or ``instances.json.annotations[12].area``. Records count from 0.
    message
        What was found, what was expected, how to mend it.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def refuse(problems: Sequence[Problem], listing: str) -> FormatError:
    """The error for an input with these problems: the first one in full, the number of the others, and how to see them.

    Parameters
    ----------
    problems
        At least one.
    listing
        The command or call that lists all of them.
    """
    first, others = problems[0], len(problems) - 1
    message = first.message
    if others:
        message += f" (and {others:,} more problem{'s' * (others > 1)}; `{listing}` lists them)"
    return FormatError(message, where=first.where)


def shown(value: object) -> str:
    """`value` in JSON's own words, cut short.

    >>> shown(None), shown(float("nan")), shown("a" * 100)[-5:]
    ('null', 'NaN', 'a"...')
    """
    text = json.dumps(value, default=repr, skipkeys=True)
    if len(text) <= SHOWN:
        return text
    closing = text[-1] if text[-1] in '"]}' else ""
    return f"{text[:SHOWN]}{closing}..."


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` was probably meant to be, or None."""
    close = get_close_matches(name.lower(), list(known), n=1, cutoff=0.75)
    return close[0] if close else None
