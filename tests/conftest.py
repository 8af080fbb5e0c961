"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mode import JIT

settings.register_profile(
    "cvbench",
    max_examples=100 if JIT else 15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("cvbench")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real ground truth and predictions with the official evaluators' figures.

    It is not part of the repository. Where the variable CVBENCH_REAL_DATA names it, it has to be there.
    """
    name = os.environ.get("CVBENCH_REAL_DATA")
    if name is None:
        pytest.skip("CVBENCH_REAL_DATA is not set")
    folder = Path(name)
    assert folder.is_dir(), f"CVBENCH_REAL_DATA={name} is not a folder"
    return folder
