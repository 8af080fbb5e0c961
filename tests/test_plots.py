"""Plots: which curves are drawn, that pictures say what there is, and that nothing but the result changes them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import cvbench
from cvbench import plots
from cvbench.errors import InputError, MissingDependency
from cvbench.metrics.landmarks import nme
from cvbench.metrics.limbs import pcp
from cvbench.metrics.mpii import pckh
from cvbench.metrics.pose3d import mpjpe
from cvbench.plots import (
    Curves,
    Line,
    Panel,
    Tradeoff,
    cumulative_errors,
    draw,
    hits_over_thresholds,
    plot,
    plottable,
    precision_recall,
)
from cvbench.result import Result, Signature
from cvbench.tasks import TASKS

GROUND_TRUTH: dict[str, Any] = {
    "images": [{"id": 1, "width": 200, "height": 200}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 8, "name": "cow"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [60, 60, 40, 40], "area": 1600, "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 7, "bbox": [100, 20, 20, 20], "area": 400, "iscrowd": 0},
    ],
}
PREDICTIONS = [
    {"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 36], "score": 0.9},
    {"image_id": 1, "category_id": 7, "bbox": [100, 20, 20, 30], "score": 0.8},
    {"image_id": 1, "category_id": 8, "bbox": [0, 0, 30, 30], "score": 0.7},
]


def boxes(**parameters: Any) -> Result:
    return cvbench.score("coco.bbox", GROUND_TRUTH, PREDICTIONS, **parameters)


@pytest.fixture(scope="module")
def curves() -> Curves:
    return precision_recall(boxes())


def named(lines: list[str], y: float = 0.5) -> Curves:
    x = np.array([0.0, 1.0])
    return Curves("task@1", "AP", "x", "y", (0.0, 1.0), tuple(Line(n, x, x * y, y) for n in lines), "task@1|rule:1")


def texts_of(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


# From results to curves


def test_precision_recall() -> None:
    result = boxes()
    curves = precision_recall(result)
    assert [line.name for line in curves.lines] == ["mean, IoU 0.50:0.95", "IoU 0.50", "IoU 0.75"]
    assert [line.figure for line in curves.lines] == [result.values[name] for name in ("AP", "AP50", "AP75")]
    assert (curves.figure, curves.x_label, curves.y_label, curves.x_limits) == ("AP", "recall", "precision", (0.0, 1.0))
    assert curves.signature == str(result.signature)
    precision = result.arrays["precision"][..., :2, 0, -1]  # no cow is annotated
    for line, chosen in zip(curves.lines, (slice(None), slice(0, 1), slice(5, 6)), strict=True):
        assert line.x.tolist() == np.linspace(0, 1, 101).tolist()
        # two orders of adding up 10 × 2 numbers
        np.testing.assert_allclose(line.y, precision[chosen].mean(axis=(0, 2)), rtol=1e-14)
        assert line.y.mean() == pytest.approx(line.figure, rel=1e-14)


def test_precision_recall_by_other_rules() -> None:
    assert [line.name for line in precision_recall(boxes(iou_thresholds=(0.75,))).lines] == ["IoU 0.75"]
    assert [line.name for line in precision_recall(boxes(iou_thresholds=(0.3, 0.75))).lines] == [
        "mean, IoU 0.30:0.75",
        "IoU 0.75",
    ]
    curves = precision_recall(boxes(iou_thresholds=(1 / 3,), recall_thresholds=(0.1, 0.2, 1.5)))
    (line,) = curves.lines
    assert (line.name, line.x.tolist()) == ("IoU 0.333333333333", [0.1, 0.2, 1.5])
    assert curves.x_limits == (0.0, 1.5)


def test_precision_recall_of_keypoints() -> None:
    keypoints = {"keypoints": [20, 20, 2] * 17}
    truth = GROUND_TRUTH | {
        "annotations": [row | keypoints | {"num_keypoints": 17} for row in GROUND_TRUTH["annotations"]]
    }
    result = cvbench.score("coco.keypoints", truth, [row | keypoints for row in PREDICTIONS])
    assert [line.name for line in precision_recall(result).lines] == ["mean, OKS 0.50:0.95", "OKS 0.50", "OKS 0.75"]


def test_precision_of_nothing_is_undefined() -> None:
    result = cvbench.score("coco.bbox", GROUND_TRUTH | {"annotations": []}, PREDICTIONS)
    for line in precision_recall(result).lines:
        assert np.isnan(line.y).all()
        assert math.isnan(line.figure)


def test_hits_over_thresholds() -> None:
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 200, (20, 16, 2))
    people = {"keypoints": gt, "head_boxes": [[0, 0, 30, 40]] * 20}
    result = pckh(people, gt + rng.normal(0, 8, gt.shape))
    curves = hits_over_thresholds(result)
    assert (curves.figure, curves.y_label, curves.x_limits) == ("PCKh@0.5", "PCKh", (0.0, 0.5))
    assert curves.x_label == "threshold, as a share of 0.6 times the diagonal of the head box"
    assert [line.name for line in curves.lines][:3] == ["all", "Head", "Shoulder"]
    figures = {line.name: line.figure for line in curves.lines}
    assert figures.pop("all") == result.values["PCKh@0.5"]
    assert figures == {name: result.values[name] for name in figures}
    for line, y in zip(curves.lines, result.arrays["y"], strict=True):
        np.testing.assert_array_equal(line.x, result.arrays["x"])
        np.testing.assert_array_equal(line.y, y)


def test_hits_of_limbs_and_of_joints_in_space() -> None:
    gt = np.random.default_rng(0).uniform(0, 200, (5, 14, 3))
    limbs = hits_over_thresholds(pcp(gt[..., :2], gt[..., :2] + 1, "lsp", curve=(0.25, 0.5)))
    assert (limbs.figure, limbs.x_label) == ("PCP@0.5", "threshold, as a share of the limb's length")
    joints = hits_over_thresholds(mpjpe(gt, gt + 1))
    assert (joints.figure, joints.x_label) == ("PCK@150", "threshold, in the unit of the coordinates")
    assert [line.name for line in joints.lines] == ["as predicted", "aligned"]


@pytest.mark.parametrize(
    ("normalizer", "words"),
    [
        ("bbox", "as a share of the longer side of the instance's box"),
        ("fixed:30.0", "as a share of 30 pixels"),
        ("joints:0+1-4", "as a share of the distance of points 0+1 and 4"),
        ("none", "in pixels"),
    ],
)
def test_the_axis_says_what_distances_are_divided_by(normalizer: str, words: str) -> None:
    signature = Signature("pose.auc@1", (("normalizer", normalizer), ("curve", "0.0")))
    arrays = {"x": np.array([0.0]), "y": np.array([[0.5]]), "lines": np.array(["all"])}
    curves = hits_over_thresholds(Result("pose.auc@1", {"AUC": 0.5}, signature, arrays=arrays))
    assert (curves.x_label, curves.figure, curves.x_limits) == (f"threshold, {words}", "PCK@0", (0.0, 1.0))


def test_cumulative_errors() -> None:
    rng = np.random.default_rng(0)
    gt = rng.uniform(0, 200, (20, 68, 2))
    groups = [["pose"] if i % 3 else ["pose", "blur"] for i in range(20)]
    result = nme({"keypoints": gt, "groups": groups}, gt + rng.normal(0, 3, gt.shape), "300w")
    curves = cumulative_errors(result)
    assert (curves.figure, curves.y_label) == ("NME", "share of faces")
    assert curves.x_label == "error of a face, as a share of the distance of points 36 and 45"
    rows = {row["name"]: row["NME"] for row in result.tables["per_group"]}
    assert {line.name: line.figure for line in curves.lines} == {"all": result.values["NME"], **rows}
    assert curves.x_limits == (0.0, result.arrays["x"][-1])
    for line, y in zip(curves.lines, result.arrays["y"], strict=True):
        np.testing.assert_array_equal(line.y, y)


def test_the_title_names_the_predictions() -> None:
    assert precision_recall(boxes()).title == "coco.bbox@1"
    read = replace(boxes(), inputs={"pred": {"path": "runs/7/preds.json", "sha256": "", "bytes": 1}})
    assert precision_recall(read).title == "coco.bbox@1, preds.json"


def test_tasks_name_kinds_that_there_are() -> None:
    assert {task.plot for task in TASKS.values()} - {None} <= set(plots.PLOTS)


# What there is in a picture


def test_the_legend_has_the_figures(curves: Curves) -> None:
    figure = plots._figure(curves)
    assert texts_of(figure) == [f"{line.figure:.5f}  {line.name}" for line in curves.lines]
    (axes,) = figure.axes
    assert axes.get_legend().get_title().get_text() == "AP"
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 1.0), (0.0, 1.0))
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == ("recall", "precision", curves.title)
    for drawn, line in zip(axes.get_lines(), curves.lines, strict=True):
        np.testing.assert_array_equal(drawn.get_xydata(), np.column_stack([line.x, line.y]))


def test_what_is_undefined_is_said_and_not_drawn() -> None:
    figure = plots._figure(named(["all"], math.nan))
    assert texts_of(figure) == ["undefined  all"]
    assert [line.get_linestyle() for line in figure.axes[0].get_lines()] == ["None"]


def test_lines_can_be_told_apart_or_are_grey() -> None:
    figure = plots._figure(named([f"group {i}" for i in range(45)]))
    lines = figure.axes[0].get_lines()
    looks = [(line.get_color(), str(line._dash_pattern)) for line in lines]  # there is no public name for it
    told = 1 + 6 * 4
    assert len(lines) == 45
    assert len(set(looks[:told])) == told
    assert len(set(looks[told:])) == 1
    assert texts_of(figure) == [*(f"0.50000  group {i}" for i in range(told)), "20 more"]


def test_a_point_is_seen() -> None:
    one = Line("all", np.array([0.5]), np.array([0.2]), 0.2)
    (drawn,) = plots._figure(replace(named([]), lines=(one,))).axes[0].get_lines()
    assert drawn.get_marker() == "o"


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    curves = named(["_hidden", "$x^2$", "$", "a\tb", "über", "日本", "x" * 41, "y" * 40])
    shown = ["_hidden", "$x^2$", "$", "a\\tb", "über", "\ufffd\ufffd", f"{'x' * 39}…", "y" * 40]
    assert texts_of(plots._figure(curves)) == [f"0.50000  {name}" for name in shown]
    draw(replace(curves, title="$\\frac$"), tmp_path / "curves.png")  # formulas would be refused


# Models against their costs


def models(n: int = 4) -> Tradeoff:
    """One on the front, one tied with it, one behind, the others undefined."""
    x, y = np.arange(1.0, n + 1), 1 / np.arange(2.0, n + 2)
    x[3:] = math.nan
    ends = np.stack([x - 0.5, x + 0.5], axis=1)
    panel = Panel("GMACs", x, ends, ("front", "tied", "behind", *[""] * (n - 3)))
    unknown = replace(panel, label="p50, ms", x_ends=np.full((n, 2), np.nan))
    empty = replace(panel, label="MB moved", x=np.full(n, np.nan), standings=("",) * n)
    names = tuple(f"model_{i}$" for i in range(n))
    return Tradeoff(
        "scenes", "AP", names, y, np.stack([y - 0.1, y + 0.05], 1), (panel, unknown, empty), "task@1|rule:1"
    )


def test_models_stand_against_each_cost() -> None:
    figure = plots._tradeoff_figure(models())
    assert [axes.get_xlabel() for axes in figure.axes] == ["GMACs", "p50, ms", "MB moved"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["AP", "", "AP"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"{1 / (i + 2):.5f}  model_{i}$" for i in range(4)]
    signs = [container.lines[0] for container in figure.axes[0].containers]
    assert [tuple(sign.get_xydata()[0]) for sign in signs] == [(1.0, 1 / 2), (2.0, 1 / 3), (3.0, 1 / 4)]
    assert [sign.get_markerfacecolor() == "white" for sign in signs] == [False, True, False]
    assert [sign.get_alpha() for sign in signs] == [None, None, 0.35]
    assert [len(axes.containers) for axes in figure.axes] == [3, 3, 0]
    # intervals of both, or of the accuracy alone
    assert [[len(each.lines[2]) for each in axes.containers] for axes in figure.axes] == [[2] * 3, [1] * 3, []]
    across, up = (bars.get_segments()[0].tolist() for bars in figure.axes[0].containers[0].lines[2])
    assert across == [[0.5, 0.5], [1.5, 0.5]]
    np.testing.assert_allclose(up, [[1.0, 0.4], [1.0, 0.55]], rtol=1e-15)  # the value less and plus a length


def test_one_model_alone_is_in_the_middle(tmp_path: Path) -> None:
    x, y, nowhere = np.array([0.487]), np.array([0.4]), np.full((1, 2), np.nan)
    panels = Panel("params, M", x, nowhere, ("front",)), Panel("p50, ms", x * math.nan, nowhere, ("",))
    alone = Tradeoff("scenes", "mIoU", ("alone",), y, nowhere, panels, "")
    draw(alone, tmp_path / "alone.png")  # an axis without a length would warn
    figure = plots._tradeoff_figure(alone)
    low, high = figure.axes[0].get_xlim()
    assert low * high == pytest.approx(0.487**2)
    assert high / low == pytest.approx(5)


def test_a_cost_that_no_model_has_is_said_to_be_missing() -> None:
    *_, empty = plots._tradeoff_figure(models()).axes
    assert [text.get_text() for text in empty.texts] == ["no model has it"]
    assert empty.get_xticks().size == empty.get_yticks().size == 0


def test_many_models_can_be_told_apart_or_are_grey() -> None:
    legend = plots._tradeoff_figure(models(45)).legends[0]
    looks = [(line.get_color(), line.get_marker()) for line in legend.get_lines()]
    assert len(set(looks[:42])) == 42
    assert set(looks[42:]) == {("#c4c4c4", ".")}


@pytest.mark.parametrize("form", plots.FORMATS)
def test_equal_models_are_equal_bytes_and_say_their_rules(tmp_path: Path, form: str) -> None:
    for name in "ab":
        draw(models(), tmp_path / f"{name}.{form}")
    content = (tmp_path / f"a.{form}").read_bytes()
    assert content == (tmp_path / f"b.{form}").read_bytes()
    assert b"task@1|rule:1" in content


# Files


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.b.PDF", b"%PDF"), ("a.svg", b"<?xml"), ("a.Svg", b"<?xml")]
)
def test_the_name_says_the_form(curves: Curves, tmp_path: Path, name: str, start: bytes) -> None:
    draw(curves, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("form", plots.FORMATS)
def test_equal_curves_are_equal_bytes_whatever_the_settings(curves: Curves, tmp_path: Path, form: str) -> None:
    draw(curves, tmp_path / f"a.{form}")
    with mpl.rc_context({"text.usetex": True, "font.size": 40, "savefig.dpi": 30, "axes.facecolor": "black"}):
        before = dict(mpl.rcParams)
        draw(curves, tmp_path / f"b.{form}")
        assert mpl.rcParams == before
    assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()


def test_files_hold_the_signature(curves: Curves, tmp_path: Path) -> None:
    for form in plots.FORMATS:
        draw(curves, tmp_path / f"a.{form}")
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["Description"] == curves.signature
        assert image.info["Title"] == curves.title
    assert curves.signature in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert curves.signature.encode() in (tmp_path / "a.pdf").read_bytes()


def test_a_result_is_drawn_by_its_task(tmp_path: Path) -> None:
    result = boxes()
    plot(result, tmp_path / "a.svg")
    draw(precision_recall(result), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("task", "path", "message"),
    [
        ("coco.bbox", "a.gif", "a.gif: it ends in .gif; plots are files that end in .png, .pdf, .svg"),
        ("coco.bbox", "png", "png: it has no ending; plots are files that end in .png, .pdf, .svg"),
        ("semantic.miou", "a.png", "semantic.miou has no curves to draw; these have: coco.bbox, coco.segm"),
        ("coco.bbx", "a.png", "there is no task 'coco.bbx'; did you mean 'coco.bbox'?"),
    ],
)
def test_what_cannot_be_drawn_is_refused(task: str, path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plottable(task, path)


def test_a_result_without_arrays_is_refused(tmp_path: Path) -> None:
    read = Result.from_json(boxes().to_json())
    with pytest.raises(InputError, match="the result of coco.bbox@1 holds no curve"):
        plot(read, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_matplotlib_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cvbench\[plots\]'"):
        plottable("coco.bbox", "a.png")


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(GROUND_TRUTH))
    (tmp_path / "pred.json").write_text(json.dumps(PREDICTIONS))
    code = (
        "import sys, cvbench, cvbench.plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "cvbench.plots.plot(cvbench.score('coco.bbox', 'gt.json', 'pred.json'), 'a.png')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
