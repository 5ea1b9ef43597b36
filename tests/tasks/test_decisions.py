"""Measures of whole splits are scikit-learn's, thresholds are chosen on validation, and a study records them all."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Library
from sklearn.metrics import average_precision_score, roc_auc_score

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.analysis.calibration import NUM_BINS, reliability
from dlm.baselines import HistGradientBoosting, LogisticRegression
from dlm.baselines.base import FittedBaseline
from dlm.baselines.evaluation import SubsetView, choose_on_validation, evaluate_split
from dlm.data import BreastCancer, Dataset, Split
from dlm.execution import executor
from dlm.models import MLP
from dlm.storage import record_log
from dlm.study.noise import Noise
from dlm.tasks import Classification, Decisions, RareEvents
from dlm.tasks import metrics as whole
from dlm.train.device_data import evaluation_batches
from dlm.train.evaluate import split_metrics
from dlm.train.program import program_config_of

EVERYTHING = tuple(whole.METRICS)
LEARNER = Learner(MLP((8,)), Hyper(lr=0.01))


def scored(seed, count=400, share=0.1, values=7):
    """Outputs [N, 2] of which many tie, and labels that they tell something of."""
    rng = np.random.default_rng(seed)
    y = (rng.random(count) < share).astype(np.int32)
    margins = np.round(rng.normal(size=count) + y, 1) if values else rng.normal(size=count) + y
    return np.stack([np.zeros(count), margins], axis=1).astype(np.float32), y


def padded(outputs, y, more=37):
    """As many examples more of weight 0, which are copies of the first."""
    weight = np.concatenate([np.ones(len(y)), np.zeros(more)]).astype(np.float32)
    rows = np.concatenate([np.arange(len(y)), np.zeros(more, int)])
    return jnp.asarray(outputs[rows]), jnp.asarray(y[rows]), jnp.asarray(weight)


def made(y_validation, y_test, seed=0):
    """Two numbers an example, of which the first tells the class somewhat."""
    rng = np.random.default_rng(seed)

    def split(y):
        return Split(np.stack([y + rng.normal(size=len(y)), rng.normal(size=len(y))], axis=1).astype(np.float32), y)

    pool = np.tile(np.array([0, 0, 0, 1], np.int32), 20)
    return Dataset("made", split(pool), split(y_validation), split(y_test), num_classes=2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", [0, 7])
def test_areas_are_those_of_scikit_learn_with_ties_and_padding_and_under_jit(seed, ties):
    outputs, y = scored(seed, values=ties)
    score, given = outputs[:, 1], padded(outputs, y)
    assert float(jax.jit(whole.auroc)(*given)) == pytest.approx(roc_auc_score(y, score), abs=1e-6)
    assert float(jax.jit(whole.auprc)(*given)) == pytest.approx(average_precision_score(y, score), abs=1e-6)


def test_recall_counts_the_last_alarm_in_proportion():
    margins, y = np.array([5.0, 4.0, 4.0, 4.0, 4.0, 1.0, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    given = padded(np.stack([0 * margins, margins], axis=1).astype(np.float32), y.astype(np.int32))
    assert float(whole.recall_at(0.1)(*given)) == pytest.approx(1 / 4)
    assert float(whole.recall_at(0.3)(*given)) == pytest.approx((1 + 2 * 2 / 4) / 4)
    assert float(whole.recall_at(0.05)(*given)) == pytest.approx(0.5 / 4)


def test_the_calibration_error_is_the_report_s():
    rng = np.random.default_rng(0)
    outputs, y = rng.normal(size=(300, 4)).astype(np.float32), rng.integers(0, 4, 300).astype(np.int32)
    probabilities = np.asarray(jax.nn.softmax(outputs, axis=-1), np.float64)
    assert whole.NUM_BINS == NUM_BINS
    found = float(jax.jit(whole.calibration_error)(*padded(outputs, y)))
    assert found == pytest.approx(reliability([probabilities], [y]).errors[0], abs=1e-6)


def test_a_split_without_positives_has_no_number():
    outputs, y = scored(0)
    given = padded(outputs, 0 * y)
    assert all(np.isnan(float(whole.METRICS[name][1](*given))) for name in EVERYTHING if name != "calibration_error")


def test_the_threshold_costs_least_among_all_that_there_are():
    outputs, y = scored(3)
    task = Decisions(costs=(1.0, 5.0))
    margins = outputs[:, 1]
    chosen = jax.jit(task.fit_threshold)(*padded(outputs, y))

    def cost(threshold):
        return float(np.where(y == 1, 5.0 * (margins <= threshold), margins > threshold).mean())

    found = task.whole_split_metrics(*padded(outputs, y), chosen)
    assert float(found["cost_at_chosen"]) == pytest.approx(min(cost(at) for at in [*margins, margins.min() - 1]))
    assert float(found["cost_at_chosen"]) == pytest.approx(cost(float(chosen["margin"])))
    # By probability the second class is decided for from 1 / (1 + 5) on.
    values = task.example_metrics(jnp.asarray(outputs), jnp.asarray(y))
    assert float(values["error"].mean()) == pytest.approx(cost(np.log(1 / 5)))


def deep(task, dataset):
    """What an untrained network measures on test."""
    study = Study(data=BreastCancer(), task=task, learners={"net": LEARNER}, train_sizes=(32,), budget=Budget(steps=1))
    spec = program_config_of(study.trials[0], dataset)
    params = spec.model.init(jax.random.key(1), jnp.zeros((1, 2)))
    validation = evaluation_batches(dataset.validation)
    return split_metrics(spec, None, params, evaluation_batches(dataset.test, dataset.leaked_rows), False, validation)


def classical(task, dataset):
    """What a made learner measures on test."""
    fitted = FittedBaseline(1, lambda x: np.stack([np.zeros(len(x)), 3 * x[:, 0] - 2], axis=1).astype(np.float32))
    seen = SubsetView(dataset, None)
    chosen = choose_on_validation(task, fitted, seen)
    return evaluate_split(task, fitted, seen, dataset.test, Noise(), 0, dataset.leaked_rows, chosen).values


@pytest.mark.parametrize("measured_by", [deep, classical])
def test_a_threshold_is_chosen_on_validation_alone(measured_by):
    y = (np.random.default_rng(5).random(300) < 0.3).astype(np.int32)
    task, dataset = Decisions(costs=(1.0, 5.0)), made(y, y[::-1].copy())
    first = measured_by(task, dataset)
    other_test = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, y=1 - dataset.test.y))
    assert float(measured_by(task, other_test)["threshold"]) == float(first["threshold"])
    assert float(measured_by(task, other_test)["cost_at_chosen"]) != float(first["cost_at_chosen"])
    validation = dataclasses.replace(dataset.validation, y=1 - dataset.validation.y)
    other_validation = dataclasses.replace(dataset, validation=validation)
    assert float(measured_by(task, other_validation)["threshold"]) != float(first["threshold"])


@pytest.mark.parametrize("measured_by", [deep, classical])
def test_leaked_examples_are_left_out_of_the_ranking_too(measured_by):
    y = (np.random.default_rng(6).random(300) < 0.3).astype(np.int32)
    dataset, leaked = made(y, y.copy()), np.arange(0, 300, 3)
    found = measured_by(RareEvents(), dataset.with_leaked_rows(leaked))
    kept = dataset.test.take(np.setdiff1d(np.arange(300), leaked))
    without = measured_by(RareEvents(), dataclasses.replace(dataset, test=kept))
    assert float(found["error_without_leaks"]) == pytest.approx(float(without["error"]), abs=1e-6)
    assert float(found["error_without_leaks"]) != float(found["error"])


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        (RareEvents(), {"test": np.zeros(20, np.int32)}, "no example of the second class"),
        (Classification(extra_metrics=("auroc",)), {"num_classes": 3}, "leave it out"),
        (Decisions(), {"num_classes": 3}, "two classes"),
    ],
)
def test_data_that_a_task_says_nothing_of_are_refused(task, changes, message):
    y = np.tile(np.array([0, 1], np.int32), 10)
    dataset = made(y, changes.pop("test", y))
    with pytest.raises(UsageError, match=message):
        task.check(dataclasses.replace(dataset, **changes))


def test_unknown_measures_and_costs_are_refused():
    with pytest.raises(UsageError, match="auroc"):
        Classification(extra_metrics=("aurox",))
    with pytest.raises(UsageError, match="above 0"):
        Decisions(costs=(0.0, 1.0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny study of decisions, run to its end: the study, and values on test by learner and measure."""
    study = Study(
        data=BreastCancer(),
        task=Decisions(costs=(5.0, 1.0)),
        learners={
            "net": LEARNER,
            "logreg": LogisticRegression(),
            "weighted": LogisticRegression(class_weight="balanced"),
        },
        train_sizes=(64,),
        seeds=1,
        budget=Budget(steps=20, eval_every=10, patience=1),
    )
    folder = tmp_path_factory.mktemp("decisions")
    outcome = executor.run_trials(study, folder)
    assert (outcome.trained, outcome.failed) == (3, 0)
    values = {}
    for row in record_log.rows(folder):
        if row.split == "test":
            values.setdefault(row.learner, {})[row.metric] = row.value
    return study, values


def test_a_study_records_every_measure_of_every_learner(finished):
    study, values = finished
    wanted = {"error", "loss", "error_rate", "auroc", "calibration_error", "cost_at_chosen", "threshold"}
    assert all(set(found) == wanted for found in values.values())
    assert set(study.task.units) == wanted
    assert all(study.task.units.values())


def test_classical_learners_measure_what_the_library_does_by_hand(finished):
    study, values = finished
    dataset = study.data.load()
    rows = dataset.order(0)[:64]
    x, y = dataset.train.x[rows], dataset.train.y[rows]
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    for name, weight in (("logreg", None), ("weighted", "balanced")):
        model = Library(max_iter=1000, class_weight=weight).fit((x - mean) / scale, y)
        score = model.decision_function((dataset.test.x - mean) / scale)
        assert values[name]["auroc"] == pytest.approx(roc_auc_score(dataset.test.y, score), abs=1e-4)
    assert values["weighted"]["loss"] != values["logreg"]["loss"]


def test_boosting_supports_class_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)).astype(np.float32), (rng.random(300) < 0.1).astype(np.int64)
    plain, weighted, power = (
        HistGradientBoosting(max_iter=5, class_weight=weight).fit(x, y, 2, 0).outputs(x)
        for weight in (None, "balanced", 1.0)
    )
    assert np.exp(plain[:, 1]).mean() == pytest.approx(y.mean(), abs=0.05)
    assert np.exp(weighted[:, 1]).mean() > 3 * y.mean()
    np.testing.assert_array_equal(weighted, power)
