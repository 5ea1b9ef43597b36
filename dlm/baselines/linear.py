"""Linear models of scikit-learn."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from dlm.baselines.base import Fitted, log_probabilities, needs_classes, needs_numbers
from dlm.data.dataset import Dataset, class_weights
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class LogisticRegression:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS (scikit-learn's LogisticRegression).

    `c` is the inverse strength of the penalty; `max_iter` bounds the iterations. `balance` weighs each class by its
    share in the subset to the power of −`balance`, see `class_weights`.
    """

    c: float = 1.0
    max_iter: int = 1000
    balance: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, max_iter=self.max_iter)
        at_least(0, balance=self.balance)
        if self.c <= 0:
            raise UsageError(f"c={self.c} must be above 0; it is the inverse of the penalty's strength")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless there is one class an example."""
        needs_classes(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...], y int [N]. The optimum is unique, so `seed` changes nothing."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression as Model

        weights = dict(enumerate(class_weights(y, num_outputs, self.balance).tolist())) if self.balance else None
        model = Model(C=self.c, max_iter=self.max_iter, class_weight=weights)
        with warnings.catch_warnings():
            # The iterations are recorded, so a fit that stopped at their bound shows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x.reshape(len(x), -1), y)
        return Fitted(
            iterations=int(np.max(model.n_iter_)),
            outputs=lambda inputs: log_probabilities(
                model.predict_proba(inputs.reshape(len(inputs), -1)), model.classes_, num_outputs
            ),
        )


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Linear regression with an L2 penalty (scikit-learn's Ridge); `alpha` is its strength."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, alpha=self.alpha)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are numbers."""
        needs_numbers(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...], y float32 [N] or [N, K], by a direct solver: `seed` changes nothing."""
        from sklearn.linear_model import Ridge as Model

        model = Model(alpha=self.alpha).fit(x.reshape(len(x), -1), y.reshape(len(y), -1))
        return Fitted(
            iterations=1,
            outputs=lambda inputs: model.predict(inputs.reshape(len(inputs), -1)).reshape(len(inputs), num_outputs),
        )
