"""Models that can be run, by their names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cvbench.benchmarks import Benchmark
from cvbench.cost.spec import load_model, require_torch
from cvbench.models import Entry, find_model
from cvbench.records import Fact, Model, Published


@dataclass(frozen=True)
class Candidate:
    """A model that can be run.

    Attributes
    ----------
    model
        As records name it.
    load
        Makes the module with its weights; other processes can import it.
    field
        What it predicts; None for a model that does not say.
    published
        What others printed about it.
    source
        SHA-256 of the file of its code; None where that is not known.
    """

    model: Model
    load: Callable[[], Any]
    field: str | None = None
    published: tuple[Published, ...] = ()
    source: str | None = None

    def fits(self, benchmark: Benchmark) -> bool:
        """Whether it predicts what the benchmark asks for; a model that finds masks finds boxes, too."""
        return self.field in (None, benchmark.field) or (self.field, benchmark.field) == ("instance", "detection")


def candidate(name: str) -> Candidate:
    """The model that a name stands for.

    Parameters
    ----------
    name
        Of a model that an installed package offers (`cvbench.models`), in its trained size; or
        ``package.module:build``, which names a torch module or a function that makes one.

    Raises
    ------
    InputError
        No package offers it, or it cannot be imported.
    MissingDependency
        Torch is not installed.

    Examples
    --------
    >>> candidate("mypackage.mymodels:build").model.label
    'mypackage.mymodels-build'
    """
    require_torch()
    if ":" in name:
        return Candidate(Model(re.sub(r"[^A-Za-z0-9._-]", "-", name)), partial(load_model, name, device="cpu"))
    entry = find_model(name)
    card, training = entry.card, entry.card.training
    facts: dict[str, Fact] = {"title": card.title, "citation": card.citation, "deviations": " ".join(card.deviations)}
    if training is not None:
        facts |= {"trivial": training.trivial, "trivial_value": training.trivial_value}
        facts |= {f"training {name}": fact for name, fact in training.facts.items()}
    found = find_spec(entry.module)
    code = Path(found.origin).read_bytes() if found is not None and found.origin is not None else None
    return Candidate(
        model=Model(entry.name, "nano", training.sha256 if training else None, facts=facts),
        load=Entry(entry.name, entry.module).trained,
        field=card.field,
        published=tuple(card.published),
        source=hashlib.sha256(code).hexdigest() if code is not None else None,
    )
