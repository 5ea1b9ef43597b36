"""Scores an earlier forecast with errors measured later; rejects forecasts made after the data."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from dlm.curves.from_csv import read_curve_table
from dlm.curves.from_records import learning_curves
from dlm.curves.score import ForecastScore, ScoredPoint, score_forecast
from dlm.curves.types import Curve, StudySummary
from dlm.report.forecast_file import read_forecast, time_made
from dlm.report.formatting import error_number, error_text, is_rate, percent
from dlm.report.tables import ABSENT, Table
from dlm.report.terminal import print_list, print_table, say
from dlm.storage import record_log
from dlm.storage.workdir import Workdir
from dlm.utils.errors import UsageError

_SAME_UNIT = {"error": "error rate"}  # a table's unit depends on whether an error exceeds 1


def report_score(
    forecast: Path | None, console: Console, *, workdir: Path | None = None, curve: Path | None = None
) -> ForecastScore:
    """Score a stamped forecast with the records of a workdir or with a table, and print the result.

    UsageError for a changed file and for a forecast made after the data: the scored sizes must be absent from its
    stamp, and the data must be written later than the stamp. Records have no times; the file's last change counts.
    """
    if not forecast or bool(curve) == bool(workdir):
        raise UsageError("--mode=score needs --forecast=FILE, and later errors: --workdir=DIR or --curve=FILE")
    summary = read_forecast(forecast)
    assert summary.stamp is not None
    made = time_made(summary.stamp)
    if made > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1):
        raise UsageError(f"{forecast} was made at {summary.stamp.created}, which is in the future; set the clock")
    later, source = _measured_later(workdir, curve)
    _check_units(summary, later, source)
    result = score_forecast(summary, later)
    if not result.points:
        reason = " ".join(result.remarks) or f"no size above {summary.stamp.largest_train_size:,} examples is measured."
        raise UsageError(f"{source} cannot score {forecast}: {reason} Measure larger sizes after the forecast")
    written = datetime.datetime.fromtimestamp(source.stat().st_mtime, datetime.UTC)
    if written < made:
        raise UsageError(
            f"{source} was last written at {written.isoformat(timespec='seconds')}, before {forecast} was made at "
            f"{summary.stamp.created}; score a forecast made before the data"
        )
    print_score(summary, result, console, source)
    return result


def print_score(summary: StudySummary, score: ForecastScore, console: Console, source: Path) -> None:
    """Print coverage and accuracy, a table of each learner, and remarks."""
    assert summary.stamp is not None
    unit = summary.learners[0].curve.unit
    console.print()
    say(console, f"Score of the forecast of {summary.stamp.created} on {source.name}", style="bold")
    console.print()
    for sentence in _overview(summary, score, unit):
        say(console, sentence)
    for name in dict.fromkeys(row.learner for row in score.points):
        heading = f"{name}: forecast and measured {unit}{' in %' if is_rate(unit) else ''}"
        print_table(console, _table(heading, [row for row in score.points if row.learner == name], unit))
    print_list(console, "Notes on this score", [*score.remarks, *_notes(score, source)])
    console.print()


def _overview(summary: StudySummary, score: ForecastScore, unit: str) -> Iterator[str]:
    inside = sum(row.covered for row in score.points)
    means = "mean lies" if len(score.points) == 1 else "means lie"
    yield (
        f"{inside} of {len(score.points)} measured {means} inside the {percent(summary.level)} interval "
        f"({percent(round(inside / len(score.points), 3))})."
    )
    logs = [row.log_error for row in score.points if row.log_error is not None]
    accuracy = f"The median |log error| is {statistics.median(logs):.3f}; the" if logs else "The"
    mean_score = statistics.fmean(row.interval_score for row in score.points)
    yield f"{accuracy} mean interval score is {error_text(mean_score, unit)}."


def _table(title: str, points: Sequence[ScoredPoint], unit: str) -> Table:
    repeated = any(point.num_repeats > 1 for point in points)
    rows = []
    for point in points:
        median, low, high = (error_number(value, unit, point.median) for value in (point.median, point.low, point.high))
        noise = "" if point.stderr is None else f" ± {error_number(point.stderr, unit)}"
        count = f" ({point.num_repeats:,})" if repeated else ""
        inside = "yes" if point.covered else "no"
        log_error = ABSENT if point.log_error is None else f"{point.log_error:.3f}"
        measured = f"{error_number(point.mean, unit)}{noise}{count}"
        score = error_number(point.interval_score, unit)
        rows.append((f"{point.train_size:,}", f"{median} [{low}, {high}]", measured, inside, log_error, score))
    columns = ("examples", "forecast", "measured", "inside", "log error", "score")
    return Table(title, columns, tuple(rows), text_columns=0)


def _notes(score: ForecastScore, source: Path) -> Iterator[str]:
    yield (
        "Measured: mean ± standard error (number of repeats). A mean is inside if it lies in the forecast interval "
        "widened by its standard error. The interval score (Gneiting and Raftery 2007; lower is better) uses the "
        "widened interval."
    )
    if any(row.stderr is None for row in score.points):
        yield "A mean without a standard error is treated as exact, which lowers the coverage."
    yield (
        f"{source.name} was last written after the forecast was made. Single measurements have no times, so a "
        "measurement known earlier elsewhere cannot be detected."
    )


def _measured_later(workdir: Path | None, curve: Path | None) -> tuple[Sequence[Curve], Path]:
    """The measured curves and the file that holds them."""
    if curve is not None:
        return read_curve_table(curve).curves, curve
    assert workdir is not None
    measured = learning_curves(Workdir.open(workdir).records)
    if not measured:
        raise UsageError(f"--workdir={workdir} has no finished trials; name the folder of a study, or use --curve")
    return measured, workdir / record_log.FILE


def _check_units(summary: StudySummary, later: Sequence[Curve], source: Path) -> None:
    """UsageError if the errors have another unit than the forecast."""
    units = {_SAME_UNIT.get(learner.curve.unit, learner.curve.unit) for learner in summary.learners}
    for curve in later:
        if _SAME_UNIT.get(curve.unit, curve.unit) not in units:
            expected = " and ".join(sorted(units))
            raise UsageError(f"{source} has {curve.unit}, the forecast {expected}; score it with errors of one unit")
