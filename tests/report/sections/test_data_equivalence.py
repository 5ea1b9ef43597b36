"""Sentences of data-equivalence ratios."""

import numpy as np
import pytest

from dlm.curves.data_efficiency.equivalence import EquivalenceRatio
from dlm.curves.types import Curve
from dlm.report.sections.data_equivalence import (
    noise_equivalence_sentences,
    noise_words,
    overall_ratio_sentence,
    ratio_sentence,
)

LABELS = "20 % wrong labels"


@pytest.mark.parametrize(
    ("rate", "worth"),
    [
        (EquivalenceRatio((1000,), 0.4142, 0.3361, 0.4951, "interval"), "0.41 [0.33, 0.50]"),
        (EquivalenceRatio((1000,), 0.04142, 0.0336, 0.0495, "interval"), "0.041 [0.033, 0.050]"),
        (EquivalenceRatio((1000,), 1.98, 1.5, 2.5000000000001, "interval"), "1.98 [1.50, 2.50]"),
        (EquivalenceRatio((1000,), 24.3, 13.0, 1234.0, "interval"), "24.3 [13.0, 1,234.0]"),
        (EquivalenceRatio((1000,), None, None, 0.1 + 1e-15, "below"), "less than 0.1"),
        (EquivalenceRatio((1000,), None, None, 0.0321, "below"), "less than 0.033"),
        (EquivalenceRatio((1000,), 0.62, None, 0.809, "below"), "0.62 [at most 0.81]"),
        (EquivalenceRatio((1000,), None, 1.0, None, "above"), "more than 1"),
        (EquivalenceRatio((1000,), None, 1200.0, None, "above"), "more than 1,200"),
        (EquivalenceRatio((1000,), 0.953, 0.808, None, "above"), "0.95 [0.8 or more]"),
    ],
)
def test_ends_are_rounded_outwards(rate, worth):
    sentence = ratio_sentence("cnn", LABELS, rate)
    assert sentence == f"cnn: the data-equivalence ratio of examples with {LABELS}, at 1,000 examples, is {worth}."


def test_an_undetermined_ratio_is_reported():
    assert ratio_sentence("cnn", LABELS, EquivalenceRatio((50,), None, None, None, "undetermined")) == (
        "cnn: the data-equivalence ratio of examples with 20 % wrong labels, at 50 examples, cannot be determined "
        "from these measurements."
    )
    assert overall_ratio_sentence("cnn", LABELS, EquivalenceRatio((), None, None, None, "undetermined")) == (
        "cnn: the data-equivalence ratio of examples with 20 % wrong labels cannot be determined from these "
        "measurements."
    )


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        (
            EquivalenceRatio((256, 512, 4096), 0.41, 0.38, 0.44, "interval", 1.01),
            "cnn: the data-equivalence ratio of examples with 20 % wrong labels, from 256 to 4,096 examples, is "
            "0.41 [0.38, 0.44].",
        ),
        (
            EquivalenceRatio((256,), 0.41, 0.38, 0.44, "interval"),
            "cnn: the data-equivalence ratio of examples with 20 % wrong labels is 0.41 [0.38, 0.44].",
        ),
        (
            EquivalenceRatio((), None, None, 0.25, "below"),
            "cnn: the data-equivalence ratio of examples with 20 % wrong labels is less than 0.25.",
        ),
        (
            EquivalenceRatio((256, 512), 0.41, 0.38, 0.44, "interval", 0.751, changes_with_size=True),
            "cnn: the data-equivalence ratio of examples with 20 % wrong labels, from 256 to 512 examples, changes by "
            "a factor of 0.75 with each doubling of their number.",
        ),
    ],
)
def test_one_ratio_for_all_sizes_unless_it_changes(rate, sentence):
    assert overall_ratio_sentence("cnn", LABELS, rate) == sentence


SIZES = (100, 200, 400, 800, 1600, 3200)


def curve(name, noise, ratio):
    """Errors of n^-0.5 as of `ratio` · n examples, three seeds with 3 % noise that clean and noisy ones share."""
    rng = np.random.default_rng(0)
    errors = tuple(tuple((ratio * size) ** -0.5 * np.exp(rng.normal(0, 0.03, 3))) for size in SIZES)
    return Curve(f"{name} ({noise})" if noise else name, SIZES, errors, noise=noise)


def test_the_planted_ratio_is_reported():
    clean, noisy = curve("cnn", "", 1.0), curve("cnn", "label=0.2", 0.5)
    first, *_ = noise_equivalence_sentences([clean, noisy], 0.95)
    assert first.startswith(f"cnn: the data-equivalence ratio of examples with {LABELS}, at 3,200 examples, is 0.5")


def test_no_ratio_without_a_clean_curve_or_for_a_noisy_test_set():
    noisy = curve("cnn", "label=0.2", 0.5)
    assert noise_equivalence_sentences([noisy, curve("mlp", "", 1.0)], 0.95) == []
    assert noise_equivalence_sentences([curve("cnn", "", 1.0), curve("cnn", "test missing=0.2", 0.5)], 0.95) == []


def test_every_kind_of_noise_in_words():
    assert noise_words("label=0.2, gaussian=0.1") == "20 % wrong labels and Gaussian noise of s.d. 0.1"
    assert noise_words("label_pairs=0.05") == "5 % labels of the next class"
    assert (
        noise_words("missing=0.3, salt=0.01") == "30 % of the values missing and 1 % of the values replaced by extremes"
    )
