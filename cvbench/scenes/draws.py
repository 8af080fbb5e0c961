"""Random integers that are the same everywhere: the n-th number of a stream is a function of its key and of n alone.

splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) in Python's own
integers: no library, platform or version of NumPy can change what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

WORD = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15


def mixed(word: int) -> int:
    """A word of 64 bits, mixed so that each of its bits depends on all of the word given."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def _extended(key: int, part: int) -> int:
    return mixed(((key + STEP) & WORD) ^ mixed(part & WORD))


class Draws:
    """A stream of random integers.

    Streams of different paths share nothing, so that whatever draws from one of its own (an object, a texture) can
    draw more or less without a change to the others.

    Parameters
    ----------
    path
        Integers that name the stream.

    Examples
    --------
    >>> draws = Draws(7, 0)
    >>> [draws.between(1, 6) for _ in range(5)]
    [4, 6, 4, 6, 3]
    >>> Draws(7).child(0).between(1, 6)
    4
    """

    __slots__ = ("_key", "_state")

    def __init__(self, *path: int) -> None:
        key = 0
        for part in path:
            key = _extended(key, part)
        self._key = self._state = key

    def child(self, part: int) -> Draws:
        """The stream of this stream's path and `part`, wherever this one stands."""
        stream = Draws()
        stream._key = stream._state = _extended(self._key, part)
        return stream

    def word(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + STEP) & WORD
        return mixed(self._state)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + (self.word() * (high - low + 1) >> 64)

    def chance(self, share: int, of: int) -> bool:
        """True in `share` of so many cases."""
        return self.between(1, of) <= share

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`, all equally likely."""
        return choices[self.between(0, len(choices) - 1)]
