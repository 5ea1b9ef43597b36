"""Fits published scaling laws to log error: M1 to M4 and the broken neural scaling law.

M1 y = βx^-c; M2 y = ε + βx^-c; M3 y = β(1/x + γ)^c; M4 (y - ε)/(ε₀ - y)^α = βx^-c (Alabdulmohsin, Neyshabur and
Zhai 2022, arXiv 2209.06640); BNSL y = a + bx^-c₀ Π(1 + (x/dᵢ)^(1/fᵢ))^(-cᵢfᵢ) (Caballero et al. 2023, arXiv
2210.14891). Here ε and ε₀ of M4 minimize the error of log y instead of log(y - ε), which
favours ε = 0. Each law is fitted from many starts; linear parameters of a start have a closed-form solution.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.protocols import Task
from benchmarks.forecasting.single_laws import clipped, positive

Array = NDArray[np.float64]
Curve = Callable[[Array, Array], Array]  # log error [K] of free parameters and log relative sizes [K]

NUM_STARTS = 4
HELD_OUT = 0.2  # share of the largest fitted points that selects the number of breaks
GAIN = 0.25  # the second break must reduce their squared error to this share: best for BNSL on the open curves
MAX_POINTS = 80  # more points are merged with neighbours on the log axis, which changes no fit noticeably
_MAX_EVALUATIONS = 100
_MAX_BROKEN = 300  # the broken law converges slowly
_NEWTON_STEPS = 16
_FARTHEST = 60.0


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Log relative sizes [K] (0 at the largest), log errors [K] relative to `scale`, and weights (points merged)."""

    logs: Array
    target: Array
    weight: Array
    largest: float
    scale: float
    ceiling: float

    def log_sizes(self, train_sizes: Array) -> Array:
        """Log relative sizes."""
        return np.asarray(np.log(np.asarray(train_sizes, dtype=float) / self.largest))


def read(task: Task) -> Data:
    """The fitted points of a task; `ceiling` is the largest error possible, relative to the scale."""
    errors = positive(task)
    logs, target = np.log(task.train_sizes / task.train_sizes[-1]), np.log(errors)
    logs, target, weight = merge_neighbours(logs, target, MAX_POINTS)
    scale = float(np.exp(target[-1]))
    ceiling = np.inf if task.bound[1] is None else task.bound[1] / scale
    return Data(logs, target - np.log(scale), weight, float(task.train_sizes[-1]), scale, float(ceiling))


def merge_neighbours(logs: Array, target: Array, most: int) -> tuple[Array, Array, Array]:
    """At most `most` points: means of neighbours on the log axis, weighted by their number."""
    if len(logs) <= most:
        return logs, target, np.ones(len(logs))
    edges = np.linspace(logs[0], logs[-1], most + 1)
    index = np.clip(np.searchsorted(edges, logs, side="right") - 1, 0, most - 1)
    _, index, count = np.unique(index, return_inverse=True, return_counts=True)
    return np.bincount(index, logs) / count, np.bincount(index, target) / count, count.astype(float)


def polish(
    curve: Curve, data: Data, starts: list[Array], low: Array, high: Array, most: int = _MAX_EVALUATIONS
) -> tuple[Array, float]:
    """The best free parameters from several starts, by least squares on log error, and the mean squared residual."""
    from scipy.optimize import least_squares  # slow to import

    root = np.sqrt(data.weight)
    best, least = starts[0], np.inf
    for start in starts:
        inside = np.clip(start, low + 1e-6, high - 1e-6)
        solution = least_squares(
            lambda free: np.clip(curve(free, data.logs) - data.target, -_FARTHEST, _FARTHEST) * root,
            inside,
            bounds=(low, high),
            x_scale="jac",
            max_nfev=most,
        )
        if solution.cost < least:
            best, least = solution.x, float(solution.cost)
    return best, 2 * least / float(data.weight.sum())


def best_starts(curve: Curve, data: Data, candidates: list[Array], num: int = NUM_STARTS) -> list[Array]:
    """The candidates that fit best, before the least-squares fit."""
    misfit = [float(data.weight @ np.minimum((curve(c, data.logs) - data.target) ** 2, 1e6)) for c in candidates]
    return [candidates[place] for place in np.argsort(misfit)[:num]]


def line(data: Data, feature: Array, target: Array) -> tuple[float, float]:
    """Intercept and slope [2] of the weighted regression of target on feature."""
    root = np.sqrt(data.weight)
    design = np.stack([root, feature * root], axis=1)
    intercept, slope = np.linalg.lstsq(design, target * root, rcond=None)[0]
    return float(intercept), float(slope)


def m1(data: Data) -> Callable[[Array], Array]:
    """A straight line in log-log."""
    intercept, slope = line(data, data.logs, data.target)
    return lambda z: intercept + slope * z


def m2(data: Data) -> Callable[[Array], Array]:
    """A power law with a limit: free are the limit, log β and c."""

    def curve(free: Array, z: Array) -> Array:
        return np.asarray(np.log(np.maximum(free[0] + np.exp(free[1] - free[2] * z), 1e-12)))

    least = float(np.exp(data.target.min()))
    candidates = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97):
        intercept, slope = line(data, data.logs, np.log(np.exp(data.target) - share * least * 0.999))
        candidates.append(np.array([share * least, intercept, max(-slope, 0.0)]))
    low, high = np.array([0.0, -50.0, 0.0]), np.array([least, 50.0, 10.0])
    free, _ = polish(curve, data, best_starts(curve, data, candidates), low, high)
    return lambda z: curve(free, z)


def m3(data: Data) -> Callable[[Array], Array]:
    """β(1/x + γ)^c: free are log β, c and log γ."""

    def curve(free: Array, z: Array) -> Array:
        return np.asarray(free[0] + free[1] * np.logaddexp(-z, free[2]))

    candidates = []
    for log_gamma in np.linspace(-12.0, 6.0, 37):
        intercept, slope = line(data, np.logaddexp(-data.logs, log_gamma), data.target)
        candidates.append(np.array([intercept, max(slope, 0.0), log_gamma]))
    low, high = np.array([-200.0, 0.0, -25.0]), np.array([200.0, 60.0, 12.0])
    free, _ = polish(curve, data, best_starts(curve, data, candidates), low, high)
    return lambda z: curve(free, z)


def m4_log_error(free: Array, z: Array) -> Array:
    """Log error [K] of M4; free are ε, log(ε₀ - ε), α, log β and c."""
    limit, log_range, alpha, log_beta, exponent = free
    # Solves w/(1 - w)^α = f for the share w of ε₀ - ε above ε in u = log w - log(1 - w). The function is increasing
    # and convex or concave, so Newton's method converges from any start.
    target = log_beta - exponent * z + (alpha - 1.0) * log_range
    place = np.clip(target, -_FARTHEST, _FARTHEST)
    for _ in range(_NEWTON_STEPS):
        value = -np.logaddexp(0.0, -place) + alpha * np.logaddexp(0.0, place)
        slope = (1.0 + alpha * np.exp(place)) / (1.0 + np.exp(place))
        place = np.clip(place + (target - value) / np.maximum(slope, 1e-12), -_FARTHEST, _FARTHEST)
    share = -np.logaddexp(0.0, -place)
    return np.asarray(np.log(np.maximum(limit + np.exp(log_range + share), 1e-12)))


def m4(data: Data) -> Callable[[Array], Array]:
    """The law with a ceiling ε₀ and a floor ε."""
    error = np.exp(data.target)
    least, most = float(error.min()), float(error.max())
    top = data.ceiling if np.isfinite(data.ceiling) else 10 * most
    root = np.sqrt(data.weight)
    candidates = []
    ceilings = most + (max(top, 1.001 * most) - most) * np.array([1e-3, 0.03, 0.2, 0.999])
    for share, ceiling in itertools.product((0.0, 0.2, 0.4, 0.6, 0.8, 0.95), ceilings):
        limit = share * least
        design = np.stack([np.ones(len(error)), -data.logs, np.log(ceiling - error)], axis=1)
        solution = np.linalg.lstsq(design * root[:, None], np.log(error - 0.999 * limit) * root, rcond=None)[0]
        log_beta, exponent, alpha = float(solution[0]), float(max(solution[1], 0.01)), float(max(solution[2], 0.0))
        candidates.append(np.array([limit, np.log(ceiling - limit), alpha, log_beta, exponent]))
    low = np.array([0.0, np.log(1e-6), 0.0, -50.0, 0.0])
    high = np.array([least, np.log(max(top, 1.001 * most)), 20.0, 50.0, 10.0])
    free, _ = polish(m4_log_error, data, best_starts(m4_log_error, data, candidates), low, high)
    return lambda z: m4_log_error(free, z)


def bnsl_log_error(free: Array, z: Array) -> Array:
    """Log error [K] of the broken law; free are a, log b, c₀ and for each break cᵢ, log dᵢ, log fᵢ."""
    logs = free[1] - free[2] * z
    for change, place, width in free[3:].reshape(-1, 3):
        sharp = np.exp(width)
        logs = logs - change * sharp * np.logaddexp(0.0, (z - place) / sharp)
    return np.asarray(np.log(np.maximum(free[0] + np.exp(np.clip(logs, -_FARTHEST, _FARTHEST)), 1e-12)))


def bnsl(data: Data, breaks: int) -> Callable[[Array], Array]:
    """The broken power law with `breaks` breaks, from a grid of positions and widths."""
    least, first = float(np.exp(data.target.min())), float(data.logs[0])
    places = np.linspace(first, 0.0, 8)[1:-1] if breaks > 1 else np.linspace(1.1 * first, 0.2 * abs(first), 10)
    root = np.sqrt(data.weight)
    candidates = []
    for share in (0.0, 0.4, 0.8):
        floor = share * least
        for where in itertools.combinations(places, breaks):
            for sharp in (0.1, 0.5, 1.5):
                bends = [-sharp * np.logaddexp(0.0, (data.logs - place) / sharp) for place in where]
                design = np.stack([np.ones(len(data.logs)), -data.logs, *bends], axis=1)
                target = np.log(np.exp(data.target) - 0.999 * floor)
                solution = np.linalg.lstsq(design * root[:, None], target * root, rcond=1e-6)[0]
                tail = [[change, place, np.log(sharp)] for change, place in zip(solution[2:], where)]
                candidates.append(np.concatenate([[floor, solution[0], solution[1]], *tail]))
    low = np.array([0.0, -40.0, -5.0, *([-20.0, 1.5 * first, np.log(0.02)] * breaks)])
    high = np.array([least, 40.0, 5.0, *([20.0, abs(first), np.log(5.0)] * breaks)])
    starts = best_starts(bnsl_log_error, data, candidates)
    free, _ = polish(bnsl_log_error, data, starts, low, high, _MAX_BROKEN)
    return lambda z: bnsl_log_error(free, z)


def chosen_bnsl(data: Data) -> Callable[[Array], Array]:
    """The broken law with one break, or with two if these predict the held-out largest points much better."""
    num = len(data.logs)
    inner = num - max(round(HELD_OUT * num), 1)
    if inner < 9:  # parameters of two breaks
        return bnsl(data, 1)
    part = dataclasses.replace(data, logs=data.logs[:inner], target=data.target[:inner], weight=data.weight[:inner])
    errors = []
    for breaks in (1, 2):
        residuals = bnsl(part, breaks)(data.logs[inner:]) - data.target[inner:]
        errors.append(float(data.weight[inner:] @ residuals**2))
    return bnsl(data, 2 if errors[1] < GAIN * errors[0] else 1)


LAWS: dict[str, Callable[[Data], Callable[[Array], Array]]] = {
    "M1": m1,
    "M2": m2,
    "M3": m3,
    "M4": m4,
    "BNSL": chosen_bnsl,
}


def predict(task: Task) -> dict[str, Array]:
    """Prediction [A] of each published law at the requested sizes, fitted to the visible points."""
    data = read(task)
    return {
        name: clipped(data.scale * np.exp(np.clip(law(data)(data.log_sizes(task.at)), -_FARTHEST, _FARTHEST)), task)
        for name, law in LAWS.items()
    }
