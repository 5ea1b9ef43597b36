"""The report of a workdir: the answer on the terminal, its figure, and forecast.json."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dlm.analysis.fairness.report import GroupReport, groups_in
from dlm.analysis.sweeps import alarms, sweeps
from dlm.curves.from_records import curve_name, learning_curves, selected_rows
from dlm.curves.summary import summarize
from dlm.curves.types import Curve, StudySummary
from dlm.report.figures import learning_curve
from dlm.report.forecast_file import FORECAST, add_stamp, write_forecast
from dlm.report.html import page_html
from dlm.report.html.elements import Page
from dlm.report.html.study_page import study_page
from dlm.report.sections import learner_comparison
from dlm.report.sections.caveats import leak_sentences, without_a_number
from dlm.report.sections.cost import cost_sentences
from dlm.report.sections.data_equivalence import worth_sentences
from dlm.report.sections.ensembles import ensemble_sentences
from dlm.report.sections.examples import writings
from dlm.report.sections.fairness import group_sentences, group_tables
from dlm.report.sections.learner_comparison import unbeaten_sentences
from dlm.report.sections.measures import Measured, measure_table, other_measures
from dlm.report.sections.tuning import best_of_sentences, drift_alarms, tuned
from dlm.report.terminal import print_answer, print_list, print_table
from dlm.storage import artifacts, record_log
from dlm.storage.workdir import STUDY
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

PAGE = "report.html"

Cells = Mapping[str, Mapping[int, Sequence[record_log.Record]]]


def report(
    workdir: Path,
    console: Console,
    *,
    targets: Sequence[float] = (),
    level: float = 0.95,
    title: str = "",
    question: str = "",
    trial_ids: Collection[str] | None = None,
) -> StudySummary:
    """Answer from the workdir's records (only of the trials named, if any), print it, draw it, write it.

    UsageError if there are no finished trials to report.
    """
    rows = record_log.rows(workdir)
    told = answered(workdir, rows, targets=targets, level=level, trial_ids=trial_ids)
    groups = groups_in(workdir, rows, trial_ids, targets=targets, level=level)
    lists = _lists(workdir, rows, told, trial_ids, level)

    def page(told: StudySummary) -> Page:
        return study_page(
            told,
            workdir,
            rows,
            trial_ids=trial_ids,
            title=title,
            question=question,
            lists=lists,
            about=described(workdir),
            groups=groups,
        )

    found = selected_rows(rows, trial_ids, [one.curve.learner for one in told.learners])
    return publish(
        told,
        workdir,
        console,
        title=title,
        question=question,
        lists={"Errors of groups": group_sentences(groups) if groups else [], **lists}
        | _lists_of_sections(workdir, rows, found, trial_ids),
        page=page,
        groups=groups,
        measures=other_measures(found, rows),
    )


def _lists(
    workdir: Path,
    rows: Sequence[record_log.Record],
    told: StudySummary,
    trial_ids: Collection[str] | None,
    level: float,
) -> dict[str, list[str]]:
    """Sentences by heading, for the terminal and the page."""
    return {
        learner_comparison.HEADING: learner_comparison.family_sentences(workdir, rows, trial_ids, level),
        "What no training beats": unbeaten_sentences(workdir, rows, trial_ids, level),
        "What a noisy example is worth": worth_sentences([learner.curve for learner in told.learners], level),
        "Examples in two places": leak_sentences(artifacts.read_leak_counts(workdir), rows, trial_ids),
        "What was written after training": writings(artifacts.read_samples(workdir), trial_ids),
        "Cells without a number": without_a_number(rows, trial_ids),
    }


def _lists_of_sections(
    workdir: Path, rows: Sequence[record_log.Record], found: Cells, trial_ids: Collection[str] | None
) -> dict[str, list[str]]:
    """Sentences of what the page has sections for, for the terminal."""
    settings = tuned(rows, trial_ids, learners_of(described(workdir)))
    return {
        "Tuning": best_of_sentences(settings),
        "Hyperparameters at an edge of what was tried": alarms(sweeps(rows, trial_ids)),
        "Hyperparameters that move with the size": drift_alarms(settings),
        "What several seeds give together": ensemble_sentences(
            [one for one in artifacts.read_ensembles(workdir) if one.learner in found]
        ),
        "Cost at the largest size, medians of the seeds": cost_sentences(found),
    }


def answered(
    workdir: Path,
    rows: Sequence[record_log.Record],
    *,
    targets: Sequence[float] = (),
    level: float = 0.95,
    trial_ids: Collection[str] | None = None,
) -> StudySummary:
    """The answer of a workdir's records, stamped; nothing is written. UsageError if there is no finished trial."""
    measured = learning_curves(rows, trial_ids, learners_of(described(workdir)))
    if not measured:
        raise UsageError(f"--workdir={workdir} holds no finished trial; run the study first, with --mode=run")
    told = summarize(measured, targets=tuple(targets) or default_targets(measured), level=level)
    return add_stamp(told, _measured_sizes(rows))


def publish(
    told: StudySummary,
    folder: Path,
    console: Console,
    *,
    title: str,
    question: str = "",
    lists: Mapping[str, Sequence[str]],
    page: Callable[[StudySummary], Page],
    groups: GroupReport | None = None,
    measures: Sequence[Measured] = (),
) -> StudySummary:
    """Draw a stamped answer, write it and its page, print it, other measures, what groups err, and lists; the answer
    as written."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures = learning_curve(told, folder / "figures" / "learning_curve", title=title)
    told = write_forecast(told, folder)
    print_answer(told, console, title=title, question=question)
    if measures:
        print_table(console, measure_table(measures))
    if groups:
        for table in group_tables(groups):
            print_table(console, table)
    for heading, lines in lists.items():
        print_list(console, heading, lines)
    write_atomically(folder / PAGE, page_html(page(told)))
    written = [*figures, folder / FORECAST, folder / PAGE]
    console.print("\nWritten: " + ", ".join(str(path) for path in written), soft_wrap=True, highlight=False)
    return told


def _measured_sizes(rows: Sequence[record_log.Record]) -> dict[str, set[int]]:
    """Sizes with a test error, by learner: of every trial of the workdir, as each could have been looked at."""
    train_sizes: dict[str, set[int]] = {}
    for row in record_log.ends(rows).values():
        train_sizes.setdefault(curve_name(row.learner, row.noise), set()).add(row.train_size)
    return train_sizes


def described(workdir: Path) -> dict[str, Any]:
    """What study.json says; nothing where it is not there or cannot be read."""
    try:
        told = json.loads((workdir / STUDY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def learners_of(about: Mapping[str, Any]) -> list[str]:
    """The learners' names in the order in which a study declares them, by what study.json says."""
    study = about.get("study")
    named = study.get("learners") if isinstance(study, Mapping) else None
    return list(named) if isinstance(named, Mapping) else []


def declared(workdir: Path) -> dict[str, Any]:
    """What a report of the workdir needs: question, targets, level and title by study.json, trials of its precision.

    UsageError if there is no study there, or none that can be read.
    """
    path = workdir / STUDY
    if not path.is_file():
        raise UsageError(f"--workdir={workdir} holds no study; run one there first, with --mode=run")
    about = described(workdir)
    try:
        study = about["study"]
        told = {"question": about["question"], "targets": study["targets"], "level": study["level"]}
        # A workdir may hold cells of both precisions; one written before there was a choice says nothing.
        computed = (study.get("precision", "float32"), "none")
        trial_ids = {row.trial_id for row in record_log.rows(workdir) if row.precision in computed}
        return {**told, "title": study["name"], "trial_ids": trial_ids}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path} is not a study's description; give --experiment too") from None


def default_targets(measured: Sequence[Curve]) -> tuple[float, ...]:
    """Half the best median error reached, to one digit: what a doubled effort would be asked for."""
    best = min((sorted(errors)[len(errors) // 2] for curve in measured for errors in curve.errors), default=0.0)
    if best <= 0:
        return ()
    scale = 10.0 ** math.floor(math.log10(best / 2))
    return (round(best / 2 / scale) * scale,)
