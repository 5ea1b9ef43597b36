"""The answer for a table from anywhere: read, forecast, printed, drawn, written. No JAX is involved."""

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
from dlm.utils.errors import UsageError

MOST = 1e6


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
    """Answer for a table, in `folder` or one beside it named after it. UsageError leaves nothing written."""
    table = read_curve_table(path, bound=bound, learners=learners)
    most = max(len(curve.train_sizes) for curve in table.curves)
    if most < MIN_SIZES:
        raise UsageError(f"{path}: {most} distinct sizes are too few to fit a law; measure at least {MIN_SIZES}")
    folder = folder or path.with_name(f"{path.stem}-forecast")
    _check_folder(folder)
    try:
        told = summarize(
            table.curves, targets=tuple(targets) or default_targets(table.curves), multiples=multiples, level=level
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    remarks = {f"How {path.name} was read": table.remarks}
    context = ReportContext(add_stamp(told, {}), folder, remarks=remarks)
    return publish(context, console, title=path.stem, sections=(learning_curve_section, caveats_section))


def read_bound(text: str) -> Bound:
    """The range of an error, from "0,1" or, without an upper end, "0,". UsageError for what is none."""
    low, *rest = overrides.parse(text, tuple[float, ...], "--bound") or (-1.0,)
    high = rest[0] if rest else None
    if len(rest) > 1 or low < 0 or (high is not None and high <= low):
        raise UsageError(f"--bound={text} is no range of an error; give two ascending numbers from 0 on, such as 0,1")
    return low, high


def read_multiples(text: str) -> tuple[float, ...]:
    """How many times the largest size to forecast at, from "2,10". UsageError for what is not above 1."""
    multiples: tuple[float, ...] = overrides.parse(text, tuple[float, ...], "--multiples")
    for multiple in multiples:
        if not 1 < multiple <= MOST:
            raise UsageError(f"--multiples={multiple:g} must be above 1 and at most {MOST:g} times the largest size")
    return multiples


def _check_folder(folder: Path) -> None:
    """UsageError unless the folder is, or can become, one of a forecast."""
    if (folder / STUDY).exists():
        raise UsageError(
            f"--workdir={folder} holds a study, whose {FORECAST} this would replace; choose another folder"
        )
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} is a file" if there.is_file() else f"{there} is not yours to write in"
        raise UsageError(f"--workdir={folder} cannot be written ({reason}); choose a folder that can, with --workdir")
