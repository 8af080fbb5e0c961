"""torchvision may be imported after this, even if its operators were built for another torch.

torchmetrics takes from it only arithmetic on boxes, which is Python; declared, but never called, is what it looks for.
"""

from __future__ import annotations

import contextlib

import torch

try:
    with contextlib.suppress(ModuleNotFoundError):
        import torchvision  # noqa: F401  # whether that works is what is asked
except RuntimeError:
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
