"""Classical recommenders of the next item: the popular, neighbours of the history's items, implicit factors.

All take histories x int [N, L] (0 is padding) and the items that came next, y int [N, 1], and give a score for each of
`num_outputs` tokens; items of the history are not offered.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from dlm.baselines.base import Fitted, needs_next_items
from dlm.data.dataset import Dataset
from dlm.data.sources.ratings import withhold
from dlm.utils.errors import UsageError, at_least

ROWS_AT_ONCE = 4096  # whose products are in memory together


@dataclasses.dataclass(frozen=True)
class Popularity:
    """Log-probabilities by how often an item came, one being added to each count."""

    def check(self, dataset: Dataset) -> None:
        """UsageError unless next items are asked for."""
        needs_next_items(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module. Nothing is drawn."""
        scores = np.log(_popularity(y, num_outputs)).astype(np.float32)
        return Fitted(1, lambda inputs: withhold(np.tile(scores, (len(inputs), 1)), inputs))


@dataclasses.dataclass(frozen=True)
class NextNeighbours:
    """Neighbours of the history's items: how often an item came after them, as a cosine, added up over the history.

    Linden et al. (2003), "Amazon.com recommendations"; Deshpande & Karypis (2004), "Item-based top-N recommendation
    algorithms". The item `back` places before the last weighs `decay` ** back; a cosine is shrunk by together /
    (together + `shrinkage`). Sums are brought to shares, of which `popular` goes to items by how often they came.
    """

    decay: float = 0.9
    shrinkage: float = 10.0
    popular: float = 0.1

    def __post_init__(self) -> None:
        at_least(0, shrinkage=self.shrinkage)
        if not 0 < self.decay <= 1:
            raise UsageError(f"decay={self.decay} must be above 0 and at most 1, which lets all items weigh the same")
        if not 0 < self.popular < 1:
            raise UsageError(f"popular={self.popular} is a share between 0 and 1, such as 0.1")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless next items are asked for."""
        needs_next_items(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module: outputs are log-probabilities. Nothing is drawn."""
        before = self._histories(x, num_outputs, weighted=False)
        came = sparse.csr_array((np.ones(len(y), np.float32), (np.arange(len(y)), y[:, 0])), before.shape)
        together = (before.T @ came).tocoo()
        lengths = [np.sqrt(np.maximum(np.asarray(each.sum(axis=0)).reshape(-1), 1)) for each in (before, came)]
        row, column = together.coords
        cosine = together.data / (lengths[0][row] * lengths[1][column])
        cosine *= together.data / (together.data + self.shrinkage)
        similar = sparse.csr_array((cosine.astype(np.float32), (row, column)), together.shape)
        popularity = _popularity(y, num_outputs).astype(np.float32)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            scores = (self._histories(inputs, num_outputs, weighted=True) @ similar).toarray()
            total = scores.sum(axis=1, keepdims=True)
            scores *= (1 - self.popular) / np.where(total > 0, total, 1)
            scores += self.popular * popularity
            return withhold(np.log(scores), inputs)

        return Fitted(1, outputs)

    def _histories(self, x: np.ndarray, number: int, *, weighted: bool) -> sparse.csr_array:
        weights = self.decay ** np.arange(x.shape[1] - 1, -1, -1) if weighted else np.ones(x.shape[1])
        return _as_rows(x, number, np.broadcast_to(weights, x.shape))


@dataclasses.dataclass(frozen=True)
class ImplicitALS:
    """Factors of items from what was met together, and of a history by folding it in.

    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets": preference 1 for items that
    were met, 0 for all others, with confidence 1 + `alpha` and 1. A row is an event: its history and the item that
    came. Histories of one user overlap, so at most `rows` events are taken, which are drawn. Scores are no logits.
    """

    factors: int = 32
    alpha: float = 10.0
    penalty: float = 10.0
    iterations: int = 8
    rows: int = 20_000

    def __post_init__(self) -> None:
        at_least(1, factors=self.factors, iterations=self.iterations, rows=self.rows)
        for name in ("alpha", "penalty"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name}={getattr(self, name)} must be above 0, such as 10")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless next items are asked for."""
        needs_next_items(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module. `seed` draws the first factors and the rows."""
        random = np.random.default_rng(seed)
        taken = random.permutation(len(x))[: self.rows]
        met = np.concatenate([x[taken], y[taken]], axis=1)
        rows = _as_rows(met, num_outputs, np.ones(met.shape))
        columns = rows.T.tocsr()
        items = random.normal(0, 0.1, (num_outputs, self.factors)).astype(np.float32)
        for _ in range(self.iterations):
            items = self._solved(columns, self._solved(rows, items))

        def outputs(inputs: np.ndarray) -> np.ndarray:
            histories = _as_rows(inputs, num_outputs, np.ones(inputs.shape))
            return withhold(self._solved(histories, items) @ items.T, inputs)

        return Fitted(self.iterations, outputs)

    def _solved(self, met: sparse.csr_array, others: np.ndarray) -> np.ndarray:
        """Factors of each row of `met` from those of its columns: least squares with confidences. [rows, factors]."""
        size = others.shape[1]
        everywhere = others.T @ others + self.penalty * np.eye(size, dtype=np.float32)
        outer = (others[:, :, None] * others[:, None, :]).reshape(len(others), -1)
        found = np.empty((met.shape[0], size), np.float32)
        for start in range(0, len(found), ROWS_AT_ONCE):
            part = met[start : start + ROWS_AT_ONCE]
            gram = everywhere[None] + self.alpha * (part @ outer).reshape(-1, size, size)
            right = (1 + self.alpha) * (part @ others)
            found[start : start + ROWS_AT_ONCE] = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
        return found


def _popularity(y: np.ndarray, number: int) -> np.ndarray:
    """Shares by how often an item came, one being added to each count. float64 [number]."""
    counts = np.bincount(y[:, 0], minlength=number) + 1.0
    return counts / counts.sum()


def _as_rows(items: np.ndarray, number: int, weights: np.ndarray) -> sparse.csr_array:
    """Items int [N, L] as a matrix [N, number] with their weights [N, L]; 0 is none."""
    row, place = np.nonzero(items)
    values = weights[row, place].astype(np.float32)
    return sparse.csr_array((values, (row, items[row, place])), (len(items), number))
