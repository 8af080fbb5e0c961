"""Make a small detection data set in COCO's form, the same on every machine.

    python scripts/make_sample.py FOLDER

writes ``FOLDER/gt.json`` and ``FOLDER/pred.json``: 200 street-like images with objects of five categories and all
sizes, a few crowds, and the detections of an imaginary model that misplaces boxes, misses small objects, confuses
similar categories and invents some. Enough to see every figure of ``coco.bbox`` and ``coco.segm`` at work.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 640, 480
IMAGES = 200
CATEGORIES = {1: "person", 2: "bicycle", 3: "car", 4: "bus", 5: "traffic light"}
FREQUENCY = (10, 3, 8, 1, 2)
ASPECT = {1: 0.4, 2: 1.4, 3: 1.8, 4: 2.2, 5: 0.45}
LOOKS_LIKE = {2: 1, 3: 4, 4: 3}
Record = dict[str, Any]


def draw_box(rng: random.Random, category: int) -> list[float]:
    """One box ``[x, y, width, height]`` inside of the image, sizes spread evenly on a logarithmic scale."""
    side = 8 * 32 ** rng.random()
    aspect = ASPECT[category] * rng.uniform(0.8, 1.25)
    width, height = min(side * aspect**0.5, WIDTH - 1), min(side / aspect**0.5, HEIGHT - 1)
    return rounded([rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height), width, height])


def jitter(rng: random.Random, box: list[float], amount: float) -> list[float]:
    """The `box` as a model would find it: off by a fraction `amount` of its sides."""
    x, y, width, height = box
    width_, height_ = width * (1 + rng.gauss(0, amount)), height * (1 + rng.gauss(0, amount))
    return rounded([x + width * rng.gauss(0, amount), y + height * rng.gauss(0, amount), abs(width_), abs(height_)])


def rounded(box: list[float]) -> list[float]:
    """Coordinates to hundredths of a pixel, as annotation tools write them."""
    return [round(value, 2) for value in box]


def outline(box: list[float]) -> list[list[float]]:
    """A polygon with cut corners, about 7/8 of the `box`."""
    x, y, width, height = box
    corners = [(0.25, 0), (0.75, 0), (1, 0.25), (1, 0.75), (0.75, 1), (0.25, 1), (0, 0.75), (0, 0.25)]
    return [[round(value, 2) for u, v in corners for value in (x + u * width, y + v * height)]]


def make_sample(seed: int = 0) -> tuple[Record, list[Record]]:
    """Ground truth and detections.

    Parameters
    ----------
    seed
        Another seed gives another data set of the same kind.
    """
    rng = random.Random(seed)
    annotations: list[Record] = []
    detections: list[Record] = []
    for image in range(1, IMAGES + 1):
        for category in rng.choices(list(CATEGORIES), FREQUENCY, k=rng.randrange(15)):
            box = draw_box(rng, category)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": box,
                    "segmentation": outline(box),
                    "area": round(box[2] * box[3] * 0.875, 2),
                    "iscrowd": int(rng.random() < 0.02),
                }
            )
            visible = min(1.0, 0.35 + (box[2] * box[3]) ** 0.5 / 100)
            for _ in range((rng.random() < visible) + (rng.random() < 0.05)):
                seen = LOOKS_LIKE.get(category, category) if rng.random() < 0.06 else category
                score = round(min(0.999, rng.betavariate(6 * visible, 2)), 3)
                found = jitter(rng, box, 0.04 + 0.08 * (1 - visible))
                detections.append(detection(image, seen, found, score))
        for _ in range(rng.randrange(4)):
            category = rng.choice(list(CATEGORIES))
            detections.append(detection(image, category, draw_box(rng, category), round(rng.betavariate(1.5, 4), 3)))
    images = [
        {"id": image, "file_name": f"{image:06}.jpg", "width": WIDTH, "height": HEIGHT}
        for image in range(1, IMAGES + 1)
    ]
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
    return {"images": images, "categories": categories, "annotations": annotations}, detections


def detection(image: int, category: int, box: list[float], score: float) -> Record:
    """One record of a results file."""
    return {
        "image_id": image,
        "category_id": category,
        "bbox": box,
        "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs(box)},
        "score": score,
    }


def runs(box: list[float]) -> list[int]:
    """The run lengths, down the columns, of the pixels of `box` inside of the image."""
    left, top = (min(max(round(value), 0), limit - 1) for value, limit in zip(box[:2], (WIDTH, HEIGHT), strict=True))
    right = min(max(round(box[0] + box[2]), left + 1), WIDTH)
    bottom = min(max(round(box[1] + box[3]), top + 1), HEIGHT)
    tall = bottom - top
    counts = [left * HEIGHT + top, *[tall, HEIGHT - tall] * (right - left)]
    counts[-1] = WIDTH * HEIGHT - sum(counts[:-1])
    return counts


def main() -> None:
    """Write both files into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    truth, detections = make_sample()
    for name, data in (("gt.json", truth), ("pred.json", detections)):
        (folder / name).write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")
    print(f"{folder}: {len(truth['annotations'])} objects and {len(detections)} detections in {IMAGES} images")


if __name__ == "__main__":
    main()
