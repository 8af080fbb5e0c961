"""Say what keeps bundled models low: what they score where the truth stands in for one of their parts, or in training.

    python scripts/ask_oracles.py [IMAGES]

Needs torch (``pip install 'cvbench[models]'``). CornerNet is told which corners belong together, then where corners of
which class are; the stages of DeepPose are scored one by one; YOLO and DeepPose also on pictures that they learnt from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from cvbench.benchmarks import Benchmark, Picture, Prediction, find
from cvbench.models import find_model
from cvbench.running import torch_threads
from reference_models.detection import cornernet
from reference_models.model import Model, Raw
from reference_models.parts.peaks import draw_peaks

REACH = 1
"""Cells around a true corner that are told of which object it is."""

Change = Callable[[Raw, Picture], Raw]
Read = Callable[[Model, Raw], Sequence[Prediction]]


def score(model: Model, benchmark: Benchmark, split: str, images: int, change: Change, read: Read) -> float:
    """The figure of a benchmark where raw outputs are changed and then read."""
    metric = benchmark.metric(1)
    pictures: Iterator[Picture] = islice(benchmark.pictures(split, images), images)
    for picture in pictures:
        if picture.images:
            with torch.inference_mode():
                raw = model.eval()(model.prepare(np.stack(picture.images)))
                benchmark.update(metric, picture, read(model, change(raw, picture)))
    return metric.compute().values[benchmark.figure]


def as_it_is(raw: Raw, _: Picture) -> Raw:
    """What the network put out."""
    return raw


def decoded(model: Model, raw: Raw) -> Sequence[Prediction]:
    """What the model makes of it."""
    return model.postprocess(raw)


def corners_of(raw: Raw, picture: Picture) -> tuple[Tensor, Tensor, Tensor]:
    """Labels (N,), corners (N, 2, xy) in cells and the cells that they are in, of the objects of a picture."""
    target = picture.targets[0]
    places = torch.from_numpy(target["boxes"]).view(-1, 2, 2) / cornernet.CornerNet.stride
    most = torch.tensor(raw["heat"].shape[:-3:-1]) - 1
    return torch.from_numpy(target["labels"]), places, places.long().clamp(min=0).minimum(most)


def any_pair(raw: Raw, _: Picture) -> Raw:
    """All corners are of one object."""
    return raw | {"embedding": torch.zeros_like(raw["embedding"])}


def true_pairs(raw: Raw, picture: Picture) -> Raw:
    """A corner is of the object whose true corner is next to it; away from all, no two are of one."""
    _, _, cells = corners_of(raw, picture)
    embedding = torch.empty_like(raw["embedding"])
    embedding[:, :, 0], embedding[:, :, 1] = -100, -200
    for index, corners in enumerate(cells.tolist()):
        for corner, (x, y) in enumerate(corners):
            rows, columns = (slice(max(0, at - REACH), at + REACH + 1) for at in (y, x))
            embedding[:, :, corner, :, rows, columns] = index
    return raw | {"embedding": embedding}


def true_heat(raw: Raw, picture: Picture) -> Raw:
    """Corners are where they are, and of their classes."""
    labels, places, cells = corners_of(raw, picture)
    kinds, rows, columns = raw["heat"].shape[3:]
    spans = (places[:, 1] - places[:, 0]).flip(1).repeat_interleave(2, 0)
    planes = (torch.arange(2) * kinds + labels[:, None]).flatten()
    drawn = draw_peaks(cells.flip(2).flatten(0, 1), planes, spans, (2 * kinds, rows, columns))
    return raw | {"heat": drawn.view_as(raw["heat"][0, -1])[None, None].clamp(1e-6, 1 - 1e-6).logit()}


def stage(number: int) -> Read:
    """The joints as a stage of a cascade sees them."""
    return lambda _, raw: [{"keypoints": joints} for joints in raw["joints"][:, number - 1]]


ASKED: tuple[tuple[str, str, str, Change, Read], ...] = (
    ("cornernet", "val", "as it is", as_it_is, decoded),
    ("cornernet", "val", "any two corners of a class make a pair", any_pair, decoded),
    ("cornernet", "val", "true pairs", true_pairs, decoded),
    ("cornernet", "val", "true heat maps", true_heat, decoded),
    ("deeppose", "val", "first stage", as_it_is, stage(1)),
    ("deeppose", "val", "last stage", as_it_is, stage(3)),
    ("deeppose", "train", "last stage", as_it_is, stage(3)),
    ("yolo", "val", "as it is", as_it_is, decoded),
    ("yolo", "train", "as it is", as_it_is, decoded),
)
"""Model, split, what is changed in words, and how."""


def main() -> None:
    """Print what each of the trained models scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=int, nargs="?", default=200)
    images: int = parser.parse_args().images
    for name, split, words, change, read in ASKED:
        entry = find_model(name)
        if entry.card.training is not None:
            benchmark = find(f"scenes.{entry.card.field}")
            with torch_threads(1):
                value = score(entry.trained(), benchmark, split, images, change, read)
            print(f"{name} on {images} pictures of {split}, {words}: {benchmark.figure} {value:.3f}")


if __name__ == "__main__":
    main()
