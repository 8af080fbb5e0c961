"""Generated data sets of CrowdPose and COCO-WholeBody: COCO's, bent to where the benchmarks differ from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from generated import Knobs, coco

CROWD_INDICES = (0.0, 0.1, 0.2, np.nextafter(0.2, 0), 0.5, 0.8, np.nextafter(0.8, 0), 1.0)
PARTS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
SCORES = ("wholebody_score", "foot_score", "face_score", "lefthand_score", "righthand_score")

Pair = tuple[dict[str, Any], dict[str, Any]]
Data = tuple[dict[str, Any], list[dict[str, Any]]]


def crowdpose(knobs: Knobs) -> Data:
    """14 keypoints, no areas, ``num_keypoints`` of its own, images on both sides of the limits of their levels."""
    gt, dt = coco(knobs, "keypoints")
    rng = np.random.default_rng(knobs.seed + 1)
    for image in gt["images"]:
        image["crowdIndex"] = float(rng.choice(CROWD_INDICES))
    for record in gt["annotations"]:
        del record["area"]
        record["keypoints"] = record["keypoints"][:42]
        record["num_keypoints"] = int(rng.integers(0, 3))
    for record in dt:
        record["keypoints"] = record["keypoints"][:42]
        _set_thirds(rng, record["keypoints"])
    return gt, dt


def wholebody(knobs: Knobs) -> Data:
    """133 keypoints in five fields, parts that nobody labelled or found, parts with and without their own scores."""
    gt, dt = coco(knobs, "keypoints")
    rng = np.random.default_rng(knobs.seed + 1)
    for record in (*gt["annotations"], *dt):
        body = np.reshape(record["keypoints"], (17, 3))
        for name, joints in PARTS.items():
            if name != "keypoints":
                points = body[np.arange(joints) % 17].copy()
                points[:, :2] += np.arange(joints)[:, None] * 0.1
                record[name] = points.reshape(-1).tolist()
            if "score" in record:
                _set_thirds(rng, record[name])
            elif rng.random() < 0.3:
                record[name][2::3] = [0.0] * joints
        if "score" in record:
            people = [truth for truth in gt["annotations"] if truth["image_id"] == record["image_id"]]
            if people and rng.random() < 0.7:
                _find(rng, record, people[rng.integers(len(people))])
            record |= {name: float(rng.integers(knobs.levels) / knobs.levels) for name in SCORES if rng.random() < 0.5}
    return gt, dt


def _find(rng: np.random.Generator, record: dict[str, Any], truth: dict[str, Any]) -> None:
    """Put the points of a detection near those of a truth: small parts have small sigmas, and chance finds none."""
    for name, joints in PARTS.items():
        noise = rng.normal(0, rng.choice([0.0, 0.1, 0.5, 2.0]), (joints, 2))
        for axis in range(2):
            record[name][axis::3] = (np.array(truth[name][axis::3]) + noise[:, axis]).tolist()


def crowdpose_images(knobs: Knobs) -> list[Pair]:
    """`crowdpose` as dicts of arrays, image by image."""
    gt, dt = crowdpose(knobs)
    index = {image["id"]: image["crowdIndex"] for image in gt["images"]}
    return [
        (truth | {"crowd_index": index[truth["image_id"]]}, found)
        for truth, found in _images(gt, dt, ["keypoints"], ("bbox", "num_keypoints", "iscrowd"))
    ]


def wholebody_images(knobs: Knobs) -> list[Pair]:
    """`wholebody` as dicts of arrays, image by image."""
    gt, dt = wholebody(knobs)
    for record in dt:
        record["part_scores"] = [record.get(name, record["score"]) for name in SCORES]
    return _images(gt, dt, list(PARTS), ("bbox", "area", "iscrowd"))


def _images(gt: dict[str, Any], dt: list[dict[str, Any]], parts: list[str], names: tuple[str, ...]) -> list[Pair]:
    pairs = []
    for image in sorted(image["id"] for image in gt["images"]):
        truths = [record for record in gt["annotations"] if record["image_id"] == image]
        found = [record for record in dt if record["image_id"] == image]
        truth, pred = ({"labels": [record["category_id"] for record in side]} for side in (truths, found))
        for side, records in ((truth, truths), (pred, found)):
            points = [np.concatenate([np.reshape(record[part], (-1, 3)) for part in parts]) for record in records]
            side["keypoints"] = np.array(points) if points else []
        truth |= {{"bbox": "boxes"}.get(name, name): [record[name] for record in truths] for name in names}
        truth["image_id"] = image
        pred["scores"] = [record["score"] for record in found]
        if "part_scores" in (found[0] if found else {}):
            pred["part_scores"] = [record["part_scores"] for record in found]
        pairs.append((truth, pred))
    return pairs


def _set_thirds(rng: np.random.Generator, keypoints: list[float]) -> None:
    """Give keypoints third values, of which sometimes none is above 0."""
    highest = int(rng.choice([1, 3]))
    keypoints[2::3] = rng.integers(-1, highest, len(keypoints) // 3).astype(float).tolist()
