"""Texts as bags of words, by scikit-learn."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import numpy as np

from dlm.baselines.checks import needs_classes
from dlm.baselines.fitted import Fitted, log_probabilities
from dlm.data.arrays import Arrays
from dlm.errors import UsageError, at_least, choose


@dataclasses.dataclass(frozen=True)
class BagOfWords:
    """Logistic regression on TF-IDF weights of n-grams (scikit-learn's TfidfVectorizer and LogisticRegression).

    `grams` n-grams at most, of words or of characters within words (`char_wb`); which there are is learnt from the
    training subset alone. `c` is the inverse strength of the penalty.
    """

    unit: Literal["word", "char_wb"] = "word"
    grams: int = 2
    c: float = 10.0
    max_iter: int = 1000

    def __post_init__(self) -> None:
        choose("unit", self.unit, ("word", "char_wb"))
        at_least(1, grams=self.grams, max_iter=self.max_iter)
        if self.c <= 0:
            raise UsageError(f"c={self.c} must be above 0; it is the inverse of the penalty's strength")

    def check(self, arrays: Arrays) -> None:
        """UsageError unless inputs are texts, and there is one class an example."""
        needs_classes(self, arrays)
        if not arrays.vocabulary or arrays.train.x.ndim != 2:
            raise UsageError(
                f"BagOfWords() reads texts in bytes, and {arrays.name!r} has other inputs; leave it out, or use "
                "LogisticRegression()"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Fit to texts x int [N, L], UTF-8 bytes with 0 behind the end, and y int [N]. `seed` changes nothing."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression as Model
        from sklearn.pipeline import make_pipeline

        weights = TfidfVectorizer(
            analyzer=self.unit, ngram_range=(1, self.grams), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[^\w\s]"
        )
        model = make_pipeline(weights, Model(C=self.c, max_iter=self.max_iter))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(texts_of(x), y)
        return Fitted(
            iterations=int(np.max(model[-1].n_iter_)),
            outputs=lambda inputs: log_probabilities(
                model.predict_proba(texts_of(inputs)), model[-1].classes_, num_outputs
            ),
        )


def texts_of(x: np.ndarray) -> list[str]:
    """Rows of bytes as texts; a character that the end cut in two becomes a replacement sign."""
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in x.astype(np.uint8)]
