"""The encodings earn their keep: what a plain network of the same budget does not learn, and a table with gaps."""

import csv
import dataclasses

import numpy as np
import pytest

from dlm import Budget, Hyper, Learner, Study
from dlm.data import Dataset, File, Split
from dlm.execution import executor
from dlm.models import MLP, FTTransformer, TabularMLP
from dlm.storage import record_log
from dlm.tasks import Classification, Regression

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Waves:
    """A number that swings four times over the range of one column, beside a column that says nothing."""

    def load(self, data_dir=None):
        rng = np.random.default_rng(0)
        x = rng.uniform(-1.7, 1.7, (900, 2)).astype(np.float32)
        y = np.sin(8 * x[:, 0]).astype(np.float32)
        parts = [Split(x[rows], y[rows]) for rows in (slice(600), slice(600, 700), slice(700, None))]
        return Dataset("waves", *parts, standardize=True, fields=(1, 1))


def errors(study, folder):
    """Mean test error of each learner."""
    outcome = executor.run_trials(study, folder)
    assert outcome.failed == outcome.diverged == 0
    rows = [row for row in record_log.rows(folder) if row.split == "test" and row.metric == "error"]
    return {name: float(np.mean([row.value for row in rows if row.learner == name])) for name in study.learners}


def test_encoded_numbers_swing_where_a_plain_network_stays_smooth(tmp_path):
    learners = {
        "plain": Learner(MLP((32, 32)), Hyper(lr=5e-3)),
        "periodic": Learner(TabularMLP((32, 32), sigma=1.0), Hyper(lr=5e-3)),
        "piecewise": Learner(TabularMLP((32, 32), "piecewise", bins=24), Hyper(lr=5e-3)),
    }
    study = Study(Waves(), Regression(), learners, train_sizes=(600,), seeds=2, budget=Budget(steps=300), name="waves")
    error = errors(study, tmp_path)
    assert error["periodic"] < 0.15
    assert error["piecewise"] < 0.3
    assert error["plain"] > 0.3
    assert error["plain"] > 2 * max(error["periodic"], error["piecewise"])


@pytest.fixture
def cars(tmp_path):
    """Whether colour and origin go together (XOR of two categories), beside numbers of which some are missing."""
    rng = np.random.default_rng(0)
    path = tmp_path / "cars.csv"
    colours, origins = ["red", "green", "blue", "grey"], ["here", "there", ""]
    with path.open("w", newline="") as file:
        rows = []
        for _ in range(600):
            colour, origin = rng.integers(4), rng.integers(3)
            age = "" if rng.random() < 0.2 else f"{rng.normal():.3f}"
            rows.append([colours[colour], origins[origin], age, ["no", "yes"][(colour + (origin == 1)) % 2]])
        csv.writer(file).writerows([["colour", "origin", "age", "label"], *rows])
    return File(str(path), test=0.2)


def test_a_table_with_categories_and_gaps_is_learnt_through_a_study(cars, tmp_path):
    learners = {
        "mlp": Learner(TabularMLP((32,), category_dim=2), Hyper(lr=1e-2, dropout=0.05)),
        "ft": Learner(FTTransformer(dim=16, depth=1, heads=2), Hyper(lr=1e-2)),
    }
    study = Study(
        cars, Classification(), learners, train_sizes=(100, 400), seeds=1, budget=Budget(steps=200), name="cars"
    )
    error = errors(dataclasses.replace(study, train_sizes=(400,)), tmp_path / "run")
    assert max(error.values()) < 0.05
