"""Classical forecasts of series: the last period again, a linear map of windows, and autoregression.

All take windows x [N, L, C] and what follows them, y [N, H, C], and treat each of the C series by itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from dlm.baselines.base import Fitted
from dlm.data.dataset import Dataset, Rows
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class SeasonalNaive:
    """The last `period` steps again and again; of period 1 the last value. There is nothing to fit."""

    period: int = 1

    def __post_init__(self) -> None:
        at_least(1, period=self.period)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless windows are forecast, and long enough."""
        _horizon(dataset.train.x, dataset.train.y, self.period, "period")

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Only the shapes of x [N, L, C] and y [N, H, C] count."""
        horizon = _horizon(x, y, self.period, "period")
        steps = np.arange(horizon) % self.period
        return Fitted(0, lambda inputs: inputs[:, -self.period :][:, steps].reshape(len(inputs), num_outputs))


@dataclasses.dataclass(frozen=True)
class LinearSeries:
    """One linear map from L steps to the next H, shared by all series, by ridge regression in closed form.

    Each window's last value is subtracted before and added after: the NLinear of Zeng et al. (2023), "Are Transformers
    effective for time series forecasting?". Their DLinear, two maps of a trend and of what is left, is the same family
    of functions, as trend and rest are linear in the window. `alpha` is the strength of the penalty.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, alpha=self.alpha)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless windows are forecast."""
        _horizon(dataset.train.x, dataset.train.y)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x [N, L, C], y [N, H, C], by the normal equations, one series' rows after another's."""
        horizon, context = _horizon(x, y), x.shape[1]
        gram, moment = np.zeros((context + 1,) * 2), np.zeros((context + 1, horizon))
        for series in range(x.shape[2]):
            last = x[:, -1:, series].astype(np.float64)
            rows = np.concatenate([x[:, :, series] - last, np.ones_like(last)], axis=1)
            gram += rows.T @ rows
            moment += rows.T @ (y[:, :, series] - last)
        gram[np.diag_indices(context)] += self.alpha  # not the constant
        weights = _solved(gram, moment)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            last = inputs[:, -1:]
            steps = np.einsum("nlc,lh->nhc", inputs - last, weights[:-1], optimize=True) + weights[None, -1, :, None]
            return (steps + last).reshape(len(inputs), num_outputs)

        return Fitted(1, outputs)


@dataclasses.dataclass(frozen=True)
class AutoRegressive:
    """AR(p): each series' next step from its last `order` and a constant, by least squares; H steps by iterating."""

    order: int = 24

    def __post_init__(self) -> None:
        at_least(1, order=self.order)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless windows are forecast, and long enough."""
        _horizon(dataset.train.x, dataset.train.y, self.order, "order")

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to every step of the history that x [N, L, C] and y [N, H, C] are windows of, each counted once."""
        horizon = _horizon(x, y, self.order, "order")
        grams = np.zeros((x.shape[2], self.order + 2, self.order + 2))
        for piece in pieces(np.concatenate([x, y], axis=1)):
            lags = np.lib.stride_tricks.sliding_window_view(piece, self.order + 1, axis=0).transpose(1, 0, 2)
            rows = np.concatenate([np.ones((*lags.shape[:2], 1)), lags], axis=2)
            grams += rows.transpose(0, 2, 1) @ rows
        weights = np.stack([_solved(gram[:-1, :-1], gram[:-1, -1]) for gram in grams])  # [C, 1 + order]

        def outputs(inputs: np.ndarray) -> np.ndarray:
            steps = [*inputs[:, -self.order :].astype(np.float64).transpose(1, 0, 2)]
            for _ in range(horizon):
                past = np.stack(steps[-self.order :])
                steps.append(weights[None, :, 0] + np.einsum("pnc,cp->nc", past, weights[:, 1:]))
            return np.stack(steps[-horizon:], axis=1).reshape(len(inputs), num_outputs)

        return Fitted(1, outputs)


def pieces(windows: np.ndarray) -> Iterator[np.ndarray]:
    """The stretches of history [T, C] that windows [N, W, C] were cut from, no step of one twice.

    Windows that follow one another backwards by one step, as the latest first do, are joined; others stand alone.
    """
    joined = [np.array_equal(later[:-1], earlier[1:]) for later, earlier in itertools.pairwise(windows)]
    starts = [0, *(at + 1 for at, is_joined in enumerate(joined) if not is_joined), len(windows)]
    for start, end in itertools.pairwise(starts):
        yield np.concatenate([windows[start:end, 0][::-1], windows[start, 1:]]).astype(np.float64)


def _horizon(x: np.ndarray | Rows, y: np.ndarray, least: int = 1, name: str = "") -> int:
    """H of targets [N, H, C]. UsageError if they are of another form, or windows shorter than what is looked back."""
    if x.ndim != 3 or y.ndim != 3 or x.shape[2] != y.shape[2]:
        raise UsageError(
            f"forecasts go from windows [N, L, C] to [N, H, C], and these have shapes {x.shape} and {y.shape}; choose "
            "TfdsSeries(), Series(in_time=True), or another learner"
        )
    if x.shape[1] < least:
        raise UsageError(f"{name}={least} looks back further than the {x.shape[1]} steps of a window; choose fewer")
    return int(y.shape[1])


def _solved(gram: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Least squares by its normal equations; the least weights where a flat series leaves them open."""
    return np.linalg.lstsq(gram, moment, rcond=None)[0]
