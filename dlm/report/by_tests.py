"""Who errs less by the test examples: what another test set might say, which seeds of one test set cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from dlm.curves.versus import Difference, difference
from dlm.records import Record
from dlm.report.predictions import TestSet, predictions

FEWEST = 2  # stretches or examples to compare by
_ROUNDING = 1e-3  # of an error: predictions are kept in fewer digits than records


def by_test_examples(
    workdir: Path, rows: Sequence[Record], others: Sequence[Record], test: TestSet, level: float
) -> Difference | None:
    """How much more one cell errs than another, relative to the mean of both, by stretches of test examples.

    Each example's error is the mean over seeds. Where the error is the root of a mean of squares, as RMSE is, it
    changes half as much as that mean, to first order. None where no predictions were kept, and where the error is
    neither.
    """
    kept = [predictions(workdir, each, len(test.y)) for each in (rows, others)]
    stretch = stretch_of(test)
    number = len(test.y) // stretch
    if number < FEWEST or not all(kept):
        return None
    power, *other_power = {_power(seeds, each) for seeds, each in zip(kept, (rows, others))}
    if power is None or other_power:
        return None
    a, b = (np.mean([seed["error"] for seed in seeds], axis=0, dtype=np.float64) for seeds in kept)
    middle = float(a.mean() + b.mean()) / 2 or 1.0
    parts = np.array_split(power * (a - b) / middle, number)
    return difference([float(part.mean()) for part in parts], level, rows[0].train_size)


def stretch_of(test: TestSet) -> int:
    """Test examples that hang together: forecasts [N, H, C] of steps in common are H in a row, other examples one."""
    return test.y.shape[1] if test.y.ndim == 3 and test.y.dtype.kind == "f" else 1


def more_text(one: Difference) -> str:
    """ "errs 12.0 % more [10.0, 14.0]"; an end of the other sign is below 0."""
    sign = -1 if one.mean < 0 else 1
    text = f"errs {100 * abs(one.mean):.1f} % {'less' if sign < 0 else 'more'}"
    low, high = sorted(round(100 * sign * (end or 0.0), 1) + 0.0 for end in (one.low, one.high))  # no −0.0
    return f"{text} [{low:.1f}, {high:.1f}]"


def paired_text(one: Difference, test: TestSet) -> str:
    """ "in per cent of their mean, paired over 300 test examples"."""
    stretch = stretch_of(test)
    of = f"stretches of {stretch:,} test windows" if stretch > 1 else "test examples"
    return f"in per cent of their mean, paired over {one.num_seeds:,} {of}"


def _power(seeds: Sequence[dict[str, np.ndarray]], rows: Sequence[Record]) -> float | None:
    """Of which power of the mean over examples the recorded errors are: 1, or 1/2 for its root; None: of neither."""
    mean = fmean(float(np.mean(seed["error"], dtype=np.float64)) for seed in seeds)
    told = fmean(row.value for row in rows[: len(seeds)] if row.value is not None)
    near = (power for power in (1.0, 0.5) if math.isclose(mean**power, told, rel_tol=_ROUNDING, abs_tol=_ROUNDING / 10))
    return next(near, None)
