"""What all metrics share and no law says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cvbench import DetectionParams, InputError, PanopticParams, PckParams, PcpParams, SemanticParams

RULES: dict[str, tuple[Callable[..., Any], str]] = {
    "detection": (DetectionParams, "class_agnostic"),
    "panoptic": (PanopticParams, "boundary"),
    "semantic": (lambda **rules: SemanticParams.of(num_classes=2, **rules), "boundary"),
    "pck": (PckParams, "single"),
    "pcp": (lambda **rules: PcpParams.of("lsp", **rules), "strict"),
}


@pytest.mark.parametrize(("rules", "flag"), RULES.values(), ids=list(RULES))
def test_a_text_is_no_flag(rules: Callable[..., Any], flag: str) -> None:
    assert getattr(rules(**{flag: np.True_}), flag)
    with pytest.raises(InputError, match=f"{flag} 'no': expected True or False"):
        rules(**{flag: "no"})
