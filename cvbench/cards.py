"""Cards of models, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from cvbench.models import SIZES, Entry
from cvbench.records import Published
from cvbench.report import aligned, number, quantity


def params(model: Entry, size: str) -> int:
    """Elements of all parameters of a model, which is built without memory."""
    import torch

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in model.build(size).parameters())


def as_dict(model: Entry) -> dict[str, Any]:
    """What the card says, where the model is and how many parameters it has, as plain data for JSON."""
    card, training = model.card, model.card.training
    return {
        "name": card.name,
        "title": card.title,
        "field": card.field,
        "module": model.module,
        "citation": card.citation,
        "params": {size: params(model, size) for size in SIZES},
        "published": [asdict(figure) for figure in card.published],
        "deviations": list(card.deviations),
        "weights": None if training is None else {"path": str(card.weights_path), "sha256": training.sha256},
        "training": training
        and {
            "benchmark": training.benchmark,
            "figure": training.figure,
            "value": training.value,
            "trivial": training.trivial,
            "trivial_value": training.trivial_value,
            "facts": dict(training.facts),
        },
    }


def listed(models: Iterable[Entry]) -> str:
    """One line per model: name, field, title, parameters of the nano size, and what its weights score."""
    rows = []
    for model in models:
        card, training = model.card, model.card.training
        score = f"{training.figure} {number(training.value)}" if training else "not trained"
        rows.append((card.name, card.title, card.field, f"{quantity(params(model, 'nano'))} parameters", score))
    return aligned(rows, {3}) + "\n" if rows else ""


def described(model: Entry) -> str:
    """The card of a model as text."""
    card, training = model.card, model.card.training
    blocks = [f"{card.name}  {card.title}, which is scored on scenes.{card.field}"]
    facts = [("paper", card.citation), ("module", model.module)]
    facts += [(f"size {size}", f"{quantity(params(model, size))} parameters") for size in SIZES]
    facts += [("weights", f"{card.weights_path}, SHA-256 {training.sha256}" if training else "none: it is not trained")]
    blocks.append(aligned(facts))
    if training:
        scored = f"  {training.figure} of {training.benchmark}"
        trivial = f"  the same without learning: {training.trivial}"
        rows = [(scored, number(training.value)), (trivial, number(training.trivial_value))]
        how = ", ".join(f"{name} {value}" for name, value in training.facts.items() if value is not None)
        blocks.append(f"Trained, in the size nano\n{aligned(rows)}\n  {how}")
    if card.published:
        blocks.append("Published by others, of the size paper\n" + aligned([_row(figure) for figure in card.published]))
    if card.deviations:
        blocks.append("\n".join(["Deviations from the paper", *(f"  {deviation}" for deviation in card.deviations)]))
    return "\n\n".join(blocks) + "\n"


def _row(figure: Published) -> tuple[str, str, str, str]:
    return f"  {figure.what}", figure.printed, figure.given, f"{figure.source} ({figure.sure})"
