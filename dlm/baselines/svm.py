"""Support vector machines, by scikit-learn, with probabilities from what held-out examples score."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from dlm.baselines.base import Fitted, log_probabilities, needs_classes, needs_classes_or_numbers, rows_of
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least

FOLDS, HELD_OUT = 5, 500  # parts held out in turn to see how sure scores are, until so many examples were: one number
AHEAD = 1e-6  # of a logit: what float32 can tell of the class that SVC decides on where scores tie


@dataclasses.dataclass(frozen=True)
class SupportVectors:
    """A support vector machine with a Gaussian kernel (Cortes & Vapnik 1995), of classes or of numbers.

    scikit-learn's SVC, whose pairwise votes are broken where they tie (`break_ties`), and SVR, one a number. `c` is the
    inverse strength of the penalty; `gamma` the kernel's 1 / width², 0 for scikit-learn's "scale", 1 / (inputs ·
    variance of x); numbers within `epsilon` of a target, which is standardized, cost nothing.
    The class of the largest output is SVC's; probabilities are the softmax of its scores times `_sharpness`.
    """

    c: float = 1.0
    gamma: float = 0.0
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        at_least(0, gamma=self.gamma, epsilon=self.epsilon)
        if self.c <= 0:
            raise UsageError(f"c={self.c} must be above 0; it is the inverse of the penalty's strength")

    def check(self, dataset: Dataset) -> None:
        """UsageError unless targets are one class or numbers."""
        needs_classes_or_numbers(self, dataset)

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to x float32 [N, ...] and y, int [N] classes or float32 [N] or [N, K]. `seed` changes nothing."""
        from sklearn.svm import SVC, SVR

        rows, options = rows_of(x), {"C": self.c, "gamma": self.gamma or "scale"}
        if y.dtype.kind in "iu":
            model = SVC(**options, break_ties=True)
            sharpness = _sharpness(model, rows, y)
            model.fit(rows, y)
            return Fitted(
                int(np.sum(model.n_iter_)),
                lambda inputs: log_probabilities(
                    _probabilities(model.decision_function(rows_of(inputs)), sharpness), model.classes_, num_outputs
                ),
            )
        models = [SVR(**options, epsilon=self.epsilon).fit(rows, each) for each in y.reshape(len(y), -1).T]
        return Fitted(
            int(sum(np.sum(model.n_iter_) for model in models)),
            lambda inputs: np.stack([model.predict(rows_of(inputs)) for model in models], axis=1),
        )


def _scores(decisions: np.ndarray) -> np.ndarray:
    """One score a class [N, C]; of two classes scikit-learn gives one number [N], that of the second."""
    return decisions if decisions.ndim == 2 else np.stack([-decisions, decisions], axis=1)


def _probabilities(decisions: np.ndarray, sharpness: float) -> np.ndarray:
    """Of each class [N, C], that of the class which SVC decides on being the largest."""
    from scipy.special import softmax

    logits = sharpness * _scores(decisions)
    decided = decisions.argmax(axis=1) if decisions.ndim == 2 else (decisions >= 0).astype(int)
    logits[np.arange(len(logits)), decided] += AHEAD
    return softmax(logits, axis=1)


def _sharpness(model: Any, rows: np.ndarray, y: np.ndarray) -> float:
    """What scores are multiplied by before the softmax, 1 / temperature (Guo et al. 2017).

    The most probable one: the likelihood of examples held out in turn, times a log-normal prior of mean 0 and standard
    deviation 1. The prior is for subsets of a few examples, which a machine tells apart without an error: without it
    the sharpness runs off, and the loss on breast cancer, held out, is 1.4 nats at 4 examples, and 0.45 with it.
    1 where no two classes have two examples each. Platt's own method needs more of them, and moves the class.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax
    from sklearn.model_selection import StratifiedKFold

    _, places, counts = np.unique(y, return_inverse=True, return_counts=True)
    several = counts[places] > 1
    if len(np.unique(y[several])) < 2:
        return 1.0
    rows, y = rows[several], np.unique(y[several], return_inverse=True)[1]
    folds = list(StratifiedKFold(min(FOLDS, counts[counts > 1].min())).split(rows, y))
    folds = folds[: math.ceil(HELD_OUT * len(folds) / len(y))]
    scores = np.concatenate([_scores(model.fit(rows[a], y[a]).decision_function(rows[b])) for a, b in folds])
    own = np.arange(len(scores)), np.concatenate([y[b] for _, b in folds])
    found = minimize_scalar(
        lambda log: log**2 / 2 - log_softmax(np.exp(log) * scores, axis=1)[own].sum(), bounds=(-5, 5)
    )
    return float(np.exp(found.x))


@dataclasses.dataclass(frozen=True)
class MelSupportVectors:
    """Support vectors on the mean and spread over time of mel-frequency cepstra (Davis & Mermelstein 1980).

    `coefficients` of each frame's cepstrum, of which with `deltas` the steps from frame to frame count too; each
    statistic is standardized by the training subset. `c` and `gamma` as of `SupportVectors`. The numbers were chosen on
    the validation split of spoken digits, where deltas, more coefficients and parts of the time did no better.
    """

    coefficients: int = 13
    deltas: bool = False
    c: float = 10.0
    gamma: float = 0.0

    def __post_init__(self) -> None:
        at_least(1, coefficients=self.coefficients)
        self._machine()

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are spectrograms with enough bands, and targets classes."""
        needs_classes(self, dataset)
        shape = dataset.train.x.shape[1:]
        if len(shape) != 2 or dataset.vocabulary:
            raise UsageError(
                f"MelSupportVectors() needs spectrograms [frames, bands], and the inputs of {dataset.name!r} "
                f"have the shape {shape}; use SupportVectors(), or give the source the rate of its sounds"
            )
        if self.coefficients > shape[1] or (self.deltas and shape[0] < 2):
            raise UsageError(
                f"coefficients={self.coefficients}, deltas={self.deltas}: the spectrograms of {dataset.name!r} have "
                f"{shape[1]} bands and {shape[0]} frames; choose coefficients of at most {shape[1]}"
                + (", and deltas=False" if shape[0] < 2 else "")
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to log-mel spectrograms x float32 [N, frames, bands] and classes y int [N]. `seed` changes nothing."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(self.statistics(x))
        fitted = self._machine().fit(scaler.transform(self.statistics(x)), y, num_outputs, seed)
        return Fitted(fitted.iterations, lambda inputs: fitted.outputs(scaler.transform(self.statistics(inputs))))

    def statistics(self, x: np.ndarray) -> np.ndarray:
        """Mean and standard deviation over time of each coefficient, then of its steps. float32 [N, 2 or 4 · K]."""
        from scipy.fft import dct

        cepstra = dct(x, axis=2, norm="ortho")[:, :, : self.coefficients]
        series = [cepstra, np.diff(cepstra, axis=1)] if self.deltas else [cepstra]
        return np.concatenate([of(each, axis=1) for each in series for of in (np.mean, np.std)], axis=1)

    def _machine(self) -> SupportVectors:
        return SupportVectors(self.c, self.gamma)
