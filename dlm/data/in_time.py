"""Series as the literature of long-term forecasting measures them, with the length of history as the size of a subset.

Values are scaled by mean and standard deviation of the whole training split, in every split (Zhou et al. 2021,
"Informer", whose code set the custom; so errors compare with published ones), and nothing is scaled by a subset's own
moments. Every window of stride 1 counts. A subset of n windows is the latest n of the training split, the same for
every seed: n + context + horizon − 1 steps of history, up to the border.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dlm.data.arrays import Arrays, Split
from dlm.data.columns import Column
from dlm.data.tfds_reader import read
from dlm.errors import UsageError, nearest

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

    def load(self, data_dir: Path | None = None, *, download: bool = False) -> Arrays:
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
) -> Arrays:
    """Values [T, C] in order of time, of which the last `test` and the `validation` before are split off, as windows.

    A window belongs to the split that all its targets lie in; its context may reach back over the border.
    """
    from dlm.data.own.series import split_windows

    past = values[: len(values) - validation - test]
    spread = past.std(axis=0) if len(past) else np.ones(values.shape[1])
    scaled = (values - past.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found = split_windows(scaled.astype(np.float32), context, horizon, validation=validation, test=test, stride=stride)
    splits = {part: Split(x, y.reshape(len(y), horizon, -1)) for part, (x, y) in found.items()}
    return Arrays(name, splits["train"], splits["validation"], splits["test"], remarks=remarks, in_time=True)


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
