"""Caveats: notes on the forecasts, train-test overlap, and trials without a result."""

from __future__ import annotations

from collections.abc import Sequence

from dlm.analysis.measures import (
    MissingResult,
    always_diverged,
    missing_results,
    overlap_effects,
    undertrained_learners,
)
from dlm.analysis.tuning import tuning_budgets
from dlm.report import sentences
from dlm.report.formatting import error_text, listed
from dlm.report.html.elements import Sentences
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.sections.tuning import budget_sentences
from dlm.storage.artifacts import LeakCounts, read_leak_counts
from dlm.storage.record_log import Record
from dlm.study.names import Status

MOST_LINES = 8


def caveats_section(context: ReportContext) -> SectionContent:
    """What limits the numbers. The summary's own notes are printed with the summary."""
    claims = budget_sentences(tuning_budgets(context.records, order=context.learners))
    overlap = read_leak_counts(context.workdir.path) if context.workdir else None
    more = {
        "Tuning budgets": claims,
        "Train–test overlap": overlap_sentences(overlap, context.records),
        "Trials without a result": missing_result_sentences(context.records),
        "Trials that were still improving": undertrained_sentences(context),
        **context.remarks,
    }
    notes = {
        "": sentences.caveats(context.summary),
        "Noise of the error at the largest size": sentences.noise_levels(context.summary),
        **more,
    }
    blocks = (Sentences(lines, heading) for heading, lines in notes.items())
    return section_content("caveats", "Caveats", blocks, sentences=more)


def undertrained_sentences(context: ReportContext) -> list[str]:
    """The learners of which some trials were still improving when their budget ended, and which budget to raise."""
    if context.workdir is None:
        return []
    study = context.workdir.description.study
    return [
        f"{item.learner}: {item.num_improving:,} of {item.num_trials:,} trials were still improving when their budget "
        f"ended; raise {listed([f'{path} (now {value:g})' for path, value in item.limits.items()])}."
        for item in undertrained_learners(context.records, context.trials, study)
    ]


def overlap_sentences(counts: LeakCounts | None, records: Sequence[Record]) -> list[str]:
    """How many test examples are in the training pool, and each learner's error with and without them."""
    if counts is None:
        return []
    lines = []
    if counts.leaked:
        near = _near(counts.leaked, counts.leaked_near)
        lines.append(f"{counts.leaked:,} of {counts.test:,} test examples are also in the training pool{near}.")
    if counts.repeated:
        near = _near(counts.repeated, counts.repeated_near)
        lines.append(f"{counts.repeated:,} of {counts.pool:,} pool examples duplicate an earlier one{near}.")
    if counts.note:
        lines.append(f"The search for duplicates is incomplete: {counts.note}.")
    if counts.leaked:
        lines += [
            f"{effect.learner}: {error_text(effect.error, effect.unit)} on all test examples, "
            f"{error_text(effect.error_without_overlap, effect.unit)} without the overlap (n={effect.size:,}, mean of "
            f"{effect.num_seeds})."
            for effect in overlap_effects(records)
        ]
    return lines


def _near(count: int, near: int) -> str:
    if not near:
        return " (exact duplicates)"
    return " (near-duplicates)" if near == count else f" ({near:,} near-duplicates, the others exact)"


def missing_result_sentences(records: Sequence[Record]) -> list[str]:
    """The first few diverged or failed trials; then advice for learners of which every trial diverged."""
    lines = [_missing_result_sentence(item) for item in missing_results(records)]
    more = [f"{len(lines) - MOST_LINES:,} more are in records.csv."] if len(lines) > MOST_LINES else []
    advice = [
        f"Every trial of {name} diverged: try a tenth of its learning rate "
        f"(--set learners.{name}.hyper.lr={rate / 10:.3g}) or clip its gradient "
        f"(--set learners.{name}.optimizer.clip=1), in a new --workdir."
        for name, rate in always_diverged(records).items()
    ]
    return [*lines[:MOST_LINES], *more, *advice]


def _missing_result_sentence(item: MissingResult) -> str:
    row, loss = item.end, item.loss
    trial = f"{row.learner}, {row.train_size:,} examples, seed {row.subset_seed}"
    if row.status == Status.FAILED:
        return f"{trial}: failed ({row.note or 'unknown reason'}); run the same command to try it again."
    last = (
        f"; its last finite training loss was {loss.value:.4g} {loss.unit}" if loss and loss.value is not None else ""
    )
    return f"{trial}: diverged after update {row.step:,}{last}."
