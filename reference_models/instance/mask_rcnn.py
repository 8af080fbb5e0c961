"""Mask R-CNN: Faster R-CNN with one more head, which says of each region which of its pixels belong to the object.

What is new in the paper: this head, which draws the mask of every class independently of the others, and RoIAlign,
which takes the content of a region without rounding its borders to cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.detection import faster_rcnn
from reference_models.detection.faster_rcnn import FasterRCNN, nano_backbone, sizes_of
from reference_models.model import Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import FrozenBatchNorm2d
from reference_models.parts.ops import paste_masks
from reference_models.parts.region_heads import Examples, MaskHead
from reference_models.parts.regions import Regions, parts_of

TORCHVISION = "torchvision 0.28.0 weights meta MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
MODEL_ZOO = "detectron2 MODEL_ZOO.md, model id 137260431"

DEVIATIONS = (*faster_rcnn.DEVIATIONS, "Masks are learnt from the pixels under the centres of cells.")
"""Of all models that draw masks in regions."""

CARD = Card(
    name="mask_rcnn",
    title="Mask R-CNN",
    field="instance",
    citation='He, Gkioxari, Dollár and Girshick, "Mask R-CNN", ICCV 2017',
    published=(
        Published(
            *("params", 44_401_393, "count"),
            conditions="classes=91; frozen norms are buffers",
            source=TORCHVISION,
            verified="yes",
        ),
        Published(
            *("macs", 187.586351616, "GMACs"),
            input="1x3x800x800",
            conditions="proposals=1000; masks=100; classes=91",
            source="the 134.380 of v1 and the 53.207 for 100 masks by which the two v2 models of torchvision differ",
            verified="yes",
        ),
        Published(
            *("macs", 134.38, "GMACs"),
            input="1x3x800x800",
            conditions="proposals=1000; masks=0; classes=91",
            source=TORCHVISION,
            verified="yes",
        ),
        Published(*("accuracy", 34.6, "%"), "mask AP", "COCO val2017", source=TORCHVISION, verified="source"),
        Published(*("accuracy", 37.9, "%"), "box AP", "COCO val2017", source=TORCHVISION, verified="source"),
        Published(*("accuracy", 35.2, "%"), "mask AP", "COCO val2017", source=MODEL_ZOO, verified="source"),
        Published(
            *("latency", 0.043, "s"),
            conditions="hw=V100; batch=1; stage=inference_on_dataset",
            source="detectron2 MODEL_ZOO.md",
            verified="source",
        ),
    ),
    deviations=(
        *DEVIATIONS,
        "paper: 134.38 GMACs are printed for v1, which is the cost without a single mask; with 100 it is 187.586.",
        "nano: four basic blocks with norms that learn, a pyramid from stride 4 to 32, masks of 20 × 20 cells.",
    ),
)


@dataclass(frozen=True)
class Config(faster_rcnn.Config):
    """Sizes of the network and of what it learns from; those of the published model by default.

    Attributes
    ----------
    mask_side, mask_depth
        Cells of the content of a region that the head of masks looks at, and its depth.
    """

    mask_side: int = 14
    mask_depth: int = 4


PAPER = Config()
PAPER_SPEC = CountSpec((1, 3, 800, 800), proposals=1000, masks=100)

NANO = Config(**vars(faster_rcnn.NANO), mask_side=10, mask_depth=2)
NANO_SPEC = CountSpec((1, 3, 128, 128), proposals=64, masks=16)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> MaskRCNN:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return MaskRCNN(resnet(50, norm=FrozenBatchNorm2d), replace(PAPER, **options), PAPER_SPEC)
    return MaskRCNN(nano_backbone(), replace(NANO, **options), NANO_SPEC)


class MaskRCNN(FasterRCNN):
    """The detector on any residual backbone.

    Parameters
    ----------
    backbone
        Makes the maps.
    config
        Sizes.
    spec
        What it is counted on.
    """

    config: Config

    def __init__(self, backbone: ResNet, config: Config, spec: CountSpec) -> None:
        super().__init__(backbone, config, spec)
        self.mask_head = MaskHead(
            *(config.channels, config.channels, config.mask_depth, config.classes), dead=config.dead
        )

    def look_again(self, maps: Sequence[Tensor], regions: Regions, size: Size) -> Raw:
        """The objects in regions of images of `size`, with masks as probabilities."""
        raw = super().look_again(maps, regions, size)
        masks = self.mask_logits(maps, raw["boxes"], torch.cat(raw["classes"])).sigmoid().to(raw["boxes"][0])
        return raw | {"masks": list(parts_of(masks, raw["boxes"]))}

    def mask_logits(self, maps: Sequence[Tensor], boxes: Regions, classes: Tensor) -> Tensor:
        """Logits (N, 2 · mask_side, 2 · mask_side) of the masks of objects of `classes` (N,) in boxes."""
        masks: Tensor = self.mask_head(self.pooling(maps, boxes, self.config.mask_side))
        return masks[torch.arange(len(classes), device=classes.device), classes]

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores, labels and masks of each image, the likeliest object first."""
        drawn = zip(raw["masks"], raw["boxes"], sizes_of(raw, sizes), strict=True)
        return [
            found | {"masks": paste_masks(masks, boxes, own)}
            for found, (masks, boxes, own) in zip(super().postprocess(raw, sizes), drawn, strict=True)
        ]

    def loss_of_examples(
        self, maps: Sequence[Tensor], examples: Examples, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """How wrong the heads are about regions to learn from: the terms of Faster R-CNN, and that of masks."""
        terms = super().loss_of_examples(maps, examples, targets)
        masks = self.mask_head(self.pooling(maps, examples.shown, self.config.mask_side))
        return terms | self.mask_head.loss(masks, examples, targets)

    def count_heads(self, spec: CountSpec, maps: Sequence[Tensor]) -> Iterator[str]:
        """Run what reads the maps of a pyramid."""
        yield from super().count_heads(spec, maps)
        yield "masks"
        boxes = list(maps[0].new_zeros(len(maps[0]), spec.masks, 4))
        self.mask_head(self.pooling(maps, boxes, self.config.mask_side))
