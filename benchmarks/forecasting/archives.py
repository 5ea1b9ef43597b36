"""Reads folders of measured learning curves: the published archives or a user's own history.

A table is a CSV file, gzipped or not, with one row per measurement. The columns `size` and `error` are required;
`curve` (otherwise `learner`, otherwise the file name) groups rows into curves; `archive`, `dataset`, `learner`,
`stderr`, `repeats` and `part` ("fit" or "extrapolate") are optional.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import gzip
import hashlib
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bound = tuple[float, float | None]

CHOOSE, REPORT = 0, 1  # halves of the data sets: constants are selected on one and evaluated on the other
SPLITS = "lcdb10_splits"  # the stem of the table of single splits
_ENDINGS = (".csv.gz", ".csv")


@dataclasses.dataclass(frozen=True, eq=False)
class ArchiveCurve:
    """One measured curve: K ascending sizes, mean errors, their s.e. (NaN: unknown), repeats (NaN), part ("": none)."""

    archive: str
    name: str
    dataset: str
    learner: str
    train_sizes: Array
    errors: Array
    stderr: Array
    repeats: Array
    part: NDArray[np.str_]
    bound: Bound = (0.0, None)

    @property
    def key(self) -> str:
        """A unique name of the curve."""
        return f"{self.archive}|{self.name}"

    @property
    def published(self) -> bool:
        """Whether the source specifies the fitted points and the targets."""
        return bool((self.part == "extrapolate").any() and (self.part == "fit").any())


@dataclasses.dataclass(frozen=True, eq=False)
class SplitCurve:
    """One curve with all single splits: errors[k] are those at the k-th ascending size."""

    dataset: str
    learner: str
    train_sizes: Array
    errors: tuple[Array, ...]

    @property
    def name(self) -> str:
        """The name of the curve in the archive of means."""
        return f"{self.dataset}|{self.learner}"


def number(text: str) -> int:
    """A hash of the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def half(dataset: str) -> int:
    """CHOOSE or REPORT, by the data set's id alone, so that a data set is in the same half in all archives."""
    return number(dataset) % 2


def in_half(dataset: str, name: str) -> bool:
    """Whether a data set belongs to the half `name`: "choose", "report" or "both"."""
    return name == "both" or half(dataset) == {"choose": CHOOSE, "report": REPORT}[name]


def read_folder(folder: pathlib.Path) -> list[ArchiveCurve]:
    """Every curve of every table in `folder`; tables without the required columns are skipped.

    Raises:
      ValueError: no such folder, no table in it, or a cell that is not a number.
    """
    if not folder.is_dir():
        raise ValueError(f"curves={folder} is not a folder; give a folder with *.csv or *.csv.gz tables")
    curves = [curve for path in tables(folder) if is_curve_table(path) for curve in read_table(path)]
    if not curves:
        raise ValueError(f"{folder} contains no table with columns size and error; add *.csv or *.csv.gz files")
    return curves


def tables(folder: pathlib.Path) -> list[pathlib.Path]:
    """CSV files in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(_ENDINGS))


def is_curve_table(path: pathlib.Path) -> bool:
    """Whether a file has the columns `size` and `error`."""
    with _opened(path) as file:
        header = next(csv.reader(file), [])
    return {"size", "error"} <= set(header)


def read_table(path: pathlib.Path) -> list[ArchiveCurve]:
    """Curves of one table; rows of the same size (and part) are pooled, rows with a blank error omitted."""
    archive, groups = stem(path), collections.defaultdict(list)
    with _opened(path) as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if row["error"].strip():
                key = row.get("curve") or row.get("learner") or archive
                groups[row.get("archive") or archive, key].append(_Row.read(row, f"{path}:{line}"))
    return [_curve(archive, name, rows) for (archive, name), rows in groups.items()]


def read_splits(path: pathlib.Path) -> list[SplitCurve]:
    """Curves with all single splits, from columns openmlid, learner, n_train, err_test."""
    curves: dict[tuple[str, str], dict[float, list[float]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    with _opened(path) as file:
        for row in csv.DictReader(file):
            curves[row["openmlid"], row["learner"]][float(row["n_train"])].append(float(row["err_test"]))
    return [
        SplitCurve(dataset, learner, np.array(sorted(table)), tuple(np.array(table[size]) for size in sorted(table)))
        for (dataset, learner), table in curves.items()
    ]


def stem(path: pathlib.Path) -> str:
    """The file's name without .csv or .csv.gz."""
    return next(path.name.removesuffix(ending) for ending in _ENDINGS if path.name.endswith(ending))


def _opened(path: pathlib.Path):  # type: ignore[no-untyped-def]
    opener = gzip.open if path.name.endswith(".gz") else open
    return opener(path, "rt", newline="", encoding="utf-8-sig")


@dataclasses.dataclass(frozen=True)
class _Row:
    """One row of a table."""

    dataset: str
    learner: str
    size: float
    error: float
    stderr: float
    repeats: float
    part: str

    @classmethod
    def read(cls, row: Mapping[str, str | None], place: str) -> _Row:
        """Checks and converts one line; `place` is its location in messages."""

        def value(name: str) -> float:
            text = (row.get(name) or "").strip()
            try:
                return float(text) if text else math.nan
            except ValueError:
                raise ValueError(f"{place}: {name}={text!r} is not a number; correct it or leave it blank") from None

        size, error = value("size"), value("error")
        if not (math.isfinite(size) and size > 0):
            raise ValueError(f"{place}: size={row.get('size')!r} is not a positive number; correct or remove the row")
        if not error >= 0 or math.isinf(error):
            raise ValueError(
                f"{place}: error={row.get('error')!r} is not a number of at least 0; leave it blank if the run failed"
            )
        name = row.get("curve") or row.get("learner") or ""
        text = {key: row.get(key) or "" for key in ("dataset", "learner", "part")}
        return cls(
            text["dataset"] or name, text["learner"], size, error, value("stderr"), value("repeats"), text["part"]
        )


def _curve(archive: str, name: str, rows: Iterable[_Row]) -> ArchiveCurve:
    places: dict[tuple[float, str], list[_Row]] = collections.defaultdict(list)
    for row in rows:
        places[row.size, row.part].append(row)
    order = sorted(places, key=lambda place: (place[0], place[1] != "fit"))
    error, stderr, repeats = np.array([_pooled(places[place]) for place in order]).T
    first = places[order[0]][0]
    return ArchiveCurve(
        archive=archive,
        name=name,
        dataset=first.dataset,
        learner=first.learner,
        train_sizes=np.array([size for size, _ in order]),
        errors=error,
        stderr=stderr,
        repeats=repeats,
        part=np.array([part for _, part in order]),
        bound=_bound(archive, first.dataset, error),
    )


def _pooled(rows: list[_Row]) -> tuple[float, float, float]:
    """Mean, standard error and number of repeats of the rows at one size."""
    if len(rows) == 1:
        return rows[0].error, rows[0].stderr, rows[0].repeats
    error = np.array([row.error for row in rows])
    count = np.array([1.0 if math.isnan(row.repeats) else row.repeats for row in rows])
    mean = float(count @ error / count.sum())
    known = np.array([row.stderr for row in rows])
    if np.isfinite(known).all():
        return mean, float(np.sqrt(((count * known) ** 2).sum()) / count.sum()), float(count.sum())
    spread = np.sqrt(count @ (error - mean) ** 2 / count.sum() / (len(rows) - 1))
    return mean, float(spread), float(count.sum())


# Archives of error rates; others contain losses, or errors in other units.
_RATES = ("lcdb10", "lcdb11", "hoiem2021")
_LOSSES = ("alabdulmohsin2022", "colpret", "nanogpt_width", "double_descent")
_RATES_WITHIN = ("IC|", "cifar")


def _bound(archive: str, dataset: str, errors: Array) -> Bound:
    """The range that errors can have: known for the archives, otherwise (0, 1) if no error of the curve is above 1."""
    if archive in _LOSSES:
        return (0.0, 1.0) if dataset.startswith(_RATES_WITHIN) else (0.0, None)
    return (0.0, 1.0) if archive in _RATES or errors.max() <= 1 else (0.0, None)


def by_hash(names: Iterable[str], limit: int | None) -> Iterator[str]:
    """Up to `limit` of the names, in an order that depends only on the names."""
    ranked = sorted(names, key=number)
    yield from ranked if limit is None else ranked[:limit]
