"""Classical predictors of ratings: biases, neighbours of items, and factors by alternating least squares.

All take x int [N, 2], tokens of (user, item), and y float [N]. A user or item that the subset did not hold has bias and
factors 0. No prediction lies beyond the ratings that were seen. Nothing but ALS's first factors is drawn.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from dlm.baselines.base import Fitted, needs_ratings
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least

FIRST_FACTORS = 0.1  # standard deviation


@dataclasses.dataclass(frozen=True)
class BiasModel:
    """The mean rating, a bias of the user and one of the item, each shrunk (Koren 2010, "Factor in the neighbors").

    A bias is the sum of its ratings' residuals over their number plus `user_penalty` or `item_penalty`: the least
    squares with these L2 penalties, by turns, `iterations` times.
    """

    user_penalty: float = 5.0
    item_penalty: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        at_least(0, user_penalty=self.user_penalty, item_penalty=self.item_penalty)
        at_least(1, iterations=self.iterations)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless ratings of users and items are told."""
        needs_ratings(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module."""
        biases = _biases(self, x, y)
        return Fitted(self.iterations, lambda inputs: _clipped(biases(inputs), y))


@dataclasses.dataclass(frozen=True)
class ItemNeighbours:
    """What the biases leave, by the user's ratings of the `neighbours` most similar items.

    Sarwar et al. (2001), "Item-based collaborative filtering"; on residuals, with similarities shrunk by
    common / (common + `shrinkage`), by Koren (2010). Only positive similarities count, and a residual of 0 as one of
    similarity `damping`, so that few and unlike neighbours say little.
    """

    neighbours: int = 50
    shrinkage: float = 50.0
    damping: float = 0.5
    biases: BiasModel = BiasModel()

    def __post_init__(self) -> None:
        at_least(1, neighbours=self.neighbours)
        at_least(0, shrinkage=self.shrinkage, damping=self.damping)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless ratings of users and items are told."""
        needs_ratings(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module. Similarities are taken when they are asked for."""
        biases, users, items = _biases(self.biases, x, y), _Known.of(x[:, 0]), _Known.of(x[:, 1])
        places = (users(x[:, 0]), items(x[:, 1]))
        shape = (users.number + 1, items.number + 1)
        rest = sparse.csr_array(((y - biases(x)).astype(np.float64), places), shape)
        met = sparse.csr_array((np.ones(len(y)), places), shape)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            added = self._added(rest, met, users(inputs[:, 0]), items(inputs[:, 1]))
            return _clipped(biases(inputs) + added, y)

        return Fitted(1, outputs)

    def _added(self, rest: sparse.csr_array, met: sparse.csr_array, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """What neighbours add to the biases, user by user. users, items: int [N]; returns float64 [N].

        Products are dense: most users share some item with one who has rated many.
        """
        added = np.zeros(len(users))
        columns_of = [each.tocsc().astype(np.float32) for each in (rest, met)]
        order = np.argsort(users, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
            user = users[rows[0]]
            rated, own = met[[user]].indices, rest[[user]].data
            if not len(rated):
                continue
            wanted, place = np.unique(items[rows], return_inverse=True)
            one, other = ([each[:, columns].toarray() for each in columns_of] for columns in (wanted, rated))
            products, common = one[0].T @ other[0], one[1].T @ other[1]
            lengths = (np.square(one[0]).T @ other[1]) * (one[1].T @ np.square(other[0]))
            shrunk = common / np.maximum(common + self.shrinkage, 1e-12)
            similarity = np.maximum(shrunk * products / np.sqrt(np.maximum(lengths, 1e-20)), 0)
            added[rows] = _nearest_mean(similarity, own, self.neighbours, self.damping)[place]
        return added


@dataclasses.dataclass(frozen=True)
class AlternatingLeastSquares:
    """A rating as mean + biases + product of `factors` numbers of user and item, by least squares in turns.

    Zhou et al. (2008), "Large-scale parallel collaborative filtering for the Netflix prize": the L2 penalty of a user
    or an item is `penalty` times the number of its ratings. Ratings are to be of standard deviation about 1.
    """

    factors: int = 10
    penalty: float = 0.1
    iterations: int = 15

    def __post_init__(self) -> None:
        at_least(1, factors=self.factors, iterations=self.iterations)
        if self.penalty <= 0:
            raise UsageError(f"penalty={self.penalty} must be above 0, such as 0.1")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless ratings of users and items are told."""
        needs_ratings(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """See the module. `seed` draws the items' first factors."""
        users, items, mean = _Known.of(x[:, 0]), _Known.of(x[:, 1]), float(np.mean(y, dtype=np.float64))
        ratings = sparse.csr_array(
            (y - mean, (users(x[:, 0]), items(x[:, 1]))), (users.number + 1, items.number + 1), dtype=np.float64
        )
        met = sparse.csr_array((np.ones(len(y)), (users(x[:, 0]), items(x[:, 1]))), ratings.shape)
        sides = ((ratings, met), (ratings.T.tocsr(), met.T.tocsr()))
        draw = np.random.default_rng(seed).normal(0, FIRST_FACTORS, (items.number + 1, self.factors + 1))
        of_items = draw * (np.arange(self.factors + 1) > 0)  # no bias yet
        for _ in range(self.iterations):
            of_users = self._solved(*sides[0], of_items)
            of_items = self._solved(*sides[1], of_users)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            user, item = of_users[users(inputs[:, 0])], of_items[items(inputs[:, 1])]
            products = (user[:, 1:] * item[:, 1:]).sum(axis=1)
            return _clipped(mean + user[:, 0] + item[:, 0] + products, y)

        return Fitted(self.iterations, outputs)

    def _solved(self, ratings: sparse.csr_array, met: sparse.csr_array, others: np.ndarray) -> np.ndarray:
        """Bias and factors of each row, from those of its columns. float64 [rows, 1 + factors].

        Features of a column are 1 and its factors; what is to be explained is the rating less the column's bias.
        """
        features = np.concatenate([np.ones((len(others), 1)), others[:, 1:]], axis=1)
        size = features.shape[1]
        outer = (features[:, :, None] * features[:, None, :]).reshape(len(others), -1)
        gram = (met @ outer).reshape(-1, size, size)
        count = np.asarray(met.sum(axis=1)).reshape(-1)
        gram += (self.penalty * np.maximum(count, 1))[:, None, None] * np.eye(size)[None]
        right = ratings @ features - met @ (features * others[:, :1])
        return np.linalg.solve(gram, right[:, :, None])[:, :, 0]


@dataclasses.dataclass(frozen=True)
class _Known:
    """The tokens that were seen, sorted; a call gives their places, and for one that was not seen `number`."""

    tokens: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray) -> _Known:
        return cls(np.unique(tokens))

    @property
    def number(self) -> int:
        return len(self.tokens)

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self.tokens, tokens), self.number - 1)
        return np.where(self.tokens[place] == tokens, place, self.number)


@dataclasses.dataclass(frozen=True)
class _Biases:
    """Called with (user, item) [N, 2]: mean + biases, float64 [N]. The last bias, 0, is that of who was not seen."""

    mean: float
    known: tuple[_Known, _Known]
    values: tuple[np.ndarray, np.ndarray]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        user, item = (value[known(x[:, side])] for side, (known, value) in enumerate(zip(self.known, self.values)))
        return self.mean + user + item


def _biases(config: BiasModel, x: np.ndarray, y: np.ndarray) -> _Biases:
    known = (_Known.of(x[:, 0]), _Known.of(x[:, 1]))
    places = tuple(each(x[:, side]) for side, each in enumerate(known))
    mean = float(np.mean(y, dtype=np.float64))
    user, item = (np.zeros(each.number + 1) for each in known)
    for _ in range(config.iterations):
        item = _shrunk_means(places[1], y - mean - user[places[0]], len(item), config.item_penalty)
        user = _shrunk_means(places[0], y - mean - item[places[1]], len(user), config.user_penalty)
    return _Biases(mean, known, (user, item))


def _shrunk_means(places: np.ndarray, values: np.ndarray, number: int, penalty: float) -> np.ndarray:
    counts = np.bincount(places, minlength=number)
    return np.bincount(places, values, number) / np.maximum(counts + penalty, 1e-12)


def _nearest_mean(similarity: np.ndarray, values: np.ndarray, number: int, damping: float) -> np.ndarray:
    """Mean of values [J], and a 0 of weight `damping`, by the `number` greatest similarities of each row [I, J]."""
    if similarity.shape[1] > number:
        nearest = np.argpartition(-similarity, number - 1, axis=1)[:, :number]
        similarity, values = np.take_along_axis(similarity, nearest, axis=1), values[nearest]
    else:
        values = np.broadcast_to(values, similarity.shape)
    total = similarity.sum(axis=1) + damping
    return (similarity * values).sum(axis=1) / np.where(total > 0, total, 1)


def _clipped(ratings: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Ratings within what was seen, float32 [N, 1]."""
    return np.clip(ratings, seen.min(), seen.max()).astype(np.float32)[:, None]
