"""Mask R-CNN: a network proposes regions, and heads say of each what it shows, where exactly, and which pixels.

What is new in the paper: a third head that draws the mask of every class independently of the others, and RoIAlign,
which takes the content of a region without rounding its borders to cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field


from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.parts.backbones import ResNet
from reference_models.parts.blocks import BasicBlock
from reference_models.parts.regions import ProposalRules

TORCHVISION = "torchvision 0.28.0 weights meta MaskRCNN_ResNet50_FPN_Weights.COCO_V1"
MODEL_ZOO = "detectron2 MODEL_ZOO.md, model id 137260431"

CARD = Card(
    name="mask_rcnn",
    title="Mask R-CNN",
    field="instance",
    citation="He, Gkioxari, Dollár and Girshick, Mask R-CNN, ICCV 2017",
    published=(
        Published(
            *("params", 44_401_393, "count"),
            conditions="classes=91; frozen norms are buffers",
            source=TORCHVISION,
            verified="yes",
        ),
        Published(
            *("macs", 187.586, "GMACs"),
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
        "Blocks of the backbone have their stride in the 3 × 3 convolution, those of the paper in the first one.",
        "As many regions are proposed in training as in evaluation, where the paper proposes twice as many.",
        "RoIAlign takes 2 × 2 samples of each bin, whatever the size of the region.",
        "Masks are learnt from the pixels under the centres of cells.",
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
    rules=ProposalRules(per_map=128, count=64, drawn=64),
    drawn=64,
    most=32,
)
NANO_SPEC = CountSpec((1, 3, 128, 128), proposals=64, masks=16)


def nano_backbone() -> ResNet:
    """The backbone of small two-stage models: strides 2, 4, 8, 16."""
    return ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 48, 64), stem_kernel=3, stem_pool=False)
