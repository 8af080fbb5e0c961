"""What all metrics share and no law says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cvbench import DetectionParams, InputError, PanopticParams, PanopticQuality, PckParams, PcpParams, SemanticParams

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


def test_a_batch_with_an_id_that_came_before_is_not_taken_in_part() -> None:
    metric = PanopticQuality([{"id": 1, "name": "sky", "isthing": 0}])
    image = {"map": np.ones((2, 2), np.int64), "segments": [{"id": 1, "category_id": 1}]}
    for ids in ((5, 5), (5, 6, 5)):
        with pytest.raises(InputError, match="image_id 5 "):
            metric.update([image] * len(ids), [image] * len(ids), ids)
    metric.update(image, image, 7)
    with pytest.raises(InputError, match="image_id 7 came before; an image is counted once"):
        metric.update([image] * 3, [image] * 3, [8, 7, 9])
    assert metric.state.image_ids.tolist() == [7]
