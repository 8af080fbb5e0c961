"""Predictions as files, in the forms that ``cvbench score`` reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvbench.benchmarks import Benchmark, Picture, Prediction
from cvbench.metrics.base import to_numpy
from cvbench.metrics.masks import rle_encode, rle_to_strings
from cvbench.result import replace_file
from cvbench.scenes.folder import as_colours

Record = dict[str, Any]


class Keeper:
    """Writes the predictions of one model on one benchmark.

    Of objects ``<name>.json``, a list of results as COCO has them; of label maps ``<name>/000000.png`` and so on; of
    panoptic segments both, in COCO's form; of joints ``<name>.json``, a list with the people of an image in its order.

    Parameters
    ----------
    folder
        For the files; made where there is none.
    benchmark
    name
        Of the model.
    """

    def __init__(self, folder: Path, benchmark: Benchmark, name: str) -> None:
        self._path = folder / benchmark.name / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._records_of = RECORDS[benchmark.field]
        self._records: list[Record] = []
        self._maps = benchmark.field in ("semantic", "panoptic")
        if self._maps:
            self._path.mkdir(exist_ok=True)

    def __call__(self, picture: Picture, predictions: Sequence[Prediction]) -> None:
        """Keep the predictions for the images of a picture."""
        for person, prediction in enumerate(predictions):
            records, pixels = self._records_of(picture.id, person, prediction)
            self._records += records
            if pixels is not None:
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "PNG")
                replace_file(self._path / _file_name(picture.id), content.getvalue())

    def close(self) -> None:
        """Write what is known when all pictures are through."""
        if not self._maps:
            replace_file(self._path.with_name(f"{self._path.name}.json"), msgspec.json.encode(self._records))
        elif self._records:
            content = {"annotations": self._records}
            replace_file(self._path.with_name(f"{self._path.name}.json"), msgspec.json.encode(content))


def _file_name(image: int | str) -> str:
    return f"{image:06d}.png" if isinstance(image, int) else f"{image}.png"


def _objects(image: int | str, _: int, prediction: Prediction) -> tuple[list[Record], None]:
    boxes = to_numpy(prediction["boxes"]).astype(np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    labels, scores = to_numpy(prediction["labels"]).tolist(), to_numpy(prediction["scores"]).tolist()
    records = [
        {"image_id": image, "category_id": label, "bbox": box, "score": score}
        for label, box, score in zip(labels, boxes.tolist(), scores, strict=True)
    ]
    return records, None


def _instances(image: int | str, person: int, prediction: Prediction) -> tuple[list[Record], None]:
    records, _ = _objects(image, person, prediction)
    masks = prediction["masks"]
    if records and not isinstance(masks[0], dict):
        pixels = to_numpy(masks)
        size = list(pixels.shape[1:])
        masks = [{"size": size, "counts": counts} for counts in rle_to_strings(rle_encode(pixels))]
    return [{**r, "segmentation": _as_text(mask)} for r, mask in zip(records, masks, strict=True)], None


def _as_text(mask: Prediction) -> Record:
    counts = mask["counts"]
    return {"size": list(mask["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}


def _labels(_: int | str, __: int, prediction: Prediction) -> tuple[list[Record], NDArray[np.uint8]]:
    return [], to_numpy(prediction["labels"]).astype(np.uint8)


def _segments(image: int | str, _: int, prediction: Prediction) -> tuple[list[Record], NDArray[np.uint8]]:
    kept = ("id", "category_id")
    segments = [{name: int(segment[name]) for name in kept} for segment in prediction["segments"]]
    record = {"image_id": image, "file_name": _file_name(image), "segments_info": segments}
    return [record], as_colours(to_numpy(prediction["map"]).astype(np.int32))


def _joints(image: int | str, person: int, prediction: Prediction) -> tuple[list[Record], None]:
    points = to_numpy(prediction["keypoints"]).astype(np.float64)
    return [{"image_id": image, "person": person, "keypoints": points.tolist()}], None


RECORDS: dict[str, Callable[[int | str, int, Prediction], tuple[list[Record], NDArray[np.uint8] | None]]] = {
    "detection": _objects,
    "instance": _instances,
    "semantic": _labels,
    "panoptic": _segments,
    "pose": _joints,
}
"""By field, the records and the map of the prediction for one image."""
