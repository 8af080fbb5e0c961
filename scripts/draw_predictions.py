"""Draw what the bundled models predict on images of the scenes that they were not trained on.

    python scripts/draw_predictions.py [FOLDER]

writes ``predictions_detection.png`` and so on, one picture for each field, into ``docs/figures`` or another folder. The
first row is the ground truth, the others are the trained models; the images are the first ones of the split, none are
chosen. Needs torch and matplotlib (``pip install 'cvbench[models,plots]'``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from make_figures import save
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cvbench.benchmarks import Prediction, find
from cvbench.metrics.base import to_numpy
from cvbench.models import Entry, models
from cvbench.running import torch_threads
from cvbench.scenes import BONES, CATEGORIES, JOINTS, SIZE, THINGS, VOID_LABEL

SHOWN = 8
"""Images in a row."""

LEAST = 0.3
"""Objects with a lower score are not drawn."""

SIDES = {"left": "#3aa0ff", "right": "#ff9a2e"}

STUFF_COLOURS = ("#d6ecfa", "#c9e6bd", "#a3c4e6", "#cfcfcf", "#f3e8c6", "#e2c2ac")


def palette() -> NDArray[np.float64]:
    """(256, 3) the colour of each label; what has none is black."""
    colours = np.zeros((256, 3))
    colours[: len(THINGS)] = plt.get_cmap("tab10").colors[: len(THINGS)]  # type: ignore[attr-defined]  # of a listed map
    colours[len(THINGS) : len(CATEGORIES)] = [mpl.colors.to_rgb(colour) for colour in STUFF_COLOURS]
    return colours


def draw_boxes(axes: Axes, prediction: Prediction) -> None:
    """Boxes in the colours of their classes, with name and score; the truth has no scores."""
    boxes, labels = to_numpy(prediction["boxes"]).tolist(), to_numpy(prediction["labels"]).tolist()
    for n in _likely(prediction):
        (left, top, right, bottom), colour, text = boxes[n], palette()[labels[n] - 1], CATEGORIES[labels[n]]
        axes.add_patch(mpl.patches.Rectangle((left, top), right - left, bottom - top, fill=False, color=colour))
        if "scores" in prediction:
            text += f" {float(prediction['scores'][n]):.2f}"
        style = {"facecolor": colour, "edgecolor": "none", "pad": 0.5}
        axes.text(max(left, 1), max(top - 1, 8), text, fontsize=4, color="white", bbox=style, clip_on=True)


def draw_masks(axes: Axes, prediction: Prediction) -> None:
    """Masks filled in the colours of their classes, under the boxes."""
    masks, labels = to_numpy(prediction["masks"]), to_numpy(prediction["labels"])
    filled = np.zeros((SIZE, SIZE, 4))
    for n in reversed(_likely(prediction)):
        filled[masks[n]] = (*palette()[labels[n] - 1], 0.65)
    axes.imshow(filled, interpolation="nearest")
    draw_boxes(axes, prediction)


def draw_labels(axes: Axes, prediction: Prediction) -> None:
    """Every pixel in the colour of its class."""
    axes.imshow(palette()[to_numpy(prediction["labels"])], interpolation="nearest")


def draw_segments(axes: Axes, prediction: Prediction) -> None:
    """Every pixel in the colour of its class, black where nobody owns it, with white lines between segments."""
    owner = to_numpy(prediction["map"])
    labels = np.full(owner.shape, VOID_LABEL)
    for segment in prediction["segments"]:
        labels[owner == segment["id"]] = segment["category_id"] - 1
    shown = palette()[labels]
    shown[:, 1:][owner[:, 1:] != owner[:, :-1]] = 1
    shown[1:][owner[1:] != owner[:-1]] = 1
    axes.imshow(shown, interpolation="nearest")


def draw_people(axes: Axes, prediction: Prediction) -> None:
    """Bones, those of the left side blue and of the right side orange; of the truth only what is in the image."""
    points = to_numpy(prediction["keypoints"])
    known = np.broadcast_to(to_numpy(prediction.get("visible", True)), len(points))
    for a, b in BONES:
        if known[a] and known[b]:
            joint = a if JOINTS[a] not in ("head", "neck") else b
            colour = next((c for side, c in SIDES.items() if JOINTS[joint].startswith(side)), "white")
            axes.plot(*points[[a, b]].T, color=colour, linewidth=1.2)
    axes.plot(*points[known].T, "o", color="white", markersize=1.5)


def _likely(prediction: Prediction) -> list[int]:
    """The objects to draw."""
    if "scores" not in prediction:
        return list(range(len(prediction["labels"])))
    return [n for n, score in enumerate(to_numpy(prediction["scores"]).tolist()) if score >= LEAST]


DRAW: dict[str, Callable[[Axes, Prediction], None]] = {
    "detection": draw_boxes,
    "instance": draw_masks,
    "semantic": draw_labels,
    "panoptic": draw_segments,
    "pose": draw_people,
}
"""By field."""


def draw_field(field: str, entries: Sequence[Entry]) -> Figure:
    """The truth and the predictions of the models of a field."""
    benchmark = find(f"scenes.{field}")
    pictures = benchmark.pictures(benchmark.splits[-1], 10 * SHOWN)
    shown = list(islice(chain.from_iterable(zip(p.images, _truths(field, p), strict=True) for p in pictures), SHOWN))
    rows: list[tuple[str, list[Any]]] = [("ground truth", [truth for _, truth in shown])]
    images = np.stack([image for image, _ in shown])
    with torch_threads(1):
        rows += [(entry.card.title, list(entry.trained().eval().predict(images))) for entry in entries]
    figure, grid = plt.subplots(len(rows), SHOWN, figsize=(1.15 * SHOWN + 0.8, 1.15 * len(rows)), squeeze=False)
    figure.subplots_adjust(0.8 / (1.15 * SHOWN + 0.8), 0.005, 0.998, 0.995, 0.03, 0.03)
    for (title, predictions), line in zip(rows, grid, strict=True):
        line[0].set_ylabel(title.replace(" ", "\n"), fontsize=7, rotation=0, ha="right", va="center")
        for axes, image, prediction in zip(line, images, predictions, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.imshow(image)
            DRAW[field](axes, prediction)
            axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    return figure


def _truths(field: str, picture: Any) -> list[Prediction]:
    """What a perfect model would predict."""
    if field == "panoptic":
        return [picture.truth]
    if field in ("detection", "instance"):
        return [{**target, "labels": target["labels"] + 1} for target in picture.targets]
    return list(picture.targets)


def main() -> None:
    """Write the pictures of all fields in which a model has been trained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    for field in DRAW:
        trained = [
            entry for entry in models().values() if entry.card.field == field and entry.card.training is not None
        ]
        if trained:
            path = folder / f"predictions_{field}.png"
            save(draw_field(field, trained), path, colours=256)
            print(path)


if __name__ == "__main__":
    main()
