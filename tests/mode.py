"""How this run of the suite executes kernels."""

import os

import numba

JIT = not numba.config.DISABLE_JIT
"""False when kernels run as plain Python: tests then take smaller inputs and fewer examples."""


def without_settings(**settings: str) -> dict[str, str]:
    """The environment with these settings of Numba alone: not those of this run of the suite, which checks bounds."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | settings
