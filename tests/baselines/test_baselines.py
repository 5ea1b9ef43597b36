"""All classical learners: the library's numbers, absent classes, seeds, tiny subsets, data and value checks."""

import subprocess
import sys

import numpy as np
import pytest

from dlm import UsageError, baselines
from dlm.baselines import (
    SVC,
    Bicubic,
    GaussianNB,
    HistGradientBoosting,
    KNeighbors,
    KneserNey,
    LightGBM,
    LogisticRegression,
    MelCepstrumSVC,
    RandomForest,
    Ridge,
    TfidfLogisticRegression,
)
from dlm.data.dataset import Dataset, Split
from dlm.utils.optional_imports import installed

NUM_CLASSES = 10
NEEDS_LIGHTGBM = pytest.mark.skipif(not installed("lightgbm"), reason="needs lightgbm: python -m pip install lightgbm")
LIGHTGBM = pytest.param(LightGBM(n_estimators=5, min_child_samples=1), marks=NEEDS_LIGHTGBM, id="LightGBM")
CLASSES_OR_NUMBERS = [KNeighbors(3), SVC(), RandomForest(n_estimators=5), HistGradientBoosting(max_iter=3), LIGHTGBM]
CLASSIFIERS = [*CLASSES_OR_NUMBERS, GaussianNB(), LogisticRegression()]


@pytest.fixture(scope="module")
def classes(digits):
    """120 digits and their labels, and 200 other digits and labels."""
    return *examples(digits, 0, 120), *examples(digits, 120, 320)


@pytest.fixture(scope="module")
def numbers():
    """Four inputs with two numeric targets, and inputs of other examples."""
    random = np.random.default_rng(0)
    x, new = random.normal(size=(40, 4)).astype(np.float32), random.normal(size=(30, 4)).astype(np.float32)
    return x, np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1), new


def examples(digits, start, stop):
    rows = digits.order(0)[start:stop]
    return digits.features(digits.train.x[rows]), digits.train.y[rows]


def flat(x):
    return x.reshape(len(x), -1)


def reference(learner, seed=0):
    """The library's classifier and regressor with the same parameters."""
    from sklearn import ensemble, naive_bayes, neighbors, svm

    match learner:
        case KNeighbors():
            return neighbors.KNeighborsClassifier(3), neighbors.KNeighborsRegressor(3)
        case GaussianNB():
            return naive_bayes.GaussianNB(var_smoothing=0.1), None
        case RandomForest():
            options = {"n_estimators": 5, "random_state": seed}
            return ensemble.RandomForestClassifier(**options), ensemble.RandomForestRegressor(**options)
        case SVC():
            return svm.SVC(break_ties=True), svm.SVR()
        case LightGBM():
            import lightgbm

            options = {"n_estimators": 5, "min_child_samples": 1, "n_jobs": 1, "random_state": seed, "verbose": -1}
            return lightgbm.LGBMClassifier(**options), lightgbm.LGBMRegressor(**options)


@pytest.mark.parametrize("learner", [KNeighbors(3), GaussianNB(), RandomForest(n_estimators=5), LIGHTGBM])
def test_probabilities_equal_the_library(learner, classes):
    x, y, new, _ = classes
    expected = reference(learner, 7)[0].fit(flat(x), y).predict_proba(flat(new))
    outputs = learner.fit(x, y, NUM_CLASSES, seed=7).outputs(new)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(np.exp(outputs), np.maximum(expected, 1e-12), rtol=1e-5)


def test_random_forest_with_several_targets_equals_scikit_learn(numbers):
    from sklearn.ensemble import RandomForestRegressor

    x, y, new = numbers
    expected = RandomForestRegressor(n_estimators=5, min_samples_leaf=2, max_features=0.5, random_state=3).fit(x, y)
    fitted = RandomForest(5, min_samples_leaf=2, max_features=0.5).fit(x, y, 2, seed=3)
    np.testing.assert_array_equal(fitted.outputs(new), expected.predict(new))


@pytest.mark.parametrize("learner", [KNeighbors(3), SVC(), RandomForest(n_estimators=5), LIGHTGBM])
def test_numeric_predictions_equal_the_library(learner, numbers):
    x, y, new = numbers
    for expected in (y[:, 0], y[:, :1], y):
        if isinstance(learner, RandomForest) and expected.shape == y.shape:
            continue  # its trees predict all targets together
        outputs = learner.fit(x, expected, flat(expected).shape[1], seed=0).outputs(new)
        assert outputs.shape == (len(new), flat(expected).shape[1])
        for each, column in zip(outputs.T, flat(expected).T):
            np.testing.assert_allclose(each, reference(learner)[1].fit(x, column).predict(new), rtol=1e-6)


@pytest.mark.parametrize("learner", CLASSIFIERS)
def test_classes_absent_from_the_subset_have_negligible_probability(learner, classes):
    x, y, new, _ = classes
    selected = np.isin(y, (2, 3, 7))
    outputs = learner.fit(x[selected], y[selected], NUM_CLASSES, seed=0).outputs(new)
    assert outputs.shape == (len(new), NUM_CLASSES)
    assert np.isfinite(outputs).all()
    assert set(outputs.argmax(axis=1)) <= {2, 3, 7}
    assert np.exp(outputs[:, [0, 1, 4, 5, 6, 8, 9]]).max() < 1e-11


@pytest.mark.parametrize("learner", CLASSIFIERS)
@pytest.mark.parametrize("labels", [(4, 9), (4, 4, 9), (4, 4, 9, 9)])
def test_classifiers_fit_a_few_examples(learner, labels):
    x = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    outputs = learner.fit(x, np.array(labels, np.int32), NUM_CLASSES, seed=0).outputs(x)
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(np.exp(outputs).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("learner", [*CLASSES_OR_NUMBERS, Ridge()])
def test_regressors_fit_two_examples(learner):
    x, y = np.array([[0.0], [1.0]], np.float32), np.array([-1.0, 1.0], np.float32)
    outputs = learner.fit(x, y, 1, seed=0).outputs(x)
    assert outputs.shape == (2, 1)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("learner", "is_random"),
    [
        (KNeighbors(), False),
        (GaussianNB(), False),
        (SVC(), False),
        (RandomForest(n_estimators=5), True),
        pytest.param(LightGBM(n_estimators=5), False, marks=NEEDS_LIGHTGBM),
        pytest.param(LightGBM(n_estimators=5, colsample_bytree=0.3), True, marks=NEEDS_LIGHTGBM),
    ],
)
def test_outputs_are_reproducible_and_depend_on_the_seed_of_random_learners(learner, is_random, classes):
    x, y, new, _ = classes
    first, again, other = (learner.fit(x, y, NUM_CLASSES, seed).outputs(new) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) != is_random


def test_equal_inputs_raise():
    with pytest.raises(ValueError, match="all 2 examples are equal"):
        GaussianNB().fit(np.ones((2, 3), np.float32), np.array([0, 1]), 2, seed=0)


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
    ("learner", "supported"),
    [
        *[(learner, TABLES | {"numbers"}) for learner in CLASSES_OR_NUMBERS[:-1]],
        *[(learner, TABLES) for learner in (LogisticRegression(), GaussianNB())],
        (Ridge(), {"numbers"}),
        (TfidfLogisticRegression(), {"texts"}),
        (KneserNey(), {"tokens"}),
        (MelCepstrumSVC(), set()),
        (Bicubic(), set()),
        pytest.param(LightGBM(), TABLES | {"numbers"}, marks=NEEDS_LIGHTGBM),
    ],
)
def test_unsupported_data_raise(learner, supported):
    for name, dataset in SPLITS.items():
        if name in supported:
            learner.check(dataset)
        else:
            with pytest.raises(UsageError, match=rf"{type(learner).__name__}\(\).*'{name}'"):
                learner.check(dataset)


def test_every_learner_has_a_data_check():
    assert all(hasattr(getattr(baselines, name), "check") for name in baselines.__all__)


def test_missing_lightgbm_raises_with_the_install_command(monkeypatch):
    monkeypatch.setattr("dlm.utils.optional_imports.installed", lambda module: False)
    with pytest.raises(UsageError, match=r"run: python -m pip install .*\[lightgbm\]"):
        LightGBM().check(SPLITS["classes"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KNeighbors(0), "n_neighbors=0 must be at least 1"),
        (lambda: KNeighbors(weights="near"), "choose one of uniform, distance"),
        (lambda: GaussianNB(0), "var_smoothing=0 must be positive"),
        (lambda: SVC(C=0), "C=0 must be positive"),
        (lambda: SVC(gamma=-1), "gamma=-1 must be positive"),
        (lambda: MelCepstrumSVC(C=-1), "C=-1 must be positive"),
        (lambda: RandomForest(max_features=2), "max_features=2 must be above 0 and at most 1"),
        (lambda: LightGBM(num_leaves=1), "num_leaves=1 must be at least 2"),
        (lambda: LightGBM(colsample_bytree=0), "colsample_bytree=0 must be above 0"),
        (lambda: LogisticRegression(class_weight="even"), "choose one of balanced"),
        (lambda: TfidfLogisticRegression(ngram_range=(2, 1)), "must not decrease"),
        (lambda: Bicubic(1), "factor=1 must be at least 2"),
    ],
)
def test_invalid_values_raise_with_the_rule(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_importing_the_package_imports_no_heavy_library():
    heavy = "('sklearn', 'lightgbm', 'scipy.fft')"
    code = f"import sys, dlm.baselines; print([name for name in {heavy} if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
