"""Renders a study, a forecast and a summary as HTML for notebooks, without scripts and network access.

Text and lines have the colours of the surrounding page, so that light and dark themes are readable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlm.curves.types import Curve, LearnerSummary, Prediction, StudySummary
from dlm.report import sentences
from dlm.report.figures import make_figure, svg_of
from dlm.report.formatting import error_number, percent, seeds
from dlm.report.html.page import template
from dlm.report.tables import Table, forecast_table, markdown, measured_table, required_size_table
from dlm.study.learner import Learner
from dlm.study.study import Study
from dlm.study.sweep import Axes
from dlm.study.trial import variants

if TYPE_CHECKING:
    from dlm.curves.forecaster import Forecast

_MAX_CONFIG = 90  # characters of a config's text
_SMALL = (4.6, 3.0)  # inches
_THEMED = {  # colours on white paper -> colours on any background
    "#000000": "currentColor",
    "#444444": "currentColor",
    "#6b6b6b": "#777777",
    "#e6e6e6": "rgba(128,128,128,.25)",
    "#0072b2": "#2a82c4",
}


def summary_html(
    summary: StudySummary, *, title: str = "", question: str = "", footer: str = "", remarks: Sequence[str] = ()
) -> str:
    """The summary in sentences, the learning curves, tables, caveats and further remarks."""
    svg = _svg(summary) if summary.learners else ""
    return _render(**_parts(summary, remarks), title=title, question=question, footer=footer, svg=svg)


def summary_markdown(
    summary: StudySummary, *, title: str = "", question: str = "", footer: str = "", remarks: Sequence[str] = ()
) -> str:
    """The same as Markdown, without the figure."""
    parts = _parts(summary, remarks)
    texts = [
        f"**{title}** {question}".strip() if title else question,
        "\n".join(f"- {line}" for line in parts["sentences"]),
        markdown(parts["tables"]).strip(),
        "\n".join(f"- {line}" for line in parts["caveats"]),
        footer,
    ]
    return "\n\n".join(filter(None, texts)) + "\n"


def forecast_html(forecast: Forecast) -> str:
    """The forecast at each requested size, its law, the curve and warnings."""
    diagnostics = forecast.diagnostics
    caveats = [f"Unreliable: {diagnostics['reason']}."] if diagnostics["reason"] else []
    caveats += [f"Warning: {warning}." for warning in diagnostics["warnings"]]
    rows = []
    for size, *errors in zip(forecast.at, forecast.median, forecast.low, forecast.high):
        median, low, high = (error_number(float(error), "", float(errors[0])) for error in errors)
        rows.append((_count(size), median, f"[{low}, {high}]"))
    columns = ("examples", "forecast error", f"{percent(forecast.level)} interval")
    table = Table("", columns, tuple(rows), text_columns=0)
    svg = _svg(_forecast_summary(forecast), inches=_SMALL)
    return _render(title="Forecast", sentences=[forecast.law], svg=svg, tables=[table], caveats=caveats)


def study_html(study: Study) -> str:
    """The trials that a study will run, by learner. Reads no data and touches no device."""
    rows, num_seeds = [], len(study.seeds)  # type: ignore[arg-type]
    for name, learner in study.learners.items():
        trials = [trial for trial in study.trials if trial.name == name]
        deep = isinstance(learner, Learner)
        settings = variants(learner, study, study.tuning.get(name, Axes()))
        counts = [len(settings), len(study.train_sizes), num_seeds, len(trials)]
        steps = f"{sum(trial.num_steps for trial in trials):,}" if deep else "–"
        rows.append((name, _short(learner.model if deep else learner), *(f"{count:,}" for count in counts), steps))
    columns = ("learner", "model", "settings", "train sizes", "seeds", "trials", "steps at most")
    lines = (
        f"{len(study.trials):,} trials; learners at {_listed(study.train_sizes)} examples, {seeds(num_seeds)} each.",
        f"Data: {_short(study.data)}; task: {_short(study.task)}.",
    )
    table = Table("", columns, tuple(rows), text_columns=2)
    return _render(title=study.name or "Study", sentences=lines, tables=[table])


def _render(**parts: Any) -> str:
    """An HTML fragment with escaped names and sentences."""
    return template("notebook.html.j2").render(**parts)


def _parts(summary: StudySummary, remarks: Sequence[str]) -> dict[str, Any]:
    curves = [learner.curve for learner in summary.learners]
    tables = (measured_table(curves, few_sizes=True), forecast_table(summary), required_size_table(summary))
    return {
        "sentences": sentences.brief(summary),
        "tables": [table for table in tables if table and table.rows],
        "caveats": [*sentences.caveats(summary), *remarks],
    }


def _forecast_summary(forecast: Forecast) -> StudySummary:
    """The measured points and the forecast up to the largest requested size, for the figure."""
    points = forecast.points
    errors = np.where(points.zero > 0.5, 0.0, np.exp(points.base + points.log_error))
    curve = Curve(
        "forecast",
        tuple(points.train_sizes.tolist()),
        tuple((error,) for error in errors.tolist()),
        unit="error",
        stderr=tuple((errors * points.noise).tolist()),
    )
    grid = np.geomspace(points.train_sizes[0], max(points.train_sizes[-1], forecast.at.max()), 60)
    tail = (1 - forecast.level) / 2
    low, median, high = np.quantile(forecast.curves.at(grid), [tail, 0.5, 1 - tail], axis=0).tolist()
    fitted = tuple(map(Prediction, grid.tolist(), median, low, high))
    return StudySummary((LearnerSummary(curve, forecast.law, fitted, (), ()),), (), (), forecast.level)


def _svg(summary: StudySummary, **options: Any) -> str:
    """The learning curves as an SVG element with a transparent background and the text's colour."""
    figure = make_figure(summary, **options)
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    text = svg_of(figure).decode()
    text = text[text.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>"):  # a style would affect the whole notebook
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    for colour, themed in _THEMED.items():
        text = text.replace(colour, themed)
    style = "max-width:100%;height:auto;fill:currentColor;stroke-linejoin:round;stroke-linecap:butt"
    return text.replace("<svg ", f'<svg role="img" aria-label="Learning curves" style="{style}" ', 1)


def _short(config: Any) -> str:
    text = repr(config)
    return text if len(text) <= _MAX_CONFIG else text[: _MAX_CONFIG - 1] + "…"


def _listed(train_sizes: Sequence[int]) -> str:
    sizes = [f"{size:,}" for size in train_sizes]
    return ", ".join(sizes) if len(sizes) <= 12 else f"{', '.join(sizes[:6])}, …, {sizes[-1]} ({len(sizes):,} sizes)"


def _count(size: float) -> str:
    return f"{size:,.0f}" if float(size).is_integer() else f"{size:,.6g}"
