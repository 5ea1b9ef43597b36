"""Sounds by their cepstra: the classical way of speech recognition, by scipy and scikit-learn."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlm.baselines.checks import needs_classes
from dlm.baselines.fitted import Fitted
from dlm.baselines.vectors import SupportVectors
from dlm.data.arrays import Arrays
from dlm.errors import UsageError, at_least


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

    def check(self, arrays: Arrays) -> None:
        """UsageError unless inputs are spectrograms with enough bands, and targets classes."""
        needs_classes(self, arrays)
        shape = arrays.train.x.shape[1:]
        if len(shape) != 2 or arrays.vocabulary:
            raise UsageError(
                f"MelSupportVectors() needs spectrograms of sounds, [frames, bands], and the inputs of {arrays.name!r} "
                f"have the shape {shape}; use SupportVectors(), or give the source the rate of its sounds"
            )
        if self.coefficients > shape[1] or (self.deltas and shape[0] < 2):
            raise UsageError(
                f"coefficients={self.coefficients}, deltas={self.deltas}: the spectrograms of {arrays.name!r} have "
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
