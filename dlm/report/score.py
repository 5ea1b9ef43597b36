"""The score of an earlier forecast: files read, refused if they prove nothing, and the result printed."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from dlm.curves.from_csv import read_table
from dlm.curves.from_records import curves
from dlm.curves.score import Cell, Score, score
from dlm.curves.types import Curve, StudySummary
from dlm.report.forecast_file import moment, read_stamped
from dlm.report.formatting import error_number, error_text, is_rate, percent
from dlm.report.tables import Table
from dlm.report.terminal import print_list, print_table, say
from dlm.storage import record_log
from dlm.utils.errors import UsageError


def print_score(answer: StudySummary, score: Score, console: Console, source: Path) -> None:
    """Prints a score with at least one cell: coverage and accuracy, a row for each cell, remarks, what was checked."""
    assert answer.stamp is not None
    unit = answer.learners[0].curve.unit
    console.print()
    say(console, f"The forecast of {answer.stamp.made}, held against {source.name}", style="bold")
    console.print()
    for sentence in _lead(answer, score, unit):
        say(console, sentence)
    for name in dict.fromkeys(cell.learner for cell in score.cells):
        title = f"{name}: forecast and measured {unit}{' in %' if is_rate(unit) else ''}"
        print_table(console, _table(title, [cell for cell in score.cells if cell.learner == name], unit))
    print_list(console, "To know about this score", [*score.remarks, *_notes(score)])
    print_list(console, "What was checked", list(_checks(source)))
    console.print()


def _lead(answer: StudySummary, score: Score, unit: str) -> Iterator[str]:
    inside = sum(cell.inside for cell in score.cells)
    means = "mean lies" if len(score.cells) == 1 else "means lie"
    yield (
        f"{inside} of {len(score.cells)} measured {means} inside the {percent(answer.level)} interval "
        f"({percent(round(inside / len(score.cells), 3))})."
    )
    logs = [cell.log_error for cell in score.cells if cell.log_error is not None]
    accuracy = f"The median |log error| is {statistics.median(logs):.3f}; the" if logs else "The"
    mean_score = statistics.fmean(cell.interval_score for cell in score.cells)
    yield f"{accuracy} mean interval score is {error_text(mean_score, unit)}."


def _table(title: str, cells: Sequence[Cell], unit: str) -> Table:
    repeated = any(cell.num_repeats > 1 for cell in cells)
    rows = tuple(
        (
            f"{cell.size:,}",
            _forecast(cell, unit),
            _measured(cell, unit) + (f" ({cell.num_repeats:,})" if repeated else ""),
            "yes" if cell.inside else "no",
            "–" if cell.log_error is None else f"{cell.log_error:.3f}",
            error_number(cell.interval_score, unit),
        )
        for cell in cells
    )
    return Table(title, ("examples", "forecast", "measured", "inside", "log error", "score"), rows, text_columns=0)


def _forecast(cell: Cell, unit: str) -> str:
    median, low, high = (error_number(value, unit, cell.median) for value in (cell.median, cell.low, cell.high))
    return f"{median} [{low}, {high}]"


def _measured(cell: Cell, unit: str) -> str:
    noise = "" if cell.stderr is None else f" ± {error_number(cell.stderr, unit)}"
    return f"{error_number(cell.mean, unit)}{noise}"


def _notes(score: Score) -> Iterator[str]:
    yield (
        "Measured: the mean, its standard error, and of how many repeats. A mean is inside if it is in the forecast's "
        "interval widened by that standard error; the score (Gneiting and Raftery's, less is better) is of the widened "
        "interval too."
    )
    if any(cell.stderr is None for cell in score.cells):
        yield "Where no standard error is known the mean is taken as exact, which is hard on the forecast."


def _checks(source: Path) -> Iterator[str]:
    yield "The forecast is as it was written: hashes of its measurements and of all it says fit."
    yield "No size scored here was among those measured when it was made."
    yield (
        f"{source.name} was last written after it was made. Single measurements tell no time, so one that was known "
        "elsewhere before would not be noticed."
    )


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
    measured = curves(record_log.rows(workdir)) if workdir.is_dir() else []
    if not measured:
        raise UsageError(f"--workdir={workdir} holds no finished trial; name the folder of a study, or a --curve")
    return measured, workdir / record_log.FILE


def _check_units(answer: StudySummary, later: Sequence[Curve], source: Path) -> None:
    """UsageError where errors of one unit would be held against those of another."""
    units = {_LIKE.get(learner.curve.unit, learner.curve.unit) for learner in answer.learners}
    for curve in later:
        if _LIKE.get(curve.unit, curve.unit) not in units:
            known = " and ".join(sorted(units))
            raise UsageError(
                f"{source} holds {curve.unit} and the forecast is of {known}; score it by the same measure"
            )
