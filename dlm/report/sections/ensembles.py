"""What several seeds of a learner give together: error and calibration of their mean beside one member's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dlm.report.formatting import error_number, error_text, is_rate
from dlm.report.html.elements import Chart, Section, error_axis, size_axis
from dlm.report.tables import Table
from dlm.storage.artifacts import CALIBRATION, Ensemble


def ensemble_sentences(ensembles: Sequence[Ensemble]) -> list[str]:
    """Of each learner's largest size: error and calibration of its seeds together, and of one alone."""
    largest = {one.learner: one for one in sorted(ensembles, key=lambda one: one.train_size)}
    order = dict.fromkeys(one.learner for one in ensembles)
    return [_sentence(largest[name]) for name in order]


def _sentence(one: Ensemble) -> str:
    members = f"{one.learner}: {one.members} members of {one.train_size:,} examples each have an error of"
    return f"{members} {_pairs(one, 'error', one.unit)}{_calibration(one)}{_seen(one)}."


def _pairs(one: Ensemble, name: str, unit: str) -> str:
    together, alone = one.values[name], one.single[name]
    return f"{error_text(together, unit)} together, {error_text(alone, unit)} one by one"


def _calibration(one: Ensemble) -> str:
    return f"; a calibration error of {_pairs(one, CALIBRATION, 'error rate')}" if CALIBRATION in one.values else ""


def _seen(one: Ensemble) -> str:
    """Members of other subsets have more examples behind them than one has."""
    return f"; all of them have seen {one.examples:,} examples" if one.examples > one.train_size else ""


def ensemble_section(ensembles: Sequence[Ensemble]) -> Section | None:
    """A chart of ensembles beside single members, and a table; None where there are none."""
    if not ensembles:
        return None
    unit = ensembles[0].unit
    return Section(
        "ensembles",
        "Ensembles of the seeds",
        (_chart(ensembles, unit), _table(ensembles, unit)),
        note="The mean of the predictions of all seeds of one size, which costs no training. Each seed has a subset of "
        "its own, so an ensemble has seen more examples than one member: the table says how many. At the size of the "
        "whole pool all have seen the same. Dotted lines are ensembles, solid ones the mean of single members.",
    )


def _chart(ensembles: Sequence[Ensemble], unit: str) -> Chart:
    values = [each["error"] for one in ensembles for each in (one.values, one.single)]
    last = {one.learner: one for one in ensembles}.values()
    told = "; ".join(f"{one.learner} {_pair(one, 'error', unit)}" for one in last)
    return Chart(
        "ensemble-curves",
        f"Test {unit} of ensembles",
        f"At each learner's largest size, and of one member in brackets: {told}{' %' if is_rate(unit) else ''}.",
        tuple(_traces(ensembles)),
        {
            "xaxis": size_axis(),
            "yaxis": error_axis(unit, positive_only=min(values) > 0),
            "height": 380,
        },
        scales="xy",
    )


def _traces(ensembles: Sequence[Ensemble]) -> Iterator[dict[str, Any]]:
    for learner in dict.fromkeys(one.learner for one in ensembles):
        own = [one for one in ensembles if one.learner == learner]
        for name, dash, mode in (("one member", "solid", "lines"), ("ensemble", "dot", "lines+markers")):
            yield {
                "x": [one.train_size for one in own],
                "y": [(one.values if dash == "dot" else one.single)["error"] for one in own],
                "text": [f"{one.members} members, {one.examples:,} examples" for one in own],
                "hovertemplate": f"<b>{learner}</b>, {name}<br>n=%{{x:,}}<br>%{{y}}<br>%{{text}}<extra></extra>",
                "mode": mode,
                "line": {"dash": dash},
                "meta": {"learner": learner, "role": "line"},
            }


def _table(ensembles: Sequence[Ensemble], unit: str) -> Table:
    named = [name for name in (CALIBRATION, "loss") if any(name in one.values for one in ensembles)]
    heads = {CALIBRATION: "calibration error %", "loss": "loss"}
    rows = []
    for one in ensembles:
        cells = [_pair(one, "error", unit)]
        cells += [_pair(one, name, "error rate" if name == CALIBRATION else "") for name in named]
        rows.append((one.learner, f"{one.train_size:,}", str(one.members), f"{one.examples:,}", *cells))
    first = ("learner", "examples of one", "members", "examples of all", f"error{' %' if is_rate(unit) else ''}")
    return Table("Ensemble (mean of its single members)", (*first, *(heads[name] for name in named)), tuple(rows))


def _pair(one: Ensemble, name: str, unit: str) -> str:
    if name not in one.values:
        return "–"
    return f"{error_number(one.values[name], unit)} ({error_number(one.single[name], unit)})"
