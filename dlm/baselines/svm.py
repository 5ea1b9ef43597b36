"""Support vector machines by scikit-learn, with calibrated probabilities, also on mel-frequency cepstra of sounds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np
from scipy import special

from dlm.baselines.base import (
    FittedBaseline,
    check_positive,
    fitted_regressors,
    flatten,
    is_classification,
    log_probabilities,
    require_classes,
    require_classes_or_numbers,
)
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least, choose

CALIBRATION_FOLDS = 5
CALIBRATION_EXAMPLES = 500  # held-out examples that suffice to estimate one number; further folds are skipped
TIE_BREAK = 1e-6  # added to the logit of SVC's class where scores tie; visible in float32


@dataclasses.dataclass(frozen=True)
class SVC:
    """Support vector machine with an RBF kernel (Cortes & Vapnik 1995), for classes or numbers.

    Classes: scikit-learn's SVC with `break_ties=True`. The class with the largest output is SVC's; probabilities are
    the softmax of its scores divided by a temperature, see `_inverse_temperature`. Numbers: one SVR per target.

    C: inverse regularization strength. gamma: kernel coefficient 1 / width², or "scale", 1 / (columns · variance of x).
    epsilon: SVR ignores errors below it; targets are standardized.
    """

    C: float = 1.0
    gamma: float | Literal["scale"] = "scale"
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_positive(C=self.C)
        at_least(0, epsilon=self.epsilon)
        if isinstance(self.gamma, str):
            choose("gamma", self.gamma, ("scale",))
        else:
            check_positive(gamma=self.gamma)

    check = require_classes_or_numbers

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y, int [N] or float32 [N] or [N, K]. `seed` has no effect."""
        from sklearn import svm

        rows, options = flatten(x), {"C": self.C, "gamma": self.gamma}
        if not is_classification(y):
            models = [svm.SVR(**options, epsilon=self.epsilon).fit(rows, column) for column in flatten(y).T]
            return fitted_regressors(models, int(sum(np.sum(model.n_iter_) for model in models)))
        model = svm.SVC(**options, break_ties=True)
        inverse_temperature = _inverse_temperature(model, rows, y)
        model.fit(rows, y)

        def outputs(inputs: np.ndarray) -> np.ndarray:
            probabilities = _probabilities(model.decision_function(flatten(inputs)), inverse_temperature)
            return log_probabilities(probabilities, model.classes_, num_outputs)

        return FittedBaseline(int(np.sum(model.n_iter_)), outputs)


def _scores(decisions: np.ndarray) -> np.ndarray:
    """One score per class [N, C]; for two classes scikit-learn returns one number [N], the score of the second."""
    return decisions if decisions.ndim == 2 else np.stack([-decisions, decisions], axis=1)


def _probabilities(decisions: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """Class probabilities [N, C]; SVC's class has the largest."""
    logits = inverse_temperature * _scores(decisions)
    predicted = decisions.argmax(axis=1) if decisions.ndim == 2 else (decisions >= 0).astype(int)
    logits[np.arange(len(logits)), predicted] += TIE_BREAK
    return special.softmax(logits, axis=1)


def _inverse_temperature(model: Any, rows: np.ndarray, y: np.ndarray) -> float:
    """The factor of the scores in the softmax, 1 / temperature (Guo et al. 2017), estimated by cross-validation.

    Maximizes the likelihood of held-out examples times a log-normal prior with mean 0 and standard deviation 1. The
    prior matters for small subsets, which an SVM separates without error: without it the factor diverges (held-out loss
    on breast cancer with 4 examples: 1.4 nats, with the prior 0.45). Returns 1 where fewer than two classes have two
    examples. Platt's method needs more examples and may change the predicted class.
    """
    from scipy.optimize import minimize_scalar
    from sklearn.model_selection import StratifiedKFold

    _, class_indices, counts = np.unique(y, return_inverse=True, return_counts=True)
    usable = counts[class_indices] > 1
    if len(np.unique(y[usable])) < 2:
        return 1.0
    rows, y = rows[usable], np.unique(y[usable], return_inverse=True)[1]
    folds = list(StratifiedKFold(min(CALIBRATION_FOLDS, counts[counts > 1].min())).split(rows, y))
    folds = folds[: math.ceil(CALIBRATION_EXAMPLES * len(folds) / len(y))]
    scores = np.concatenate(
        [_scores(model.fit(rows[train], y[train]).decision_function(rows[test])) for train, test in folds]
    )
    true_class = np.arange(len(scores)), np.concatenate([y[test] for _, test in folds])
    optimum = minimize_scalar(
        lambda log: log**2 / 2 - special.log_softmax(np.exp(log) * scores, axis=1)[true_class].sum(), bounds=(-5, 5)
    )
    return float(np.exp(optimum.x))


@dataclasses.dataclass(frozen=True)
class MelCepstrumSVC:
    """An SVC on the mean and standard deviation over time of mel-frequency cepstra (Davis & Mermelstein 1980).

    n_mfcc: cepstral coefficients per frame. deltas: also use their frame-to-frame differences. Each statistic is
    standardized by the training subset. C, gamma: as in `SVC`. The defaults were chosen on the validation split of
    spoken digits, where deltas, more coefficients and statistics of parts of the time gave no improvement.
    """

    n_mfcc: int = 13
    deltas: bool = False
    C: float = 10.0
    gamma: float | Literal["scale"] = "scale"

    def __post_init__(self) -> None:
        at_least(1, n_mfcc=self.n_mfcc)
        SVC(self.C, self.gamma)  # checks both

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are spectrograms with enough bands, and targets classes."""
        require_classes(self, dataset)
        shape = dataset.train.x.shape[1:]
        if len(shape) != 2 or dataset.vocabulary:
            raise UsageError(
                f"MelCepstrumSVC() needs spectrograms [frames, bands], but the inputs of {dataset.name!r} have shape "
                f"{shape}; use SVC(), or set the sampling rate of the source"
            )
        if self.n_mfcc > shape[1] or (self.deltas and shape[0] < 2):
            raise UsageError(
                f"n_mfcc={self.n_mfcc}, deltas={self.deltas}: the spectrograms of {dataset.name!r} have "
                f"{shape[1]} bands and {shape[0]} frames; choose n_mfcc of at most {shape[1]}"
                + (" and deltas=False" if shape[0] < 2 else "")
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to log-mel spectrograms x float32 [N, frames, bands] and classes y int [N]. `seed` has no effect."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(self.statistics(x))
        fitted = SVC(self.C, self.gamma).fit(scaler.transform(self.statistics(x)), y, num_outputs, seed)
        return FittedBaseline(
            fitted.iterations, lambda inputs: fitted.outputs(scaler.transform(self.statistics(inputs)))
        )

    def statistics(self, x: np.ndarray) -> np.ndarray:
        """Mean and standard deviation over time of each coefficient and of its deltas: float32 [N, 2 or 4 · n_mfcc]."""
        from scipy.fft import dct

        cepstra = dct(x, axis=2, norm="ortho")[:, :, : self.n_mfcc]
        series = [cepstra, np.diff(cepstra, axis=1)] if self.deltas else [cepstra]
        return np.concatenate([statistic(each, axis=1) for each in series for statistic in (np.mean, np.std)], axis=1)
