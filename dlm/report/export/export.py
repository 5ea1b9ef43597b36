"""Exports a workdir as tables, as TensorBoard files and to experiment trackers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from dlm.curves.from_records import learning_curves
from dlm.curves.types import Curve
from dlm.report.export import tensorboard, trackers
from dlm.report.export.runs import Run, runs
from dlm.report.forecast_file import FORECAST, read_forecast
from dlm.report.study_report import report_options
from dlm.report.tables import Table, forecast_table, latex, markdown, measured_table, required_size_table
from dlm.storage import records
from dlm.storage.workdir import Workdir
from dlm.utils.errors import UsageError, nearest
from dlm.utils.files import write_atomically
from dlm.utils.optional_imports import installed, require

Location = Path | str  # a file or folder, or the address of a server


@dataclasses.dataclass(frozen=True)
class Exporter:
    """`write(source, folder)` exports and returns the location; `package` is the Python package that it needs."""

    write: Callable[[Source, Path], Location]
    package: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """A workdir to export; each view of it is computed once, when it is needed."""

    workdir: Workdir

    @functools.cached_property
    def curves(self) -> list[Curve]:
        """The learning curves with at least one size."""
        trial_ids = report_options(self.workdir)["trial_ids"]
        curves = learning_curves(self.workdir.records, trial_ids, self.workdir.description.learners)
        return [curve for curve in curves if curve.train_sizes]

    @functools.cached_property
    def tables(self) -> list[Table]:
        """The measured errors and, of the last report, forecasts and required sizes."""
        tables = [measured_table(self.curves) if self.curves else None]
        if (path := self.workdir.path / FORECAST).exists():
            summary = read_forecast(path)
            tables += [forecast_table(summary), required_size_table(summary)]
        return [table for table in tables if table and table.rows]

    @functools.cached_property
    def runs(self) -> list[Run]:
        """Trials and curves as runs of a tracker."""
        return runs(self.workdir, self.curves)


def export(path: Path, names: Sequence[str] = (), folder: Path | None = None) -> list[Location]:
    """Write the named exports of a workdir to `folder`, by default `<workdir>/export`, and return their locations.

    Without names: all tables, and TensorBoard files if tensorboardX is installed. Raises UsageError before anything is
    written for an unknown name, a missing package, or a workdir without a study or records.
    """
    for name in names:
        if name not in EXPORTERS:
            raise UsageError(f"--to={name} is not an export; {nearest(name, EXPORTERS)}")
        if package := EXPORTERS[name].package:
            require(package, f"--to={name}")
    source = Source(Workdir.open(path))
    if not source.workdir.records:
        raise UsageError(f"--workdir={path} holds no records; run the study first, with --mode=run")
    default = ["csv", "parquet", "latex", "markdown", *(["tensorboard"] if installed("tensorboardX") else [])]
    names = list(dict.fromkeys(names)) or default
    if not {"latex", "markdown"}.isdisjoint(names):
        source.tables  # noqa: B018 - raises for an invalid forecast before anything is written
    folder = folder or path / "export"
    folder.mkdir(parents=True, exist_ok=True)
    return [EXPORTERS[name].write(source, folder) for name in names]


def _records(format: str) -> Callable[[Source, Path], Path]:
    return lambda source, folder: records.write(source.workdir.table, folder, [format])[0]


def _tables(name: str, render: Callable[[Sequence[Table]], str]) -> Callable[[Source, Path], Path]:
    def write(source: Source, folder: Path) -> Path:
        write_atomically(folder / name, render(source.tables))
        return folder / name

    return write


def _runs(write: Callable[[str, Sequence[Run], Path], Location]) -> Callable[[Source, Path], Location]:
    return lambda source, folder: write(source.workdir.study_name, source.runs, folder)


EXPORTERS = {
    "csv": Exporter(_records("csv")),
    "parquet": Exporter(_records("parquet")),
    "latex": Exporter(_tables("tables.tex", latex)),
    "markdown": Exporter(_tables("tables.md", markdown)),
    "tensorboard": Exporter(lambda source, folder: tensorboard.write(source.runs, folder), "tensorboardX"),
    "wandb": Exporter(_runs(trackers.write_wandb), "wandb"),
    "mlflow": Exporter(_runs(trackers.write_mlflow), "mlflow"),
    "trackio": Exporter(_runs(trackers.write_trackio), "trackio"),
}
