"""How this run of the suite executes kernels."""

import numba

JIT = not numba.config.DISABLE_JIT
"""False when kernels run as plain Python: tests then take smaller inputs and fewer examples."""
