import numpy as np
import pytest

import dlm
from dlm.curves.new_examples import ON_NEW_EXAMPLES, ON_TEST_SET, SamplingError, joint_normals, sampling_error
from dlm.curves.summary import summarize
from dlm.curves.types import Curve

SIZES = (64, 128, 256, 512, 1024)
ERRORS = tuple((0.9 * size**-0.3,) * 3 for size in SIZES)


def test_an_error_rate_gets_the_posterior_of_a_binomial_proportion():
    from scipy.stats import beta

    normal = np.array([-1.959964, 0.0, 1.959964])
    errors = SamplingError(num_examples=200).apply(np.full((3, 1), 0.05), normal)[:, 0]
    np.testing.assert_allclose(errors, beta.ppf([0.025, 0.5, 0.975], 10.5, 190.5), rtol=1e-3)


@pytest.mark.parametrize("num_examples", [1.0, 7.3, 200.0, 1e5])
def test_posterior_quantiles_are_interpolated_within_a_thousandth_of_their_standard_deviation(num_examples):
    from scipy.stats import beta, norm

    rng = np.random.default_rng(0)
    normal, errors = np.clip(rng.standard_normal(500), -4, 4), rng.random((500, 4)) ** 3
    errors[:, 0] = 0
    result = SamplingError(num_examples=num_examples).apply(errors, normal)
    wrong = errors * num_examples
    exact = beta.ppf(norm.cdf(normal)[:, None], wrong + 0.5, num_examples - wrong + 0.5)
    assert np.abs((result - exact) / np.sqrt(exact * (1 - exact) / num_examples + 1e-12)).max() < 2e-3


@pytest.mark.parametrize("sampling", [SamplingError(num_examples=200), SamplingError(relative=0.2)])
def test_the_inverse_gives_the_error_on_the_test_set_that_becomes_the_target(sampling):
    normal = np.linspace(-3, 3, 13)
    inverse = sampling.inverse(np.float64(0.1), normal)
    np.testing.assert_allclose(sampling.apply(inverse[:, None], normal)[:, 0], 0.1, rtol=1e-9)


def test_the_inverse_has_no_error_below_the_posterior_of_no_wrong_example():
    assert SamplingError(num_examples=100).inverse(np.float64(1e-4), np.array([2.0]))[0] < 0


def test_an_error_of_zero_has_an_interval():
    low, high = SamplingError(num_examples=100).apply(np.zeros((2, 1)), np.array([-1.96, 1.96]))[:, 0]
    assert 0 <= low < 0.001
    assert 0.02 < high < 0.03


def test_other_errors_get_a_factor():
    errors = SamplingError(relative=0.1).apply(np.array([[2.0, 4.0]]), np.array([1.0]))
    np.testing.assert_allclose(errors, [[2 * np.exp(0.1), 4 * np.exp(0.1)]])


def test_saved_predictions_determine_the_number_of_independent_examples():
    plain = Curve("a", (10,), ((0.2, 0.2),), num_test=400)
    correlated = Curve("a", (10,), ((0.2, 0.2),), num_test=400, test_stderr=0.04)
    assert sampling_error(plain).num_examples == 400
    assert sampling_error(correlated).num_examples == pytest.approx(100)
    rmse = Curve("a", (10,), ((2.0,),), unit="RMSE", bound=(0.0, None), num_test=400, test_stderr=0.3)
    assert sampling_error(rmse).relative == pytest.approx(0.15)
    assert sampling_error(Curve("a", (10,), ((2.0,),), unit="RMSE", bound=(0.0, None), num_test=400)) is None


def test_joint_normals_have_the_given_correlations():
    normals = joint_normals(3, 50_000, 0, [[1, 0.9, 0], [0.9, 1, 0.2], [0, 0.2, 1]])
    np.testing.assert_allclose(np.corrcoef(normals.T), [[1, 0.9, 0], [0.9, 1, 0.2], [0, 0.2, 1]], atol=0.02)
    np.testing.assert_allclose(normals.std(axis=0), 1, atol=0.02)


def test_num_test_widens_the_intervals_of_a_forecast_and_changes_its_estimand():
    inner = dlm.forecast(SIZES, ERRORS, at=[1024, 4096], bound=(0, 1))
    outer = dlm.forecast(SIZES, ERRORS, at=[1024, 4096], num_test=200)
    assert (inner.estimand, outer.estimand) == (ON_TEST_SET, ON_NEW_EXAMPLES)
    np.testing.assert_array_less(outer.low, inner.low)
    np.testing.assert_array_less(inner.high, outer.high)
    more = dlm.forecast(SIZES, ERRORS, at=[1024, 4096], num_test=20_000)
    assert (more.high - more.low < outer.high - outer.low).all()
    wide, narrow = (item.required_train_size(0.08) for item in (outer, inner))
    assert wide.p_reachable < narrow.p_reachable or wide.high / wide.low > narrow.high / narrow.low


@pytest.mark.parametrize(
    ("num_test", "message"),
    [
        (0, "num_test=0 is not a number of test examples"),
        (2.5, "num_test=2.5"),
        (100, "num_test=100 needs error rates"),
    ],
)
def test_an_invalid_num_test_is_refused(num_test, message):
    errors = [3.0, 2.0, 1.5] if num_test == 100 else [0.3, 0.2, 0.15]
    with pytest.raises(ValueError, match=message):
        dlm.forecast([10, 20, 40], errors, at=80, num_test=num_test)


def test_a_study_has_an_inner_interval_on_its_test_set():
    summary = summarize([Curve("a", SIZES, ERRORS, num_test=300)], targets=(0.05,))
    (learner,) = summary.learners
    assert summary.estimand == ON_NEW_EXAMPLES
    for item in (learner.current, *learner.predictions):
        assert item.low < item.test_set_low <= item.test_set_high < item.high
        assert item.low < item.median < item.high
    unknown = summarize([Curve("a", SIZES, ERRORS)]).learners[0]
    assert unknown.current.test_set_low is None


def test_a_common_test_set_cancels_between_learners_with_the_same_mistakes():
    """Fully correlated sampling errors leave the order of two learners as certain as on the test set."""
    other = tuple((1.15 * error,) * 3 for (error, *_) in ERRORS)
    curves = [Curve("a", SIZES, ERRORS, num_test=100), Curve("b", SIZES, other, num_test=100)]

    def probability(correlation):
        matrix = [[1.0, correlation], [correlation, 1.0]]
        (pair,) = summarize(curves, test_correlation=matrix).crossovers
        better = {point.train_size: point.probability for point in pair.probabilities}[1024]
        return better if pair.challenger == "a" else 1 - better

    assert probability(1.0) > 0.9
    assert probability(0.0) < 0.8
