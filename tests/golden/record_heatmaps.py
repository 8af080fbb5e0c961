"""Record what mmpose and HRNet make of keypoints and heatmaps, as known answers for cvbench.

    python tests/golden/record_heatmaps.py MMPOSE HRNET

MMPOSE and HRNET are checkouts of open-mmlab/mmpose and leoxiaobin/deep-high-resolution-net.pytorch. Needs torch and
opencv-python-headless. Writes ``heatmaps.npz`` beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np

INPUT, HEATMAP = (48, 70), (12, 16)
"""Width and height; 70 / 16 is no whole number."""


def package(name: str, folder: Path) -> None:
    """Make the modules of a folder importable without what its ``__init__`` asks for."""
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module


def encoded(codecs: ModuleType, keypoints: Any, visible: Any, method: str) -> tuple[Any, Any]:
    """What ``MSRAHeatmap.encode`` and ``UDPHeatmap.encode`` do, for each instance by itself."""
    function = {
        "msra": codecs.generate_gaussian_heatmaps,
        "unbiased": codecs.generate_unbiased_gaussian_heatmaps,
        "udp": codecs.generate_udp_gaussian_heatmaps,
    }[method]
    less = int(method == "udp")
    scale = ((np.array(INPUT) - less) / (np.array(HEATMAP) - less)).astype(np.float32)
    pairs = [
        function(heatmap_size=HEATMAP, keypoints=points[None] / scale, keypoints_visible=shares[None], sigma=2)
        for points, shares in zip(keypoints, visible, strict=True)
    ]
    return np.stack([maps for maps, _ in pairs]), np.concatenate([weights for _, weights in pairs])


def decoded(refine: ModuleType, peaks: ModuleType, maps: Any, method: str) -> tuple[Any, Any]:
    """What ``MSRAHeatmap.decode`` and ``UDPHeatmap.decode`` do with the maps (J, H, W) of an instance."""
    maps = maps.copy()
    found, scores = peaks.get_heatmap_maximum(maps)
    found = found[None]
    if method == "dark-udp":
        found = refine.refine_keypoints_dark_udp(found, maps, blur_kernel_size=11)
        return found[0] / [HEATMAP[0] - 1, HEATMAP[1] - 1] * INPUT, scores
    if method == "dark":
        found = refine.refine_keypoints_dark(found, maps, blur_kernel_size=11)
    elif method == "quarter":
        found = refine.refine_keypoints(found, maps)
    return found[0] * (np.array(INPUT) / HEATMAP).astype(np.float32), scores


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mmpose", type=Path)
    parser.add_argument("hrnet", type=Path)
    folders = parser.parse_args()
    package("mmpose_utils", folders.mmpose / "mmpose" / "codecs" / "utils")
    codecs, refine, peaks = (
        importlib.import_module(f"mmpose_utils.{name}")
        for name in ("gaussian_heatmap", "refinement", "post_processing")
    )
    sys.path.insert(0, str(folders.hrnet / "lib"))
    package("core", folders.hrnet / "lib" / "core")
    hrnet: Any = importlib.import_module("core.inference")
    hrnet.transform_preds = lambda coordinates, *_: coordinates  # stay in the heatmap

    rng = np.random.default_rng(20)
    keypoints = rng.uniform(-20, np.array(INPUT) + 20, (3, 4, 2))
    keypoints[0, :, 0] = [-2.8, -30, 6, -34]  # cut off towards 0; window ends before pixel 0; on a half; outside
    visible = rng.choice(np.array([0, 0.4, 0.5, 1, 1], np.float32), (3, 4))
    visible[0] = 1
    arrays = {"keypoints": keypoints, "visible": visible, "input_size": INPUT, "heatmap_size": HEATMAP}
    for method in ("msra", "unbiased", "udp"):
        arrays[f"{method}_maps"], arrays[f"{method}_weights"] = encoded(codecs, keypoints, visible, method)

    clear, _ = encoded(codecs, rng.uniform(4, np.array(INPUT) - 4, (4, 3, 2)), np.ones((4, 3)), "unbiased")
    clear += rng.normal(0, 0.01, clear.shape).astype(np.float32)
    level = rng.integers(-1, rng.integers(1, 4, (8, 3, 1, 1)), (8, 3, *HEATMAP[::-1])).astype(np.float32)
    arrays |= {"clear": clear, "level": level}
    for name, maps in (("clear", clear), ("level", level)):
        methods = ("argmax", "quarter") + (("dark", "dark-udp") if name == "clear" else ())
        for method in methods:
            found = [decoded(refine, peaks, some, method) for some in maps]
            arrays[f"{name}_{method}"] = np.stack([some for some, _ in found])
            arrays[f"{name}_scores"] = np.stack([scores for _, scores in found])
        config = SimpleNamespace(TEST=SimpleNamespace(POST_PROCESS=True))
        arrays[f"{name}_quarter-hrnet"] = hrnet.get_final_preds(config, maps, maps, maps)[0]
    arrays["made_with"] = np.array([f"opencv {cv2.__version__}", f"numpy {np.__version__}"])
    np.savez_compressed(Path(__file__).with_name("heatmaps.npz"), **arrays)


if __name__ == "__main__":
    main()
