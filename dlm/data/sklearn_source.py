"""Data sets that scikit-learn carries inside itself: no download, no folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dlm.data.arrays import Arrays, Split, hold_out


@dataclasses.dataclass(frozen=True)
class Digits:
    """1,797 scans of handwritten digits, 8×8 pixels of 0 … 16, ten classes (Alpaydin & Kaynak 1998, UCI).

    `test` and `validation` examples are held out, stratified and chosen by content; the rest is the pool.
    """

    test: int = 360
    validation: int = 180

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Images uint8 [N, 8, 8, 1], seen as 0 … 1."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        everything = Split(images.reshape(-1, 8, 8, 1).astype(np.uint8), labels.astype(np.int32))
        test, rest = hold_out(everything, self.test, "data.test")
        validation, pool = hold_out(rest, self.validation, "data.validation")
        return Arrays("digits", pool, validation, test, num_classes=10, scale=1 / 16)


@dataclasses.dataclass(frozen=True)
class BreastCancer:
    """569 breast masses, 30 numbers that describe the cell nuclei of each, malignant (212) or benign (357).

    Wolberg, Street & Mangasarian 1995, UCI. `test` and `validation` examples are held out, stratified and chosen by
    content; the rest is the pool.
    """

    test: int = 170
    validation: int = 80

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Numbers float32 [N, 30], standardized by the training subset."""
        from sklearn.datasets import load_breast_cancer

        told = load_breast_cancer()
        everything = Split(told.data.astype(np.float32), told.target.astype(np.int32))
        test, rest = hold_out(everything, self.test, "data.test")
        validation, pool = hold_out(rest, self.validation, "data.validation")
        return Arrays(
            "breast_cancer",
            pool,
            validation,
            test,
            num_classes=2,
            standardize=True,
            class_names=tuple(map(str, told.target_names)),
            feature_names=tuple(map(str, told.feature_names)),
        )
