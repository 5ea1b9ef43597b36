"""Rates of exchange: planted ones are held, pairing helps, and what was not measured is not said."""

import dataclasses
import math

import numpy as np
import pytest

from benchmarks.data_equivalence import Setting, Tally
from dlm.curves import Curve
from dlm.curves.data_efficiency.equivalence import data_equivalence_ratio, overall_equivalence_ratio
from dlm.utils.errors import UsageError

SIZES = (64, 128, 256, 512, 1024, 2048)
PLAIN = Setting("plain", seeds=4, num_sizes=6, ratio=0.4)


def curve(law, train_sizes=SIZES, seeds=4, noise=0.0, seed=0):
    """Errors law(n) with lognormal noise."""
    rng = np.random.default_rng(seed)
    errors = [tuple(map(float, law(n) * np.exp(noise * rng.standard_normal(seeds)))) for n in train_sizes]
    return Curve("cnn", tuple(train_sizes), tuple(errors), bound=(0.0, None))


def clean(n):
    return 2 * n**-0.5


def worth(rate):
    """The law of examples of which each is worth `rate` clean ones."""
    return lambda n: clean(rate * n)


def width(setting, pairs=25):
    """The median of high over low."""
    rng = np.random.default_rng(0)
    told = [
        rate for _ in range(pairs) for rate in data_equivalence_ratio(*setting.draw(rng)) if rate.kind == "interval"
    ]
    return np.median([rate.high / rate.low for rate in told])


@pytest.mark.parametrize(
    "setting",
    [
        PLAIN,
        dataclasses.replace(PLAIN, ratio=1.0, paired=0.9),
        dataclasses.replace(PLAIN, ratio=1.5, seeds=2, along=0.5),
        dataclasses.replace(PLAIN, floor=0.02, raised=0.01, power=0.6, noise=0.05),
        dataclasses.replace(PLAIN, seeds=1),
    ],
    ids=["0.4", "A/A", "1.5", "falling", "one seed"],
)
def test_the_interval_holds_a_planted_rate(setting):
    rng, tally = np.random.default_rng(1), Tally()
    for _ in range(40):
        tally.add(*setting.draw(rng), setting.ratios()[1])
    outside = np.concatenate([*tally.low.values(), *tally.high.values()]).sum() / sum(map(len, tally.low.values()))
    assert outside < 0.1
    assert not tally.overall or np.mean(tally.overall) > 0.87


def test_without_noise_the_rate_is_exact():
    for rate in data_equivalence_ratio(curve(clean), curve(worth(0.3)))[2:]:
        assert rate.kind == "interval"
        assert rate.median == pytest.approx(0.3, rel=1e-3)
        assert rate.high / rate.low < 1.02


def test_seeds_in_common_make_the_interval_narrower():
    shared = dataclasses.replace(PLAIN, paired=0.9)
    assert width(shared) < 1 + 0.75 * (width(PLAIN) - 1)


def test_more_seeds_make_the_interval_narrower():
    one, two, eight = (width(dataclasses.replace(PLAIN, seeds=seeds), 10) for seeds in (1, 2, 8))
    assert one > two > eight


def test_a_partner_that_was_not_measured_leaves_an_end_open():
    first, *_, last = data_equivalence_ratio(curve(clean, noise=0.02), curve(worth(0.2), noise=0.02, seed=1))
    assert (first.kind, first.low, first.median) == ("below", None, None)
    assert first.high == pytest.approx(1.0)  # 64 of them are worth less than 64, the fewest that were measured
    assert last.kind == "interval"
    first, *_, last = data_equivalence_ratio(curve(clean, noise=0.02), curve(worth(5.0), noise=0.02, seed=1))
    assert (last.kind, last.high, last.median) == ("above", None, None)
    assert last.low == pytest.approx(1.0)
    assert first.kind == "interval"


def test_the_same_curve_twice_is_worth_one():
    reference = curve(clean, noise=0.1)
    for rate in data_equivalence_ratio(reference, reference):
        assert (rate.low or 0) <= 1 <= (rate.high or math.inf)
    assert overall_equivalence_ratio(reference, reference).median == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("law", [lambda n: 0.3, lambda n: 0.1 * n**0.2], ids=["flat", "rising"])
def test_a_reference_that_does_not_improve_tells_nothing(law):
    told = data_equivalence_ratio(curve(law, noise=0.05), curve(law, noise=0.05, seed=1))
    assert {rate.kind for rate in told} == {"undetermined"}
    assert all(rate.low is rate.median is rate.high is None for rate in told)


def test_one_rate_is_narrower_than_each_and_does_not_change():
    reference, other = curve(clean, noise=0.05), curve(worth(0.4), noise=0.05, seed=1)
    one = overall_equivalence_ratio(reference, other)
    assert one.kind == "interval"
    assert one.low < 0.4 < one.high
    assert one.high / one.low < min(
        r.high / r.low for r in data_equivalence_ratio(reference, other) if r.kind == "interval"
    )
    assert one.train_sizes == (256, 512, 1024, 2048)
    assert one.factor_per_doubling == pytest.approx(1, abs=0.1)
    assert not one.changes_with_size


def test_a_rate_that_falls_with_size_is_said_to_change():
    falling = curve(lambda n: clean(0.9 * n * (n / 64) ** -0.3), noise=0.03, seed=1)
    one = overall_equivalence_ratio(curve(clean, noise=0.03), falling)
    assert one.changes_with_size
    assert one.factor_per_doubling == pytest.approx(2**-0.3, rel=0.1)


def test_a_nearly_flat_reference_is_not_said_to_change():
    # One seed of a real learner that stops improving.
    flat, falling = (0.338, 0.346, 0.3426, 0.3514, 0.3412, 0.336), (0.4478, 0.357, 0.3432, 0.3462, 0.3294, 0.322)
    one = overall_equivalence_ratio(
        *(Curve("cnn", SIZES, tuple((error,) for error in errors)) for errors in (flat, falling))
    )
    assert one.factor_per_doubling is None
    assert not one.changes_with_size


def test_another_unit_of_error_or_size_gives_the_same_rates():
    reference, other = curve(clean, noise=0.05), curve(worth(0.4), noise=0.05, seed=1)
    scaled = [
        dataclasses.replace(
            one,
            train_sizes=tuple(1000 * n for n in one.train_sizes),
            errors=tuple(tuple(7 * e for e in row) for row in one.errors),
        )
        for one in (reference, other)
    ]
    for ours, theirs in zip(data_equivalence_ratio(reference, other), data_equivalence_ratio(*scaled)):
        assert (theirs.train_sizes, theirs.kind) == ((1000 * ours.train_sizes[0],), ours.kind)
        assert theirs.high == pytest.approx(ours.high, rel=1e-4)


def test_failed_seeds_and_zero_errors_are_survived():
    reference, other = curve(clean, noise=0.05), curve(worth(0.4), noise=0.05, seed=1)
    nan = math.nan
    lost = dataclasses.replace(other, errors=((nan, nan, nan, nan), (nan, *other.errors[1][1:]), *other.errors[2:]))
    told = data_equivalence_ratio(reference, lost)
    assert [rate.kind for rate in told] == ["undetermined", "below", *["interval"] * 4]
    perfect = dataclasses.replace(reference, errors=(*reference.errors[:-1], (0.0, 0.0, 0.0, 0.0)))
    assert [rate.kind for rate in data_equivalence_ratio(perfect, perfect)][-2:] == ["above", "undetermined"]


def test_few_sizes_are_enough_to_ask_and_too_few_tell_nothing():
    [rate] = data_equivalence_ratio(curve(clean, noise=0.02), curve(worth(0.5), train_sizes=(512,), noise=0.02, seed=1))
    assert rate.kind == "interval"
    assert rate.low < 0.5 < rate.high
    [rate] = data_equivalence_ratio(curve(clean, train_sizes=(512,)), curve(clean, train_sizes=(512,)))
    assert rate.kind == "undetermined"
    assert data_equivalence_ratio(curve(clean), Curve("b", (), ())) == ()
    assert overall_equivalence_ratio(curve(clean), Curve("b", (), ())).kind == "undetermined"


def test_a_lower_level_gives_a_narrower_interval_around_the_same_median():
    pair = curve(clean, noise=0.05), curve(worth(0.4), noise=0.05, seed=1)
    wide, narrow = data_equivalence_ratio(*pair)[-1], data_equivalence_ratio(*pair, level=0.5)[-1]
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.median == pytest.approx(narrow.median)


def test_wrong_questions_are_refused():
    reference = curve(clean)
    with pytest.raises(UsageError, match=r"unit 'nats' of 'cnn' is not 'error rate' of 'cnn'; compare curves of one"):
        data_equivalence_ratio(reference, dataclasses.replace(reference, unit="nats"))
    with pytest.raises(ValueError, match="level"):
        overall_equivalence_ratio(reference, reference, level=1.0)
