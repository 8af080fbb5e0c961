"""What ``docs/tasks.md`` says of tasks and rules is what the code has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import TASKS, score
from cvbench.metrics.mpii import PROTOCOLS
from cvbench.metrics.paired import METRICS
from cvbench.metrics.sigmas import SIGMAS
from rule_tables import PAGE, updated

TEXT = PAGE.read_text(encoding="utf-8")
README = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")

NEEDED: dict[str, dict[str, Any]] = {
    "pck": {"curve": (0.1, 0.2), "torso_fallback": True, "normalizer": "joints:0-1"},
    "pdj": {"preset": "lsp"},
    "pcp": {"preset": "lsp"},
    "nme": {"preset": "wflw"},
}
"""Rules under which a signature has all of its parts."""


def test_tables_of_presets_are_those_of_the_code() -> None:
    """`python tests/rule_tables.py` writes them."""
    assert updated(TEXT) == TEXT


def test_a_table_that_is_not_there_is_missed() -> None:
    with pytest.raises(ValueError, match="the first line of pck_presets stands on the page 0 times"):
        updated("")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_named(name: str) -> None:
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", SIGMAS)
def test_every_set_of_sigmas_is_named(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("metric", METRICS)
def test_every_part_of_a_signature_is_explained(metric: str) -> None:
    explained = TEXT.partition("## COCO: ")[0]
    for name, _ in METRICS[metric].rules(**NEEDED.get(metric, {})).conventions():
        assert f"`{name}`" in explained, name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_figures_of_mpii_are_those_of_the_files(protocol: str, real_data: Path) -> None:
    folder = real_data / "mpii_val"
    truth, found = folder / "detections_our_format.mat", folder / "preds" / "bearpaw-hg_s2_b1.mat"
    values = score("mpii.pckh", truth, found, protocol=protocol).values
    figures = " | ".join(f"{values[name]:.5f}" for name in ("PCKh@0.5", "PCKh@0.1", "AUC", "Head", "Ankle"))
    assert f"\n| `{protocol}` | {figures} |\n" in TEXT


def test_equal_distances_are_no_matter_on_these_files(real_data: Path) -> None:
    """The page says so."""
    folder = real_data / "mpii_val"
    truth, found = folder / "detections_our_format.mat", folder / "preds" / "bearpaw-hg_s2_b1.mat"
    figures = [list(score("mpii.pckh", truth, found, strict=strict).values.values()) for strict in (False, True)]
    np.testing.assert_array_equal(*figures)
