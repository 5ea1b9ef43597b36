"""Ensembles over seeds: error and calibration of the averaged predictions compared with single members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dlm.report.formatting import error_number, error_text, is_rate
from dlm.report.html.elements import Chart, Sentences, error_axis, plotly_text, size_axis, trace
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.tables import ABSENT, Table
from dlm.storage.artifacts import Ensemble, read_ensembles
from dlm.study.names import CALIBRATION_ERROR


def ensembles_section(context: ReportContext) -> SectionContent:
    """A chart, a table and a sentence a learner; empty without ensembles."""
    saved = read_ensembles(context.workdir.path) if context.workdir else []
    ensembles = [ensemble for ensemble in saved if ensemble.learner in context.trials]
    if not ensembles:
        return SectionContent()
    heading = "Ensembles over seeds"
    one_test_set = [
        "Members of an ensemble have one test set: numbers are means over the hold-outs with several seeds."
    ]
    sentences = [*(one_test_set if len(context.test_sets) > 1 else []), *ensemble_sentences(ensembles)]
    return section_content(
        "ensembles",
        heading,
        (Sentences(sentences[:1]) if len(context.test_sets) > 1 else None, _chart(ensembles), _table(ensembles)),
        note="The mean of the predictions of all seeds at one size, which needs no further training. Each seed has its "
        "own subset, so an ensemble has seen more examples than one member; the table states how many. At the size of "
        "the whole pool all members have seen the same examples. Dotted lines are ensembles, solid lines the mean of "
        "single members.",
        sentences={heading: sentences},
    )


def ensemble_sentences(ensembles: Sequence[Ensemble]) -> list[str]:
    """Error and calibration of the ensemble and of single members at each learner's largest size."""
    return [_sentence(ensemble) for ensemble in _largest(ensembles)]


def _largest(ensembles: Sequence[Ensemble]) -> list[Ensemble]:
    """The ensemble of each learner's largest size."""
    by_learner = {ensemble.learner: ensemble for ensemble in sorted(ensembles, key=lambda each: each.train_size)}
    return [by_learner[name] for name in dict.fromkeys(ensemble.learner for ensemble in ensembles)]


def _sentence(ensemble: Ensemble) -> str:
    calibration = ""
    if CALIBRATION_ERROR in ensemble.values:
        calibration = f"; calibration error {_compared(ensemble, CALIBRATION_ERROR, 'error rate')}"
    more = ensemble.examples > ensemble.train_size
    return (
        f"{ensemble.learner}: {ensemble.members} members of {ensemble.train_size:,} examples each have error "
        f"{_compared(ensemble, 'error', ensemble.unit)}{calibration}"
        f"{f'; together they have seen {ensemble.examples:,} examples' if more else ''}."
    )


def _compared(ensemble: Ensemble, name: str, unit: str) -> str:
    both, single = ensemble.values[name], ensemble.single[name]
    return f"{error_text(both, unit)} as an ensemble, {error_text(single, unit)} on average alone"


def _chart(ensembles: Sequence[Ensemble]) -> Chart:
    unit = ensembles[0].unit
    traces = list(_traces(ensembles))
    ends = "; ".join(f"{each.learner} {_pair(each, 'error', unit)}" for each in _largest(ensembles))
    return Chart(
        "ensemble-curves",
        f"Test {unit} of ensembles",
        f"At each learner's largest size, single members in brackets: {ends}{' %' if is_rate(unit) else ''}.",
        traces,
        size_axis(),
        error_axis(unit, traces),
    )


def _traces(ensembles: Sequence[Ensemble]) -> Iterator[dict[str, Any]]:
    for learner in dict.fromkeys(ensemble.learner for ensemble in ensembles):
        own = [ensemble for ensemble in ensembles if ensemble.learner == learner]
        for name, dash, mode in (("single member", "solid", "lines"), ("ensemble", "dot", "lines+markers")):
            yield trace(
                [each.train_size for each in own],
                [(each.values if name == "ensemble" else each.single)["error"] for each in own],
                learner,
                hover=f"<b>{plotly_text(learner)}</b>, {plotly_text(name)}<br>n=%{{x:,}}<br>%{{y}}<br>%{{text}}",
                text=[f"{each.members} members, {each.examples:,} examples" for each in own],
                mode=mode,
                line={"dash": dash},
            )


def _table(ensembles: Sequence[Ensemble]) -> Table:
    unit = ensembles[0].unit
    named = [name for name in (CALIBRATION_ERROR, "loss") if any(name in each.values for each in ensembles)]
    rows = []
    for each in ensembles:
        cells = [_pair(each, name, "error rate" if name == CALIBRATION_ERROR else "") for name in named]
        counts = (f"{each.train_size:,}", str(each.members), f"{each.examples:,}")
        rows.append((each.learner, *counts, _pair(each, "error", unit), *cells))
    return Table(
        "Ensemble (mean of its single members)",
        ("learner", "examples", "members", "distinct examples", "error", *(name.replace("_", " ") for name in named)),
        tuple(rows),
        ("", "", "", "", "%" if is_rate(unit) else "", *("%" if name == CALIBRATION_ERROR else "" for name in named)),
    )


def _pair(ensemble: Ensemble, name: str, unit: str) -> str:
    if name not in ensemble.values:
        return ABSENT
    return f"{error_number(ensemble.values[name], unit)} ({error_number(ensemble.single[name], unit)})"
