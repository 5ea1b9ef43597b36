"""Forecasts the learning curves of a table and writes the report; needs no JAX."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dlm.curves.from_csv import Bound, read_curve_table
from dlm.curves.points import MIN_SIZES
from dlm.curves.summary import summarize
from dlm.curves.types import StudySummary
from dlm.report.forecast_file import FORECAST, add_stamp
from dlm.report.sections.base import ReportContext
from dlm.report.sections.caveats import caveats_section
from dlm.report.sections.learning_curve import learning_curve_section
from dlm.report.study_report import default_targets, publish
from dlm.storage.workdir import STUDY
from dlm.study import overrides
from dlm.utils.display import encodable
from dlm.utils.errors import UsageError

MAX_MULTIPLE = 1e6


def report_table(
    path: Path,
    console: Console,
    *,
    folder: Path | None = None,
    targets: Sequence[float] = (),
    multiples: Sequence[float] = (2.0, 10.0),
    level: float = 0.95,
    bound: Bound | None = None,
    learners: Sequence[str] = (),
) -> StudySummary:
    """Report on a table in `folder`, by default `<table>-forecast`. UsageError before anything is written."""
    table = read_curve_table(path, bound=bound, learners=learners)
    targets = tuple(targets) or default_targets(table.curves)
    num_sizes = max(len(curve.train_sizes) for curve in table.curves)
    if num_sizes < MIN_SIZES:
        raise UsageError(f"{path} has {num_sizes} distinct sizes, too few for a forecast; measure at least {MIN_SIZES}")
    folder = folder or path.with_name(f"{path.stem}-forecast")
    _check_folder(folder)
    try:
        summary = summarize(table.curves, targets=targets, multiples=multiples, level=level)
    except ValueError as error:
        raise UsageError(str(error)) from None
    remarks = {f"How {encodable(path.name)} was read": table.remarks}
    context = ReportContext(add_stamp(summary, {}), folder, remarks=remarks)
    return publish(context, console, title=encodable(path.stem), sections=(learning_curve_section, caveats_section))


def read_bound(text: str) -> Bound:
    """Parse the range of an error: "0,1", or "0," without an upper end. UsageError if it is not a range."""
    low, *rest = overrides.parse(text, tuple[float, ...], "--bound") or (-1.0,)
    high = rest[0] if rest else None
    if len(rest) > 1 or low < 0 or (high is not None and high <= low):
        raise UsageError(f"--bound={text} is not a range; give two ascending numbers from 0 on, such as 0,1")
    return low, high


def read_multiples(text: str) -> tuple[float, ...]:
    """Parse multiples of the largest size, such as "2,10". UsageError for a multiple of at most 1."""
    multiples: tuple[float, ...] = overrides.parse(text, tuple[float, ...], "--multiples")
    for multiple in multiples:
        if not 1 < multiple <= MAX_MULTIPLE:
            raise UsageError(f"--multiples={multiple:g} must be above 1 and at most {MAX_MULTIPLE:g}")
    return multiples


def _check_folder(folder: Path) -> None:
    """UsageError if the folder holds a study or cannot be written."""
    if (folder / STUDY).exists():
        raise UsageError(f"--workdir={folder} holds a study, whose {FORECAST} would be replaced; choose another folder")
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = f"{existing} is a file" if existing.is_file() else f"no permission to write in {existing}"
        raise UsageError(f"--workdir={folder} cannot be written ({reason}); choose another folder")
