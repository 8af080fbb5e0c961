"""Draw the figures of the documentation; cvbench itself computes the numbers in them.

    python scripts/make_figures.py [FOLDER]

writes ``panoptic_quality.png``, ``boundary_band.png``, ``heatmap_decoding.png``, ``scenes.png``,
``pckh_curves.png`` and ``ced_curves.png`` into ``docs/figures`` or another folder. Needs matplotlib
(``pip install 'cvbench[plots]'``).
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from cvbench import plots, scenes
from cvbench.metrics.boundary import region_bands
from cvbench.metrics.heatmaps import Decoding, decode_heatmaps, encode_heatmaps
from cvbench.metrics.landmarks import nme
from cvbench.metrics.masks import boundary_iou, mask_iou, rle_encode
from cvbench.metrics.mpii import JOINTS, pckh
from cvbench.metrics.panoptic_quality import PanopticQuality
from cvbench.plots import Curves, cumulative_errors, hits_over_thresholds

Pixels = NDArray[np.bool_]

HEIGHT, WIDTH = 180, 280
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH] + 0.5
SKY, ROAD, CAR, PERSON = 1, 2, 3, 4
CATEGORIES = {SKY: "sky", ROAD: "road", CAR: "car", PERSON: "person"}
FILL = {SKY: "#dcebf7", ROAD: "#e4e0da", CAR: "#b9c8e8", PERSON: "#f3dcae"}
OUTLINE = {"TP": "#007a5a", "FP": "#c23b00", "FN": "#8a3ffc", "excused": "#555555", "crowd": "#555555"}
"""Colours that stay apart for most who see few; every outline is labelled, too."""


@dataclass(frozen=True)
class Drawn:
    """A segment of the scene: what it shows, what becomes of it, and where its label stands (x, y)."""

    category: int
    outcome: str
    pixels: Pixels
    label: tuple[float, float]

    @property
    def name(self) -> str:
        """What the label says before the outcome: things are named by their looks."""
        return f"{CATEGORIES[self.category]}: " if self.category in (SKY, ROAD) else ""


def blob(x: float, y: float, width: float, height: float, power: float = 2) -> Pixels:
    """An ellipse around (x, y), the more like a box the higher the power."""
    return np.asarray(np.abs(2 * (COLUMNS - x) / width) ** power + np.abs(2 * (ROWS - y) / height) ** power <= 1)


def car(x: float, y: float, width: float) -> Pixels:
    """A car whose body has its middle at (x, y)."""
    wheels = blob(x - width * 0.28, y + width * 0.14, width * 0.2, width * 0.2)
    wheels |= blob(x + width * 0.28, y + width * 0.14, width * 0.2, width * 0.2)
    return wheels | blob(x, y, width, width * 0.28, 6) | blob(x, y - width * 0.16, width * 0.6, width * 0.36, 4)


def person(x: float, y: float, height: float) -> Pixels:
    """A person with the middle of the body at (x, y)."""
    head = blob(x, y - height * 0.37, height * 0.22, height * 0.22)
    return head | blob(x, y + height * 0.1, height * 0.34, height * 0.76, 3)


def crowd() -> Pixels:
    """People who stand too close together to be told apart."""
    return np.asarray(np.logical_or.reduce([person(210 + 15 * k, 74 + 3 * (k % 2), 52) for k in range(5)]))


def truth() -> tuple[list[Drawn], Pixels]:
    """The annotated segments, each over those before it, and where nothing is annotated."""
    horizon = ROWS < 78
    segments = [
        Drawn(SKY, "TP", horizon, (105, 18)),
        Drawn(ROAD, "TP", ~horizon, (175, 168)),
        Drawn(CAR, "TP", car(70, 132, 84), (70, 132)),
        Drawn(CAR, "FN", car(140, 88, 58), (140, 88)),
        Drawn(PERSON, "TP", person(190, 118, 66), (190, 122)),
        Drawn(PERSON, "FN", person(256, 140, 56), (256, 144)),
        Drawn(PERSON, "crowd", crowd(), (240, 76)),
    ]
    return segments, blob(16, 76, 96, 54, 3)


def guess() -> list[Drawn]:
    """The predicted segments, each over those before it."""
    horizon = ROWS - 3 * np.sin(COLUMNS / 18) < 80
    return [
        Drawn(SKY, "TP", horizon, (105, 18)),
        Drawn(ROAD, "TP", ~horizon, (175, 168)),
        Drawn(CAR, "TP", car(74, 131, 80), (74, 131)),
        Drawn(CAR, "FP", car(159, 91, 52), (159, 87)),
        Drawn(CAR, "excused", car(27, 84, 50), (27, 84)),
        Drawn(PERSON, "TP", person(192, 117, 62), (192, 121)),
        Drawn(PERSON, "excused", person(228, 76, 50), (228, 43)),
    ]


def flat(segments: list[Drawn], void: Pixels) -> NDArray[np.int64]:
    """The id map: segment *k* has the id k + 1, void 0."""
    ids = np.zeros(void.shape, np.int64)
    for k, segment in enumerate(segments, 1):
        ids[segment.pixels] = k
    ids[void] = 0
    return ids


def scored(gt: list[Drawn], pred: list[Drawn], gt_ids: NDArray[np.int64], pred_ids: NDArray[np.int64]) -> Any:
    """State and result of the scene, which must be what the drawing claims."""
    annotated, predicted = (
        {
            "map": ids,
            "segments": [
                {"id": k, "category_id": segment.category, "iscrowd": int(segment.outcome == "crowd")}
                for k, segment in enumerate(segments, 1)
            ],
        }
        for segments, ids in ((gt, gt_ids), (pred, pred_ids))
    )
    metric = PanopticQuality(CATEGORIES, things=[CAR, PERSON]).update(annotated, predicted)
    result = metric.compute()
    claimed = Counter((segment.category, segment.outcome) for segment in pred)
    claimed += Counter((segment.category, "FN") for segment in gt if segment.outcome == "FN")
    for row in result.tables["per_category"]:
        for name in ("tp", "fp", "fn"):
            assert row[name] == claimed[int(row["id"]), name.upper()], f"{name} of {row['name']}: {row[name]}"
    assert result.counts["ignored_predictions"] == sum(segment.outcome == "excused" for segment in pred)
    return metric.state, result


def show(axes: Axes, title: str, segments: list[Drawn], ids: NDArray[np.int64], texts: dict[int, str]) -> None:
    """One side of the scene: regions filled by category, outlined by outcome."""
    colours = ["#ffffff", *(FILL[segment.category] for segment in segments)]
    axes.imshow(np.array([mpl.colors.to_rgb(colour) for colour in colours])[ids], interpolation="nearest")
    for k, segment in enumerate(segments, 1):
        if segment.category in (CAR, PERSON):
            style = "dashed" if segment.outcome in ("excused", "crowd") else "solid"
            axes.contour(ids == k, [0.5], colors=OUTLINE[segment.outcome], linewidths=1.6, linestyles=style)
        x, y = segment.label
        axes.text(x, y, texts[k], ha="center", va="center", fontsize=7, color=OUTLINE[segment.outcome], weight="bold")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_panoptic_quality() -> Figure:
    """What counts as TP, FP and FN, and what void and crowds excuse."""
    (gt, void), pred = truth(), guess()
    gt_ids, pred_ids = flat(gt, void), flat(pred, np.zeros_like(void))
    state, result = scored(gt, pred, gt_ids, pred_ids)
    ious = dict(zip(state.category_ids[state.match_category].tolist(), state.match_iou.tolist(), strict=True))

    figure = plt.figure(figsize=(8, 4.5))
    left, right = figure.add_axes((0.01, 0.34, 0.485, 0.6)), figure.add_axes((0.505, 0.34, 0.485, 0.6))
    texts = {k: f"{segment.name}{segment.outcome}" for k, segment in enumerate(gt, 1)}
    show(left, "Ground truth", gt, gt_ids, texts)
    left.contourf(void, [0.5, 1.5], colors="none", hatches=["////"])
    left.contour(void, [0.5], colors="#777777", linewidths=1)
    left.text(20, 78, "void", ha="center", va="center", fontsize=7, weight="bold", backgroundcolor="white")
    texts = {k: f"{segment.name}{segment.outcome}" for k, segment in enumerate(pred, 1)}
    for k, segment in enumerate(pred, 1):
        if segment.outcome == "TP":
            texts[k] += f"\n{ious[segment.category]:.2f}"
        elif segment.outcome == "FP":
            missed = next(i for i, other in enumerate(gt, 1) if (other.category, other.outcome) == (CAR, "FN"))
            texts[k] += f"\n{mask_iou(rle_encode([pred_ids == k]), rle_encode([gt_ids == missed]))[0, 0]:.2f}"
    show(right, "Prediction, with IoUs", pred, pred_ids, texts)
    right.contour(void | (gt_ids == len(gt)), [0.5], colors="#777777", linewidths=0.8, linestyles="dotted")

    rows = result.tables["per_category"]
    lines = [["", "TP", "FP", "FN", "SQ", "RQ", "PQ"]]
    for row in rows:
        counts = (str(row[name]) for name in ("tp", "fp", "fn"))
        lines.append([row["name"], *counts, *(f"{row[name]:.3f}" for name in ("SQ", "RQ", "PQ"))])
    lines.append(["mean", "", "", "", *(f"{result.values[name]:.3f}" for name in ("SQ", "RQ", "PQ"))])
    for i, line in enumerate(lines):
        for x, cell in zip((0.02, 0.14, 0.19, 0.24, 0.31, 0.38, 0.45), line, strict=True):
            weight = "bold" if i in (0, len(lines) - 1) else "normal"
            figure.text(x, 0.27 - 0.046 * i, cell, fontsize=8, weight=weight, ha="left" if x < 0.1 else "right")
    legend = [
        "TP: same category and IoU > 0.5; SQ is their mean IoU",
        "FN: ground truth without a match; FP: prediction without one",
        "RQ = TP / (TP + FP/2 + FN/2), PQ = SQ × RQ",
        "excused, no FP: more than half lies on void or on a crowd",
        "of its category (dotted). A crowd is never an FN.",
    ]
    for i, sentence in enumerate(legend):
        figure.text(0.51, 0.27 - 0.046 * i, sentence, fontsize=8)
    return figure


def draw_boundary_band() -> Figure:
    """The band of a mask, and what two masks share of theirs."""
    rows, columns = np.mgrid[:44, :60] + 0.5
    ratio = 0.04

    def mask(x: float, y: float, bump: float) -> Pixels:
        body = np.abs((columns - x) / 26) ** 3 + np.abs((rows - y) / 15) ** 3 <= 1
        return np.asarray(body | (np.hypot(columns - x - 20, rows - 17) < bump))

    gt, pred = mask(22, 23, 11), mask(24, 24, 9)
    gt_band, pred_band = (pixels & region_bands(pixels, ratio) for pixels in (gt, pred))
    a, b = rle_encode([gt]), rle_encode([pred])
    whole, edge = mask_iou(a, b)[0, 0], boundary_iou(a, b, dilation_ratio=ratio)[0, 0]
    shared, joined = np.count_nonzero(gt_band & pred_band), np.count_nonzero(gt_band | pred_band)
    assert edge == min(whole, shared / joined), "the smaller of both is what counts"
    width = round(ratio * float(np.hypot(*gt.shape)))

    blue, orange = "#2066a8", "#e08214"
    panels: list[tuple[str, dict[str, tuple[Pixels, str]]]] = [
        (
            f"A mask and its band, d = {width} pixels wide",
            {"inner": (gt & ~gt_band, "#b9d3ea"), "band": (gt_band, blue)},
        ),
        (
            f"Two masks: IoU = {np.count_nonzero(gt & pred)} / {np.count_nonzero(gt | pred)} = {whole:.2f}",
            {"gt only": (gt & ~pred, blue), "pred only": (pred & ~gt, orange), "both": (gt & pred, "#d9d9d9")},
        ),
        (
            f"Their bands: IoU = {shared} / {joined} = {edge:.2f}",
            {
                "gt only": (gt_band & ~pred_band, blue),
                "pred only": (pred_band & ~gt_band, orange),
                "both": (gt_band & pred_band, "#4d4d4d"),
            },
        ),
    ]
    figure = plt.figure(figsize=(8, 2.6))
    for k, (title, parts) in enumerate(panels):
        axes = figure.add_axes((0.01 + 0.332 * k, 0.14, 0.317, 0.73))
        image = np.ones((*gt.shape, 3))
        for pixels, colour in parts.values():
            image[pixels] = mpl.colors.to_rgb(colour)
        axes.imshow(image, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.legend(
            handles=[mpl.patches.Patch(color=colour, label=label) for label, (_, colour) in parts.items()],
            fontsize=8,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=len(parts),
            frameon=False,
            handlelength=1,
        )
    return figure


DECODERS: dict[Decoding, tuple[str, str]] = {
    "argmax": ("#8c8c8c", "dotted"),
    "quarter": ("#e08214", "dashed"),
    "dark": ("#2066a8", "solid"),
}
"""Colour and line of each method."""


def draw_heatmap_decoding() -> Figure:
    """How far the decoded coordinate is from the encoded one, by where it lies in a pixel, and in noise."""
    size, n, rng = (33, 33), 401, np.random.default_rng(0)
    shifts = np.linspace(-0.5, 0.5, n)
    points = 16 + np.stack([shifts, rng.permutation(shifts)], axis=1)[:, None]
    maps, _ = encode_heatmaps(points, input_size=size, heatmap_size=size, method="unbiased")
    levels = np.array([0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08])
    noise = rng.normal(size=maps.shape)

    figure = plt.figure(figsize=(8, 2.9))
    left, right = figure.add_axes((0.085, 0.17, 0.36, 0.72)), figure.add_axes((0.545, 0.17, 0.36, 0.72))
    for method, (colour, line) in DECODERS.items():
        errors = decode_heatmaps(maps, method=method)[0][:, 0, 0] - points[:, 0, 0]
        left.plot(shifts, errors, color=colour, linestyle=line, linewidth=1.6, label=method)
        means = []
        for level in levels:
            found, _ = decode_heatmaps((maps + level * noise).astype(np.float32), method=method)
            means.append(float(np.linalg.norm(found - points, axis=2).mean()))
        right.plot(levels, means, color=colour, linestyle=line, linewidth=1.6, label=method)
        right.text(levels[-1] * 1.02, means[-1], method, color=colour, fontsize=8, va="center")
    left.set(xlabel="where in its pixel the keypoint lies", ylabel="decoded − true x (pixels)")
    left.set_title("One axis, Gaussian heatmap, σ = 2", fontsize=10)
    left.legend(fontsize=8, frameon=False, loc="upper right", ncols=3, handlelength=2.4)
    left.set_ylim(-0.55, 0.7)
    right.set(xlabel="noise in the heatmap (standard deviation; its peak is 1)", ylabel="mean distance (pixels)")
    right.set_title("Both axes, in noise", fontsize=10)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
    return figure


SPREAD = {"head": 3, "neck": 3, "shoulder": 4, "hip": 5, "knee": 6, "ankle": 7, "elbow": 5, "wrist": 6}
"""How far the imaginary model is from a joint, in pixels, where it finds it."""


def draw_pckh_curves() -> Curves:
    """PCKh of generated people whose heads are 30 pixels; the model puts about one joint in ten anywhere."""
    people, rng = 2000, np.random.default_rng(0)
    gt = rng.uniform(0, 200, (people, len(JOINTS), 2))
    spread = np.array([next((px for part, px in SPREAD.items() if part in joint), 5) for joint in JOINTS])
    found = gt + rng.normal(size=gt.shape) * spread[:, None]
    lost = rng.random(gt.shape[:2]) < spread / 50
    found[lost] = rng.uniform(0, 200, (np.count_nonzero(lost), 2))
    heads = np.tile([0, 0, 30, 40], (people, 1))
    curves = hits_over_thresholds(pckh({"keypoints": gt, "head_boxes": heads}, found))
    return replace(curves, title="mpii.pckh@1, generated people")


def draw_ced_curves() -> Curves:
    """Errors of generated faces whose eyes are 100 pixels apart, one in five of them from harder images."""
    faces, rng = 2000, np.random.default_rng(0)
    gt = rng.uniform(0, 200, (faces, 68, 2))
    gt[:, 36], gt[:, 45] = (50, 80), (150, 80)
    hard = rng.random(faces) < 0.2
    spread = np.exp(rng.normal(np.where(hard, 1.4, 0.8), 0.35))
    found = gt + rng.normal(size=gt.shape) * spread[:, None, None]
    groups = np.where(hard, "challenge", "common").tolist()
    curves = cumulative_errors(nme({"keypoints": gt, "groups": groups}, found, "300w"))
    return replace(curves, title="landmarks.nme@1, generated faces")


SHOWN = (0, 3, 7, 13, 26, 43)
"""Images of val on the contact sheet."""


def draw_scenes() -> Figure:
    """Images of `cvbench.scenes` with their annotations drawn, a row for each kind."""
    titles = ("image", "boxes,\njoints,\nlandmarks", "instances\n(crowds\nhatched)", "labels\n(void\nblack)")
    figure, grid = plt.subplots(len(titles), len(SHOWN), figsize=(9.2, 6))
    figure.subplots_adjust(0.075, 0.01, 0.995, 0.955, 0.03, 0.03)
    for column, index in zip(grid.T, SHOWN, strict=True):
        sample = scenes.generate("val", index)
        column[0].set_title(f"val {index}", fontsize=8)
        for axes in column:
            axes.set(xticks=[], yticks=[])
            axes.imshow(sample.image, extent=(0, scenes.SIZE, scenes.SIZE, 0), interpolation="nearest")
            axes.autoscale(False)
        _draw_things(column[1], sample)
        _draw_instances(column[2], sample)
        _draw_labels(column[3], sample)
    for axes, title in zip(grid[:, 0], titles, strict=True):
        axes.set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
    return figure


def _draw_things(axes: Axes, sample: scenes.Sample) -> None:
    """Boxes with names; joints that are seen are filled, hidden ones hollow."""
    colours = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]  # of a listed colour map
    for n, (x, y, width, height) in enumerate(sample.boxes.tolist()):
        category = int(sample.categories[n])
        colour = colours[category - 1]
        line = "dotted" if sample.crowd[n] else "solid"
        axes.add_patch(mpl.patches.Rectangle((x, y), width, height, fill=False, color=colour, linestyle=line))
        name = f"crowd: {scenes.CATEGORIES[category]}" if sample.crowd[n] else scenes.CATEGORIES[category]
        style = {"facecolor": colour, "edgecolor": "none", "pad": 0.6}
        axes.text(min(x, 96), max(y - 1, 7), name, fontsize=5, color="white", bbox=style)
        for a, b in scenes.BONES:
            ends = sample.keypoints[n][[a, b]]
            if ends[:, 2].all():
                axes.plot(*ends[:, :2].T, color="white", linewidth=0.8)
        for u, v, seen in (*sample.keypoints[n].tolist(), *sample.landmarks[n].tolist()):
            if seen:
                fill = colour if seen == 2 else "none"
                axes.plot(u, v, "o", markersize=2.2, markeredgewidth=0.5, markeredgecolor="white", markerfacecolor=fill)


def _draw_instances(axes: Axes, sample: scenes.Sample) -> None:
    axes.images[0].set_alpha(0.35)
    colours = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]  # of a listed colour map
    for n, crowd in enumerate(sample.crowd.tolist()):
        mask = np.pad(sample.instances == n + 1, 1).astype(float)
        centres = np.arange(-1, scenes.SIZE + 1) + 0.5
        hatches = ["////" if crowd else None]
        axes.contourf(centres, centres, mask, [0.5, 1.5], colors=[colours[n % 20]], hatches=hatches)


def _draw_labels(axes: Axes, sample: scenes.Sample) -> None:
    colours = np.zeros((256, 3))
    colours[: len(scenes.THINGS)] = plt.get_cmap("tab10").colors[:8]  # type: ignore[attr-defined]  # as above
    stuff = ("#d6ecfa", "#c9e6bd", "#a3c4e6", "#cfcfcf", "#f3e8c6", "#e2c2ac")
    colours[len(scenes.THINGS) : len(scenes.CATEGORIES)] = [mpl.colors.to_rgb(colour) for colour in stuff]
    axes.imshow(colours[sample.labels], extent=(0, scenes.SIZE, scenes.SIZE, 0), interpolation="nearest")


FIGURES = {
    "panoptic_quality": draw_panoptic_quality,
    "boundary_band": draw_boundary_band,
    "heatmap_decoding": draw_heatmap_decoding,
    "scenes": draw_scenes,
}

PHOTOGRAPHIC = {"scenes"}
"""Figures that need 256 colours."""


CURVES = {"pckh_curves": draw_pckh_curves, "ced_curves": draw_ced_curves}


def save(figure: Figure, path: Path, colours: int = 64) -> None:
    """Write a figure as a small PNG with so many colours, 150 pixels per inch."""
    content = io.BytesIO()
    figure.savefig(content, dpi=150, metadata={"Software": None})
    plt.close(figure)
    shrink(content, path, colours)


def save_curves(curves: Curves, path: Path) -> None:
    """Write what ``--plot`` draws as a small PNG."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / path.name
        plots.draw(curves, drawn)
        shrink(io.BytesIO(drawn.read_bytes()), path)


def shrink(content: io.BytesIO, path: Path, colours: int = 64) -> None:
    """Write an image with so many colours; photographs are mostly averages, where median cuts would make stains."""
    image = Image.open(content).convert("RGB")
    method = Image.Quantize.MEDIANCUT if colours <= 64 else Image.Quantize.MAXCOVERAGE
    image.quantize(colours, method, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Write all figures into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    default = Path(__file__).parents[1] / "docs" / "figures"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    for name, draw in FIGURES.items():
        save(draw(), folder / f"{name}.png", 256 if name in PHOTOGRAPHIC else 64)
        print(folder / f"{name}.png")
    for name, make in CURVES.items():
        save_curves(make(), folder / f"{name}.png")
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
