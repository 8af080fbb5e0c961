"""cvbench: scores for computer vision that can be compared.

Names resolve on first use: ``import cvbench`` loads neither NumPy nor Numba.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "cvbench.errors": ("CvbenchError", "FormatError", "InputError", "MismatchError", "MissingDependency"),
    "cvbench.metrics.detection": ("DetectionAP", "detection_ap"),
    "cvbench.result": ("Result", "comparable"),
    "cvbench.score": ("score",),
    "cvbench.tasks": ("TASKS",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  # computed from the table above, so that a name has one place


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cvbench' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
