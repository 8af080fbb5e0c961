"""Mask R-CNN: a network proposes regions, and heads say of each what it shows, where exactly, and which pixels.

What is new in the paper: a third head that draws the mask of every class independently of the others, and RoIAlign,
which takes the content of a region without rounding its borders to cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import BasicBlock, FrozenBatchNorm2d
from reference_models.parts.necks import FPN
from reference_models.parts.ops import clip_boxes, paste_masks
from reference_models.parts.region_heads import BoxHead, MaskHead, draw_examples
from reference_models.parts.regions import Pooling, ProposalNetwork, ProposalRules, Regions, parts_of

TORCHVISION = "torchvision 0.28.0 weights meta MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
MODEL_ZOO = "detectron2 MODEL_ZOO.md, model id 137260431"

DEVIATIONS = (
    "Blocks of the backbone have their stride in the 3 × 3 convolution, those of the paper in the first one.",
    "As many regions are proposed in training as in evaluation, where the paper proposes twice as many.",
    "RoIAlign takes 2 × 2 samples of each bin, whatever the size of the region.",
    "Masks are learnt from the pixels under the centres of cells.",
)
"""Of all models that propose regions and draw masks in them."""

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
class Config:
    """Sizes of the network and of what it learns from; those of the published model by default.

    Attributes
    ----------
    classes
        Without background.
    dead
        Heads have a box and a mask for the background as well, which nothing reads.
    first
        Stage of the backbone that gives the finest map, from 0.
    channels
        Of the pyramid.
    anchor
        Side of an anchor in cells of its map.
    cells
        See `reference_models.parts.regions.Pooling`.
    box_side, box_width, mask_side, mask_depth
        Cells of the content of a region that the heads look at, width of the one and depth of the other.
    rules
        Of proposals.
    drawn
        Regions of each image that the heads learn from.
    most
        Objects that are found in an image.
    """

    classes: int = 90
    dead: bool = True
    first: int = 0
    channels: int = 256
    anchor: float = 8
    cells: int = 14
    box_side: int = 7
    box_width: int = 1024
    mask_side: int = 14
    mask_depth: int = 4
    rules: ProposalRules = field(default_factory=ProposalRules)
    drawn: int = 512
    most: int = 100


PAPER = Config()
PAPER_SPEC = CountSpec((1, 3, 800, 800), proposals=1000, masks=100)

NANO = Config(
    classes=8,
    dead=False,
    first=1,
    channels=32,
    anchor=3,
    cells=7,
    box_width=96,
    mask_side=10,
    mask_depth=2,
    rules=ProposalRules(per_map=64, count=64, drawn=64),
    drawn=64,
    most=32,
)
NANO_SPEC = CountSpec((1, 3, 128, 128), proposals=64, masks=16)


def nano_backbone() -> ResNet:
    """The backbone of small two-stage models: strides 2, 4, 8, 16."""
    return ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 48, 64), stem_kernel=3, stem_pool=False)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> MaskRCNN:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return MaskRCNN(resnet(50, norm=FrozenBatchNorm2d), replace(PAPER, **options), PAPER_SPEC)
    return MaskRCNN(nano_backbone(), replace(NANO, **options), NANO_SPEC)


class MaskRCNN(Model):
    """The detector on any residual backbone.

    In training mode `forward` ends with the regions; which of them the heads look at depends on the targets of `loss`.

    Parameters
    ----------
    backbone
        Makes the maps.
    config
        Sizes.
    spec
        What it is counted on.
    """

    def __init__(self, backbone: ResNet, config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        self.config = config
        strides = backbone.strides[config.first :]
        coarser = (*strides, 2 * strides[-1])
        self.backbone = backbone
        self.pyramid = FPN(backbone.channels[config.first :], config.channels)
        self.proposals = ProposalNetwork(config.channels, coarser, [config.anchor * s for s in coarser], config.rules)
        self.pooling = Pooling(strides, config.cells)
        self.box_head = BoxHead(
            *(config.channels, config.box_side, config.box_width, config.classes), dead=config.dead, most=config.most
        )
        self.mask_head = MaskHead(
            *(config.channels, config.channels, config.mask_depth, config.classes), dead=config.dead
        )

    def maps(self, images: Tensor) -> list[Tensor]:
        """The pyramid, (B, channels, h, w) from fine to coarse; the last map is every other cell of the one before."""
        maps = self.pyramid(self.backbone(self.normalized(images))[self.config.first :])
        return [*maps, F.max_pool2d(maps[-1], 1, stride=2)]

    def forward(self, images: Tensor) -> Raw:
        """Maps, what is proposed, and, in evaluation mode, the objects of each image with masks as probabilities."""
        maps = self.maps(images)
        logits, codes = self.proposals(maps)
        size = (images.shape[2], images.shape[3])
        regions = self.proposals.propose(logits, codes, self.proposals.anchors(maps), size)
        raw = {"images": images, "maps": maps, "objectness": logits, "codes": codes, "regions": regions}
        return raw if self.training else raw | self.look_again(maps, regions, size)

    def look_again(self, maps: Sequence[Tensor], regions: Regions, size: Size) -> Raw:
        """The objects in regions of images of `size`."""
        logits, codes = self.box_head(self.pooling(maps, regions, self.config.box_side))
        found = self.box_head.detect(logits, codes, regions, size)
        boxes, classes = [objects.boxes for objects in found], torch.cat([objects.classes for objects in found])
        masks = self.mask_head(self.pooling(maps, boxes, self.config.mask_side))
        own = masks[torch.arange(len(classes), device=classes.device), classes].sigmoid().to(boxes[0])
        return {
            "boxes": boxes,
            "scores": [objects.scores for objects in found],
            "classes": [objects.classes for objects in found],
            "masks": list(parts_of(own, boxes)),
        }

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores, labels and masks of each image, the likeliest object first."""
        size = tuple(raw["images"].shape[2:])
        found = zip(raw["boxes"], raw["scores"], raw["classes"], raw["masks"], strict=True)
        return [
            {
                "boxes": clip_boxes(boxes, own),
                "scores": scores,
                "labels": classes + 1,
                "masks": paste_masks(masks, boxes, own),
            }
            for (boxes, scores, classes, masks), own in zip(found, sizes or [size] * len(raw["boxes"]), strict=True)
        ]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The five terms of the paper, of equal weight: two of proposals, and one of each head's outputs."""
        maps = raw["maps"]
        truths = [target["boxes"] for target in targets]
        terms = self.proposals.loss(raw["objectness"], raw["codes"], self.proposals.anchors(maps), truths)
        examples = draw_examples(raw["regions"], targets, self.config.drawn)
        logits, codes = self.box_head(self.pooling(maps, examples.regions, self.config.box_side))
        terms |= self.box_head.loss(logits, codes, examples, targets)
        masks = self.mask_head(self.pooling(maps, examples.shown, self.config.mask_side))
        return terms | self.mask_head.loss(masks, examples, targets)

    def count_parts(self, spec: CountSpec, images: Tensor) -> Iterator[str]:
        """Run the parts on as many regions and masks of each image as `spec` says."""
        yield "backbone and pyramid"
        yield from self.count_heads(spec, self.maps(images))

    def count_heads(self, spec: CountSpec, maps: Sequence[Tensor]) -> Iterator[str]:
        """Run what reads the maps of a pyramid."""
        yield "proposals"
        self.proposals(maps)
        yield "boxes"
        images = len(maps[0])
        self.box_head(self.pooling(maps, list(maps[0].new_zeros(images, spec.proposals, 4)), self.config.box_side))
        yield "masks"
        self.mask_head(self.pooling(maps, list(maps[0].new_zeros(images, spec.masks, 4)), self.config.mask_side))
