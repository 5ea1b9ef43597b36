"""A time series table, as windows to forecast from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dlm.config import unsaid
from dlm.data.arrays import Arrays, Split
from dlm.errors import UsageError, nearest


@dataclasses.dataclass(frozen=True)
class Series:
    """A table with a row for each time: from `context` steps of all columns, the next `horizon` of all, or of `target`.

    `index` names the column of times, else the dates are it. `validation` and `test` are the shares of the steps that
    come last, test after validation; a window's forecast never reaches over the border of its split. Windows begin
    every `stride` steps. `in_time`: subsets are lengths of history, all columns are forecast, and all values are
    scaled, see `dlm.data.in_time`.
    """

    path: str
    context: int = 96
    horizon: int = 24
    target: str = ""
    index: str = ""
    stride: int = 1
    validation: float = 0.1
    test: float = 0.2
    in_time: bool = unsaid(False)

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Inputs float32 [N, context, C], targets [N, horizon] or [N, horizon · C]; [N, horizon, C] `in_time`."""
        from dlm.data.in_time import in_time
        from dlm.data.own.series import read_series, split_windows

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
        return Arrays(name, train, validation_split, test_split, standardize=True, remarks=series.remarks)
