"""Overtakes: planted crossings inside and beyond the measured sizes, no crossing, and noise."""

import numpy as np
import pytest

from dlm.curves import Curve, crossover

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)


def curve(name, law, train_sizes=SIZES, num=4, noise=0.02, seed=0):
    rng = np.random.default_rng([seed, *name.encode()])
    errors = [tuple(law(n) * np.exp(noise * rng.standard_normal(num))) for n in train_sizes]
    return Curve(name, tuple(train_sizes), tuple(tuple(map(float, row)) for row in errors), bound=(0.0, None))


def slow(n):
    return 1.0 * n**-0.2


def fast(n):
    """Meets `slow` at n = 400."""
    return 400**0.3 * n**-0.5


def late(n):
    """Meets `slow` at n = 10000, beyond the measured sizes."""
    return 10000**0.2 * n**-0.4


def test_crossing_inside_the_measured_sizes():
    held = 0
    for seed in range(10):
        told = crossover(curve("slow", slow, seed=seed), curve("fast", fast, seed=seed))
        assert (told.incumbent, told.challenger, told.kind) == ("slow", "fast", "measured")
        assert told.median == pytest.approx(400, rel=0.15)
        held += told.low < 400 < told.high
    assert held >= 8


def test_order_of_the_two_does_not_matter():
    a, b = curve("slow", slow), curve("fast", fast)
    one, two = crossover(a, b), crossover(b, a)
    assert (one.incumbent, one.challenger, one.kind) == (two.incumbent, two.challenger, two.kind)
    assert one.median == pytest.approx(two.median, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_crossing_beyond_the_measured_sizes(seed):
    told = crossover(curve("slow", slow, seed=seed, noise=0.005), curve("late", late, seed=seed, noise=0.005))
    assert (told.incumbent, told.kind) == ("slow", "forecast")
    assert SIZES[-1] < told.low < 10000
    assert told.high is None or told.high > 10000
    assert told.low <= told.median


def test_the_better_one_that_stays_better_is_never_overtaken():
    told = crossover(curve("bad", lambda n: 3 * slow(n)), curve("good", slow))
    assert (told.incumbent, told.challenger, told.kind) == ("good", "bad", "never")
    assert told.low is told.median is told.high is None


def test_noise_leaves_it_open():
    told = [crossover(curve("a", slow, noise=0.2, seed=s), curve("b", slow, noise=0.2, seed=s)) for s in range(10)]
    open_ones = [one for one in told if one.kind == "undetermined"]
    assert len(open_ones) >= 6
    assert all(one.low is one.median is one.high is None for one in open_ones)


def test_planted_crossings_are_within_their_intervals():
    """Crossings at n = 400 (measured), 10,000 (beyond) with 3 seeds each: of 40 intervals of 95 %, at least 33 hold."""
    held = 0
    for seed in range(20):
        for law, true in ((fast, 400), (late, 10000)):
            drawn = crossover(
                curve("slow", slow, num=3, seed=seed), curve("other", law, num=3, seed=seed), as_given=True
            )
            low, high = drawn.low or 0.0, drawn.high or np.inf
            held += low <= true <= high
    assert held >= 33


def test_whoever_leads_from_the_smallest_size_on_is_ahead_already():
    told = crossover(curve("bad", lambda n: 3 * slow(n)), curve("good", slow), as_given=True)
    assert (told.incumbent, told.challenger, told.kind) == ("bad", "good", "already")
    assert told.low is told.median is told.high is None
    assert min(one.probability for one in told.probabilities) > 0.95


def test_the_chances_of_both_sum_to_one_and_grow_with_the_lead():
    a = curve("a", slow)
    better = [curve("b", lambda n, by=by: by * slow(n)) for by in (1.2, 1.05, 1.0, 0.95, 0.8)]
    told = [crossover(a, b, as_given=True) for b in better]
    turned = [crossover(b, a, as_given=True) for b in better]
    for one, other in zip(told, turned):
        assert [c.train_size for c in one.probabilities] == [c.train_size for c in other.probabilities]
        assert [c.probability for c in one.probabilities] == pytest.approx(
            [1 - c.probability for c in other.probabilities], abs=2e-4
        )
    for place in range(len(SIZES)):
        by_lead = [one.probabilities[place].probability for one in told]
        assert by_lead == sorted(by_lead)


def test_chances_are_told_at_measured_sizes_and_multiples_that_the_points_carry():
    told = crossover(curve("slow", slow), curve("fast", fast))
    assert [one.train_size for one in told.probabilities] == [*SIZES, 8192, 16384, 40960]
    assert [one.measured for one in told.probabilities] == [True] * 7 + [False] * 3
    few = crossover(curve("slow", slow, SIZES[:3]), curve("fast", fast, SIZES[:3]))
    assert [one.train_size for one in few.probabilities] == [64, 128, 256, 512, 1024]


def test_few_sizes_say_only_what_was_measured():
    inside = crossover(curve("slow", slow, (100, 2000)), curve("fast", fast, (100, 2000)))
    assert inside.kind == "measured"
    # The law between two sizes is a straight line in log-log, and so are these curves.
    assert inside.median == pytest.approx(400, rel=0.2)
    outside = crossover(curve("slow", slow, (64, 128)), curve("fast", fast, (64, 128)))
    assert outside.kind == "undetermined"


def test_only_common_sizes_count():
    told = crossover(curve("slow", slow, (128, 512, 2048, 8192)), curve("fast", fast, (64, 256, 1024)))
    assert told.kind == "measured"
    assert told.median == pytest.approx(400, rel=0.25)
    apart = crossover(curve("slow", slow, (1, 2, 4)), curve("fast", fast, (8, 16, 32)))
    assert apart.kind == "undetermined"


def test_crossing_twice_counts_the_last():
    lead = {64: -0.3, 128: 0.3, 256: 0.3, 512: -0.3, 1024: -0.5, 2048: -0.7, 4096: -0.9}
    told = crossover(curve("flat", lambda n: 0.2), curve("wavy", lambda n: 0.2 * np.exp(lead[n])))
    # The wavy one is better at the smallest size, worse in the middle, and better at the end.
    assert (told.incumbent, told.challenger) == ("wavy", "flat")
    assert told.kind in ("never", "undetermined")


def test_single_seeds_zero_errors_and_failures_survive():
    a = Curve("a", SIZES, tuple((float(slow(n)),) for n in SIZES))
    b = Curve("b", SIZES, tuple((float(20 / n if n < 4000 else 0.0),) for n in SIZES))
    c = Curve("c", SIZES, tuple((float("nan"),) for _ in SIZES), num_test=100)
    assert crossover(a, b).kind in ("never", "undetermined")
    assert crossover(b, b).kind == "undetermined"
    assert crossover(a, c).kind == "undetermined"


def test_is_deterministic():
    a, b = curve("slow", slow), curve("late", late)
    assert crossover(a, b, seed=3) == crossover(a, b, seed=3)
