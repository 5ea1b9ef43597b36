"""Export a workdir to whatever is named: tables, TensorBoard, trackers."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from dlm.report.export import tensorboard, trackers
from dlm.report.export.runs import Contents, Run, gather, runs
from dlm.report.tables import Table, forecast_table, latex, markdown, measured_table, required_size_table
from dlm.storage import records
from dlm.utils.errors import UsageError, nearest
from dlm.utils.files import write_atomically
from dlm.utils.optional_imports import installed, require

Written = Path | str


@dataclasses.dataclass(frozen=True)
class Export:
    """How one thing is exported: `write(source, folder)` says where to; `package`: what pip installs for it, whose
    module has the same name."""

    write: Callable[[Source, Path], Written]
    package: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """What a workdir holds, each read once and only for who asks: the records as a table, or sorted into contents."""

    workdir: Path
    names: tuple[str, ...]

    @functools.cached_property
    def table(self) -> pa.Table:
        return records.read(self.workdir)

    @functools.cached_property
    def contents(self) -> Contents:
        return gather(self.workdir, forecast=not {"latex", "markdown"}.isdisjoint(self.names))


def export(workdir: Path, names: Sequence[str] = (), folder: Path | None = None) -> list[Written]:
    """Write the exports named into `folder`, by default `<workdir>/export`; where each was written.

    Without names: all tables, and TensorBoard's files where tensorboardX is installed. UsageError for an unknown name,
    a package that is not installed, or a workdir without records, before anything is written.
    """
    for name in names:
        if name not in EXPORTS:
            raise UsageError(f"--to={name} is not an export; {nearest(name, EXPORTS)}")
        if package := EXPORTS[name].package:
            require(package, f"--to={name}")
    source = Source(workdir, tuple(dict.fromkeys(names)) or default())
    _check(source)
    folder = folder or workdir / "export"
    folder.mkdir(parents=True, exist_ok=True)
    return [EXPORTS[name].write(source, folder) for name in source.names]


def default() -> tuple[str, ...]:
    """What is exported where nothing is named."""
    tensorboard = ("tensorboard",) if installed(EXPORTS["tensorboard"].package) else ()
    return ("csv", "parquet", "latex", "markdown", *tensorboard)


def _check(source: Source) -> None:
    """UsageError where there is nothing to export, or something that is asked for cannot be read."""
    workdir = source.workdir
    if not workdir.is_dir():
        raise UsageError(f"--workdir={workdir}: there is no such folder; name the folder of a run, such as runs/digits")
    num_rows = source.table.num_rows if {"csv", "parquet"}.issuperset(source.names) else len(source.contents.rows)
    if not num_rows:
        raise UsageError(f"--workdir={workdir} holds no records; run the study first, with --mode=run")


def _tables(contents: Contents) -> list[Table]:
    """The measured errors and, of the last report, forecasts and required sizes."""
    measured = measured_table(contents.curves) if contents.curves else None
    forecast = (forecast_table(contents.answer), required_size_table(contents.answer)) if contents.answer else ()
    return [table for table in (measured, *forecast) if table and table.rows]


def _latex(source: Source, folder: Path) -> Path:
    write_atomically(folder / "tables.tex", latex(_tables(source.contents)))
    return folder / "tables.tex"


def _markdown(source: Source, folder: Path) -> Path:
    write_atomically(folder / "tables.md", markdown(_tables(source.contents)))
    return folder / "tables.md"


def _runs(write: Callable[[str, Sequence[Run], Path], Written]) -> Callable[[Source, Path], Written]:
    return lambda source, folder: write(source.contents.study, runs(source.contents), folder)


EXPORTS = {
    "csv": Export(lambda source, folder: records.write(source.table, folder, ["csv"])[0]),
    "parquet": Export(lambda source, folder: records.write(source.table, folder, ["parquet"])[0]),
    "latex": Export(_latex),
    "markdown": Export(_markdown),
    "tensorboard": Export(_runs(lambda _, told, folder: tensorboard.write(told, folder)), "tensorboardX"),
    "wandb": Export(_runs(trackers.write_wandb), "wandb"),
    "mlflow": Export(_runs(trackers.write_mlflow), "mlflow"),
    "trackio": Export(_runs(trackers.write_trackio), "trackio"),
}
