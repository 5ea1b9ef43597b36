"""Reports a study: prints its summary and sections, writes the figures, forecast.json and report.html."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dlm.analysis.sampling_error import with_sampling_errors
from dlm.curves.from_records import curve_name, make_curve, selected_rows
from dlm.curves.summary import summarize as summarize_curves
from dlm.curves.types import Curve, StudySummary
from dlm.report import sentences
from dlm.report.figures import save_learning_curves
from dlm.report.forecast_file import FORECAST, add_stamp, write_forecast
from dlm.report.html.elements import Page
from dlm.report.html.page import page_html
from dlm.report.sections import SECTIONS, ReportContext, Section, SectionContent, caveats_section
from dlm.report.sections.decision import print_decision
from dlm.report.terminal import print_list, print_summary, print_table
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

if TYPE_CHECKING:
    from dlm.analysis.decision import Decision
    from dlm.storage.workdir import Workdir

PAGE = "report.html"


def report(workdir: Workdir, console: Console, *, title: str = "", question: str = "", **options: Any) -> StudySummary:
    """Prints and writes the report of a workdir with the `options` of `summarize`; returns the summary.

    Raises UsageError if there are no finished trials.
    """
    summary, trial_ids = summarize(workdir, **options), options.get("trial_ids")
    context = _context(workdir, summary, trial_ids, options.get("targets", ()))
    return publish(context, console, title=title, question=question)


def notes(workdir: Workdir, summary: StudySummary, trial_ids: Collection[str] | None = None) -> dict[str, list[str]]:
    """Caveats beside those of the summary by heading: tuning, overlap, lost trials, and how the data were read."""
    content = caveats_section(_context(workdir, summary, trial_ids))
    return {heading: [*lines] for heading, lines in content.sentences.items() if lines}


def _context(
    workdir: Workdir, summary: StudySummary, trial_ids: Collection[str] | None, targets: Sequence[float] = ()
) -> ReportContext:
    rows = [row for row in workdir.records if trial_ids is None or row.trial_id in trial_ids]
    remarks = {f"How {workdir.description.data.get('name', 'the data')} was read": workdir.description.remarks}
    return ReportContext(summary, workdir.path, workdir, rows, targets, remarks)


def summarize(
    workdir: Workdir, *, targets: Sequence[float] = (), level: float = 0.95, trial_ids: Collection[str] | None = None
) -> StudySummary:
    """The stamped summary of all trials of a workdir or of the given ones; nothing is written.

    Raises UsageError if there are no finished trials.
    """
    selected = selected_rows(workdir.records, trial_ids, workdir.description.learners)
    if not selected:
        raise UsageError(f"--workdir={workdir.path} has no finished trial; run the study first, with --mode=run")
    curves = [make_curve(name, by_size, workdir.description.pool_size) for name, by_size in selected.items()]
    measured, correlation = with_sampling_errors(workdir.path, curves, selected)
    targets = tuple(targets) or default_targets(measured)
    summary = summarize_curves(measured, targets=targets, level=level, test_correlation=correlation)
    summary = dataclasses.replace(summary, chance=workdir.description.chance)
    return add_stamp(summary, _measured_sizes(workdir))


def publish(
    context: ReportContext, console: Console, *, title: str, question: str = "", sections: Sequence[Section] = SECTIONS
) -> StudySummary:
    """Draws, prints and writes a stamped summary with its sections; returns the summary as written."""
    folder = context.folder
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures = save_learning_curves(context.summary, folder / "figures" / "learning_curve", title=title)
    context = dataclasses.replace(context, summary=write_forecast(context.summary, folder))
    contents = [section(context) for section in sections]
    # Written before it is printed: a reader such as `head` may end the output early.
    write_atomically(folder / PAGE, page_html(page_of(context.summary, contents, title=title, question=question)))
    print_summary(context.summary, console, title=title, question=question)
    for content in contents:
        for table in content.tables:
            print_table(console, table)
        for heading, lines in content.sentences.items():
            print_list(console, heading, list(lines))
    written = [*figures, folder / FORECAST, folder / PAGE]
    console.print(
        "\nWritten: " + ", ".join(map(str, written)), soft_wrap=True, highlight=False, markup=False, emoji=False
    )
    return context.summary


def page_of(summary: StudySummary, contents: Sequence[SectionContent], *, title: str = "", question: str = "") -> Page:
    """The page: the summary in sentences, then the sections."""
    return Page(
        title=title,
        question=question,
        summary=(*sentences.brief(summary), *(line for content in contents for line in content.top)),
        learners=tuple(learner.curve.learner for learner in summary.learners),
        sections=tuple(content.page for content in contents if content.page),
        made=summary.stamp.created if summary.stamp else "",
    )


def report_options(workdir: Workdir) -> dict[str, Any]:
    """Arguments of `report` from the workdir's study: targets, level, title, question, and trials of its precision."""
    study = workdir.description.study
    precisions = (study["precision"], "none")
    return {
        "targets": study["targets"],
        "level": study["level"],
        "title": study["name"],
        "question": workdir.question,
        "trial_ids": {row.trial_id for row in workdir.records if row.precision in precisions},
    }


def report_decision(workdir: Workdir, console: Console, costs: Any = "") -> Decision:
    """Prints whether to stop or to collect more examples; `costs` as for `dlm.decide`."""
    options = report_options(workdir)
    trial_ids = options["trial_ids"]
    summary = summarize(workdir, targets=options["targets"], level=options["level"], trial_ids=trial_ids)
    rows = [row for row in workdir.records if row.trial_id in trial_ids]
    return print_decision(ReportContext(summary, workdir.path, workdir, rows), console, costs)


def default_targets(measured: Sequence[Curve]) -> tuple[float, ...]:
    """Half the smallest mean error, to one digit."""
    best = min((fmean(errors) for curve in measured for errors in curve.errors), default=0.0)
    if best <= 0:
        return ()
    scale = 10.0 ** math.floor(math.log10(best / 2))
    return (round(best / 2 / scale) * scale,)


def _measured_sizes(workdir: Workdir) -> dict[str, set[int]]:
    """Sizes with a test error by curve, of every trial of the workdir, reported or not."""
    train_sizes: dict[str, set[int]] = {}
    for row in workdir.ends().values():
        train_sizes.setdefault(curve_name(row.learner, row.noise), set()).add(row.train_size)
    return train_sizes
