"""Writers of the files that tasks on maps read: PNG of every mode, and panoptic JSON beside its folder of maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cvbench import cli


def coloured(ids: np.ndarray) -> np.ndarray:
    """(H, W, 3) the colours that code ids: R + 256 G + 65536 B."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)


def _palette(ids: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids.astype(np.uint8)).convert("L")
    image.putpalette(list(range(255, -1, -1)) * 3)  # the colour of an index is never the index
    return image


MODES: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "L": lambda ids: Image.fromarray(ids.astype(np.uint8)),
    "P": _palette,
    "I;16": lambda ids: Image.fromarray(ids.astype(np.uint16)),
    "RGB": lambda ids: Image.fromarray(coloured(ids)),
}


def save_map(path: Path, ids: np.ndarray, mode: str) -> Path:
    """Write a map as PNG of a mode, in which the values have room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = MODES[mode](ids)
    assert image.mode == mode
    image.save(path)
    return path


def save_folder(folder: Path, maps: Mapping[str, np.ndarray], mode: str = "L", suffix: str = "") -> Path:
    """A folder with one PNG for each map."""
    for name, ids in maps.items():
        save_map(folder / f"{name}{suffix}.png", ids, mode)
    return folder


def save_panoptic(
    path: Path,
    images: Sequence[Mapping[str, Any]],
    categories: Mapping[int, Mapping[str, Any]],
    mode: str = "RGB",
) -> Path:
    """A panoptic JSON file and its maps; images are dicts with ``image_id``, ``map`` and ``segments``."""
    path.with_suffix("").mkdir(parents=True, exist_ok=True)
    annotations, listed = [], []
    for image in images:
        name = f"{image['image_id']}.png"
        save_map(path.with_suffix("") / name, image["map"], mode)
        height, width = image["map"].shape
        listed.append({"id": image["image_id"], "height": height, "width": width})
        annotations.append({"image_id": image["image_id"], "file_name": name, "segments_info": image["segments"]})
    records = [{"id": number, **category} for number, category in categories.items()]
    return save_json(path, {"images": listed, "categories": records, "annotations": annotations})


def save_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def exit_code(*arguments: str | Path) -> int:
    """Call the command line in this process."""
    try:
        cli.app([str(argument) for argument in arguments], prog_name="cvbench")
    except SystemExit as exit_:
        return int(exit_.code or 0)
    raise AssertionError("the command line always exits")
