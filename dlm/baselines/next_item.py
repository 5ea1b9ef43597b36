"""Classical next-item recommenders: popularity, item-based k-nearest neighbors, implicit matrix factorization.

All take histories x int [N, L] (0 is padding) and next items y int [N, 1], and output a score for each of `num_outputs`
items; items of the history are excluded.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from dlm.baselines.base import FittedBaseline, check_positive, require_next_items
from dlm.data.dataset import EXCLUDED_LOGIT
from dlm.utils.errors import UsageError, at_least

ROWS_PER_BLOCK = 4096  # bounds memory


def _without_history(scores: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Scores [B, vocabulary] with EXCLUDED_LOGIT for padding and the items of the histories x [B, L]; in place."""
    np.put_along_axis(scores, x, EXCLUDED_LOGIT, axis=1)
    scores[:, 0] = EXCLUDED_LOGIT
    return scores


@dataclasses.dataclass(frozen=True)
class Popularity:
    """Log-probabilities by item frequency, with one added to each count."""

    check = require_next_items

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Count the items y int [N, 1]. `seed` has no effect."""
        scores = np.log(_item_frequencies(y, num_outputs)).astype(np.float32)
        return FittedBaseline(1, lambda inputs: _without_history(np.tile(scores, (len(inputs), 1)), inputs))


@dataclasses.dataclass(frozen=True)
class NextItemKNN:
    """Item-based k-nearest neighbors: cosine similarity of "next" and "earlier" items, summed over the history.

    Linden et al. (2003), "Amazon.com recommendations"; Deshpande & Karypis (2004), "Item-based top-N recommendation
    algorithms". The item k positions before the last has weight `decay` ** k; a similarity is shrunk by
    count / (count + `shrinkage`). Scores are normalized and mixed with item frequencies of weight `popularity_weight`.
    """

    decay: float = 0.9
    shrinkage: float = 10.0
    popularity_weight: float = 0.1

    def __post_init__(self) -> None:
        at_least(0, shrinkage=self.shrinkage)
        if not 0 < self.decay <= 1:
            raise UsageError(f"decay={self.decay} must be above 0 and at most 1 (equal weights)")
        if not 0 < self.popularity_weight < 1:
            raise UsageError(f"popularity_weight={self.popularity_weight} must be between 0 and 1, for example 0.1")

    check = require_next_items

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x int [N, L] and y int [N, 1]; outputs are log-probabilities. `seed` has no effect."""
        earlier = self._histories(x, num_outputs, weighted=False)
        next_items = sparse.csr_array((np.ones(len(y), np.float32), (np.arange(len(y)), y[:, 0])), earlier.shape)
        counts = (earlier.T @ next_items).tocoo()
        norms = [np.sqrt(np.maximum(np.asarray(m.sum(axis=0)).reshape(-1), 1)) for m in (earlier, next_items)]
        row, column = counts.coords
        cosine = counts.data / (norms[0][row] * norms[1][column])
        cosine *= counts.data / (counts.data + self.shrinkage)
        similarity = sparse.csr_array((cosine.astype(np.float32), (row, column)), counts.shape)
        frequencies = _item_frequencies(y, num_outputs).astype(np.float32)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            scores = (self._histories(inputs, num_outputs, weighted=True) @ similarity).toarray()
            total = scores.sum(axis=1, keepdims=True)
            scores *= (1 - self.popularity_weight) / np.where(total > 0, total, 1)
            scores += self.popularity_weight * frequencies
            return _without_history(np.log(scores), inputs)

        return FittedBaseline(1, outputs)

    def _histories(self, x: np.ndarray, num_items: int, *, weighted: bool) -> sparse.csr_array:
        weights = self.decay ** np.arange(x.shape[1] - 1, -1, -1) if weighted else np.ones(x.shape[1])
        return _interactions(x, num_items, np.broadcast_to(weights, x.shape))


@dataclasses.dataclass(frozen=True)
class ImplicitALS:
    """Matrix factorization of implicit feedback by alternating least squares; a new history is folded in.

    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets": preference 1 with confidence
    1 + `alpha` for observed items, 0 with confidence 1 for all others. A row is an event: a history and the next item.
    Histories of one user overlap, so at most `max_events` events, sampled at random, are used. Scores are not logits.
    """

    factors: int = 32
    alpha: float = 10.0
    regularization: float = 10.0
    iterations: int = 8
    max_events: int = 20_000

    def __post_init__(self) -> None:
        at_least(1, factors=self.factors, iterations=self.iterations, max_events=self.max_events)
        check_positive(alpha=self.alpha, regularization=self.regularization)

    check = require_next_items

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x int [N, L] and y int [N, 1]. `seed` determines the initial factors and the sampled events."""
        random = np.random.default_rng(seed)
        sampled = random.permutation(len(x))[: self.max_events]
        items_of_event = np.concatenate([x[sampled], y[sampled]], axis=1)
        events = _interactions(items_of_event, num_outputs, np.ones(items_of_event.shape))
        events_of_item = events.T.tocsr()
        items = random.normal(0, 0.1, (num_outputs, self.factors)).astype(np.float32)
        for _ in range(self.iterations):
            items = self._solve(events_of_item, self._solve(events, items))

        def outputs(inputs: np.ndarray) -> np.ndarray:
            histories = _interactions(inputs, num_outputs, np.ones(inputs.shape))
            return _without_history(self._solve(histories, items) @ items.T, inputs)

        return FittedBaseline(self.iterations, outputs)

    def _solve(self, interactions: sparse.csr_array, others: np.ndarray) -> np.ndarray:
        """Row factors [rows, factors] from the column factors `others`, by confidence-weighted least squares."""
        size = others.shape[1]
        base_gram = others.T @ others + self.regularization * np.eye(size, dtype=np.float32)
        outer = (others[:, :, None] * others[:, None, :]).reshape(len(others), -1)
        factors = np.empty((interactions.shape[0], size), np.float32)
        for start in range(0, len(factors), ROWS_PER_BLOCK):
            block = interactions[start : start + ROWS_PER_BLOCK]
            gram = base_gram[None] + self.alpha * (block @ outer).reshape(-1, size, size)
            right = (1 + self.alpha) * (block @ others)
            factors[start : start + ROWS_PER_BLOCK] = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
        return factors


def _item_frequencies(y: np.ndarray, num_items: int) -> np.ndarray:
    """Relative frequencies of items y int [N, 1], with one added to each count. float64 [num_items]."""
    counts = np.bincount(y[:, 0], minlength=num_items) + 1.0
    return counts / counts.sum()


def _interactions(items: np.ndarray, num_items: int, weights: np.ndarray) -> sparse.csr_array:
    """Matrix [N, num_items] of items int [N, L] (0 is padding) with weights [N, L]."""
    row, position = np.nonzero(items)
    values = weights[row, position].astype(np.float32)
    return sparse.csr_array((values, (row, items[row, position])), (len(items), num_items))
