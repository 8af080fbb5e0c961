"""Reports: a `Result` as text, JSON, CSV or Markdown. The only place that rounds, and only what people read.

Text and Markdown show fractions to five decimals, large quantities in thousands, millions, … (``4.089 G``) and ``nan``
where a figure is undefined. JSON and CSV hold the
shortest digits that read back as the same float; an undefined figure is ``null`` in JSON and empty in CSV.
"""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from cvbench.errors import InputError
from cvbench.result import Cell, Result, Row

FORMATS = ("text", "json", "csv", "md")

WIDTH = 100
"""Where lines of words are wrapped; tables are as wide as they need."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a report for people shows beside the figures.

    Attributes
    ----------
    describe
        What a figure means, by name.
    headline
        Names of the figures that come first, in that order; all others follow as the result has them.
    tables
        Names of the tables to show.
    notes
        Whether to show the result's notes.
    quantities
        Names of figures, and of columns of tables, that are shown as `quantity` does.
    """

    describe: Mapping[str, str] = field(default_factory=dict)
    headline: Sequence[str] = ()
    tables: Sequence[str] = ()
    notes: bool = True
    quantities: Collection[str] = ()


def render(result: Result, form: str, style: Style | None = None) -> str:
    """The `result` in one of `FORMATS`.

    JSON and CSV are complete whatever the `style`.

    Raises
    ------
    InputError
        `form` is none of them, or the style names a table that the result does not have.
    """
    style = style or Style()
    unknown = [name for name in style.tables if name not in result.tables]
    if unknown:
        raise InputError(f"{result.task} has no table {unknown[0]!r}; it has {', '.join(result.tables) or 'none'}")
    if form == "json":
        return result.to_json()
    if form == "csv":
        return _csv(result)
    if form == "text":
        return _text(result, style)
    if form == "md":
        return _markdown(result, style)
    raise InputError(f"unknown format {form!r}; expected one of {', '.join(FORMATS)}")


def number(value: Cell) -> str:
    """A cell for people: fractions to five decimals, all else as it is, but for characters that would break a line.

    >>> number(0.5045806987249628), number(839), number("person")
    ('0.50458', '839', 'person')
    """
    if isinstance(value, float):
        return f"{value:.5f}"
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]


def quantity(value: Cell) -> str:
    """A number that may be large for people: to three decimals, in units of 1000, 1000², …

    >>> quantity(25557032), quantity(4089184256.0), quantity(999_999_999), quantity(12)
    ('25.557 M', '4.089 G', '1.000 G', '12')
    """
    if isinstance(value, str) or math.isnan(value) or abs(value) < 1000:
        return number(int(value) if isinstance(value, float) and value.is_integer() else value)
    power = next((power for power in range(1, 5) if abs(round(value / 1000**power, 3)) < 1000), 5)
    return f"{value / 1000**power:.3f} {' kMGTP'[power]}"


def _shown(name: str, value: Cell, style: Style) -> str:
    """The figure, or cell, of that name as the style has it."""
    return quantity(value) if name in style.quantities else number(value)


def significant(value: float, digits: int = 3) -> str:
    """A number for people to so many digits, without powers of ten; ``n/a`` where it is undefined.

    >>> significant(0.012345), significant(9.996), significant(12345.0), significant(0.0)
    ('0.0123', '10.0', '12345', '0')
    """
    if math.isnan(value):
        return "n/a"
    # The power of ten of the rounded number: 9.996 is a number of two digits before the point.
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(digits - 1 - power, 0)}f}" if value else "0"


def _figures(result: Result, style: Style) -> list[tuple[str, str, str]]:
    """Name, value and meaning of every figure, the headline first."""
    first = [name for name in style.headline if name in result.values]
    names = dict.fromkeys([*first, *result.values])
    return [(name, _shown(name, result.values[name], style), style.describe.get(name, "")) for name in names]


def _counts(result: Result) -> list[str]:
    """The counts that are not zero, as words."""
    return [f"{name.replace('_', ' ')} {count}" for name, count in result.counts.items() if count]


def _table(rows: Sequence[Row], style: Style) -> tuple[list[tuple[str, ...]], set[int]]:
    """Header and cells, and which columns hold numbers."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    numbers = {i for i, name in enumerate(columns) if not any(isinstance(row.get(name), str) for row in rows)}
    cells = [tuple(_shown(name, row[name], style) if name in row else "" for name in columns) for row in rows]
    return [tuple(columns), *cells], numbers


def _text(result: Result, style: Style) -> str:
    blocks = [aligned(_figures(result, style), {1})]
    blocks += [aligned(*_table(result.tables[name], style)) for name in style.tables if result.tables[name]]
    if counts := _counts(result):
        whole = [count.replace(" ", "\xa0") for count in counts]  # not to be torn apart at the end of a line
        blocks.append(textwrap.fill(", ".join(whole), WIDTH, break_long_words=False).replace("\xa0", " "))
    if style.notes and result.notes:
        blocks.append("\n".join(f"note: {note}" for note in result.notes))
    blocks.append(str(result.signature))
    return "\n\n".join(filter(None, blocks)) + "\n"


def aligned(rows: Sequence[tuple[str, ...]], right: Collection[int] = ()) -> str:
    """Rows of equal length as columns two blanks apart, those of `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_padded(row, widths, right)).rstrip() for row in rows)


def _padded(row: tuple[str, ...], widths: list[int], right: Collection[int]) -> list[str]:
    cells = zip(row, widths, strict=True)
    return [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(cells)]


def _markdown(result: Result, style: Style) -> str:
    blocks = [f"## {result.task}", _pipes([("figure", "value", "meaning"), *_figures(result, style)], {1})]
    for name in (name for name in style.tables if result.tables[name]):
        blocks += [f"### {name.replace('_', ' ')}", _pipes(*_table(result.tables[name], style))]
    if counts := _counts(result):
        blocks.append("Counts: " + ", ".join(counts) + ".")
    if style.notes and result.notes:
        blocks.append("\n".join(f"- {note}" for note in result.notes))
    blocks.append(f"`{result.signature}`")
    return "\n\n".join(blocks) + "\n"


def _pipes(rows: Sequence[tuple[str, ...]], right: set[int]) -> str:
    """A Markdown table whose source is aligned, too; the first row is its header."""
    header, *body = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(header, *body, strict=True)]
    rule = tuple("-" * (width - 1) + (":" if i in right else "-") for i, width in enumerate(widths))
    return "\n".join(f"| {' | '.join(_padded(row, widths, right))} |" for row in (header, rule, *body))


def _csv(result: Result) -> str:
    """One line per figure: ``task,table,key,metric,value``.

    The figures themselves are the table ``values`` with an empty key, the counts the table ``counts``. In all other
    tables the key is the first cell of the row followed by its texts, ``7 dog``, so that values are numbers.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("task", "table", "key", "metric", "value"))
    for metric, value in result.values.items():
        writer.writerow((result.task, "values", "", metric, _full(value)))
    for table, rows in result.tables.items():
        for row in rows:
            (_, first), *cells = row.items()
            key = " ".join([_full(first), *(cell for _, cell in cells if isinstance(cell, str))])
            for metric, cell in cells:
                if not isinstance(cell, str):
                    writer.writerow((result.task, table, key, metric, _full(cell)))
    for metric, count in result.counts.items():
        writer.writerow((result.task, "counts", "", metric, count))
    return out.getvalue()


def _full(value: Cell) -> str:
    """All digits of a cell; nothing where it is undefined."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)
