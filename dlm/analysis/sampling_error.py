"""Estimates the sampling error of the test set by a bootstrap over its saved predictions.

All curves of a study are measured on one test set, so the bootstrap draws test examples (or groups of them, where
examples of a group are not independent) once for all curves: its replicates give the standard error of each curve's
last error and the correlations between curves. Of a study with several hold-outs, whose test sets are disjoint, the
variances and covariances add up, with the squared share of the seeds in each hold-out as weight.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dlm.analysis.predictions import TestSet, block_size, on_test_set, power_of_mean, predictions, read_test_sets
from dlm.curves.new_examples import DEFAULT_CORRELATION
from dlm.curves.types import Curve, Tails
from dlm.storage.record_log import Record
from dlm.study.names import UNIT_MISSED_AUPRC

NUM_REPLICATES = 1000
_LEAST_SHARE = 0.25  # of the variance of the mean over seeds, that remains without the seeds' own noise
_CHUNK = 2**24  # weights in memory

Selected = Mapping[str, Mapping[int, Sequence[Record]]]  # by curve and size: the row that ends each trial


def with_sampling_errors(
    folder: Path, curves: Sequence[Curve], selected: Selected
) -> tuple[list[Curve], list[list[float]]]:
    """The curves with `test_stderr`, and the correlations [L][L] of their sampling errors.

    Curves without saved predictions, or whose error is not computed from them, keep `test_stderr` None.
    """
    rows = [_last_rows(curve, selected) for curve in curves]
    count = len(curves)
    covariance, variances, squares = np.zeros((count, count)), np.zeros((count, count)), np.zeros(count)
    parts: list[list[tuple[_SeedErrors, np.ndarray, float]]] = [[] for _ in curves]
    for test in read_test_sets(folder):
        on_test = [on_test_set(own, test) for own in rows]
        seeds = [_errors(folder, curve, own, test) for curve, own in zip(curves, on_test)]
        known = [k for k, item in enumerate(seeds) if item is not None]
        if not known:
            continue
        weights = np.array([len(on_test[k]) / len(rows[k]) for k in known])
        replicates = _replicates([seeds[k] for k in known], groups_of(test))  # type: ignore[misc]
        both = np.ix_(known, known)
        covariance[both] += np.outer(weights, weights) * np.cov([item.mean(axis=0) for item in replicates])
        # The variance of each row's curve, in the hold-outs where the column's curve is known too.
        variances[both] += (weights**2 * [_variance_without_seeds(item) for item in replicates])[:, None]
        squares[known] += weights**2
        for k, weight in zip(known, weights.tolist()):
            parts[k].append((seeds[k], groups_of(test), weight / len(test.y)))  # type: ignore[arg-type]
    scale = np.sqrt(variances * variances.T)
    correlation = np.divide(covariance, scale, out=np.full_like(scale, DEFAULT_CORRELATION), where=scale > 0)
    np.fill_diagonal(correlation, 1.0)
    result = list(curves)
    for k in np.flatnonzero(squares).tolist():
        # Hold-outs without saved predictions have the mean variance of the others.
        variance = variances[k, k] / squares[k] * _sum_of_squared_shares(rows[k])
        stderr = math.sqrt(variance) if variance > 0 else None
        result[k] = dataclasses.replace(curves[k], test_stderr=stderr, test_tails=_tails(parts[k]))
    return result, np.clip(correlation, -1.0, 1.0).tolist()


def _last_rows(curve: Curve, selected: Selected) -> list[Record]:
    """The final rows behind a curve's last error."""
    rows = selected.get(curve.learner, {}).get(curve.train_sizes[-1], ()) if curve.train_sizes else ()
    return [row for row in rows if row.value is not None]


def _sum_of_squared_shares(rows: Sequence[Record]) -> float:
    """Sum of the squared shares of the rows in each hold-out: 1 for one, 1/k for k of equal shares."""
    return sum((count / len(rows)) ** 2 for count in Counter(row.hold_out for row in rows).values())


def groups_of(test: TestSet) -> np.ndarray:
    """The independent group of each test example [N]: 0, 1, …; examples without groups are their own."""
    groups = test.content.get("test_groups")
    if groups is not None and len(groups) == len(test.y):
        return np.unique(groups, return_inverse=True)[1]
    return np.arange(len(test.y)) // block_size(test)


@dataclasses.dataclass(frozen=True)
class _SeedErrors:
    """Per-example numbers of each seed [S, N] whose weighted mean, to `power`, is the error; or scores and labels."""

    values: np.ndarray
    power: float = 1.0
    labels: np.ndarray | None = None  # then the error is 1 − average precision of the scores `values`

    def statistic(self, weights: np.ndarray) -> np.ndarray:
        """The error [S, B] of each seed under each row of weights [B, N]."""
        if self.labels is not None:
            return np.stack([1 - _average_precision(scores, self.labels, weights) for scores in self.values])
        return np.asarray((self.values @ weights.T / weights.sum(axis=1)) ** self.power)


def _tails(parts: Sequence[tuple[_SeedErrors, np.ndarray, float]]) -> Tails:
    """Shape of the groups' sums of the mean over seeds; that of a normal distribution for scores.

    parts: of each hold-out the errors, the groups, and the weight of an example in the mean. The degrees of freedom are
    those of the variance of N numbers with their kurtosis: 2N / (kurtosis - 1).
    """
    first, _, unit = parts[0]
    if first.labels is not None:
        return Tails()
    sums = [np.bincount(groups, item.values.mean(axis=0)) for item, groups, _ in parts]
    deviation = np.concatenate([weight / unit * (own - own.mean()) for own, (_, _, weight) in zip(sums, parts)])
    if not (spread := float(deviation.std())):
        return Tails(first.power)
    skewness, kurtosis = (float(np.mean((deviation / spread) ** power)) for power in (3, 4))
    freedom = max(2.0, 2 * len(deviation) / max(kurtosis - 1, 1e-3))
    return Tails(first.power, freedom, skewness / math.sqrt(len(deviation)))


def _errors(folder: Path, curve: Curve, rows: Sequence[Record], test: TestSet) -> _SeedErrors | None:
    """The saved predictions of a test set behind a curve's last error; None if they do not determine the error."""
    saved = predictions(folder, rows, test)
    if not saved:
        return None
    if curve.unit == UNIT_MISSED_AUPRC and all("probabilities" in item for item in saved):
        scores = np.stack([np.asarray(item["probabilities"][:, 1], float) for item in saved])
        return _SeedErrors(scores, labels=np.asarray(test.y == 1, float))
    power = power_of_mean(saved, rows)
    if power is None:
        return None
    return _SeedErrors(
        np.stack([np.asarray(item["error"], float).reshape(len(test.y), -1).mean(1) for item in saved]), power
    )


def _replicates(seeds: Sequence[_SeedErrors], groups: np.ndarray) -> list[np.ndarray]:
    """Bootstrap replicates [S, B] of each curve's errors; every curve uses the same draws of groups."""
    rng = np.random.default_rng(0)
    num_groups = int(groups.max()) + 1
    per_chunk = max(1, _CHUNK // len(groups))
    parts: list[list[np.ndarray]] = [[] for _ in seeds]
    for start in range(0, NUM_REPLICATES, per_chunk):
        count = min(per_chunk, NUM_REPLICATES - start)
        counts = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=count)
        weights = counts.astype(np.float32)[:, groups]
        for part, item in zip(parts, seeds):
            part.append(item.statistic(weights))
    return [np.nan_to_num(np.concatenate(part, axis=1)) for part in parts]


def _variance_without_seeds(replicates: np.ndarray) -> float:
    """Variance by the test set of the expected error over seeds, from replicates [S, B].

    The mean over S seeds also varies because the models of the seeds are wrong on different examples. The spread of the
    seeds contains that part, so it is removed: it follows from the variances of single seeds and of their mean.
    """
    count = len(replicates)
    of_mean = float(replicates.mean(axis=0).var(ddof=1))
    if count == 1:
        return of_mean
    of_single = float(replicates.var(axis=1, ddof=1).mean())
    return max((count * of_mean - of_single) / (count - 1), _LEAST_SHARE * of_mean)


def _average_precision(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision [B] of scores [N] for binary labels [N], under weights [B, N]; ties share their rank."""
    order = np.argsort(-scores, kind="stable")
    last = np.searchsorted(-scores[order], -scores[order], side="right") - 1  # the last example of each tie
    positive = weights[:, order] * labels[order]
    above, all_above = np.cumsum(positive, axis=1)[:, last], np.cumsum(weights[:, order], axis=1)[:, last]
    precision = above / np.maximum(all_above, 1e-12)
    return np.asarray((positive * precision).sum(axis=1) / np.maximum(positive.sum(axis=1), 1e-12))
