"""Classical forecasters of time series: seasonal naive, linear map of windows, and autoregression.

All take windows x [N, L, C] and the following steps y [N, H, C], and treat each of the C series separately.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from dlm.baselines.base import FittedBaseline
from dlm.data.dataset import Dataset, LazyRows
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class SeasonalNaive:
    """Repeats the last `period` steps; period 1 repeats the last value."""

    period: int = 1

    def __post_init__(self) -> None:
        at_least(1, period=self.period)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless the data are windows of series, long enough."""
        _horizon(dataset.train.x, dataset.train.y, self.period, "period")

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Use only the shapes of x [N, L, C] and y [N, H, C]."""
        horizon = _horizon(x, y, self.period, "period")
        steps = np.arange(horizon) % self.period
        return FittedBaseline(0, lambda inputs: inputs[:, -self.period :][:, steps].reshape(len(inputs), num_outputs))


@dataclasses.dataclass(frozen=True)
class LinearSeries:
    """Linear map from L steps to the next H, shared by all series, fitted by ridge regression in closed form.

    The last value of each window is subtracted before and added after the map: NLinear of Zeng et al. (2023), "Are
    Transformers effective for time series forecasting?". Their DLinear, two maps of trend and remainder, is the same
    family of functions, because both are linear in the window. alpha: strength of the L2 penalty.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, alpha=self.alpha)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless the data are windows of series."""
        _horizon(dataset.train.x, dataset.train.y)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x [N, L, C] and y [N, H, C] by the normal equations, summed series by series."""
        horizon, context = _horizon(x, y), x.shape[1]
        gram, moment = np.zeros((context + 1,) * 2), np.zeros((context + 1, horizon))
        for series in range(x.shape[2]):
            last = x[:, -1:, series].astype(np.float64)
            rows = np.concatenate([x[:, :, series] - last, np.ones_like(last)], axis=1)
            gram += rows.T @ rows
            moment += rows.T @ (y[:, :, series] - last)
        gram[np.diag_indices(context)] += self.alpha  # the constant is not penalized
        weights = _least_squares(gram, moment)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            last = inputs[:, -1:]
            steps = np.einsum("nlc,lh->nhc", inputs - last, weights[:-1], optimize=True) + weights[None, -1, :, None]
            return (steps + last).reshape(len(inputs), num_outputs)

        return FittedBaseline(1, outputs)


@dataclasses.dataclass(frozen=True)
class AutoRegressive:
    """AR(p) with p = `order` and a constant per series, fitted by least squares; iterated for H steps."""

    order: int = 24

    def __post_init__(self) -> None:
        at_least(1, order=self.order)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless the data are windows of series, long enough."""
        _horizon(dataset.train.x, dataset.train.y, self.order, "order")

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to the history that x [N, L, C] and y [N, H, C] are windows of, each step counted once."""
        horizon = _horizon(x, y, self.order, "order")
        grams = np.zeros((x.shape[2], self.order + 2, self.order + 2))
        for segment in segments(np.concatenate([x, y], axis=1)):
            lags = np.lib.stride_tricks.sliding_window_view(segment, self.order + 1, axis=0).transpose(1, 0, 2)
            rows = np.concatenate([np.ones((*lags.shape[:2], 1)), lags], axis=2)
            grams += rows.transpose(0, 2, 1) @ rows
        weights = np.stack([_least_squares(gram[:-1, :-1], gram[:-1, -1]) for gram in grams])  # [C, 1 + order]

        def outputs(inputs: np.ndarray) -> np.ndarray:
            steps = [*inputs[:, -self.order :].astype(np.float64).transpose(1, 0, 2)]
            for _ in range(horizon):
                past = np.stack(steps[-self.order :])
                steps.append(weights[None, :, 0] + np.einsum("pnc,cp->nc", past, weights[:, 1:]))
            return np.stack(steps[-horizon:], axis=1).reshape(len(inputs), num_outputs)

        return FittedBaseline(1, outputs)


def segments(windows: np.ndarray) -> Iterator[np.ndarray]:
    """The segments of history [T, C] that windows [N, W, C] were cut from, without repeated steps.

    Consecutive windows, each one step earlier than the one before, are joined; other windows are segments themselves.
    """
    is_joined = [np.array_equal(later[:-1], earlier[1:]) for later, earlier in itertools.pairwise(windows)]
    starts = [0, *(at + 1 for at, joined in enumerate(is_joined) if not joined), len(windows)]
    for start, end in itertools.pairwise(starts):
        yield np.concatenate([windows[start:end, 0][::-1], windows[start, 1:]]).astype(np.float64)


def _horizon(x: np.ndarray | LazyRows, y: np.ndarray, min_steps: int = 1, name: str = "") -> int:
    """H of targets [N, H, C]. UsageError for other shapes, or windows shorter than `min_steps`, the field `name`."""
    if x.ndim != 3 or y.ndim != 3 or x.shape[2] != y.shape[2]:
        raise UsageError(
            f"forecasters need windows [N, L, C] and targets [N, H, C], but the shapes are {x.shape} and {y.shape}; "
            "use TfdsSeries(), Series(time_ordered=True), or another learner"
        )
    if x.shape[1] < min_steps:
        raise UsageError(f"{name}={min_steps} exceeds the {x.shape[1]} steps of a window; choose at most {x.shape[1]}")
    return int(y.shape[1])


def _least_squares(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Solution of the normal equations; of minimum norm where a constant series leaves them singular."""
    return np.linalg.lstsq(gram, moment, rcond=None)[0]
