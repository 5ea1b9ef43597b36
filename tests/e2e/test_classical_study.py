"""A study of many classical learners, end to end: their numbers are the library's, and one that fails is alone."""

import dataclasses

import numpy as np
import pytest
from small import small

from dlm.baselines import SVC, GaussianNB, KNeighbors, LightGBM, RandomForest
from dlm.execution import executor
from dlm.storage import description, record_log


@dataclasses.dataclass(frozen=True)
class Small(KNeighbors):
    """Raises on more than 50 examples."""

    def fit(self, x, y, num_outputs, seed):
        if len(y) > 50:
            raise MemoryError("50 examples are all I hold")
        return super().fit(x, y, num_outputs, seed)


@pytest.fixture(scope="module")
def many():
    learners = {
        "near": KNeighbors(3),
        "bayes": GaussianNB(),
        "svm": SVC(),
        "forest": RandomForest(n_estimators=10),
        "fails": Small(),
    }
    return small(learners=learners, train_sizes=(32, 64))


@pytest.fixture(scope="module")
def rows(many, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    outcome = executor.run_trials(many, folder)
    assert (outcome.trained, outcome.failed) == (20, 2)
    return record_log.rows(folder)


def value(rows, learner, metric, size=64, seed=1):
    (found,) = [
        row.value
        for row in rows
        if (row.learner, row.metric, row.train_size, row.subset_seed, row.split)
        == (learner, metric, size, seed, "test")
    ]
    return found


def test_recorded_numbers_are_those_of_the_library_on_the_subset(rows, digits):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    subset = digits.order(1)[:64]
    x, y = digits.features(digits.train.x[subset]).reshape(64, -1), digits.train.y[subset]
    new, labels = digits.features(digits.test.x).reshape(len(digits.test), -1), digits.test.y
    for name, model in {
        "near": KNeighborsClassifier(3),
        "bayes": GaussianNB(var_smoothing=0.1),
        "forest": RandomForestClassifier(10, random_state=1),
        "svm": SVC(break_ties=True),
    }.items():
        model.fit(x, y)
        assert value(rows, name, "error") == pytest.approx(np.mean(model.predict(new) != labels), abs=1e-6)
        if name in ("bayes", "forest"):
            given = model.predict_proba(new)[np.arange(len(labels)), labels]
            assert value(rows, name, "loss") == pytest.approx(-np.log(np.maximum(given, 1e-12)).mean(), rel=1e-4)


def test_they_learn_and_learn_more_of_more(rows):
    for name in ("near", "bayes", "svm", "forest"):
        errors = [np.mean([value(rows, name, "error", size, seed) for seed in (0, 1)]) for size in (32, 64)]
        assert 0.5 > errors[0] > errors[1]


def test_one_that_raises_fails_alone_where_it_raises(rows):
    failed = [row for row in rows if row.status == "failed"]
    assert {(row.learner, row.train_size) for row in failed} == {("fails", 64)}
    assert all("50 examples are all I hold" in row.note for row in failed)
    assert 0 < value(rows, "fails", "error", size=32) < 0.5


def test_the_version_of_an_optional_library_is_recorded(monkeypatch):
    monkeypatch.setattr(description.importlib.metadata, "version", lambda package: f"{package}-1")
    made = description.provenance({}, small(learners={"light": LightGBM(), "near": KNeighbors()}).trials)
    assert made["classical light"]["lightgbm"] == "lightgbm-1"
    assert "lightgbm" not in made["classical near"]
