"""The page of a study, from what its workdir holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlm.analysis.fairness.report import GroupReport
from dlm.analysis.interpretability import results
from dlm.analysis.predictions import read_test_set
from dlm.analysis.sweeps import sweeps
from dlm.curves.from_records import selected_rows
from dlm.curves.types import StudySummary
from dlm.report import sentences
from dlm.report.html.elements import Page, Section, Sentences
from dlm.report.sections import learner_comparison
from dlm.report.sections.calibration import trust_section
from dlm.report.sections.cost import cost_section
from dlm.report.sections.ensembles import ensemble_section
from dlm.report.sections.examples import examples_section
from dlm.report.sections.fairness import fairness_section
from dlm.report.sections.interpretability import inside_section
from dlm.report.sections.learning_curve import learning_section
from dlm.report.sections.measures import measures_section, other_measures
from dlm.report.sections.reproducibility import reproduce_section
from dlm.report.sections.training import training_section
from dlm.report.sections.tuning import tuned, tuning_section
from dlm.storage import artifacts
from dlm.storage.record_log import Record


def study_page(
    answer: StudySummary,
    workdir: Path,
    records: Sequence[Record],
    *,
    trial_ids: Collection[str] | None = None,
    title: str = "",
    question: str = "",
    lists: Mapping[str, Sequence[str]] | None = None,
    about: Mapping[str, Any] | None = None,
    groups: GroupReport | None = None,
) -> Page:
    """Everything there is to show of a run. `lists`: sentences by heading; `about`: what study.json says.

    What deep learning gains over classical learners is the question that most come with, so it is in the lead.
    """
    lists = dict(lists or {})
    lead = lists.pop(learner_comparison.HEADING, ())
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    found_cells = selected_rows(rows)
    own = {name: found_cells[name] for learner in answer.learners if (name := learner.curve.learner) in found_cells}
    unit = answer.learners[0].curve.unit
    test = read_test_set(workdir)
    found: list[Section | None] = [
        learning_section(answer, own, workdir),
        to_know(answer, lists),
        measures_section(other_measures(own, rows), own),
        tuning_section(sweeps(rows), tuned(rows, order=[learner.curve.learner for learner in answer.learners]), unit),
        training_section(rows, own, unit),
        fairness_section(groups),
        inside_section(results.read(workdir)),
        trust_section(workdir, own, test) if test else None,
        examples_section(workdir, own, test, _loss_unit(rows)) if test else None,
        ensemble_section([one for one in artifacts.read_ensembles(workdir) if one.learner in own]),
        cost_section(own, unit),
        reproduce_section(about or {}, rows),
    ]
    sections = tuple(section for section in found if section)
    return page_of(answer, sections, title=title, question=question, lead=lead)


def table_page(
    answer: StudySummary, folder: Path, *, title: str, question: str, lists: Mapping[str, Sequence[str]]
) -> Page:
    """The page of curves that something else measured, whose figure lies in the folder."""
    sections = (learning_section(answer, {}, folder), to_know(answer, lists))
    return page_of(answer, tuple(section for section in sections if section), title=title, question=question)


def page_of(
    answer: StudySummary, sections: tuple[Section, ...], *, title: str, question: str, lead: Sequence[str] = ()
) -> Page:
    """A page that begins with the answer in words, and a `lead` of more sentences."""
    names = tuple(learner.curve.learner for learner in answer.learners)
    told = (*sentences.brief(answer), *lead)
    return Page(title, question, told, names, sections, answer.stamp.created if answer.stamp else "")


def to_know(answer: StudySummary, lists: Mapping[str, Sequence[str]]) -> Section | None:
    """What to know before trusting the numbers, and other sentences by heading."""
    notes = {"": [*sentences.notes(answer), *sentences.noises(answer)], **lists}
    blocks = [Sentences(tuple(lines), heading=heading) for heading, lines in notes.items() if lines]
    return Section("to-know", "To know before trusting these numbers", tuple(blocks)) if blocks else None


def _loss_unit(rows: Sequence[Record]) -> str:
    return next((row.unit for row in rows if (row.split, row.metric) == ("test", "loss")), "")
