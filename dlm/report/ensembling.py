"""What several seeds of a learner give together, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from dlm.ensembles import CALIBRATION, Ensemble
from dlm.report.phrases import error_text


def ensemble_sentences(ensembles: Sequence[Ensemble]) -> list[str]:
    """Of each learner's largest size: error and calibration of its seeds together, and of one alone."""
    largest = {one.learner: one for one in sorted(ensembles, key=lambda one: one.train_size)}
    order = dict.fromkeys(one.learner for one in ensembles)
    return [_sentence(largest[name]) for name in order]


def _sentence(one: Ensemble) -> str:
    members = f"{one.learner}: {one.members} members of {one.train_size:,} examples each have an error of"
    return f"{members} {_pair(one, 'error', one.unit)}{_calibration(one)}{_seen(one)}."


def _pair(one: Ensemble, name: str, unit: str) -> str:
    together, alone = one.values[name], one.single[name]
    return f"{error_text(together, unit)} together, {error_text(alone, unit)} one by one"


def _calibration(one: Ensemble) -> str:
    return f"; a calibration error of {_pair(one, CALIBRATION, 'error rate')}" if CALIBRATION in one.values else ""


def _seen(one: Ensemble) -> str:
    """Members of other subsets have more examples behind them than one has."""
    return f"; all of them have seen {one.examples:,} examples" if one.examples > one.train_size else ""
