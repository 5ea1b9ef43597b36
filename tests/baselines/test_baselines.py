"""Classical learners: the library's own numbers, classes that a subset lacks, seeds, tiny subsets, wrong targets."""

import subprocess
import sys

import numpy as np
import pytest

from dlm import UsageError, baselines
from dlm.baselines import (
    BagOfWords,
    Bicubic,
    GradientBoosting,
    KneserNey,
    LightGBM,
    LogisticRegression,
    MelSupportVectors,
    NaiveBayes,
    NearestNeighbours,
    RandomForest,
    Ridge,
    SupportVectors,
)
from dlm.data.dataset import Dataset, Split
from dlm.utils.optional_imports import installed

NUM_CLASSES = 10
NO_LIGHTGBM = pytest.mark.skipif(not installed("lightgbm"), reason="needs lightgbm: python -m pip install lightgbm")
LIGHT = pytest.param(LightGBM(trees=5, least_in_leaf=1), marks=NO_LIGHTGBM, id="LightGBM")
OF_BOTH = [NearestNeighbours(3), SupportVectors(), RandomForest(trees=5), GradientBoosting(trees=3), LIGHT]
OF_CLASSES = [*OF_BOTH, NaiveBayes(), LogisticRegression()]


@pytest.fixture(scope="module")
def classes(digits):
    """120 digits with their labels, and 200 others."""
    return *part(digits, 0, 120), *part(digits, 120, 320)


@pytest.fixture(scope="module")
def numbers():
    """Two numbers of four inputs, and inputs of other examples."""
    random = np.random.default_rng(0)
    x, new = random.normal(size=(40, 4)).astype(np.float32), random.normal(size=(30, 4)).astype(np.float32)
    return x, np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1), new


def part(digits, start, stop):
    rows = digits.order(0)[start:stop]
    return digits.features(digits.train.x[rows]), digits.train.y[rows]


def flat(x):
    return x.reshape(len(x), -1)


def by_hand(learner, seed=0):
    """The library's own classifier, or regressor of one number, with the same parameters."""
    from sklearn import ensemble, naive_bayes, neighbors, svm

    match learner:
        case NearestNeighbours():
            return neighbors.KNeighborsClassifier(3), neighbors.KNeighborsRegressor(3)
        case NaiveBayes():
            return naive_bayes.GaussianNB(var_smoothing=0.1), None
        case RandomForest():
            options = {"n_estimators": 5, "random_state": seed}
            return ensemble.RandomForestClassifier(**options), ensemble.RandomForestRegressor(**options)
        case SupportVectors():
            return svm.SVC(break_ties=True), svm.SVR()
        case LightGBM():
            import lightgbm

            options = {"n_estimators": 5, "min_child_samples": 1, "n_jobs": 1, "random_state": seed, "verbose": -1}
            return lightgbm.LGBMClassifier(**options), lightgbm.LGBMRegressor(**options)


@pytest.mark.parametrize("learner", [NearestNeighbours(3), NaiveBayes(), RandomForest(trees=5), LIGHT])
def test_probabilities_are_the_librarys_called_by_hand(learner, classes):
    x, y, new, _ = classes
    wanted = by_hand(learner, 7)[0].fit(flat(x), y).predict_proba(flat(new))
    outputs = learner.fit(x, y, NUM_CLASSES, seed=7).outputs(new)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(np.exp(outputs), np.maximum(wanted, 1e-12), rtol=1e-5)


def test_forests_of_several_numbers_are_the_librarys_too(numbers):
    from sklearn.ensemble import RandomForestRegressor

    x, y, new = numbers
    wanted = RandomForestRegressor(n_estimators=5, min_samples_leaf=2, max_features=0.5, random_state=3).fit(x, y)
    fitted = RandomForest(5, 2, 0.5).fit(x, y, 2, seed=3)
    np.testing.assert_array_equal(fitted.outputs(new), wanted.predict(new))


@pytest.mark.parametrize("learner", [NearestNeighbours(3), SupportVectors(), RandomForest(trees=5), LIGHT])
def test_numbers_are_the_librarys_called_by_hand(learner, numbers):
    x, y, new = numbers
    for wanted in (y[:, 0], y[:, :1], y):
        if isinstance(learner, RandomForest) and wanted.shape == y.shape:
            continue  # its trees predict all numbers at once
        outputs = learner.fit(x, wanted, flat(wanted).shape[1], seed=0).outputs(new)
        assert outputs.shape == (len(new), flat(wanted).shape[1])
        for each, column in zip(outputs.T, flat(wanted).T):
            np.testing.assert_allclose(each, by_hand(learner)[1].fit(x, column).predict(new), rtol=1e-6)


@pytest.mark.parametrize("num_classes", [2, 10])
@pytest.mark.parametrize("n", [10, 20, 37, 120])
def test_the_class_of_support_vectors_is_that_of_svc(digits, classes, n, num_classes):
    x, y = part(digits, 0, n)
    x, y = x[y < num_classes], y[y < num_classes]
    new = classes[2]
    wanted = by_hand(SupportVectors())[0].fit(flat(x), y)
    fitted = SupportVectors().fit(x, y, NUM_CLASSES, seed=0)
    np.testing.assert_array_equal(fitted.outputs(new).argmax(axis=1), wanted.predict(flat(new)))
    np.testing.assert_allclose(np.exp(fitted.outputs(new)).sum(axis=1), 1, rtol=1e-5)


def test_far_from_all_examples_the_class_is_that_of_svc_too():
    x, y = np.array([[0.0], [1.0]], np.float32), np.array([0, 1])
    new = np.linspace(-9, 9, 400, dtype=np.float32)[:, None]  # where the kernel vanishes, and scores with it
    wanted = by_hand(SupportVectors())[0].fit(x, y)
    outputs = SupportVectors().fit(x, y, 2, seed=0).outputs(new)
    np.testing.assert_array_equal(outputs.argmax(axis=1), wanted.predict(new))


def test_support_vectors_are_sure_where_held_out_examples_were_right(digits, classes):
    """And a few examples, told apart without an error, make nobody sure."""
    _, _, new, labels = classes
    few, many = (SupportVectors().fit(*part(digits, 0, n), NUM_CLASSES, seed=0).outputs(new) for n in (20, 120))
    assert loss(many, labels) < 0.6 < loss(few, labels) < np.log(NUM_CLASSES)
    ends = SupportVectors().fit(np.eye(4, dtype=np.float32)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]), 2, seed=0)
    assert 0.6 < np.exp(ends.outputs(np.eye(4, dtype=np.float32)[:1]))[0, 0] < 0.999


def loss(outputs, labels):
    return -outputs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("learner", OF_CLASSES)
def test_a_class_that_a_subset_lacks_has_nearly_no_probability(learner, classes):
    x, y, new, _ = classes
    held = np.isin(y, (2, 3, 7))
    outputs = learner.fit(x[held], y[held], NUM_CLASSES, seed=0).outputs(new)
    assert outputs.shape == (len(new), NUM_CLASSES)
    assert np.isfinite(outputs).all()
    assert set(outputs.argmax(axis=1)) <= {2, 3, 7}
    assert np.exp(outputs[:, [0, 1, 4, 5, 6, 8, 9]]).max() < 1e-11


@pytest.mark.parametrize("learner", OF_CLASSES)
@pytest.mark.parametrize("labels", [(4, 9), (4, 4, 9), (4, 4, 9, 9)])
def test_a_subset_of_a_few_examples_is_fitted(learner, labels):
    x = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    outputs = learner.fit(x, np.array(labels, np.int32), NUM_CLASSES, seed=0).outputs(x)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(np.exp(outputs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("learner", [*OF_BOTH, Ridge()])
def test_two_numbers_are_fitted(learner):
    x, y = np.array([[0.0], [1.0]], np.float32), np.array([-1.0, 1.0], np.float32)
    outputs = learner.fit(x, y, 1, seed=0).outputs(x)
    assert outputs.shape == (2, 1)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("learner", "matters"),
    [
        (NearestNeighbours(), False),
        (NaiveBayes(), False),
        (SupportVectors(), False),
        (RandomForest(trees=5), True),
        pytest.param(LightGBM(trees=5), False, marks=NO_LIGHTGBM),
        pytest.param(LightGBM(trees=5, columns=0.3), True, marks=NO_LIGHTGBM),
    ],
)
def test_a_seed_gives_the_same_bits_and_another_others_where_something_is_drawn(learner, matters, classes):
    x, y, new, _ = classes
    first, again, other = (learner.fit(x, y, NUM_CLASSES, seed).outputs(new) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) != matters


def test_inputs_that_are_all_alike_fail_with_a_reason():
    with pytest.raises(ValueError, match="all 2 examples are alike"):
        NaiveBayes().fit(np.ones((2, 3), np.float32), np.array([0, 1]), 2, seed=0)


SPLITS = {
    "classes": Dataset("classes", *[Split(np.zeros((9, 3), np.float32), np.arange(9) % 2)] * 3, num_classes=2),
    "numbers": Dataset("numbers", *[Split(np.zeros((9, 3), np.float32), np.zeros(9, np.float32))] * 3),
    "tokens": Dataset("tokens", *[Split(np.zeros((9, 5), np.uint8), np.zeros((9, 5), np.uint8))] * 3, vocabulary=256),
    "texts": Dataset(
        "texts", *[Split(np.zeros((9, 5), np.uint8), np.arange(9) % 2)] * 3, num_classes=2, vocabulary=256
    ),
    "masks": Dataset(
        "masks", *[Split(np.zeros((9, 4, 4, 1), np.uint8), np.zeros((9, 4, 4), np.int32))] * 3, num_classes=2
    ),
}
TABLES = {"classes", "texts"}


@pytest.mark.parametrize(
    ("learner", "fitting"),
    [
        *[(learner, TABLES | {"numbers"}) for learner in OF_BOTH[:-1]],
        *[(learner, TABLES) for learner in (LogisticRegression(), NaiveBayes())],
        (Ridge(), {"numbers"}),
        (BagOfWords(), {"texts"}),
        (KneserNey(), {"tokens"}),
        (MelSupportVectors(), set()),
        (Bicubic(), set()),
        pytest.param(LightGBM(), TABLES | {"numbers"}, marks=NO_LIGHTGBM),
    ],
)
def test_data_of_another_kind_are_refused_by_name(learner, fitting):
    for name, dataset in SPLITS.items():
        if name in fitting:
            learner.check(dataset)
        else:
            with pytest.raises(UsageError, match=rf"{type(learner).__name__}\(\).*'{name}'"):
                learner.check(dataset)


def test_every_classical_learner_checks_the_data():
    assert all(hasattr(getattr(baselines, name), "check") for name in baselines.__all__)


def test_lightgbm_that_is_not_installed_is_refused_with_the_command(monkeypatch):
    monkeypatch.setattr("dlm.utils.optional_imports.installed", lambda module: False)
    with pytest.raises(UsageError, match=r"run: python -m pip install .*\[lightgbm\]"):
        LightGBM().check(SPLITS["classes"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NearestNeighbours(0), "neighbours=0 must be at least 1"),
        (lambda: NearestNeighbours(weights="near"), "choose one of uniform, distance"),
        (lambda: NaiveBayes(0), "smoothing=0 must be above 0"),
        (lambda: SupportVectors(c=0), "c=0 must be above 0"),
        (lambda: SupportVectors(gamma=-1), "gamma=-1 must be at least 0"),
        (lambda: MelSupportVectors(c=-1), "c=-1 must be above 0"),
        (lambda: RandomForest(columns=2), "columns=2 is a share"),
        (lambda: LightGBM(leaves=1), "leaves=1 must be at least 2"),
        (lambda: LightGBM(columns=0), "columns=0 is a share"),
        (lambda: Bicubic(1), "factor=1 must be at least 2"),
    ],
)
def test_impossible_values_are_refused_with_the_rule(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_naming_the_learners_imports_no_library_of_theirs():
    heavy = "('sklearn', 'lightgbm', 'scipy.fft')"
    code = f"import sys, dlm.baselines; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
