"""How a study, a forecast and an answer show themselves in a notebook: HTML that asks for nothing and runs no script.

Text, lines and tables take the colours of the page around them, so that light and dark themes are both readable.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlm.curves.types import Curve, LearnerSummary, Prediction, StudySummary
from dlm.report import sentences
from dlm.report.figures import drawn, svg_of
from dlm.report.formatting import error_number, percent, seeds
from dlm.report.tables import Table, forecast_table, markdown, measured_table, required_size_table
from dlm.study.learner import Learner
from dlm.study.study import Study
from dlm.study.sweep import Axes
from dlm.study.trial import variants

if TYPE_CHECKING:
    from dlm.curves.forecaster import Forecast

_MOST_TEXT = 90  # characters of a config that are shown
_SMALL = (4.6, 3.0)  # inches
_UNDER_TEXT = {  # ink on white paper, as ink on any
    "#000000": "currentColor",
    "#444444": "currentColor",
    "#6b6b6b": "#777777",
    "#e6e6e6": "rgba(128,128,128,.25)",
    "#0072b2": "#2a82c4",
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """What is shown, in this order: a title with a question, sentences, a picture, tables, notes, and a last line."""

    title: str = ""
    question: str = ""
    lines: tuple[str, ...] = ()
    svg: str = ""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    foot: str = ""


def answer_html(answer: StudySummary, *, title: str = "", question: str = "", foot: str = "") -> str:
    """The answer in words, the learning curves, what was measured, and what to know before trusting it."""
    return html(_answer(answer, title, question, foot, _svg(answer) if answer.learners else ""))


def answer_markdown(answer: StudySummary, *, title: str = "", question: str = "", foot: str = "") -> str:
    """The same as Markdown, without the picture."""
    shown = _answer(answer, title, question, foot, "")
    parts = [
        f"**{shown.title}** {shown.question}".strip() if shown.title else shown.question,
        "\n".join(f"- {line}" for line in shown.lines),
        markdown(shown.tables).strip() if shown.tables else "",
        "\n".join(f"- {line}" for line in shown.notes),
        shown.foot,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def forecast_html(forecast: Forecast) -> str:
    """The forecast in numbers at each size asked, the law, the curve, and alarms."""
    told = forecast.diagnostics
    alarms = [f"Not to be relied on: {told['reason']}."] if told["reason"] else []
    alarms += [f"Alarm: {alarm}." for alarm in told["alarms"]]
    rows = []
    for size, *errors in zip(forecast.at, forecast.median, forecast.low, forecast.high):
        middle, low, high = (error_number(float(error), "", float(errors[0])) for error in errors)
        rows.append((_count(size), middle, f"[{low}, {high}]"))
    head = ("examples", "forecast error", f"{percent(forecast.level)} interval")
    table = Table("", head, tuple(rows), text_columns=0)
    picture = _svg(_as_answer(forecast), inches=_SMALL)
    return html(Shown("Forecast", "", (forecast.law,), picture, (table,), tuple(alarms)))


def study_html(study: Study) -> str:
    """What a study will run: cells by learner, sizes, seeds. Nothing is read, and no device is touched."""
    cells = study.trials
    rows = []
    for name, learner in study.learners.items():
        own = [trial for trial in cells if trial.name == name]
        deep = isinstance(learner, Learner)
        updates = f"{sum(trial.num_steps for trial in own):,}" if deep else "–"
        what = _short(learner.model if deep else learner)
        settings = len(variants(learner, study, study.tuning.get(name, Axes())))
        row = (
            name,
            what,
            f"{settings:,}",
            f"{len(study.train_sizes):,}",
            f"{_num_seeds(study):,}",
            f"{len(own):,}",
            updates,
        )
        rows.append(row)
    heads = ("learner", "what", "settings", "train_sizes", "seeds", "cells", "updates at most")
    lines = (
        f"{len(cells):,} cells; learners at {_listed(study.train_sizes)} examples, {seeds(_num_seeds(study))} each.",
        f"Data: {_short(study.data)}; task: {_short(study.task)}.",
    )
    return html(Shown(study.name or "A study", "", lines, "", (Table("", heads, tuple(rows), text_columns=2),)))


def html(shown: Shown) -> str:
    """The fragment of HTML. Names and sentences are escaped."""
    return _template().render(shown=shown)


def _answer(answer: StudySummary, title: str, question: str, foot: str, svg: str) -> Shown:
    curves = [learner.curve for learner in answer.learners]
    made = (measured_table(curves, few_sizes=True), forecast_table(answer), required_size_table(answer))
    tables = tuple(table for table in made if table and table.rows)
    return Shown(title, question, tuple(sentences.brief(answer)), svg, tables, tuple(sentences.notes(answer)), foot)


def _as_answer(forecast: Forecast) -> StudySummary:
    """The measured points and the forecast as far as it was asked for, to be drawn."""
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
    low, middle, high = np.quantile(forecast.curves.at(grid), [tail, 0.5, 1 - tail], axis=0).tolist()
    fitted = tuple(map(Prediction, grid.tolist(), middle, low, high))
    return StudySummary((LearnerSummary(curve, forecast.law, fitted, (), ()),), (), (), forecast.level)


def _svg(answer: StudySummary, **options: Any) -> str:
    """The learning curves as an SVG element whose paper is clear and whose ink is that of the text around it."""
    figure = drawn(answer, **options)
    for paper in (figure.patch, *(axes.patch for axes in figure.axes)):
        paper.set_visible(False)
    text = svg_of(figure).decode()
    text = text[text.index("<svg") :]
    for pattern in (r"<metadata>.*?</metadata>", r"<style.*?</style>"):  # a style would reach out of the picture
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    for ink, any_ink in _UNDER_TEXT.items():
        text = text.replace(ink, any_ink)
    style = "max-width:100%;height:auto;fill:currentColor;stroke-linejoin:round;stroke-linecap:butt"
    return text.replace("<svg ", f'<svg role="img" aria-label="Learning curves" style="{style}" ', 1)


def _num_seeds(study: Study) -> int:
    assert isinstance(study.seeds, tuple)
    return len(study.seeds)


def _short(config: Any) -> str:
    text = repr(config)
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def _listed(train_sizes: Sequence[int]) -> str:
    shown = [f"{size:,}" for size in train_sizes]
    return ", ".join(shown) if len(shown) <= 12 else f"{', '.join(shown[:6])}, …, {shown[-1]} ({len(shown):,} sizes)"


def _count(size: float) -> str:
    return f"{size:,.0f}" if float(size).is_integer() else f"{size:,.6g}"


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\u00a0%")
    return environment.from_string(_HTML)


# The class stands twice in the style of tables, to go before the notebook's own rules for them.
_HTML = """\
<div class="dlm-shown">
<style>
.dlm-shown { max-width: 54em; line-height: 1.5; overflow-x: auto; }
.dlm-shown ul { margin: .4em 0; padding-left: 1.3em; }
.dlm-shown.dlm-shown table { border-collapse: collapse; margin: .8em 0; font-variant-numeric: tabular-nums; }
.dlm-shown.dlm-shown caption { text-align: left; padding: .2em 0; }
.dlm-shown.dlm-shown th, .dlm-shown.dlm-shown td { padding: .2em .8em;
  border-bottom: 1px solid rgba(128,128,128,.35); text-align: left; }
.dlm-shown.dlm-shown .numeric { text-align: right; white-space: nowrap; }
.dlm-shown .foot { opacity: .75; font-size: .9em; }
</style>
{% if shown.title or shown.question %}
<p>{% if shown.title %}<b>{{ shown.title }}</b>{% endif %} {{ shown.question }}</p>
{% endif %}
{% if shown.lines %}
<ul>{% for line in shown.lines %}<li>{{ line | unbroken }}</li>{% endfor %}</ul>
{% endif %}
{{ shown.svg | safe }}
{% for table in shown.tables %}
<table>
{% if table.caption %}
<caption>{{ table.caption }}</caption>
{% endif %}
<thead><tr>{% for head in table.headings %}
<th scope="col"{% if loop.index0 >= table.text_columns %} class="numeric"{% endif %}>{{ head }}</th>
{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
{% set place = loop.index0 %}
<tr>
{% for cell in row %}
<td{% if loop.index0 >= table.text_columns %} class="numeric"{% endif %}>{%
 if (place, loop.index0) in table.bold %}<b>{{ cell }}</b>{% else %}{{ cell }}{% endif %}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
{% endfor %}
{% if shown.notes %}
<p><b>To know before trusting these numbers</b></p>
<ul>{% for line in shown.notes %}<li>{{ line | unbroken }}</li>{% endfor %}</ul>
{% endif %}
{% if shown.foot %}
<p class="foot">{{ shown.foot }}</p>
{% endif %}
</div>
"""
