"""Tables of text, built once and rendered to the terminal, the page, LaTeX and Markdown.

`dlm.report.terminal.print_table` renders a table with rich, `html/page.html.j2` as HTML; the text formats are here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from dlm.curves.new_examples import ON_NEW_EXAMPLES
from dlm.curves.seed_spread import SeedSpread, describe_spread, evenly_spaced, seed_spread
from dlm.curves.types import Curve, StudySummary
from dlm.report.formatting import (
    error_number,
    error_text,
    forecast_text,
    is_rate,
    multiple_text,
    of_hold_outs,
    percent,
    required_size_cell,
    target_text,
    unit_text,
)

ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Table:
    """Formatted text in rows and columns.

    `units` has one entry a column (empty: none), which the heading shows in brackets. The first `text_columns` columns
    are aligned left, the others hold numbers and are aligned right. `bold` holds (row, column) pairs. `shades`, rows x
    columns, colours cells of the page by 0 to 1. `name` is the label in LaTeX.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    text_columns: int = 1
    bold: frozenset[tuple[int, int]] = frozenset()
    shades: tuple[tuple[float | None, ...], ...] = ()
    name: str = ""
    kind: ClassVar[str] = "table"

    @property
    def headings(self) -> tuple[str, ...]:
        """The columns' names with their units."""
        units = self.units or ("",) * len(self.columns)
        return tuple(f"{name} ({unit})" if unit else name for name, unit in zip(self.columns, units, strict=True))

    @property
    def caption(self) -> str:
        """The title and the notes in one line."""
        return " ".join((self.title, *self.notes)).strip()


def measured_table(curves: Sequence[Curve], *, few_sizes: bool = False) -> Table:
    """Sizes x learners: mean error with its spread and the number of seeds, or mean ± standard error.

    The best of each size is bold where the learners share a unit. `few_sizes` selects evenly from very many sizes.
    """
    every = sorted({size for curve in curves for size in curve.train_sizes})
    train_sizes = evenly_spaced(every) if few_sizes else every
    units = {curve.unit for curve in curves}
    spreads = [dict(zip(curve.train_sizes, map(seed_spread, curve.errors), strict=True)) for curve in curves]
    rows, bold = [], set()
    for index, size in enumerate(train_sizes):
        rows.append((f"{size:,}", *map(_measured_cell, curves, [size] * len(curves), spreads)))
        here = {column: own[size].mean for column, own in enumerate(spreads, start=1) if size in own}
        if len(curves) > 1 and len(units) == 1:
            bold |= {(index, column) for column, value in here.items() if value == min(here.values())}
    some = f", {len(train_sizes)} of {len(every):,} sizes" if len(train_sizes) < len(every) else ""
    return Table(
        title=f"{_measured_title(curves)}{some}",
        columns=("examples", *(curve.learner for curve in curves)),
        rows=tuple(rows),
        units=() if len(units) < 2 else ("", *(unit_text(curve.unit) for curve in curves)),
        text_columns=0,
        bold=frozenset(bold),
        name="measured",
    )


def _measured_title(curves: Sequence[Curve]) -> str:
    units = {curve.unit for curve in curves}
    quantity = f"Test {curves[0].unit}" if len(units) == 1 else "Test error"
    in_percent = " in %" if len(units) == 1 and is_rate(curves[0].unit) else ""
    if all(curve.stderr for curve in curves):
        return f"{quantity}{in_percent}: mean ± standard error"
    words = describe_spread(curves)
    return f"{quantity}{in_percent}: mean{f' [{words}]' if words else ''} (number of seeds)"


def _measured_cell(curve: Curve, size: int, spreads: Mapping[int, SeedSpread]) -> str:
    """The cell of a size: "1.4 [1.0–2.2] (8)" or "1.4 ± 0.3"."""
    if size not in spreads:
        return ABSENT
    of = spreads[size]
    middle, low, high = (error_number(end, curve.unit, of.mean) for end in (of.mean, of.low, of.high))
    if curve.stderr:
        return f"{middle} ± {error_number(curve.stderr[curve.train_sizes.index(size)], curve.unit)}"
    return f"{middle}{f' [{low}–{high}]' if of.num_seeds > 1 else ''} ({of.num_seeds:,})"


def forecast_table(summary: StudySummary) -> Table | None:
    """Learners x multiples of the largest size: expected error with its interval; None without a forecast."""
    learners = summary.learners
    widest = max((len(learner.predictions) for learner in learners), default=0)
    if not widest:
        return None
    columns, cells = ["learner"], [[one.curve.learner for one in learners]]
    forecasts = [[one.predictions[k] if k < len(one.predictions) else None for one in learners] for k in range(widest)]
    for ahead in filter(any, ([one.current for one in learners], *forecasts)):
        times = {multiple_text(item, one.curve) for item, one in zip(ahead, learners, strict=True) if item}
        train_sizes = {item.train_size for item in ahead if item}
        # Learners with different largest sizes have forecasts at different sizes: each cell names its own.
        shared = len(train_sizes) == 1
        columns.append(" or ".join(sorted(times)) + (f", n={min(train_sizes):,}" if shared else ""))
        texts = [forecast_text(item, one.curve.unit) if item else "" for item, one in zip(ahead, learners, strict=True)]
        named = [text if shared or not item else f"n={item.train_size:,}: {text}" for item, text in zip(ahead, texts)]
        cells.append([text or "no forecast" for text in named])
    title = f"Expected error, with {percent(summary.level)} intervals"
    columns_of_text = len(columns)
    return Table(
        title,
        tuple(columns),
        tuple(zip(*cells)),
        notes=estimand_notes(summary),
        text_columns=columns_of_text,
        name="forecasts",
    )


def estimand_notes(summary: StudySummary) -> tuple[str, ...]:
    """What the intervals refer to, and the chance level."""
    counts = sorted({(each.curve.num_test, each.curve.hold_outs) for each in summary.learners if each.curve.num_test})
    tests = "the test set"
    if len(counts) == 1:
        tests = f"the {counts[0][0]:,} test examples{of_hold_outs(counts[0][1])}"
    if summary.estimand == ON_NEW_EXAMPLES:
        note = f"Intervals are of the expected error on new examples; they include the sampling error of {tests}."
    else:
        note = "Intervals are of the expected error on the given test set; its sampling error is unknown."
    return (note, *chance_notes(summary))


def chance_notes(summary: StudySummary) -> tuple[str, ...]:
    """The chance level, if it is known."""
    if summary.chance is None or not summary.learners:
        return ()
    error = error_text(summary.chance.error, summary.learners[0].curve.unit)
    return (f"Chance level: {error} ({summary.chance.prediction}).",)


def required_size_table(summary: StudySummary) -> Table | None:
    """Targets x learners: the training examples that a target error needs; None without targets."""
    asked = [(need, learner.curve) for learner in summary.learners for need in learner.required_sizes]
    rows = tuple(
        (target_text(target, curve.unit), curve.learner, required_size_cell(need))
        for target in dict.fromkeys(need.target for need, _ in asked)
        for need, curve in asked
        if need.target == target
    )
    if not rows:
        return None
    title = f"Training examples needed for a target error, with {percent(summary.level)} intervals"
    return Table(title, ("target", "learner", "examples"), rows, text_columns=3, name="sizes")


def markdown(tables: Sequence[Table]) -> str:
    """Tables in GitHub's Markdown, each below its caption."""
    parts = [part for table in tables for part in (table.caption.translate(_MARKDOWN), _markdown(table)) if part]
    return "\n\n".join(parts) + "\n"


def latex(tables: Sequence[Table]) -> str:
    r"""Tables as LaTeX floats; they need `\usepackage{booktabs}`."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(table) for table in tables)


def _texts(table: Table, special: dict[int, str], bold: str) -> Iterator[list[str]]:
    """The headings and the rows, escaped; `bold` is a pattern for a bold cell."""
    yield [text.translate(special) for text in table.headings]
    for k, row in enumerate(table.rows):
        texts = [text.translate(special) for text in row]
        yield [bold.replace("?", text) if (k, column) in table.bold else text for column, text in enumerate(texts)]


def _markdown(table: Table) -> str:
    head, *rows = (f"| {' | '.join(texts)} |" for texts in _texts(table, _MARKDOWN, "**?**"))
    rules = ["---" if column < table.text_columns else "---:" for column in range(len(table.columns))]
    return "\n".join([head, f"| {' | '.join(rules)} |", *rows])


def _latex(table: Table) -> str:
    head, *rows = (f"    {' & '.join(texts)} \\\\\n" for texts in _texts(table, _LATEX, "\\textbf{?}"))
    columns = "".join("l" if column < table.text_columns else "r" for column in range(len(table.columns)))
    return (
        "\\begin{table}\n  \\centering\n"
        f"  \\caption{{{table.caption.translate(_LATEX)}}}\n  \\label{{tab:{table.name}}}\n"
        f"  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{head}    \\midrule\n{''.join(rows)}"
        "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
    )


_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",  # after the end of a row LaTeX would read it as that row's option
        "–": "--",
        "−": "$-$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "\n": " ",
    }
)
_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in r"\`*_<>|#"}, "\n": " "})
