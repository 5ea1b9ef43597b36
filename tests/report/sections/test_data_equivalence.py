"""Sentences for every kind of rate, and the numbers in them."""

import pytest

from dlm.curves.data_efficiency.equivalence import EquivalenceRatio, OverallEquivalenceRatio
from dlm.report.sections.data_equivalence import exchange_sentence, overall_sentence

LABELS = "20 % wrong labels"


@pytest.mark.parametrize(
    ("rate", "worth"),
    [
        (EquivalenceRatio(1000, 0.4142, 0.3361, 0.4951, "interval"), "0.41 [0.33, 0.50]"),
        (EquivalenceRatio(1000, 0.04142, 0.0336, 0.0495, "interval"), "0.041 [0.033, 0.050]"),
        (EquivalenceRatio(1000, 1.98, 1.5, 2.5000000000001, "interval"), "1.98 [1.50, 2.50]"),
        (EquivalenceRatio(1000, 24.3, 13.0, 1234.0, "interval"), "24.3 [13.0, 1,234.0]"),
        (EquivalenceRatio(1000, None, None, 0.1 + 1e-15, "below"), "less than 0.1"),
        (EquivalenceRatio(1000, None, None, 0.0321, "below"), "less than 0.033"),
        (EquivalenceRatio(1000, 0.62, None, 0.809, "below"), "0.62 [at most 0.81]"),
        (EquivalenceRatio(1000, None, 1.0, None, "above"), "more than 1"),
        (EquivalenceRatio(1000, None, 1200.0, None, "above"), "more than 1,200"),
        (EquivalenceRatio(1000, 0.953, 0.808, None, "above"), "0.95 [0.8 or more]"),
    ],
)
def test_a_rate_is_said_with_its_ends_rounded_outwards(rate, worth):
    sentence = exchange_sentence("cnn", LABELS, rate)
    assert sentence == f"cnn: at 1,000 examples one with 20 % wrong labels is worth {worth} clean ones."


def test_what_cannot_be_told_is_said_so():
    assert exchange_sentence("cnn", LABELS, EquivalenceRatio(50, None, None, None, "undetermined")) == (
        "cnn: what one with 20 % wrong labels is worth at 50 examples cannot be told from these measurements."
    )
    assert overall_sentence("cnn", LABELS, OverallEquivalenceRatio((), None, None, None, "undetermined")) == (
        "cnn: what one with 20 % wrong labels is worth cannot be told from these measurements."
    )


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        (
            OverallEquivalenceRatio((256, 512, 4096), 0.41, 0.38, 0.44, "interval", 1.01),
            "cnn: from 256 to 4,096 examples one with 20 % wrong labels is worth 0.41 [0.38, 0.44] clean ones.",
        ),
        (
            OverallEquivalenceRatio((256,), 0.41, 0.38, 0.44, "interval"),
            "cnn: one with 20 % wrong labels is worth 0.41 [0.38, 0.44] clean ones.",
        ),
        (
            OverallEquivalenceRatio((), None, None, 0.25, "below"),
            "cnn: one with 20 % wrong labels is worth less than 0.25 clean ones.",
        ),
        (
            OverallEquivalenceRatio((256, 512), 0.41, 0.38, 0.44, "interval", 0.751, changes_with_size=True),
            "cnn: from 256 to 512 examples what one with 20 % wrong labels is worth changes by a factor of 0.75 each "
            "time their number doubles.",
        ),
    ],
)
def test_one_rate_is_said_for_all_sizes_unless_it_changes(rate, sentence):
    assert overall_sentence("cnn", LABELS, rate) == sentence
