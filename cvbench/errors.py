"""Every error that cvbench raises on purpose.

::

    CvbenchError
    ├── FormatError        a file or record does not have the form that its format asks for
    ├── InputError         an argument is wrong: unknown name, impossible value, arrays that do not fit together
    ├── MismatchError      two things that are each fine do not belong together (other images, other conventions)
    └── MissingDependency  an optional package is needed; the message names the extra that brings it

A message says where, what was found, what was expected and how to mend it. All but `MissingDependency` are also
`ValueError`, so that callers who know nothing of cvbench can still catch them.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CvbenchError(Exception):
    """Base of all errors below.

    Parameters
    ----------
    message
        What was found, what was expected, how to mend it.
    where
        The place in the input, for example ``preds.json[1841].bbox``; empty when there is none.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message, where)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where)


def _rebuild(kind: type[CvbenchError], message: str, where: str) -> CvbenchError:
    return kind(message, where=where)


class FormatError(CvbenchError, ValueError):
    """A file or record is not what its format asks for."""


class InputError(CvbenchError, ValueError):
    """An argument is wrong: an unknown name, an impossible value, arrays that do not fit together."""


class MismatchError(CvbenchError, ValueError):
    """Two inputs that are each well formed do not belong together."""


class MissingDependency(CvbenchError, ImportError):
    """An optional package is missing; the message names the extra that installs it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest one there is, or all.

    >>> did_you_mean("max_det", ["iou_thresholds", "max_dets"]), did_you_mean("x", ["a", "b"])
    ("; did you mean 'max_dets'?", '; expected one of a, b')
    """
    names = list(known)
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(names)}"
