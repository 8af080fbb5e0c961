"""YOLO: one network looks once at a whole image, and says of each cell of a grid what it shows and where exactly.

What is new in the paper: detection is one regression, from pixels to the numbers of a small grid, with no windows,
regions or anchors. The cell that holds the centre of an object is responsible for it, and of the boxes of this cell the
one that is already nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.blocks import ConvBlock, Norm, init_he
from reference_models.parts.detections import distinct
from reference_models.parts.ops import clip_boxes, paired_iou

_LAYERS = "the layers of the paper, added up"

CARD = Card(
    name="yolo",
    title="YOLO v1",
    field="detection",
    citation='Redmon et al., "You Only Look Once: Unified, Real-Time Object Detection", CVPR 2016',
    published=(
        Published(*("params", 271_703_550, "count"), conditions="classes=20; S=7; B=2", source=_LAYERS, verified="yes"),
        Published(
            *("macs", 20.28515328, "GMACs"),
            input="1x3x448x448",
            conditions="classes=20",
            source=_LAYERS,
            verified="yes",
        ),
        Published(*("accuracy", 63.4, "%"), "mAP@0.5", "VOC2007 test", source="paper", verified="memory"),
        Published(*("latency", 45, "FPS"), conditions="hw=Titan X; batch=1", source="paper", verified="memory"),
    ),
    deviations=(
        "Roots of width and height are put out, as in the authors' code; the paper takes roots in the loss alone.",
        "Of objects with their centres in one cell the first is learnt; the paper does not say which one.",
        "Where no box of a cell overlaps its object, the one with the nearest numbers is responsible for it.",
        "At first all boxes stand in the middle of their cells and are a fourth of the image wide and high.",
        "The network is not trained to classify images first.",
        "Training shows images as they are; the paper moves and scales them and changes their colours.",
        "nano: eleven convolutions with batch norms in place of 24, a first layer of 208 outputs, and no dropout.",
    ),
)

COORDINATES, EMPTY = 5.0, 0.5
"""Weights of what is said of boxes, and of the confidence of boxes that are responsible for nothing."""

LEAST, OVERLAP, MOST = 0.001, 0.5, 100
"""Smallest score, IoU from which on boxes show the same object, and number of the boxes that are reported."""

SLOPE = 0.1
"""Of activations below 0."""

POOL = None
"""Halves the size of a map."""

Layer = tuple[int, int, int]
"""Channels, side of the kernel and stride of a convolution."""

PAPER: tuple[Layer | None, ...] = (
    *((64, 7, 2), POOL),
    *((192, 3, 1), POOL),
    *((128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1), POOL),
    *((256, 1, 1), (512, 3, 1)) * 4,
    *((512, 1, 1), (1024, 3, 1), POOL),
    *((512, 1, 1), (1024, 3, 1)) * 2,
    *((1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)),
)
NANO: tuple[Layer | None, ...] = (
    *((24, 3, 2), POOL),
    *((48, 3, 1), (24, 1, 1), (48, 3, 1), POOL),
    *((32, 1, 1), (64, 3, 1)) * 2,
    *(POOL, (32, 1, 1), (64, 3, 1), (16, 3, 1)),
)


class Owned(NamedTuple):
    """The objects that cells are responsible for, those of all images together.

    Attributes
    ----------
    image, row, column
        (P,) int64: the cell of each.
    labels
        (P,) int64: its class.
    boxes
        (P, 4) its box, where the image is 1 wide and 1 high.
    codes
        (P, 4) what a box of the cell should say: x and y of the centre in the cell, in cells, and the roots of width
        and height.
    """

    image: Tensor
    row: Tensor
    column: Tensor
    labels: Tensor
    boxes: Tensor
    codes: Tensor


class YOLO(Model):
    """Finds the objects of each cell of a grid; images of another size than that of `spec` are resized first.

    Parameters
    ----------
    layers
        Convolutions, and `POOL` between them.
    classes
        Kinds of objects.
    spec
        What the model is counted on, and the size of what the network looks at.
    grid
        Rows and columns of cells, S of the paper.
    boxes
        In each cell, B of the paper.
    hidden
        Outputs of the first fully connected layer.
    dropout
        Share of these that is left out in training.
    norm
        Makes the norms behind convolutions; None, as in the paper, has none.
    """

    def __init__(
        self,
        layers: Sequence[Layer | None],
        classes: int,
        spec: CountSpec,
        *,
        grid: int = 7,
        boxes: int = 2,
        hidden: int = 4096,
        dropout: float = 0.5,
        norm: Norm | None = None,
    ) -> None:
        super().__init__(spec)
        self.classes, self.grid, self.boxes = classes, grid, boxes
        self.shape: Size = (spec.shapes[0][2], spec.shapes[0][3])
        modules: list[nn.Module] = []
        channels, step = 3, 1
        for layer in layers:
            if layer is POOL:
                modules.append(nn.MaxPool2d(2))
                step *= 2
            else:
                width, kernel, stride = layer
                modules.append(ConvBlock(channels, width, kernel, stride, norm=norm, activation=_leaky))
                channels, step = width, step * stride
        self.backbone = nn.Sequential(*modules).apply(init_he)
        inputs = channels * prod(side // step for side in self.shape)
        first, last = nn.Linear(inputs, hidden), nn.Linear(hidden, grid * grid * (classes + 5 * boxes))
        self.head = nn.Sequential(nn.Flatten(), first, _leaky(), nn.Dropout(dropout), last)
        nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
        nn.init.normal_(last.weight, std=0.01)
        with torch.no_grad():
            last.bias.zero_().view(grid, grid, -1)[:, :, classes + boxes :] = 0.5

    def forward(self, images: Tensor) -> Raw:
        """For each cell: the probabilities of classes (B, S, S, classes), the confidence in each of its boxes (B, S, S,
        boxes), and their codes (B, S, S, boxes, 4), see `Owned`.
        """
        x = self.normalized(images)
        if x.shape[2:] != self.shape:
            x = F.interpolate(x, self.shape, mode="bilinear", align_corners=False)
        cells = self.head(self.backbone(x)).view(len(x), self.grid, self.grid, -1)
        kinds, confidence, codes = cells.split([self.classes, self.boxes, 4 * self.boxes], 3)
        return {
            "kinds": kinds,
            "confidence": confidence,
            "codes": codes.unflatten(3, (self.boxes, 4)),
            "size": (images.shape[2], images.shape[3]),
        }

    def decoded(self, codes: Tensor) -> Tensor:
        """The boxes (B, S, S, boxes, 4) that codes of this shape stand for, where the image is 1 wide and 1 high."""
        cells = torch.arange(self.grid, device=codes.device, dtype=codes.dtype)
        corner = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), -1)[:, :, None]
        centre, half = (corner + codes[..., :2]) / self.grid, codes[..., 2:].square() / 2
        return torch.cat([centre - half, centre + half], -1)

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of the objects in each image, the likeliest first.

        A score is the confidence in the box times the probability of the class.
        """
        height, width = raw["size"]
        scores = raw["confidence"].clamp(0, 1)[..., None] * raw["kinds"].clamp(0, 1)[..., None, :]
        boxes = self.decoded(raw["codes"]).flatten(1, 3)
        boxes = boxes * boxes.new_tensor([width, height, width, height])
        kinds = torch.arange(self.classes, device=boxes.device)
        predictions = []
        for score, box, size in zip(scores.flatten(1, 3), boxes, sizes or [raw["size"]] * len(boxes), strict=True):
            clipped = clip_boxes(box, size)
            inside = (clipped[:, 2:] > clipped[:, :2]).all(1)
            every = clipped[inside].repeat_interleave(self.classes, 0)
            of_class = kinds.expand_as(score[inside]).flatten()
            found = distinct(every, score[inside].flatten(), of_class, LEAST, OVERLAP, MOST)
            predictions.append(found.prediction())
        return predictions

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``box``, ``confidence`` and ``class``: squared errors, summed over an image, the mean of all images."""
        owned = self.owned(targets, raw["size"], like=raw["codes"])
        at = (owned.image, owned.row, owned.column)
        codes = raw["codes"][at]
        with torch.no_grad():
            overlaps = paired_iou(self.decoded(raw["codes"])[at], owned.boxes[:, None])
            apart = (codes - owned.codes[:, None]).square().sum(2)
            nearest = torch.where(overlaps.amax(1, keepdim=True) > 0, overlaps, -apart).argmax(1)
        each = torch.arange(len(nearest), device=nearest.device)
        confidence = raw["confidence"][at][each, nearest]
        responsible = (confidence - overlaps[each, nearest]).square().sum()
        others = raw["confidence"].square().sum() - confidence.square().sum()
        kinds = F.one_hot(owned.labels, self.classes).to(codes)
        return {
            "box": COORDINATES * (codes[each, nearest] - owned.codes).square().sum() / len(targets),
            "confidence": (responsible + EMPTY * others) / len(targets),
            "class": (raw["kinds"][at] - kinds).square().sum() / len(targets),
        }

    def owned(self, targets: Sequence[Target], size: Size, like: Tensor) -> Owned:
        """What cells are responsible for in images of `size`, numbers of the type of `like`."""
        height, width = size
        image = torch.cat([torch.full_like(target["labels"], i) for i, target in enumerate(targets)])
        labels = torch.cat([target["labels"] for target in targets])
        boxes = torch.cat([target["boxes"] for target in targets]).to(like)
        boxes = boxes / boxes.new_tensor([width, height, width, height])
        low, high = boxes.chunk(2, 1)
        centre = (low + high) / 2 * self.grid
        cell = centre.long().clamp(0, self.grid - 1)
        codes = torch.cat([centre - cell, (high - low).sqrt()], 1)
        column, row = cell.unbind(1)
        place = (image * self.grid + row) * self.grid + column
        order = torch.arange(len(place), device=place.device)
        first = order.new_full((len(targets) * self.grid**2,), len(order)).scatter_reduce(0, place, order, "amin")
        kept = first[place] == order
        return Owned(*(each[kept] for each in (image, row, column, labels, boxes, codes)))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


def build(size: Literal["nano", "paper"] = "nano", *, classes: int | None = None) -> YOLO:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` has 24 convolutions, on 448 × 448 pixels.
    classes
        Kinds of objects; None for the 8 of the scenes, or the 20 of VOC.
    """
    if size == "paper":
        return YOLO(PAPER, classes or 20, CountSpec((1, 3, 448, 448)))
    norm = nn.BatchNorm2d
    return YOLO(NANO, classes or 8, CountSpec((1, 3, 128, 128)), hidden=208, dropout=0, norm=norm)
