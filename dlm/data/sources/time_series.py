"""A time series table, as windows to forecast from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dlm.data.columns import Column
from dlm.data.dataset import Dataset, Split
from dlm.data.tfds.reader import read
from dlm.utils.errors import UsageError, nearest

PARTS = ("train", "validation", "test")  # as time goes


@dataclasses.dataclass(frozen=True)
class TfdsSeries:
    """A TFDS set with an example for each time, and splits that follow one another, such as `train[:70%]`.

    From `context` steps of all C numbers of the feature `values` the next `horizon` of all. `index` names a feature
    that counts the steps, to be sure of their order; empty: they are in order. `version` empty: the newest on disk.
    """

    name: str
    context: int = 96
    horizon: int = 96
    values: str = "values"
    index: str = ""
    version: str = ""
    train: str = "train"
    validation: str = "validation"
    test: str = "test"

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Dataset:
        """Inputs float32 [N, context, C], targets float32 [N, horizon, C]. UsageError if the set is absent or unfit."""
        splits = {part: getattr(self, part) for part in PARTS}
        name, columns = read(self.name, splits, version=self.version, data_dir=data_dir, download=download)
        parts = [_numbers(self.name, columns[part], self.values) for part in PARTS]
        if self.index:
            self._check_order(columns)
        validation, test = len(parts[1]), len(parts[2])
        return in_time(name, np.concatenate(parts), self.context, self.horizon, validation=validation, test=test)

    def _check_order(self, columns: Mapping[str, Mapping[str, Column]]) -> None:
        """UsageError unless the index rises by one from step to step, also from split to split."""
        steps = np.concatenate([_numbers(self.name, columns[part], self.index)[:, 0] for part in PARTS])
        wrong = np.flatnonzero(np.diff(steps) != 1)
        if len(wrong):
            before, after = steps[wrong[0]], steps[wrong[0] + 1]
            raise UsageError(
                f"data.index={self.index!r} of {self.name!r} goes from {before:g} to {after:g}: its splits do not "
                "follow one another step by step; prepare it in order of time, without shuffling"
            )


def in_time(
    name: str,
    values: np.ndarray,
    context: int,
    horizon: int,
    *,
    validation: int,
    test: int,
    stride: int = 1,
    remarks: tuple[str, ...] = (),
) -> Dataset:
    """Values [T, C] in order of time, of which the last `test` and the `validation` before are split off, as windows.

    A window belongs to the split that all its targets lie in; its context may reach back over the border.
    """
    from dlm.data.readers.series import split_windows

    past = values[: len(values) - validation - test]
    spread = past.std(axis=0) if len(past) else np.ones(values.shape[1])
    scaled = (values - past.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found = split_windows(scaled.astype(np.float32), context, horizon, validation=validation, test=test, stride=stride)
    splits = {part: Split(x, y.reshape(len(y), horizon, -1)) for part, (x, y) in found.items()}
    return Dataset(name, splits["train"], splits["validation"], splits["test"], remarks=remarks, in_time=True)


def _numbers(name: str, columns: Mapping[str, Column], feature: str) -> np.ndarray:
    """A feature as numbers, float64 [T, C]. UsageError if it is absent, none, or some are missing."""
    if feature not in columns:
        raise UsageError(f"{name!r} has no feature {feature!r}; {nearest(feature, columns)}")
    values = columns[feature].values
    if not isinstance(values, np.ndarray) or values.ndim > 2 or values.dtype.kind not in "iuf":
        raise UsageError(f"feature {feature!r} of {name!r} holds no row of numbers at each step; name one that does")
    found = np.asarray(values, np.float64).reshape(len(values), -1)
    if not np.isfinite(found).all():
        raise UsageError(f"feature {feature!r} of {name!r} has missing values; fill them in, from the past alone")
    return found


@dataclasses.dataclass(frozen=True)
class Series:
    """A table with a row for each time: from `context` steps of all columns, the next `horizon` of all, or of `target`.

    `index` names the column of times, else the dates are it. `validation` and `test` are the shares of the steps that
    come last, test after validation; a window's forecast never reaches over the border of its split. Windows begin
    every `stride` steps. `in_time`: subsets are lengths of history, all columns are forecast, and all values are
    scaled, see `dlm.data.sources.time_series`.
    """

    path: str
    context: int = 96
    horizon: int = 24
    target: str = ""
    index: str = ""
    stride: int = 1
    validation: float = 0.1
    test: float = 0.2
    in_time: bool = False

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Inputs float32 [N, context, C], targets [N, horizon] or [N, horizon · C]; [N, horizon, C] `in_time`."""
        from dlm.data.readers.series import read_series, split_windows

        series = read_series(self.path, index=self.index)
        if self.target and self.target not in series.names:
            raise UsageError(
                f"data.target={self.target!r} is no column of numbers; {nearest(self.target, series.names)}"
            )
        if self.target and self.in_time:
            raise UsageError(f"data.in_time forecasts every column, not data.target={self.target!r} alone; empty one")
        validation, test = (round(share * len(series.values)) for share in (self.validation, self.test))
        cut: dict[str, int] = {"validation": validation, "test": test, "stride": self.stride}
        name, lengths = Path(self.path).stem, (self.context, self.horizon)
        if self.in_time:
            return in_time(name, series.values, *lengths, remarks=series.remarks, **cut)
        place = series.names.index(self.target) if self.target else None
        splits = split_windows(series.values, *lengths, target=place, **cut)
        train, validation_split, test_split = (
            Split(*(np.asarray(part, np.float32) for part in splits[of])) for of in ("train", "validation", "test")
        )
        return Dataset(name, train, validation_split, test_split, standardize=True, remarks=series.remarks)
