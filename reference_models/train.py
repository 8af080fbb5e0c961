"""Trains the nano size of models from random weights: ``python -m reference_models.train NAME``, or ``--all``.

What is written lies beside the model's card: the weights, a card entry that says how they were made and what they score
beside a predictor that has learnt nothing, and a log. How models learn is in `reference_models.training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import torch
import typer

from cvbench import cli
from cvbench.benchmarks import find
from cvbench.cost.spec import require_device
from cvbench.errors import InputError
from cvbench.models import Entry, find_model
from cvbench.progress import watched
from cvbench.records import Fact
from cvbench.result import replace_file
from cvbench.running import evaluate, torch_threads
from reference_models.card import Training
from reference_models.registry import MODELS
from reference_models.training import Progress, Recipe, train
from reference_models.trivial import trivial
from reference_models.weights import save_weights

TRIVIAL_PICTURES = 500
"""Pictures that the trivial predictor looks at."""


def produce(
    entry: Entry,
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    limit: int | None = None,
    progress: Progress | None = None,
) -> Training:
    """Train a model, score its weights as they are stored, and write weights, card entry and log.

    Parameters
    ----------
    entry
        The model.
    recipe
    folder
        Where ``<name>.safetensors``, ``.json``, ``.csv`` and, until all is done, ``.checkpoint`` lie.
    device
        That trains, by torch's name.
    limit
        Score on the first so many images only; None for all.
    progress
        Told how many steps, then images are done.

    Returns
    -------
    Training
        The card entry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    benchmark, checkpoint = find(f"scenes.{entry.card.field}"), folder / f"{entry.name}.checkpoint"
    torch.manual_seed(recipe.seed)
    run = train(entry.build("nano").to(device), benchmark, recipe, checkpoint, progress)
    path = folder / f"{entry.name}.safetensors"
    sha256 = save_weights(run.model, path)
    stored = entry.build("nano")
    stored.load(path, sha256)
    some = benchmark.pictures("train", min(TRIVIAL_PICTURES, recipe.pictures or TRIVIAL_PICTURES))
    targets = chain.from_iterable(picture.targets for picture in some)
    words, predictor = trivial(entry.card.field, targets, benchmark.size or (0, 0))
    score = partial(evaluate, benchmark=benchmark, limit=limit, progress=progress)
    with torch_threads(1):  # as `cvbench run` does
        value = score(stored, name=entry.name).result.values[benchmark.figure]
        trivial_value = score(predictor, name="trivial predictor").result.values[benchmark.figure]
    facts: dict[str, Fact] = {**asdict(recipe), "seconds": round(run.seconds, 1), "device": device}
    facts |= {
        "parameters": sum(parameter.numel() for parameter in stored.parameters()),
        "torch": str(torch.__version__),
    }
    facts |= {"threads": torch.get_num_threads(), "images_scored": limit}
    training = Training(sha256, benchmark.name, benchmark.figure, value, words, trivial_value, facts)
    training.save(folder / f"{entry.name}.json")
    replace_file(folder / f"{entry.name}.csv", _table(run.log).encode())
    checkpoint.unlink()
    return training


def _table(log: Sequence[Mapping[str, float]]) -> str:
    """The log as CSV, every digit."""
    columns = list(dict.fromkeys(chain.from_iterable(log)))
    rows = [",".join(str(row.get(name, "")) for name in columns) for row in log]
    return "\n".join([",".join(columns), *rows]) + "\n"


# The command line ----------------------------------------------------------------------------------------------------


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Models; `cvbench models` lists them.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Train all models of this package, one after another.")] = False,
    device: Annotated[str, typer.Option(metavar="NAME", help="That trains, by torch's name.")] = "cpu",
    steps: Annotated[int | None, typer.Option(help="Batches to learn from.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures in a batch.", show_default=False)] = None,
    rate: Annotated[float | None, typer.Option(help="Largest learning rate.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is random.", show_default=False)] = None,
    pictures: Annotated[int | None, typer.Option(help="Learn from the first so many.", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(help="Score on the first so many.", show_default=False)] = None,
    threads: Annotated[
        int | None, typer.Option(help="Of torch. [default: as torch has it]", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="[default: the model's own folder]", show_default=False),
    ] = None,
) -> None:
    """Train the nano size of models; what is not said is as their recipes have it.

    A run that was stopped goes on when it is asked for again.
    """
    with cli.readable_errors():
        if every == bool(names):
            raise InputError("name the models to train, or ask for --all of them")
        require_device(device)
        entries = [find_model(name) for name in (names or MODELS)]
        changes = {"steps": steps, "batch": batch, "rate": rate, "seed": seed, "pictures": pictures}
        recipes = [Recipe.of(entry, **changes) for entry in entries]
        for entry, recipe in zip(entries, recipes, strict=True):
            folder = output or entry.card.weights_path.parent
            with torch_threads(threads or torch.get_num_threads()), watched(cli.say) as progress:
                made = produce(entry, recipe, folder, device=device, limit=limit, progress=progress)
            cli.put(f"{entry.name}  {made.benchmark}  {made.figure}  {made.value:.5f}\n")
            cli.say(f"{made.trivial}: {made.trivial_value:.5f}")
            cli.say(f"wrote {folder / entry.name}.safetensors, .json and .csv")


if __name__ == "__main__":
    typer.run(main)
