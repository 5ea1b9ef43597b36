"""The score of an earlier forecast: files read, refused if they prove nothing, and the result printed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dlm import records
from dlm.curves.from_records import curves
from dlm.curves.results import Answer, Curve
from dlm.curves.scoring import Score, score
from dlm.curves.table import read_table
from dlm.errors import UsageError
from dlm.report.kept import read_stamped
from dlm.report.score_table import print_score
from dlm.report.stamp import moment

_LIKE = {"error": "error rate"}  # a table's errors are a rate or not by whether one is above 1


def report_score(forecast: Path, console: Console, *, workdir: Path | None, curve: Path | None) -> Score:
    """Hold a stamped forecast against the records of a workdir, or a table, and print how it did.

    UsageError for a file that is not as it was written, and for a forecast made after the data: none of the sizes
    scored may be among those measured when it was stamped, and what holds the data must have been written later.
    Records tell no times, so it is the file's last change that is looked at.
    """
    answer = read_stamped(forecast)
    assert answer.stamp is not None
    made = moment(answer.stamp)
    if made > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1):
        raise UsageError(f"{forecast} was made at {answer.stamp.made}, which is yet to come; set the clock right")
    later, source = _later(workdir, curve)
    _check_units(answer, later, source)
    result = score(answer, later)
    if not result.cells:
        why = " ".join(result.remarks) or (
            f"nothing beyond {answer.stamp.largest:,} examples is measured, and to there the forecast was made of it."
        )
        raise UsageError(f"{source} has nothing to score {forecast} by: {why} Measure larger sizes after the forecast")
    written = datetime.datetime.fromtimestamp(source.stat().st_mtime, datetime.UTC)
    if written < made:
        raise UsageError(
            f"{source} was last written at {written.isoformat(timespec='seconds')}, before {forecast} was made at "
            f"{answer.stamp.made}: a forecast made after the data proves nothing; score one made before"
        )
    print_score(answer, result, console, source)
    return result


def _later(workdir: Path | None, curve: Path | None) -> tuple[Sequence[Curve], Path]:
    """The curves measured by now, and the file that holds them."""
    if curve is not None:
        return read_table(curve).curves, curve
    assert workdir is not None
    measured = curves(records.rows(workdir)) if workdir.is_dir() else []
    if not measured:
        raise UsageError(f"--workdir={workdir} holds no finished trial; name the folder of a study, or a --curve")
    return measured, workdir / records.FILE


def _check_units(answer: Answer, later: Sequence[Curve], source: Path) -> None:
    """UsageError where errors of one unit would be held against those of another."""
    units = {_LIKE.get(learner.curve.unit, learner.curve.unit) for learner in answer.learners}
    for curve in later:
        if _LIKE.get(curve.unit, curve.unit) not in units:
            known = " and ".join(sorted(units))
            raise UsageError(
                f"{source} holds {curve.unit} and the forecast is of {known}; score it by the same measure"
            )
