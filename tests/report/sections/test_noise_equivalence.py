"""A noisy example's worth is told beside its clean counterpart, in words, and for training noise alone."""

import numpy as np

from dlm.curves.types import Curve
from dlm.report.sections.data_equivalence import noise_words, worth_sentences

SIZES = (100, 200, 400, 800, 1600, 3200)


def curve(name, noise, worth):
    """Errors of n^-0.5 as of `worth` · n examples, three seeds with 3 % noise that clean and noisy ones share."""
    rng = np.random.default_rng(0)
    errors = tuple(tuple((worth * size) ** -0.5 * np.exp(rng.normal(0, 0.03, 3))) for size in SIZES)
    return Curve(f"{name} ({noise})" if noise else name, SIZES, errors, noise=noise)


def test_half_as_good_examples_are_worth_half_a_clean_one():
    clean, noisy = curve("cnn", "", 1.0), curve("cnn", "label=0.2", 0.5)
    first, *_ = worth_sentences([clean, noisy], 0.95)
    assert first.startswith("cnn: at 3,200 examples one with 20 % wrong labels is worth 0.5")
    assert first.endswith("clean ones.")


def test_nothing_is_said_without_a_clean_curve_or_of_a_noisy_test_set():
    noisy = curve("cnn", "label=0.2", 0.5)
    assert worth_sentences([noisy, curve("mlp", "", 1.0)], 0.95) == []
    assert worth_sentences([curve("cnn", "", 1.0), curve("cnn", "test missing=0.2", 0.5)], 0.95) == []


def test_every_kind_of_noise_has_its_words():
    assert noise_words("label=0.2, gaussian=0.1") == "20 % wrong labels and Gaussian noise of s.d. 0.1"
    assert noise_words("label_pairs=0.05") == "5 % labels of the next class"
    assert noise_words("missing=0.3, salt=0.01") == "30 % of its values missing and 1 % of its values at an end"
