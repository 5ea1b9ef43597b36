"""How alike two networks see the same examples: linear CKA with the unbiased estimator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 4  # examples that the estimator needs


def centred_gram(features: np.ndarray) -> np.ndarray:
    """Products of all pairs of examples, centred so that their product with another's is unbiased. [N, D] -> [N, N].

    U-centring: of independent features the expected product is 0 for any N, where the usual centring gives wide layers
    at few examples a similarity near 1. Székely & Rizzo (2014); Song et al. (2012), "Feature selection via dependence
    maximization".
    """
    number = len(features)
    if number < FEWEST:
        raise ValueError(f"{number} examples are too few for CKA; give at least {FEWEST}")
    x = features.reshape(number, -1).astype(np.float64)
    x = x - x.mean(axis=0, keepdims=True)  # which changes nothing but the rounding
    gram = x @ x.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=1) / (number - 2)
    total = gram.sum() / ((number - 1) * (number - 2))
    gram = gram - rows[:, None] - rows[None, :] + total
    np.fill_diagonal(gram, 0.0)
    return gram


def of_grams(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of two centred Grams [N, N] of the same examples; NaN where a layer is constant.

    1: the same but for rotation and scale; near 0: independent, and by chance a little below 0. Kornblith et al.
    (2019), "Similarity of neural network representations revisited", with the estimator of Nguyen et al. (2021), "Do
    wide and deep networks learn the same things?".
    """
    size = np.sqrt(np.vdot(first, first) * np.vdot(second, second))
    return float(np.vdot(first, second) / size) if size > 0 else float("nan")


def cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA of features [N, D] and [N, E] of the same examples."""
    return of_grams(centred_gram(first), centred_gram(second))


def pairwise(grams: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """(CKA of all pairs [K, K], control): the control is the first's with the others' examples in another order."""
    values = np.array([[of_grams(one, other) for other in grams] for one in grams])
    shuffled = np.random.default_rng(0).permutation(len(grams[0]))
    others = [of_grams(grams[0], gram[np.ix_(shuffled, shuffled)]) for gram in grams]
    return values, float(np.mean(others))
