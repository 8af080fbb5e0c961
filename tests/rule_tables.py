"""The tables of ``docs/tasks.md`` that say what presets and protocols are: made from the presets themselves.

``python tests/rule_tables.py`` writes them into the page, each where its first line stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cvbench.metrics.hit_rates import HitRule, grid
from cvbench.metrics.keypoints import PRESETS as PCK_PRESETS, PckParams
from cvbench.metrics.landmarks import PRESETS as FACES, NmeParams
from cvbench.metrics.limbs import PRESETS as LIMBS, PcpParams
from cvbench.metrics.mpii import PROTOCOLS, params_of

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


def comparison(rule: HitRule) -> str:
    return "`<`" if rule.strict else "`<=`"


def joints(indices: Iterable[int]) -> str:
    return "+".join(map(str, indices))


def parts(rule: HitRule) -> str:
    return ", ".join(f"{part.name} {joints(part.columns)}" for part in rule.parts) or "–"


def pck_presets() -> str:
    """The presets of `pose.pck` by name; those that other tasks have are under theirs."""
    rules = {name: PckParams.of(name) for name in PCK_PRESETS if name != "mmpose-auc" and not name.endswith("-pdj")}
    header = ("preset", "divided by", "compare", "mean over", "first threshold", "precision", "parts")
    return table(
        header,
        (
            (
                f"`{name}`",
                f"`{rule.normalizer}`",
                comparison(rule),
                "joints" if rule.mean == "joints" else "all at once",
                f"{rule.thresholds[0]:g}",
                "single" if rule.single else "double",
                parts(rule),
            )
            for name, rule in rules.items()
        ),
    )


def protocols() -> str:
    header = ("protocol", "compare", "mean over", "Head", "added to predictions", "not predicted", "head size 0")
    rules = {name: params_of(name) for name in PROTOCOLS}
    return table(
        header,
        (
            (
                f"`{name}`",
                comparison(rule),
                "joints" if rule.mean == "joints" else "all at once",
                next(joints(part.columns) for part in rule.parts if part.name == "Head"),
                f"{rule.shift:g} pixel" if rule.shift else "nothing",
                {"miss": "a miss", "refuse": "refused"}[rule.missing],
                {"skip": "left out", "refuse": "refused"}[rule.zero_size],
            )
            for name, rule in rules.items()
        ),
    )


def limbs() -> str:
    rules = {name: PcpParams.of(name) for name in LIMBS}
    header = ("preset", "limbs, with the joints of both ends")
    return table(
        header,
        ((f"`{name}`", ", ".join(str(limb).replace("=", " ") for limb in rule.limbs)) for name, rule in rules.items()),
    )


def faces() -> str:
    rules = {name: NmeParams.of(name) for name in FACES}
    header = ("preset", "landmarks", "divided by", "FR at", "AUC at")
    return table(
        header,
        (
            (
                f"`{name}`",
                str(rule.landmarks),
                f"`{rule.normalizer}`",
                grid(rule.failure_thresholds).replace(",", ", "),
                grid(rule.auc_thresholds),
            )
            for name, rule in rules.items()
        ),
    )


TABLES = (pck_presets, protocols, limbs, faces)


def updated(page: str) -> str:
    """The page with its tables as they are to be.

    Raises
    ------
    ValueError
        The first line of a table does not stand on the page once.
    """
    for make in TABLES:
        new = make()
        first = re.escape(new.partition("\n")[0])
        page, found = re.subn(rf"^{first}\n(\|.*\n)*", new.replace("\\", r"\\"), page, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(f"the first line of {make.__name__} stands on the page {found} times")
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
