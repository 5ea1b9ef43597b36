"""The answer as tables for a paper or a page: LaTeX (booktabs) and Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from dlm.curves.types import Curve, StudySummary
from dlm.report.export.runs import Contents, Point, points
from dlm.report.formatting import error_number, forecast_phrase, need_cell, percent, target_text, times_text, unit_text

_ABSENT = "–"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table: plain text, and whether it is the best of its row."""

    text: str
    best: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: what it shows, the heads of its columns, and its rows. `numeric`: all but the first column are."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: bool = False


def tables(contents: Contents) -> list[Table]:
    """Measured errors, and what the last report forecast: the errors of more data, the examples that targets need."""
    made = [measured(contents.curves)]
    if contents.answer:
        made += [forecasts(contents.answer), needs(contents.answer)]
    return [table for table in made if table.rows]


def measured(curves: Sequence[Curve]) -> Table:
    """Sizes × learners: median [min–max] (seeds), the best of each size marked where its learners share a unit."""
    by_size = [{point.train_size: point for point in points(curve)} for curve in curves]
    train_sizes = sorted({size for found in by_size for size in found})
    shared = len({curve.unit for curve in curves}) == 1
    rows = []
    for size in train_sizes:
        medians = [found[size].median for found in by_size if size in found]
        # Of two that are equally good both are the best.
        best = min(medians) if shared and len(curves) > 1 else None
        cells = [
            Cell(_spread(found[size], curve.unit), found[size].median == best) if size in found else Cell(_ABSENT)
            for curve, found in zip(curves, by_size, strict=True)
        ]
        rows.append((Cell(f"{size:,}"), *cells))
    units = [unit_text(curve.unit) for curve in curves]
    heads = [curve.learner if shared else f"{curve.learner} ({unit})" for curve, unit in zip(curves, units)]
    unit = f" in {units[0]}" if shared and units else ""
    caption = f"Test error{unit}: median [min–max] (number of seeds)" + ("; best in bold." if len(curves) > 1 else ".")
    return Table("measured", caption, ("examples", *heads), tuple(rows), numeric=True)


def forecasts(answer: StudySummary) -> Table:
    """Learners × multiples of the largest size: forecast error with its interval."""
    rows = []
    for learner in answer.learners:
        told = [
            f"{times_text(one, learner.curve)}, n={one.size:,}: {forecast_phrase(one, learner.curve.unit)}"
            for one in learner.predictions
        ]
        rows += [(Cell(learner.curve.learner), *(Cell(part) for part in text.split(": ", 1))) for text in told]
    caption = f"Forecast test error with {percent(answer.level)} intervals."
    return Table("forecasts", caption, ("learner", "training data", "forecast error"), tuple(rows))


def needs(answer: StudySummary) -> Table:
    """Targets × learners: the examples that a target error needs, with their interval."""
    asked = [(need, learner.curve) for learner in answer.learners for need in learner.needs]
    rows = [
        (Cell(target_text(need.target, curve.unit)), Cell(curve.learner), Cell(need_cell(need)))
        for target in dict.fromkeys(need.target for need, _ in asked)
        for need, curve in asked
        if need.target == target
    ]
    caption = f"Training examples needed for a target error, with {percent(answer.level)} intervals."
    return Table("needs", caption, ("target", "learner", "examples"), tuple(rows))


def markdown(made: Sequence[Table]) -> str:
    """Tables in GitHub's Markdown, each below its caption."""
    return "\n\n".join(f"{_escaped(table.caption, _MARKDOWN)}\n\n{_markdown(table)}" for table in made) + "\n"


def latex(made: Sequence[Table]) -> str:
    r"""Tables as LaTeX floats; they need `\usepackage{booktabs}`."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_latex(table) for table in made)


def _spread(point: Point, unit: str) -> str:
    low, high = (error_number(end, unit, point.median) for end in (point.min, point.max))
    interval = f" [{low}–{high}]" if point.num_seeds > 1 else ""
    return f"{error_number(point.median, unit)}{interval} ({point.num_seeds:,})"


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def shown(cell: Cell) -> str:
        text = _escaped(cell.text, _MARKDOWN)
        return f"**{text}**" if cell.best else text

    rule = ["---:" if table.numeric else "---"] * len(table.heads)
    lines = [
        [_escaped(head, _MARKDOWN) for head in table.heads],
        rule,
        *([shown(cell) for cell in row] for row in table.rows),
    ]
    return "\n".join(line(cells) for cells in lines)


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"    {' & '.join(cells)} \\\\\n"

    def shown(cell: Cell) -> str:
        text = _escaped(cell.text, _LATEX)
        return f"\\textbf{{{text}}}" if cell.best else text

    columns = ("r" if table.numeric else "l") * len(table.heads)
    return (
        "\\begin{table}\n  \\centering\n"
        f"  \\caption{{{_escaped(table.caption, _LATEX)}}}\n  \\label{{tab:{table.name}}}\n"
        f"  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n"
        + line([_escaped(head, _LATEX) for head in table.heads])
        + "    \\midrule\n"
        + "".join(line([shown(cell) for cell in row]) for row in table.rows)
        + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"
    )


_LATEX = str.maketrans(
    {
        **{one: f"\\{one}" for one in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",  # right after the end of a row, LaTeX would take it for that row's option
        "–": "--",
        "−": "$-$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "\n": " ",
    }
)
_MARKDOWN = str.maketrans({**{one: f"\\{one}" for one in r"\`*_<>|#"}, "\n": " "})


def _escaped(text: str, special: dict[int, str]) -> str:
    return text.translate(special)
