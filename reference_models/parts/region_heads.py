"""Heads that look at regions: what each one shows, where exactly, and which of its pixels.

Conventions are those of `reference_models.parts.regions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_models.parts.assignment import draw, match
from reference_models.parts.blocks import init_he
from reference_models.parts.detections import Found, distinct
from reference_models.parts.ops import clip_boxes, decode_boxes, encode_boxes
from reference_models.parts.regions import Regions, parts_of


class Examples(NamedTuple):
    """Regions to learn from.

    Attributes
    ----------
    regions
        (R_b, 4) of each image, those of objects first.
    labels
        (R,) int64: 0 for background, 1 + the class of the object that the region stands for.
    truths
        (P_b,) of each image: the row of the object that each of the first P_b regions stands for.
    """

    regions: Regions
    labels: Tensor
    truths: list[Tensor]

    @property
    def shown(self) -> Regions:
        """The regions that stand for objects."""
        return [boxes[: len(rows)] for boxes, rows in zip(self.regions, self.truths, strict=True)]


def draw_examples(
    regions: Regions, targets: Sequence[dict[str, Tensor]], count: int = 512, share: float = 0.25
) -> Examples:
    """Regions to learn from: `count` of each image, at most a `share` of them with an IoU of 0.5 with an object.

    The true boxes are among them, so that there is something to learn before anything is found.
    """
    chosen, labels, truths = [], [], []
    for proposed, target in zip(regions, targets, strict=True):
        boxes = torch.cat([target["boxes"].to(proposed), proposed])
        matched = match(target["boxes"].to(proposed), boxes, 0.5, 0.5)
        shown, empty = draw(matched, count, share)
        chosen.append(boxes[torch.cat([shown, empty])])
        labels += [target["labels"][matched[shown]] + 1, torch.zeros_like(empty)]
        truths.append(matched[shown])
    return Examples(chosen, torch.cat(labels), truths)


class BoxHead(nn.Module):
    """Says what a region shows, and where its box should be, for each class.

    Parameters
    ----------
    channels, side
        Of the content of a region, (channels, side, side).
    width
        Outputs of the two hidden layers.
    classes
        Without background.
    dead
        Have a box for the background, too, as some published models do; nothing reads it.
    least, overlap, most
        Objects need a larger probability than `least`; of one class, those with an IoU above `overlap` are the same; of
        an image the best `most` are kept.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015; two hidden layers: Lin et al., "Feature Pyramid Networks for Object Detection",
    CVPR 2017.
    """

    WEIGHTS = (10.0, 10.0, 5.0, 5.0)

    def __init__(
        self,
        channels: int,
        side: int,
        width: int,
        classes: int,
        *,
        dead: bool = False,
        least: float = 0.05,
        overlap: float = 0.5,
        most: int = 100,
    ) -> None:
        super().__init__()
        self.classes, self.least, self.overlap, self.most = classes, least, overlap, most
        hidden = [nn.Linear(inputs, width) for inputs in (channels * side * side, width)]
        for layer in hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.layers = nn.Sequential(nn.Flatten(), hidden[0], nn.ReLU(), hidden[1], nn.ReLU())
        self.score = nn.Linear(width, classes + 1)
        self.code = nn.Linear(width, 4 * (classes + dead))
        for output, deviation in ((self.score, 0.01), (self.code, 0.001)):
            nn.init.normal_(output.weight, std=deviation)  # undecided at first
            nn.init.zeros_(output.bias)

    def forward(self, content: Tensor) -> tuple[Tensor, Tensor]:
        """Content (R, channels, side, side) to logits (R, 1 + classes) and codes of boxes (R, classes, 4)."""
        x = self.layers(content)
        return self.score(x), self.code(x).view(len(x), -1, 4)[:, -self.classes :]

    def loss(
        self, logits: Tensor, codes: Tensor, examples: Examples, targets: Sequence[dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """How wrong the head is about the examples."""
        shown = examples.labels > 0
        truths = [target["boxes"].to(codes)[rows] for target, rows in zip(targets, examples.truths, strict=True)]
        expected = encode_boxes(torch.cat(truths), torch.cat(examples.shown), self.WEIGHTS)
        said = codes[shown, examples.labels[shown] - 1]
        count = max(1, len(logits))
        return {
            "class": F.cross_entropy(logits, examples.labels, reduction="sum") / count,
            "box": F.smooth_l1_loss(said, expected, reduction="sum") / count,
        }

    def detect(self, logits: Tensor, codes: Tensor, regions: Regions, size: tuple[int, int]) -> list[Found]:
        """The objects in each image of `size`, from what the head says of all regions."""
        likely = logits.softmax(1)[:, 1:]
        boxes = clip_boxes(decode_boxes(codes, torch.cat(regions)[:, None], self.WEIGHTS), size)
        return [self._best(*pair) for pair in zip(parts_of(boxes, regions), parts_of(likely, regions), strict=True)]

    def _best(self, boxes: Tensor, likely: Tensor) -> Found:
        """The objects of an image of R regions, from boxes (R, classes, 4) and probabilities (R, classes)."""
        if boxes.is_meta:
            count = min(self.most, likely.numel())
            return Found(boxes.flatten(0, 1)[:count], likely.flatten()[:count], torch.arange(count, device="meta"))
        label = torch.arange(likely.shape[1], device=likely.device).expand_as(likely)
        found = (boxes.flatten(0, 1), likely.flatten(), label.flatten())
        return distinct(*found, self.least, self.overlap, self.most)


class MaskHead(nn.Module):
    """Says which cells of a region belong to its object, for each class.

    Parameters
    ----------
    channels
        Of the content of a region.
    width, depth
        Channels and number of the hidden convolutions.
    classes
        Without background.
    dead
        Have a mask for the background, too, as some published models do; nothing reads it.

    References
    ----------
    He, Gkioxari, Dollár and Girshick, "Mask R-CNN", ICCV 2017.
    """

    def __init__(self, channels: int, width: int, depth: int, classes: int, *, dead: bool = False) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = []
        for inputs in [channels] + [width] * (depth - 1):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.enlarge = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.mask = nn.Conv2d(width, classes + dead, 1)
        self.apply(init_he)
        nn.init.normal_(self.enlarge.weight, std=(2 / width) ** 0.5)  # as `init_he`: a cell reads one cell

    def forward(self, content: Tensor) -> Tensor:
        """Content (R, channels, side, side) to logits (R, classes, 2 · side, 2 · side)."""
        masks: Tensor = self.mask(F.relu(self.enlarge(self.layers(content))))
        return masks[:, -self.classes :]

    def loss(self, logits: Tensor, examples: Examples, targets: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """How wrong the head is about the regions that stand for objects, to which `logits` belong."""
        pairs = zip(targets, examples.truths, examples.shown, strict=True)
        side = logits.shape[-1]
        expected = [crop_masks(target["masks"][rows], boxes, side) for target, rows, boxes in pairs]
        labels = examples.labels[examples.labels > 0] - 1
        said = logits[torch.arange(len(labels), device=labels.device), labels]
        wrong = F.binary_cross_entropy_with_logits(said, torch.cat(expected).to(said), reduction="sum")
        return {"mask": wrong / max(1, said.numel())}


def crop_masks(masks: Tensor, boxes: Tensor, side: int, outside: int = 0) -> Tensor:
    """What masks (N, H, W) show in boxes (N, 4): at the centre of each of the cells of (N, side, side), nearest pixel.

    Beyond the image they show `outside`. Maps of labels are cropped in the same way.
    """
    height, width = masks.shape[1:]
    steps = (torch.arange(side, device=boxes.device) + 0.5) / side
    x, y = ((boxes[:, i, None] + steps * (boxes[:, i + 2] - boxes[:, i])[:, None]).floor().long() for i in (0, 1))
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    row = torch.arange(len(masks), device=boxes.device)[:, None, None]
    shown = masks[row, y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]]
    return shown.masked_fill(~inside, outside)
