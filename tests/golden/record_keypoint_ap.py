"""Record what xtcocotools says of generated data sets: ``python tests/golden/record_keypoint_ap.py`` with ``tests`` and
xtcocotools 1.14.3 on the path.

Its wheel needs NumPy 1; on NumPy 2, its Python files do with pycocotools' mask extension in the place of their own.
The data are recorded, too, so that figures do not hang on the random numbers of a version of NumPy.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval

from cvbench.metrics.sigmas import SIGMAS
from generated import Knobs
from keypoint_ap_cases import Data, crowdpose, wholebody

WHOLE = SIGMAS["wholebody133"]
KINDS = {
    "keypoints_wholebody": WHOLE,
    "keypoints_body": WHOLE[:17],
    "keypoints_foot": WHOLE[17:23],
    "keypoints_face": WHOLE[23:91],
    "keypoints_lefthand": WHOLE[91:112],
    "keypoints_righthand": WHOLE[112:],
}


def rounded(value: Any) -> Any:
    """Numbers to one decimal: small files, and more ties."""
    if isinstance(value, dict):
        return {name: item if name == "crowdIndex" else rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, 1) if isinstance(value, float) else value


def figures(data: Data, kind: str, sigmas: tuple[float, ...], use_area: bool) -> list[float]:
    gt, dt = copy.deepcopy(data)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "gt.json"
        path.write_text(json.dumps(gt))
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(dt), kind, np.array(sigmas), use_area=use_area)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def main() -> None:
    crowds: Data = rounded(crowdpose(Knobs(0, 6, 1, 4, 7, 5, False, True, 0, True)))
    people: Data = rounded(wholebody(Knobs(1, 3, 1, 3, 5, 5, False, True, 0, True)))
    recorded = {
        "crowdpose": {
            "data": crowds,
            "figures": {"keypoints_crowd": figures(crowds, "keypoints_crowd", SIGMAS["crowdpose14"], use_area=False)},
        },
        "wholebody": {
            "data": people,
            "figures": {kind: figures(people, kind, sigmas, use_area=True) for kind, sigmas in KINDS.items()},
            "figures_by_box": {kind: figures(people, kind, sigmas, use_area=False) for kind, sigmas in KINDS.items()},
        },
    }
    for name, content in recorded.items():
        path = Path(__file__).with_name(f"xtcocotools_{name}.json")
        path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
