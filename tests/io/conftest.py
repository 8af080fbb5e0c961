"""Ways of reading that must not differ."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cvbench.io import scan, source


@pytest.fixture(scope="module", params=["decoded", "scanned"])
def each_way_of_reading(request: pytest.FixtureRequest) -> Iterator[None]:
    """Files as small as those of tests are, and scanned like large ones, a few records at a time."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "scanned":
            patch.setattr(source, "LARGE", 0)
            patch.setattr(source, "compiled", lambda: True)
            patch.setattr(scan, "BLOCK", 150)
            patch.setattr(scan, "AHEAD", 40)
            patch.setattr(scan, "ROWS", 2)
        yield
