"""Linear models, k-nearest neighbors and Gaussian naive Bayes by scikit-learn, and bicubic interpolation by Pillow."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import numpy as np

from dlm.baselines.base import (
    FittedBaseline,
    check_positive,
    fitted_classifier,
    flatten,
    is_classification,
    require_classes,
    require_classes_or_numbers,
    require_numbers,
)
from dlm.data.dataset import Dataset, class_weights
from dlm.utils.errors import UsageError, at_least, choose

ClassWeight = float | Literal["balanced"] | None


@dataclasses.dataclass(frozen=True)
class LogisticRegression:
    """Multinomial logistic regression with an L2 penalty, fitted by L-BFGS (scikit-learn's LogisticRegression).

    C: inverse regularization strength. max_iter: maximum number of iterations. class_weight: "balanced" weights classes
    by the inverse of their frequency in the subset, a number p by the frequency to the power −p, None equally.
    """

    C: float = 1.0
    max_iter: int = 1000
    class_weight: ClassWeight = None

    def __post_init__(self) -> None:
        at_least(1, max_iter=self.max_iter)
        check_positive(C=self.C)
        check_class_weight(self.class_weight)

    check = require_classes

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y int [N]. The optimum is unique, so `seed` has no effect."""
        from sklearn import linear_model
        from sklearn.exceptions import ConvergenceWarning

        weights = class_weight_dict(self.class_weight, y, num_outputs)
        model = linear_model.LogisticRegression(C=self.C, max_iter=self.max_iter, class_weight=weights)
        with warnings.catch_warnings():
            # The number of iterations is recorded, so a fit that stopped at max_iter is visible.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(flatten(x), y)
        return fitted_classifier(model, num_outputs, int(np.max(model.n_iter_)))


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Linear regression with an L2 penalty of strength `alpha` (scikit-learn's Ridge)."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, alpha=self.alpha)

    check = require_numbers

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y float32 [N] or [N, K] by a direct solver; `seed` has no effect."""
        from sklearn import linear_model

        model = linear_model.Ridge(alpha=self.alpha).fit(flatten(x), flatten(y))
        return FittedBaseline(1, lambda inputs: model.predict(flatten(inputs)).reshape(len(inputs), num_outputs))


@dataclasses.dataclass(frozen=True)
class KNeighbors:
    """k-nearest neighbors by Euclidean distance (Cover & Hart 1967), for classes or numbers.

    scikit-learn's KNeighborsClassifier and KNeighborsRegressor. A subset with fewer than `n_neighbors` examples uses
    all of them; `weights="distance"` weights neighbors by their inverse distance.
    """

    n_neighbors: int = 5
    weights: Literal["uniform", "distance"] = "uniform"

    def __post_init__(self) -> None:
        at_least(1, n_neighbors=self.n_neighbors)
        choose("weights", self.weights, ("uniform", "distance"))

    check = require_classes_or_numbers

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Store x float32 [N, ...] and y, int [N] or float32 [N] or [N, K]. `seed` has no effect."""
        from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

        options = {"n_neighbors": min(self.n_neighbors, len(x)), "weights": self.weights}
        if is_classification(y):
            return fitted_classifier(KNeighborsClassifier(**options).fit(flatten(x), y), num_outputs, 0)
        model = KNeighborsRegressor(**options).fit(flatten(x), flatten(y))
        return FittedBaseline(0, lambda inputs: model.predict(flatten(inputs)))


@dataclasses.dataclass(frozen=True)
class GaussianNB:
    """Gaussian naive Bayes: normally distributed inputs, independent within a class (scikit-learn's GaussianNB).

    `var_smoothing` times the largest variance of an input is added to all variances. The default differs from
    scikit-learn's 1e-9, with which a pixel that is constant among the few examples of a class decides alone. Error on
    the digits' validation split at 32 and 1,257 examples: 44 % and 11 % with 1e-9, 21 % and 7 % with 0.1.
    """

    var_smoothing: float = 0.1

    def __post_init__(self) -> None:
        check_positive(var_smoothing=self.var_smoothing)

    check = require_classes

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit to x float32 [N, ...] and y int [N]; `seed` has no effect. ValueError if all inputs are equal."""
        from sklearn import naive_bayes

        if not np.ptp(x, axis=0).any():
            raise ValueError(
                f"the inputs of all {len(x)} examples are equal, so GaussianNB has no variance to estimate"
            )
        model = naive_bayes.GaussianNB(var_smoothing=self.var_smoothing).fit(flatten(x), y)
        return fitted_classifier(model, num_outputs, 1)


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Images upscaled by `factor` with cubic convolution (Keys 1981, a = −0.5), as Pillow does.

    It learns nothing from the subset, so its curve is flat. Inputs and targets must have the same unit, such as 0 … 1;
    values are not clipped.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        at_least(2, factor=self.factor)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are images and targets are images of `factor` times the height and width."""
        require_numbers(self, dataset)
        shape, num_targets = dataset.train.x.shape[1:], int(np.prod(dataset.train.y.shape[1:]))
        if len(shape) != 3 or dataset.standardize:
            raise UsageError(
                f"Bicubic() upscales images [height, width, channels], but the inputs of {dataset.name!r} have shape "
                f"{shape}{' and are standardized' if dataset.standardize else ''}; remove the learner"
            )
        num_outputs = self.factor**2 * int(np.prod(shape))
        if num_outputs != num_targets:
            raise UsageError(
                f"factor={self.factor} makes {num_outputs} numbers from an image {shape}, but the targets of "
                f"{dataset.name!r} have {num_targets}; choose the factor between inputs and targets"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> FittedBaseline:
        """Fit nothing. Outputs are float32 [N, h · factor · w · factor · C] for x float32 [N, h, w, C]."""
        return FittedBaseline(0, lambda x: self.upscale(x).reshape(len(x), num_outputs), in_target_unit=True)

    def upscale(self, x: np.ndarray) -> np.ndarray:
        """Images float32 [N, h, w, C] upscaled to [N, h · factor, w · factor, C]."""
        from PIL import Image

        height, width = (self.factor * side for side in x.shape[1:3])
        channels = np.moveaxis(x.astype(np.float32), 3, 1).reshape(-1, *x.shape[1:3])
        size, method = (width, height), Image.Resampling.BICUBIC
        upscaled = [np.asarray(Image.fromarray(channel).resize(size, method)) for channel in channels]
        return np.moveaxis(np.stack(upscaled).reshape(len(x), -1, height, width), 1, 3)


def check_class_weight(class_weight: ClassWeight) -> None:
    """UsageError unless a class weight is "balanced", a non-negative number or None."""
    if isinstance(class_weight, str):
        choose("class_weight", class_weight, ("balanced",))
    elif class_weight is not None:
        at_least(0, class_weight=class_weight)


def class_weight_dict(class_weight: ClassWeight, y: np.ndarray, num_classes: int) -> dict[int, float] | None:
    """scikit-learn's `class_weight` for labels y int [N], see `dlm.data.dataset.class_weights`."""
    power = 1.0 if class_weight == "balanced" else class_weight
    return dict(enumerate(class_weights(y, num_classes, power).tolist())) if power else None
