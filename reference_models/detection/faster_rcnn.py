"""Faster R-CNN: a network proposes regions from the same maps from which heads say what each region shows and where.

What is new in the paper: the region proposal network. It looks at anchors, boxes of a few sizes and shapes at every
place, on maps that the detector computes anyway, so that proposals cost next to nothing and are learnt. Here it looks
at a feature pyramid (Lin et al., 2017), with anchors of one size on each map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import BasicBlock, FrozenBatchNorm2d
from reference_models.parts.necks import FPN
from reference_models.parts.ops import clip_boxes
from reference_models.parts.region_heads import BoxHead, Examples, draw_examples
from reference_models.parts.regions import Pooling, ProposalNetwork, ProposalRules, Regions

TORCHVISION = "torchvision 0.28.0 weights meta FasterRCNN_ResNet50_FPN_Weights.COCO_V1"
MODEL_ZOO = "detectron2 MODEL_ZOO.md"

DEVIATIONS = (
    "Blocks of the backbone have their stride in the 3 × 3 convolution, those of the paper in the first one.",
    "As many regions are proposed in training as in evaluation, where the paper proposes twice as many.",
    "RoIAlign takes 2 × 2 samples of each bin, whatever the size of the region.",
)
"""Of all models that propose regions; the paper is the one of the pyramid."""

CARD = Card(
    name="faster_rcnn",
    title="Faster R-CNN",
    field="detection",
    citation=(
        'Ren, He, Girshick and Sun, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks", '
        'NIPS 2015; with the pyramid of Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017'
    ),
    published=(
        Published(
            *("params", 41_755_286, "count"),
            conditions="classes=91; frozen norms are buffers",
            source=TORCHVISION,
            verified="yes",
        ),
        Published(
            *("macs", 134.379721216, "GMACs"),
            input="1x3x800x800",
            conditions="proposals=1000; classes=91",
            source=TORCHVISION,
            verified="yes",
        ),
        Published(*("accuracy", 37.0, "%"), "box AP", "COCO val2017", source=TORCHVISION, verified="source"),
        Published(
            *("accuracy", 37.9, "%"),
            *("box AP", "COCO val2017"),
            source=f"{MODEL_ZOO}, model id 137257794",
            verified="source",
        ),
        Published(
            *("latency", 0.038, "s"),
            conditions="hw=V100; batch=1; stage=inference_on_dataset",
            source=MODEL_ZOO,
            verified="source",
        ),
    ),
    deviations=(
        *DEVIATIONS,
        "A residual network, a pyramid and RoIAlign stand for VGG-16, a single map and regions of whole cells.",
        "Both stages are learnt at once, which the paper of 2015 does in four steps.",
        "Anchors that leave the image are learnt from, too.",
        "The terms of proposals have one divisor, the anchors that are drawn.",
        "paper: norms are frozen, as in the published weights; norms that learn would be 53,120 parameters more.",
        "nano: four basic blocks with norms that learn, a pyramid from stride 4 to 32; Mask R-CNN nano without masks.",
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
        Heads have a box for the background as well, and a mask where they draw masks, which nothing reads.
    first
        Stage of the backbone that gives the finest map, from 0.
    channels
        Of the pyramid.
    anchor
        Side of an anchor in cells of its map.
    cells
        See `reference_models.parts.regions.Pooling`.
    box_side, box_width
        Cells of the content of a region that the head of boxes looks at, and its width.
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
    rules: ProposalRules = field(default_factory=ProposalRules)
    drawn: int = 512
    most: int = 100


PAPER = Config()
NANO = Config(
    classes=8,
    dead=False,
    first=1,
    channels=32,
    anchor=3,
    cells=7,
    box_width=96,
    rules=ProposalRules(per_map=64, count=64, drawn=64),
    drawn=64,
    most=32,
)


def nano_backbone() -> ResNet:
    """The backbone of small two-stage models: strides 2, 4, 8, 16."""
    return ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 48, 64), stem_kernel=3, stem_pool=False)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> FasterRCNN:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        spec = CountSpec((1, 3, 800, 800), proposals=1000, masks=0)
        return FasterRCNN(resnet(50, norm=FrozenBatchNorm2d), replace(PAPER, **options), spec)
    return FasterRCNN(nano_backbone(), replace(NANO, **options), CountSpec((1, 3, 128, 128), proposals=64, masks=0))


class FasterRCNN(Model):
    """The detector on any residual backbone.

    In training mode `forward` ends with the regions; which of them the heads look at depends on the targets of `loss`.
    A model with further heads extends `look_again`, `loss_of_examples` and `count_heads`.

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

    def maps(self, images: Tensor) -> list[Tensor]:
        """The pyramid, (B, channels, h, w) from fine to coarse; the last map is every other cell of the one before."""
        maps = self.pyramid(self.backbone(self.normalized(images))[self.config.first :])
        return [*maps, F.max_pool2d(maps[-1], 1, stride=2)]

    def forward(self, images: Tensor) -> Raw:
        """Maps, what is proposed, and, in evaluation mode, the objects of each image."""
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
        return {
            "boxes": [objects.boxes for objects in found],
            "scores": [objects.scores for objects in found],
            "classes": [objects.classes for objects in found],
        }

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of each image, the likeliest object first."""
        found = zip(raw["boxes"], raw["scores"], raw["classes"], sizes_of(raw, sizes), strict=True)
        return [
            {"boxes": clip_boxes(boxes, own), "scores": scores, "labels": classes + 1}
            for boxes, scores, classes, own in found
        ]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of the paper, of equal weight: two of proposals, and one of each output of the heads."""
        maps = raw["maps"]
        truths = [target["boxes"] for target in targets]
        terms = self.proposals.loss(raw["objectness"], raw["codes"], self.proposals.anchors(maps), truths)
        examples = draw_examples(raw["regions"], targets, self.config.drawn)
        return terms | self.loss_of_examples(maps, examples, targets)

    def loss_of_examples(
        self, maps: Sequence[Tensor], examples: Examples, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """How wrong the heads are about regions to learn from."""
        logits, codes = self.box_head(self.pooling(maps, examples.regions, self.config.box_side))
        return self.box_head.loss(logits, codes, examples, targets)

    def count_parts(self, spec: CountSpec, images: Tensor) -> Iterator[str]:
        """Run the parts on as many regions, and masks where there are some, of each image as `spec` says."""
        yield "backbone and pyramid"
        yield from self.count_heads(spec, self.maps(images))

    def count_heads(self, spec: CountSpec, maps: Sequence[Tensor]) -> Iterator[str]:
        """Run what reads the maps of a pyramid."""
        yield "proposals"
        self.proposals(maps)
        yield "boxes"
        images = len(maps[0])
        self.box_head(self.pooling(maps, list(maps[0].new_zeros(images, spec.proposals, 4)), self.config.box_side))


def sizes_of(raw: Raw, sizes: Sequence[Size] | None) -> Sequence[Size]:
    """The size of each image of a batch: as given, or that of the batch."""
    images: Tensor = raw["images"]
    return sizes or [(images.shape[2], images.shape[3])] * len(images)
