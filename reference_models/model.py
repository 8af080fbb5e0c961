"""What every model here is: a network with its loss, its decoding, and the shapes that it is counted on.

Targets and predictions are one dict per image. Boxes are (N, 4) as x1, y1, x2, y2 in pixels.

============  ==========================================  ==============================================================
field         targets (tensors)                           predictions
============  ==========================================  ==============================================================
detection     boxes, labels (N,)                          boxes, scores (N,), labels (N,)
instance      and masks (N, H, W) bool                    and masks (N, H, W) bool
semantic      labels (H, W), 255 for void                 labels (H, W)
panoptic      semantic (H, W), boxes, labels, masks       map (H, W) of segment ids, segments: a list of dicts
pose          keypoints (J, 2), visible (J,) bool         keypoints (J, 2), scores (J,)
============  ==========================================  ==============================================================

Labels of targets are indices from 0; those of predicted objects are category ids, which begin at 1. Predictions go to
the metrics of `cvbench` as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from reference_models.weights import load_weights

Raw = dict[str, Any]
"""What a network puts out, by name: tensors, or lists of tensors."""

Target = dict[str, Tensor]
"""The ground truth of one image."""

Prediction = dict[str, Any]
"""What is found in one image."""

Size = tuple[int, int]
"""Height and width in pixels."""

Pixels = NDArray[np.uint8]
"""Images (B, H, W, 3)."""

MEAN, DEVIATION = 0.5, 0.25
"""Of a pixel in an image with values in [0, 1]: about what scenes have, and photographs."""


class Model(nn.Module, ABC):
    """A network with all that is needed to train, run and count it.

    Parameters
    ----------
    spec
        What it is counted on: the size of its paper, or that of the benchmark it is trained for.
    """

    def __init__(self, spec: CountSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def forward(self, images: Tensor) -> Raw:
        """The network alone: images (B, 3, H, W) in [0, 1] to raw tensors. It runs on meta, too."""

    @abstractmethod
    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Predictions of each image from what `forward` put out.

        Parameters
        ----------
        raw
            Of a batch.
        sizes
            Of each image, where the batch fills images up at the right and at the bottom; None: they are full.
        """

    @abstractmethod
    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of the loss by name, weighted: their sum is what training makes small.

        All are finite for images without objects, too.
        """

    def normalized(self, images: Tensor) -> Tensor:
        """Images with values in [0, 1] around 0 and with about unit variance."""
        return (images - MEAN) / DEVIATION

    def prepare(self, images: Pixels) -> Tensor:
        """Images (B, H, W, 3) as `forward` takes them, on the device and of the type of the parameters."""
        weight = next(self.parameters())
        return torch.tensor(np.ascontiguousarray(images)).to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255

    def predict(self, images: Pixels) -> list[Prediction]:
        """What is found in images (B, H, W, 3) of one size; the mode, training or evaluation, is that of the module."""
        with torch.inference_mode():
            return self.postprocess(self(self.prepare(images)))

    def load(self, path: Path, sha256: str | None = None) -> None:
        """Read trained weights, see `reference_models.weights.load_weights`."""
        load_weights(self, path, sha256)
