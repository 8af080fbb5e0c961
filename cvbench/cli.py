"""The command line: one verb per thing that a person wants done.

Standard output is data, standard error is talk. Exit code 0: done; 1: an expectation was not met; 2: wrong usage or
input. Everything heavy is imported inside of the verbs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cvbench.errors import CvbenchError, InputError

if TYPE_CHECKING:
    from cvbench.benchmarks import Benchmark
    from cvbench.records import RunRecord
    from cvbench.report import Style
    from cvbench.result import Result
    from cvbench.running import Candidate
    from cvbench.tasks import Task

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes half of the time
    context_settings={"help_option_names": ["-h", "--help"]},
)


Expectation = tuple[str, float]
"""The name of a figure and its value."""


class ResultForm(str, Enum):
    """What a result can be written as."""

    text = "text"
    json = "json"
    csv = "csv"
    md = "md"


class ListForm(str, Enum):
    """What a list can be written as."""

    text = "text"
    json = "json"


class Counter(str, Enum):
    """Who counts what a model costs."""

    cvbench = "cvbench"
    fvcore = "fvcore"
    torch = "torch"


class Device(str, Enum):
    """Where a model runs to be counted."""

    meta = "meta"
    cpu = "cpu"


def main() -> None:
    """Run the command line and exit with its code."""
    # What is imported stays. Looking for garbage in it, again and again and once more at the exit, takes 0.1 s.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    warnings.showwarning = partial(_show_warning, warnings.showwarning)
    app(prog_name="cvbench")


# Talk, data, errors


def say(message: str) -> None:
    """Talk to the person; standard output belongs to the data."""
    sys.stderr.write(f"{message}\n")


def _show_warning(
    others: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any, **more: Any
) -> None:
    """Our own warnings are for the person at the shell, who knows no lines of code; `others` shows all others."""
    if category.__module__.startswith("cvbench."):
        say(f"warning: {message}")
    else:
        others(message, category, *place, **more)


def put(text: str) -> None:
    """Write data to standard output, in UTF-8 everywhere. A reader who has seen enough is no error."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # What is still in the buffer goes nowhere, lest the interpreter complain about the pipe when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def readable_errors() -> Iterator[None]:
    """End with exit code 2 and one message where usage, input or a file is at fault."""
    try:
        yield
    except CvbenchError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(message: str) -> NoReturn:
    """End with exit code 2."""
    say(f"error: {message}")
    raise typer.Exit(2) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"cvbench {version('cvbench')}\n")
        raise typer.Exit


TOP_EXAMPLES = """\b
Examples:
  cvbench tasks                                 what can be scored
  cvbench tasks coco.bbox                       its figures and parameters
  cvbench score coco.bbox gt.json preds.json    the official figures
  cvbench check coco.bbox gt.json preds.json    everything that is wrong with two files
  cvbench warmup                                compile everything once, for images and CI
  cvbench profile mymodels:build                what a model costs
  cvbench scenes --split val -o scenes          images with every kind of ground truth
  cvbench models                                what the bundled models are, and what they score
  cvbench run                                   accuracy, cost and latency of models
  cvbench leaderboard                           results of runs as tables and pictures
"""


@app.callback(epilog=TOP_EXAMPLES)
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Scores for computer vision that can be compared."""


TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="Name of a task; `cvbench tasks` lists them.", show_default=False)
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--parameter", metavar="NAME=VALUE", help="Change a rule of the task (repeatable).", show_default=False
    ),
]


# score

SCORE_EXAMPLES = """\b
Examples:
  cvbench score coco.bbox gt.json preds.json
  cvbench score coco.segm gt.json preds.json -p max_dets=1,10,500 --per-category
  cvbench score coco.bbox gt.json preds.json -o result.json --plot curves.png
  cvbench score coco.bbox gt.json preds.json --expect AP=0.5046 --atol 1e-4
  cvbench score coco.panoptic gt.json preds.json -p boundary=yes
  cvbench score semantic.miou gt/ preds/ -p num_classes=19 -p ignore_index=255
  cvbench score coco.bbox gt.json preds/ --dask tcp://10.0.0.1:8786
"""


@app.command(epilog=SCORE_EXAMPLES)
def score(
    task: TaskArgument,
    gt: Annotated[str, typer.Argument(metavar="GT", help="File or folder of the ground truth.", show_default=False)],
    pred: Annotated[str, typer.Argument(metavar="PRED", help="File or folder of the predictions.", show_default=False)],
    parameter: ParameterOption = None,
    form: Annotated[
        ResultForm | None,
        typer.Option("--format", help="Form of the result. [default: as FILE is named, else text]", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the result to FILE.", show_default=False),
    ] = None,
    arrays: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the curves to FILE (.npz).", show_default=False)
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw the curves into FILE (.png, .pdf, .svg).", show_default=False),
    ] = None,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Show the figures of each category, joint or landmark, too.")
    ] = False,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Exit with 1 unless a figure has this value (repeatable).", show_default=False
        ),
    ] = None,
    atol: Annotated[float, typer.Option(min=0.0, metavar="X", help="How far a figure may be off.")] = 1e-4,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads to use. [default: one per processor]", show_default=False),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Score on a Dask cluster, tcp://HOST:PORT, or on processes of this machine: local.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Score the predictions in PRED against the ground truth in GT."""
    with readable_errors():
        expected = [_expectation(text) for text in expect or ()]
        chosen, parameters = _task(task, parameter)
        form = form or _form_of(output)
        _writable(output, arrays, plot)
        if plot is not None:
            _plottable(chosen.name, plot, parameters)

        from cvbench.progress import watched
        from cvbench.scoring import score as run

        with watched(say) as progress:
            result = run(chosen.name, gt, pred, threads=threads, progress=progress, dask=dask, **parameters)
        _know_figures(expected, result)
        if arrays is not None:
            _write_arrays(arrays, result)
        if plot is not None:
            _draw_curves(plot, result)
        # on standard output, a table is data and the notes beside it are talk; a document holds both
        style = _style(chosen, parameters, per_category, notes=output is not None or form is ResultForm.md)
        _write_result(result, form, style, output)
        if not _met(expected, result, atol):
            raise typer.Exit(1)


def _task(name: str, parameter: list[str] | None) -> tuple[Task, dict[str, Any]]:
    """The task of that name and its parameters, typed."""
    from cvbench.tasks import find

    task = find(name)
    given: dict[str, str] = {}
    for text in parameter or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"-p {text}: expected NAME=VALUE; `cvbench tasks {task.name}` lists the parameters")
        if key in given:
            raise InputError(f"-p {text}: {key} is {given[key]} already")
        given[key] = value
    return task, task.parse(given)


def _writable(*paths: str | None) -> None:
    """Refuse files in folders that are not there before anything is computed."""
    for path in filter(None, paths):
        if not Path(path).resolve().parent.is_dir():
            raise InputError(f"{path}: there is no folder to write this file to")


def _expectation(text: str) -> Expectation:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InputError(f"--expect {text}: expected NAME=NUMBER, for example --expect AP=0.5046") from None


def _know_figures(expected: list[Expectation], result: Result) -> None:
    """Refuse expectations of figures that the result does not have."""
    for name, _ in expected:
        if name not in result.values:
            raise InputError(f"--expect {name}: {result.task} has no such figure; it has {', '.join(result.values)}")


def _met(expected: list[Expectation], result: Result, atol: float) -> bool:
    """Whether all expectations are met; says which are not. NaN meets NaN and nothing else."""
    all_met = True
    for name, value in expected:
        got = result.values[name]
        if not (math.isnan(got) if math.isnan(value) else abs(got - value) <= atol):
            say(f"expectation failed: {name} is {got!r}, expected {value!r} within {atol!r}")
            all_met = False
    return all_met


def _form_of(output: str | None) -> ResultForm:
    """The form that the name of the output file asks for."""
    suffix = Path(output or "").suffix.lower()
    return next((form for form in ResultForm if suffix == f".{form.value}"), ResultForm.text)


def _write_arrays(path: str, result: Result) -> None:
    import io

    import numpy as np

    from cvbench.result import replace_file

    if not result.arrays:
        raise InputError(f"--arrays {path}: {result.task} has no curves")
    packed = io.BytesIO()
    np.savez_compressed(packed, **result.arrays)  # type: ignore[arg-type]  # its one keyword option is a bool
    replace_file(path, packed.getvalue())


def _plottable(task: str, path: str, parameters: dict[str, Any]) -> None:
    """Refuse a plot that could not be drawn before anything is read."""
    from cvbench.plots import plottable

    plottable(task, path, parameters)


def _draw_curves(path: str, result: Result) -> None:
    from cvbench.plots import plot

    plot(result, path)


def _style(task: Task, parameters: dict[str, Any], per_category: bool, notes: bool) -> Style:
    from cvbench.report import Style

    tables = (task.breakdown,) if per_category else ()
    return Style(task.describe(parameters), task.headline, tables, notes)


def _write_result(result: Result, form: ResultForm, style: Style, output: str | None) -> None:
    """Write to the file or to standard output, and say the notes whatever the form: nothing is dropped in silence."""
    from cvbench.report import render
    from cvbench.result import replace_file

    text = render(result, form.value, style)
    if output is not None:
        replace_file(output, text.encode())
    else:
        put(text)
    for note in result.notes:
        say(f"note: {note}")


# tasks


@app.command(epilog="\b\nExamples:\n  cvbench tasks\n  cvbench tasks coco.bbox\n")
def tasks(
    name: Annotated[str | None, typer.Argument(metavar="TASK", help="Describe this task.", show_default=False)] = None,
    form: Annotated[ListForm, typer.Option("--format", help="Form of the list.")] = ListForm.text,
) -> None:
    """List what can be scored, or describe one task."""
    with readable_errors():
        from cvbench.tasks import TASKS, find

        if form is ListForm.json:
            import json

            listed = [find(name)] if name else TASKS.values()
            put(json.dumps([_as_dict(task) for task in listed], indent=2) + "\n")
        elif name:
            put(_described(find(name)))
        else:
            put(_listed(list(TASKS.values())))


def _as_dict(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "version": task.version,
        "summary": task.summary,
        "reference": task.reference,
        "inputs": {"gt": task.inputs[0], "pred": task.inputs[1]},
        "figures": task.describe({}),
        "headline": list(task.headline),
        "parameters": [
            {"name": rule.name, "default": rule.default_text, "help": rule.help} for rule in task.parameters
        ],
    }


def _listed(listed: list[Task]) -> str:
    from cvbench.report import aligned

    return aligned([(task.name, task.summary) for task in listed]) + "\n"


def _described(task: Task) -> str:
    from cvbench.report import aligned

    blocks = [
        f"{task.name}@{task.version}  {task.summary}\n",
        aligned([("ground truth", task.inputs[0]), ("predictions", task.inputs[1]), ("reference", task.reference)]),
        "\nFigures",
        aligned([(f"  {name}", meaning) for name, meaning in task.describe({}).items()]),
    ]
    if task.parameters:
        blocks.append("\nParameters with their defaults, to be changed by -p NAME=VALUE")
        blocks += [f"  {rule.name}={rule.default_text}\n      {rule.help}" for rule in task.parameters]
    return "\n".join(blocks) + "\n"


# check


@app.command(epilog="\b\nExamples:\n  cvbench check coco.bbox gt.json\n  cvbench check coco.bbox gt.json preds.json\n")
def check(
    task: TaskArgument,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="The ground truth, then the predictions.", show_default=False),
    ],
    parameter: ParameterOption = None,
) -> None:
    """List what is wrong with files, every problem with its record.

    Exits with 2 if anything is.
    """
    with readable_errors():
        chosen, parameters = _task(task, parameter)
        if len(files) > len(chosen.inputs):
            raise InputError(f"{len(files)} files; expected the ground truth and at most one file of predictions")

        from cvbench.scoring import check as run

        problems = run(chosen.name, files, **parameters)
        put("".join(f"{problem.where}: {problem.message}\n" for problem in problems))
        names = " and ".join(files)
        if problems:
            say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {names}")
            raise typer.Exit(2)
        say(f"no problems in {names}")


# warmup

WARMUP_EXAMPLES = """\b
Examples:
  cvbench warmup
  cvbench warmup coco.bbox coco.segm
  NUMBA_CACHE_DIR=/opt/kernels cvbench warmup
"""


@app.command(epilog=WARMUP_EXAMPLES)
def warmup(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TASK",
            help="Compile for these alone; also: functions (of the Python interface), scenes. [default: everything]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compile ahead of time, once: in an image of a container, or before tests.

    Exits with 1 if what was compiled cannot be kept for other processes.
    """
    with readable_errors():
        from contextlib import closing

        from cvbench.progress import Bar
        from cvbench.warming import warmup as run

        with closing(Bar()) as progress:
            done = run(names or (), progress=progress)
        put(f"{done.compiled} kernels compiled, {done.loaded} found, in {done.seconds:.1f} s\n")
        if not done.kept:
            raise typer.Exit(1)
        put(f"They are in {done.folder}\n")


# profile

PROFILE_EXAMPLES = """\b
Examples:
  cvbench profile mymodels:build
  cvbench profile mymodels:small mymodels:large -i 1x3x640x640
  cvbench profile mymodels:build --depth 2 --per-operator
  cvbench profile mymodels:build --compare
  cvbench profile mymodels:build --latency -o cost.json --arrays times.npz
"""


@app.command(epilog=PROFILE_EXAMPLES)
def profile(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="package.module:build, a function that makes a torch module.", show_default=False
        ),
    ],
    size: Annotated[
        str, typer.Option("-i", "--input", metavar="SHAPE", help="Shape of the input; of several, with commas.")
    ] = "1x3x224x224",
    form: Annotated[
        ResultForm | None,
        typer.Option("--format", help="Form of the result. [default: as FILE is named, else text]", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the result to FILE.", show_default=False),
    ] = None,
    arrays: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the measured times to FILE (.npz).", show_default=False)
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Show modules, N levels deep.", show_default=False)
    ] = None,
    per_operator: Annotated[bool, typer.Option("--per-operator", help="Show the cost of each operator.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse operators without a formula.")] = False,
    backward: Annotated[bool, typer.Option("--backward", help="Count the backward pass, too.")] = False,
    device: Annotated[
        Device, typer.Option(help="Where the model runs to be counted; on meta it needs no memory.")
    ] = Device.meta,
    proposals: Annotated[int, typer.Option(min=0, metavar="N", help="Boxes of a two-stage model.")] = 1000,
    masks: Annotated[int, typer.Option(min=0, metavar="N", help="Objects with masks or keypoints.")] = 100,
    backend: Annotated[Counter, typer.Option(help="Who counts.")] = Counter.cvbench,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show all three counters and what makes the difference.")
    ] = False,
    roofline: Annotated[
        bool, typer.Option("--roofline", help="Predict the least time on this machine, whose rates are measured once.")
    ] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Measure times in fresh processes: minutes.")] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads for predicted and measured times.")] = 1,
) -> None:
    """Count what models cost: parameters, multiply-accumulates, FLOPs, bytes; predict and measure their time."""
    with readable_errors():
        form = form or _form_of(output)
        _writable(output, arrays)
        if arrays is not None and not latency:
            raise InputError(f"--arrays {arrays}: only --latency makes arrays")
        twice = [name for i, name in enumerate(models) if name in models[:i]]
        if twice:
            raise InputError(f"{twice[0]} is named twice")
        from contextlib import closing
        from dataclasses import replace

        from cvbench.cost.spec import CountSpec
        from cvbench.profiling import profile as run
        from cvbench.progress import Bar

        with closing(Bar()) as progress:
            result = run(
                models[0] if len(models) == 1 else {name: name for name in models},
                replace(CountSpec.parse(size), proposals=proposals, masks=masks),
                device=device.value,
                strict=strict,
                backward=backward,
                backend=backend.value,
                compare=compare,
                roofline=roofline or None,
                latency=latency,
                threads=threads,
                progress=progress,
            )
        if arrays is not None:
            _write_arrays(arrays, result)
        if form in (ResultForm.text, ResultForm.md):
            from cvbench.cost.tables import for_people

            result = for_people(result, depth)
        notes = output is not None or form is ResultForm.md
        _write_result(result, form, _cost_style(result, depth is not None, per_operator, notes), output)


def _cost_style(result: Result, per_module: bool, per_operator: bool, notes: bool) -> Style:
    from cvbench.cost.tables import QUANTITIES, meaning
    from cvbench.report import Style

    asked = {"per_module": per_module, "per_operator": per_operator, "per_depth": False}
    tables = [name for name in result.tables if asked.get(name, True)]
    return Style({name: meaning(name) for name in result.values}, (), tables, notes, QUANTITIES)


# scenes


class Split(str, Enum):
    """The splits of the scenes; `cvbench.scenes.SPLITS` is behind a heavy import."""

    train = "train"
    val = "val"


@app.command(epilog="\b\nExamples:\n  cvbench scenes -o val\n  cvbench scenes --split train --limit 100 -o train\n")
def scenes(
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder to make; it must not be there, or be empty.",
            show_default=False,
        ),
    ],
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.val,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N images.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads to use. [default: one per processor]", show_default=False),
    ] = None,
) -> None:
    """Write images of the procedural world with every kind of ground truth.

    The same files on every machine: PNG images, COCO instances, joints and landmarks, panoptic segments, label maps.
    """
    with readable_errors():
        from cvbench.progress import watched
        from cvbench.scenes import dataset, write_folder

        images = len(dataset(split.value, limit))
        with watched(say) as progress:
            write_folder(output, split.value, limit, threads=threads, progress=progress)
        say(f"{images} image{'s' if images > 1 else ''} of {split.value} with their ground truths in {output}")


# models


@app.command(epilog="\b\nExamples:\n  cvbench models\n  cvbench models centernet\n")
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Show the card of this model.", show_default=False)
    ] = None,
    form: Annotated[ListForm, typer.Option("--format", help="Form of the list.")] = ListForm.text,
) -> None:
    """List the models that are installed, or show the card of one: what is published of it and how it was trained."""
    with readable_errors():
        from cvbench import cards
        from cvbench.models import find_model, models as offered

        chosen = [find_model(name)] if name else list(offered().values())
        if not chosen:
            say("no installed package offers models; pip install 'cvbench[models]' anew")
        if form is ListForm.json:
            import json

            put(json.dumps([cards.as_dict(model) for model in chosen], indent=2) + "\n")
        else:
            put(cards.described(chosen[0]) if name else cards.listed(chosen))


# run

RUN_EXAMPLES = """\b
Examples:
  cvbench run                                          all models, each on the benchmark of its field
  cvbench run centernet --limit 100 --no-latency
  cvbench run mymodels:build --benchmark scenes.detection
  cvbench run mymodels:build --benchmark coco.bbox --gt instances.json --images val2017
"""


@app.command(epilog=RUN_EXAMPLES)
def run(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Names, or package.module:build for one's own. [default: all installed ones that are trained]",
            show_default=False,
        ),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "-b",
            "--benchmark",
            metavar="NAME",
            help="Run on this one (repeatable). [default: that of each model's field]",
            show_default=False,
        ),
    ] = None,
    gt: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Ground truth for coco.bbox and coco.segm.", show_default=False),
    ] = None,
    images: Annotated[str | None, typer.Option(metavar="DIR", help="Its images.", show_default=False)] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N images.", show_default=False)
    ] = None,
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure times in fresh processes.")] = True,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Write one JSON per model and benchmark to DIR.")
    ] = "leaderboards/results",
    predictions: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Keep predictions, as files for `cvbench score`.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, metavar="N", help="Images that a model is shown at once.")] = 16,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads of torch.")] = 1,
    device: Annotated[str, typer.Option(metavar="NAME", help="Where models run, by torch's name.")] = "cpu",
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Models that are scored at once. [default: on the processor as many as it has cores, otherwise 1]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run models on benchmarks: accuracy with intervals, cost, and latency on the images of the benchmark.

    Exits with 1 if a model fails; the others run nevertheless. Asked for again, a run that was stopped goes on.
    """
    with readable_errors():
        from cvbench.cost.turns import Plan, processors
        from cvbench.progress import watched
        from cvbench.running import Settings, candidate, run as run_all

        chosen, broken = ([candidate(name) for name in models], False) if models else _trained_candidates()
        asked = _benchmarks(benchmark or [], gt, images, [one.field for one in chosen])
        if not models:
            chosen = [one for one in chosen if any(one.fits(other) for other in asked)]
        plan = Plan() if latency else None
        at_once = processes or (max(1, processors() // threads) if device == "cpu" else 1)
        with watched(say) as progress:
            settings = Settings(limit, batch, threads, device, plan, predictions=predictions, processes=at_once)
            records = run_all(chosen, asked, output, settings, progress=progress, say=say)
        put(_run_table(records, {each.name: each.figure for each in asked}))
        say(f"wrote {len(records)} record{'s' if len(records) != 1 else ''} to {output}")
        if broken or any(record.error is not None for record in records):
            raise typer.Exit(1)


def _trained_candidates() -> tuple[list[Candidate], bool]:
    """The installed models that have weights, and whether any cannot even be looked at; says which are left out."""
    from cvbench.models import models as offered
    from cvbench.running import candidate

    trained: list[Candidate] = []
    untrained: list[Candidate] = []
    broken = False
    for name in offered():
        try:
            one = candidate(name)
        except InputError as error:
            say(f"{name} is left out: {error}")
            broken = True
            continue
        (untrained if one.model.weights_sha256 is None else trained).append(one)
    if untrained:
        say(f"without weights and left out: {', '.join(one.model.name for one in untrained)}")
    if not trained:
        raise InputError("no installed model has weights; python -m reference_models.train NAME makes some")
    return trained, broken


def _benchmarks(names: list[str], gt: str | None, images: str | None, fields: list[str | None]) -> list[Benchmark]:
    """The benchmarks of these names, or without names those of these fields."""
    from cvbench.benchmarks import BENCHMARKS, FILE_TASKS, from_files
    from cvbench.errors import did_you_mean

    if not names:
        if None in fields:
            raise InputError("a model of your own says no field; name a --benchmark")
        return [benchmark for benchmark in BENCHMARKS.values() if benchmark.field in fields]
    on_files = [name for name in names if name in FILE_TASKS]
    if bool(on_files) != (gt is not None and images is not None) or (gt is None) != (images is None):
        raise InputError(f"--gt FILE and --images DIR go with --benchmark {' or '.join(FILE_TASKS)}")
    chosen = []
    for name in dict.fromkeys(names):
        if name not in BENCHMARKS and name not in FILE_TASKS:
            raise InputError(f"unknown benchmark {name!r}{did_you_mean(name, (*BENCHMARKS, *FILE_TASKS))}")
        chosen.append(from_files(name, gt or "", images or "") if name in FILE_TASKS else BENCHMARKS[name])
    return chosen


def _run_table(records: list[RunRecord], figures: dict[str, str]) -> str:
    """One line per record: the figure that stands for its score, and the median time."""
    from cvbench.report import aligned

    rows = [("benchmark", "model", "figure", "value", "95 %", "p50, ms")]
    for record in records:
        figure = figures[record.benchmark]
        value, ends = "-", "-"
        if record.accuracy is not None:
            value, interval = f"{record.accuracy.values[figure]:.5f}", record.intervals[figure]
            ends = f"{interval.low:.5f} to {interval.high:.5f}"
        timing = record.latency
        time = "-" if timing is None else f"{timing.values[f'{timing.headline}_p50_ms']:.2f}"
        rows.append((record.benchmark, record.model.label, figure, value, ends, time))
    return aligned(rows, right={3, 5}) + "\n"


# leaderboard

LEADERBOARD_EXAMPLES = """\b
Examples:
  cvbench leaderboard
  cvbench leaderboard --check
  cvbench leaderboard runs/monday runs/tuesday/centernet-nano.json -o boards
"""


@app.command(epilog=LEADERBOARD_EXAMPLES)
def leaderboard(
    results: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RESULTS", help="Files of runs, or folders of them. [default: DIR/results]", show_default=False
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DIR", help="Write the leaderboards to DIR.")
    ] = "leaderboards",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where DIR holds anything else.")
    ] = False,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw accuracy against cost.")] = True,
) -> None:
    """Make one leaderboard per benchmark: CSV, Markdown, and a picture of accuracy against cost."""
    with readable_errors():
        from cvbench import publishing
        from cvbench.leaderboard import leaderboards
        from cvbench.records import read_records

        boards = leaderboards(read_records(results or [Path(output) / "results"]))
        differences = [] if results or not check else publishing.leftovers(boards, output)
        for board in boards.values():
            for label, reason in board.refused:
                say(f"note: {board.benchmark} refuses {label}: {reason}")
            if check:
                differences += publishing.differences(board, output, pictures=pictures)
            else:
                for path in publishing.write(board, output, pictures=pictures):
                    say(f"wrote {path}")
        for difference in differences:
            say(difference)
        if differences:
            say("run `cvbench leaderboard` with the same arguments, without --check, to write them anew")
            raise typer.Exit(1)
