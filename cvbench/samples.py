"""The smallest files of every task that set all of its kernels to work: a ground truth, and predictions as good.

What kernels are compiled for depends on what files hold: 8-bit or 16-bit maps, polygons or run lengths, large or small
JSON files. So there are several pairs of files for a task where these make a difference.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Float, Int
from cvbench.io.source import LARGE

Sample = tuple[Path, Path, dict[str, Any]]
"""Files of ground truth and predictions, and rules."""

SIZE = (192, 192)
"""Height and width of all images, in pixels."""

JOINTS = {"coco.keypoints": 17, "crowdpose.keypoints": 14}
PARTS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}

POINTS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "pose.pck": (14, 2, {"curve": (0.1, 0.2), "mean": "instances"}),
    "mpii.pckh": (16, 2, {}),
    "pose.pdj": (14, 2, {"preset": "lsp"}),
    "pose.pcp": (14, 2, {"preset": "lsp"}),
    "pose.auc": (21, 2, {}),
    "pose.epe": (5, 2, {}),
    "landmarks.nme": (19, 2, {"preset": "aflw"}),
    "pose.mpjpe": (17, 3, {}),
}
"""Tasks on paired keypoints: how many there are, in how many dimensions, and rules."""


def samples(task: str, folder: Path) -> Iterator[Sample]:
    """Write the samples of a task to the folder, one after another."""
    if task in POINTS:
        yield _points(folder, *POINTS[task])
    elif task.startswith("cityscapes."):
        yield from _cityscapes(folder, task)
    elif task == "coco.panoptic":
        yield from _panoptic(folder)
    elif task == "semantic.miou":
        yield from _semantic(folder)
    else:
        yield from _objects(folder, task)


# Objects -------------------------------------------------------------------------------------------------------------


def _objects(folder: Path, task: str) -> Iterator[Sample]:
    """COCO's JSON, small, and so large that it is read in another way."""
    annotations = [_annotation(number, task) for number in range(6)]
    gt = {
        "images": [{"id": n, "height": SIZE[0], "width": SIZE[1], "crowdIndex": 0.1 + 0.4 * n} for n in range(3)],
        "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
        "annotations": annotations,
    }
    names = ("image_id", "category_id", "bbox", *_shapes(task))
    pred = [{name: own[name] for name in names} | {"score": 1 / (1 + own["id"])} for own in annotations]
    yield _json(folder / "gt.json", gt), _json(folder / "pred.json", pred), {}
    masks = task in ("coco.segm", "coco.boundary")
    if masks:
        for record in pred:
            record["segmentation"] = _compressed(record["bbox"])
        # a crowd in uncompressed run lengths, as COCO has it
        x, y, w, h = (int(value) for value in annotations[-1]["bbox"])
        runs = [SIZE[0] * x + y, *[h, SIZE[0] - h] * (w - 1), h]
        runs.append(SIZE[0] * SIZE[1] - sum(runs))
        annotations[-1] |= {"iscrowd": 1, "segmentation": {"size": list(SIZE), "counts": runs}}
        yield _json(folder / "gt_runs.json", gt), _json(folder / "pred_runs.json", pred), {}
    for large in (_padded, _zipped):
        yield large(folder / "gt_large", gt), large(folder / "pred_large", pred), {}
    if masks:
        lists = [record | {"segmentation": own["segmentation"]} for record, own in zip(pred, annotations, strict=True)]
        yield _padded(folder / "gt_lists", gt), _padded(folder / "pred_lists", lists), {}


def _annotation(number: int, task: str) -> dict[str, Any]:
    x, y, w, h = 4.0 + 8 * number, 3.0 + 4 * number, 30.0 + number, 24.0
    record = {
        "id": number + 1,
        "image_id": number % 3,
        "category_id": 1 + number % 2,
        "bbox": [x, y, w, h],
        "area": w * h,
        "iscrowd": 0,
        "segmentation": [[x, y, x, y + h, x + w, y + h, x + w, y]],
        "num_keypoints": JOINTS.get(task, PARTS["keypoints"]),
    }
    joints = PARTS | {"keypoints": JOINTS.get(task, PARTS["keypoints"])}
    return record | {
        name: [value for joint in range(n) for value in (x + joint % 9, y + joint % 7, 2.0)]
        for name, n in joints.items()
        if name in _shapes(task)
    }


def _shapes(task: str) -> Sequence[str]:
    """The fields that a task reads beside boxes."""
    if task in ("coco.segm", "coco.boundary"):
        return ("segmentation",)
    if task == "coco.wholebody":
        return tuple(PARTS)
    return ("keypoints",) if task in JOINTS else ()


def _compressed(box: Sequence[float]) -> dict[str, Any]:
    from cvbench.metrics.masks import masks_from_boxes, rle_to_strings

    return {"size": list(SIZE), "counts": rle_to_strings(masks_from_boxes([box], SIZE))[0].decode()}


def _json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _padded(path: Path, content: Any) -> Path:
    """JSON with so many spaces after it that it counts as large."""
    path = path.with_suffix(".json")
    path.write_text(json.dumps(content) + " " * LARGE, encoding="utf-8")
    return path


def _zipped(path: Path, content: Any) -> Path:
    path = path.with_suffix(".json.gz")
    path.write_bytes(gzip.compress((json.dumps(content) + " " * LARGE).encode(), 1))
    return path


# Maps ----------------------------------------------------------------------------------------------------------------


def _regions(*values: int) -> Int:
    """A map of these values in vertical stripes."""
    labels = np.array(values, np.int64)[np.arange(SIZE[1]) * len(values) // SIZE[1]]
    return np.tile(labels, (SIZE[0], 1))


def _png(path: Path, values: Int, dtype: type[np.unsignedinteger[Any]]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(path)


def _semantic(folder: Path) -> Iterator[Sample]:
    labels = _regions(0, 1, 2, 1)
    for dtype in (np.uint8, np.uint16):
        gt, pred = (folder / f"{side}_{np.dtype(dtype).name}" for side in ("gt", "pred"))
        for side in (gt, pred):
            _png(side / "one.png", labels + 300 * (dtype is np.uint16), dtype)
        rules: dict[str, Any] = {"class_ids": (300, 301, 302)} if dtype is np.uint16 else {"num_classes": 3}
        yield gt, pred, rules
        yield gt, pred, rules | {"boundary": True}


def _cityscapes(folder: Path, task: str) -> Iterator[Sample]:
    ids = _regions(7, 26001, 26002, 11)
    _png(folder / "gt" / "one_gtFine_instanceIds.png", ids, np.uint16)
    semantic = task == "cityscapes.semantic"
    _png(
        folder / "pred" / "one.png",
        np.where(ids > 255, 26, ids) if semantic else ids,
        np.uint8 if semantic else np.uint16,
    )
    yield folder / "gt", folder / "pred", {}
    if not semantic:
        yield folder / "gt", folder / "pred", {"boundary": True}


def _panoptic(folder: Path) -> Iterator[Sample]:
    values = (5, 1000, 70000, 8)
    ids = _regions(*values)
    categories = [{"id": 1, "name": "thing", "isthing": 1}, {"id": 2, "name": "stuff", "isthing": 0}]
    segments = [
        {"id": value, "category_id": 1 + n % 2, "area": int((ids == value).sum()), "iscrowd": 0}
        for n, value in enumerate(values)
    ]
    content = {
        "images": [{"id": 1, "height": SIZE[0], "width": SIZE[1]}],
        "categories": categories,
        "annotations": [{"image_id": 1, "file_name": "1.png", "segments_info": segments}],
    }
    colours: NDArray[Any] = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1)
    for side in ("gt", "pred"):
        _png(folder / side / "1.png", colours, np.uint8)
        _json(folder / f"{side}.json", content)
    yield folder / "gt.json", folder / "pred.json", {}
    yield folder / "gt.json", folder / "pred.json", {"boundary": True}


# Paired keypoints ----------------------------------------------------------------------------------------------------


def _points(folder: Path, joints: int, dims: int, rules: dict[str, Any]) -> Sample:
    n = 3
    numbers = np.arange(n * joints * dims, dtype=np.float64)
    points: Float = (10 + numbers * 7 % 53).reshape(n, joints, dims)
    arrays: dict[str, Any] = {
        "keypoints": points,
        "visible": np.ones((n, joints), np.bool_),
        "boxes": np.tile([5.0, 5, 60, 60], (n, 1)),
        "head_boxes": np.tile([5.0, 5, 25, 25], (n, 1)),
        "size": np.full(n, 50.0),
    }
    np.savez(folder / "gt.npz", **(arrays if dims == 2 else {"keypoints": points}))
    np.savez(folder / "pred.npz", keypoints=points + 1)
    return folder / "gt.npz", folder / "pred.npz", rules
