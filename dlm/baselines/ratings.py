"""Classical rating predictors: biases, item-based k-nearest neighbors, and alternating least squares.

All take x int [N, 2], (user, item), and y float [N]. A user or item that is not in the subset has bias and factors 0.
Predictions are clipped to the range of the training ratings. Only the initial factors of ALS are random.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from dlm.baselines.base import FittedBaseline, check_positive, require_ratings
from dlm.utils.errors import at_least

INITIAL_FACTOR_STD = 0.1


@dataclasses.dataclass(frozen=True)
class BiasModel:
    """Mean rating plus a regularized bias of the user and of the item (Koren 2010, "Factor in the neighbors").

    A bias is the sum of residuals divided by their number plus `user_regularization` or `item_regularization`, which is
    least squares with these L2 penalties, alternating for `iterations` rounds.
    """

    user_regularization: float = 5.0
    item_regularization: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        at_least(0, user_regularization=self.user_regularization, item_regularization=self.item_regularization)
        at_least(1, iterations=self.iterations)

    check = require_ratings

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x int [N, 2] and y float [N]. `seed` has no effect."""
        biases = _fit_biases(self, x, y)
        return FittedBaseline(self.iterations, lambda inputs: _clip(biases(inputs), y))


@dataclasses.dataclass(frozen=True)
class ItemKNN:
    """Item-based k-nearest neighbors on the residuals of a bias model.

    Sarwar et al. (2001), "Item-based collaborative filtering", with similarities shrunk by
    common / (common + `shrinkage`) after Koren (2010), where `common` counts shared users. Only positive similarities
    count. A residual of 0 with similarity `damping` is added, so that few or dissimilar neighbors have little effect.
    """

    n_neighbors: int = 50
    shrinkage: float = 50.0
    damping: float = 0.5
    biases: BiasModel = BiasModel()

    def __post_init__(self) -> None:
        at_least(1, n_neighbors=self.n_neighbors)
        at_least(0, shrinkage=self.shrinkage, damping=self.damping)

    check = require_ratings

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x int [N, 2] and y float [N]; similarities are computed at prediction. `seed` has no effect."""
        biases, users, items = _fit_biases(self.biases, x, y), _Index.of(x[:, 0]), _Index.of(x[:, 1])
        indices = (users(x[:, 0]), items(x[:, 1]))
        shape = (users.size + 1, items.size + 1)
        residuals = sparse.csr_array(((y - biases(x)).astype(np.float64), indices), shape)
        observed = sparse.csr_array((np.ones(len(y)), indices), shape)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            correction = self._correction(residuals, observed, users(inputs[:, 0]), items(inputs[:, 1]))
            return _clip(biases(inputs) + correction, y)

        return FittedBaseline(1, outputs)

    def _correction(
        self, residuals: sparse.csr_array, observed: sparse.csr_array, users: np.ndarray, items: np.ndarray
    ) -> np.ndarray:
        """Correction of the biases by neighbors, user by user. users, items: int [N]; returns float64 [N].

        Products are dense, because most users share an item with a user who has rated many.
        """
        correction = np.zeros(len(users))
        columns_of = [matrix.tocsc().astype(np.float32) for matrix in (residuals, observed)]
        order = np.argsort(users, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
            user = users[rows[0]]
            rated, user_residuals = observed[[user]].indices, residuals[[user]].data
            if not len(rated):
                continue
            targets, position = np.unique(items[rows], return_inverse=True)
            left, right = ([matrix[:, c].toarray() for matrix in columns_of] for c in (targets, rated))
            products, common = left[0].T @ right[0], left[1].T @ right[1]
            squared_norms = (np.square(left[0]).T @ right[1]) * (left[1].T @ np.square(right[0]))
            shrunk = common / np.maximum(common + self.shrinkage, 1e-12)
            similarity = np.maximum(shrunk * products / np.sqrt(np.maximum(squared_norms, 1e-20)), 0)
            if len(rated) > self.n_neighbors:
                nearest = np.argpartition(-similarity, self.n_neighbors - 1, axis=1)[:, : self.n_neighbors]
                similarity, values = np.take_along_axis(similarity, nearest, axis=1), user_residuals[nearest]
            else:
                values = np.broadcast_to(user_residuals, similarity.shape)
            total = similarity.sum(axis=1) + self.damping
            correction[rows] = ((similarity * values).sum(axis=1) / np.where(total > 0, total, 1))[position]
        return correction


@dataclasses.dataclass(frozen=True)
class AlternatingLeastSquares:
    """Matrix factorization of ratings, mean + biases + product of `factors`, by alternating least squares.

    Zhou et al. (2008), "Large-scale parallel collaborative filtering for the Netflix prize": the L2 penalty of a user
    or an item is `regularization` times its number of ratings. Assumes ratings with a standard deviation of about 1.
    """

    factors: int = 10
    regularization: float = 0.1
    iterations: int = 15

    def __post_init__(self) -> None:
        at_least(1, factors=self.factors, iterations=self.iterations)
        check_positive(regularization=self.regularization)

    check = require_ratings

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x int [N, 2] and y float [N]. `seed` determines the initial factors of the items."""
        users, items, mean = _Index.of(x[:, 0]), _Index.of(x[:, 1]), float(np.mean(y, dtype=np.float64))
        ratings = sparse.csr_array(
            (y - mean, (users(x[:, 0]), items(x[:, 1]))), (users.size + 1, items.size + 1), dtype=np.float64
        )
        observed = sparse.csr_array((np.ones(len(y)), (users(x[:, 0]), items(x[:, 1]))), ratings.shape)
        by_user, by_item = (ratings, observed), (ratings.T.tocsr(), observed.T.tocsr())
        initial = np.random.default_rng(seed).normal(0, INITIAL_FACTOR_STD, (items.size + 1, self.factors + 1))
        item_factors = initial * (np.arange(self.factors + 1) > 0)  # column 0 is the bias, initially 0
        for _ in range(self.iterations):
            user_factors = self._solve(*by_user, item_factors)
            item_factors = self._solve(*by_item, user_factors)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            user, item = user_factors[users(inputs[:, 0])], item_factors[items(inputs[:, 1])]
            products = (user[:, 1:] * item[:, 1:]).sum(axis=1)
            return _clip(mean + user[:, 0] + item[:, 0] + products, y)

        return FittedBaseline(self.iterations, outputs)

    def _solve(self, ratings: sparse.csr_array, observed: sparse.csr_array, others: np.ndarray) -> np.ndarray:
        """Bias and factors [rows, 1 + factors] of each row, given those of the columns. float64.

        The features of a column are 1 and its factors; the target is the rating minus the column's bias.
        """
        features = np.concatenate([np.ones((len(others), 1)), others[:, 1:]], axis=1)
        size = features.shape[1]
        outer = (features[:, :, None] * features[:, None, :]).reshape(len(others), -1)
        gram = (observed @ outer).reshape(-1, size, size)
        count = np.asarray(observed.sum(axis=1)).reshape(-1)
        gram += (self.regularization * np.maximum(count, 1))[:, None, None] * np.eye(size)[None]
        right = ratings @ features - observed @ (features * others[:, :1])
        return np.linalg.solve(gram, right[:, :, None])[:, :, 0]


@dataclasses.dataclass(frozen=True)
class _Index:
    """Indices of the sorted `tokens` of a subset; a call maps an unknown token to `size`."""

    tokens: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray) -> _Index:
        return cls(np.unique(tokens))

    @property
    def size(self) -> int:
        return len(self.tokens)

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        index = np.minimum(np.searchsorted(self.tokens, tokens), self.size - 1)
        return np.where(self.tokens[index] == tokens, index, self.size)


@dataclasses.dataclass(frozen=True)
class _Biases:
    """A call with (user, item) [N, 2] returns mean + biases, float64 [N]; the last bias, 0, is for unknown tokens."""

    mean: float
    indices: tuple[_Index, _Index]
    values: tuple[np.ndarray, np.ndarray]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        user, item = (value[index(x[:, side])] for side, (index, value) in enumerate(zip(self.indices, self.values)))
        return self.mean + user + item


def _fit_biases(config: BiasModel, x: np.ndarray, y: np.ndarray) -> _Biases:
    indices = (_Index.of(x[:, 0]), _Index.of(x[:, 1]))
    users, items = (index(x[:, side]) for side, index in enumerate(indices))
    mean = float(np.mean(y, dtype=np.float64))
    user, item = (np.zeros(index.size + 1) for index in indices)
    for _ in range(config.iterations):
        item = _shrunk_means(items, y - mean - user[users], len(item), config.item_regularization)
        user = _shrunk_means(users, y - mean - item[items], len(user), config.user_regularization)
    return _Biases(mean, indices, (user, item))


def _shrunk_means(indices: np.ndarray, values: np.ndarray, size: int, regularization: float) -> np.ndarray:
    counts = np.bincount(indices, minlength=size)
    return np.bincount(indices, values, size) / np.maximum(counts + regularization, 1e-12)


def _clip(ratings: np.ndarray, training_ratings: np.ndarray) -> np.ndarray:
    """Ratings clipped to the range of the training ratings, float32 [N, 1]."""
    return np.clip(ratings, training_ratings.min(), training_ratings.max()).astype(np.float32)[:, None]
