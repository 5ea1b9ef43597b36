"""A run from cells to rows: nothing trained twice, nothing lost, everything said with its origin."""

import dataclasses
import json

import jax
import numpy as np
import optax
import pytest
from small import small

import dlm
from dlm import Budget, Hyper, Learner, UsageError, grid
from dlm.baselines import LogisticRegression
from dlm.curves.from_records import learning_curves
from dlm.data import Digits
from dlm.execution import executor, preparation
from dlm.models import MLP
from dlm.report.study_report import report_options
from dlm.storage import description, record_log
from dlm.storage.workdir import Workdir
from dlm.train import optimizer
from dlm.train.population import Population, summarize_program


def final(folder):
    """Final test errors by cell, of all finished trials."""
    return {
        (row.learner, row.train_size, row.subset_seed): row.value
        for row in record_log.rows(folder)
        if (row.split, row.metric) == ("test", "error")
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workdir with a finished study; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    outcome = executor.run_trials(small(), folder)
    assert outcome == executor.Outcome(trained=12, before=0, failed=0, diverged=0)
    return folder


def test_every_number_carries_its_origin(finished, digits):
    table = dlm.records.read(finished)
    assert table.num_rows == 12 * 6
    assert table.column_names == [field.name for field in dataclasses.fields(record_log.Record)]
    for row in table.to_pylist():
        assert row["trial_id"] in {trial.trial_id for trial in small().trials}
        assert row["value"] is not None
        is_last_batch = (row["learner"], row["split"], row["metric"]) == ("net", "train", "loss")
        expected = row["train_size"] if row["split"] == "train" else len(getattr(digits, row["split"]))
        assert row["num_examples"] == (64 if is_last_batch else expected)
        assert row["unit"] == {"error": "error rate", "loss": "nats"}[row["metric"]]
        assert row["packing"] == {"net": "exact", "logreg": "none"}[row["learner"]]
        assert row["precision"] == {"net": "float32", "logreg": "none"}[row["learner"]]
        assert row["seconds"] > 0
        assert row["data"].endswith(digits.fingerprint)
        assert "jax=" in row["versions"]
    hashes = {(row["train_size"], row["subset_seed"]): set() for row in table.to_pylist()}
    for row in table.to_pylist():
        hashes[row["train_size"], row["subset_seed"]].add(row["subset_hash"])
    assert all(len(same) == 1 for same in hashes.values()), "learners must see the very same subsets"
    assert len(set.union(*hashes.values())) == len(hashes)


def test_parquet_and_csv_hold_the_same_rows(finished):
    import pyarrow.csv
    import pyarrow.parquet

    lines = dlm.records.read(finished)
    assert pyarrow.parquet.read_table(finished / "records.parquet").equals(lines)
    assert pyarrow.csv.read_csv(finished / "records.csv").num_rows == lines.num_rows


def test_logistic_regression_is_scikit_learns_called_by_hand(finished, digits):
    from sklearn.linear_model import LogisticRegression as ByHand

    subset = digits.train.take(digits.order(1)[:128])
    model = ByHand(max_iter=1000).fit(subset.x.reshape(128, -1) / 16.0, subset.y)
    error = np.mean(model.predict(digits.test.x.reshape(360, -1) / 16.0) != digits.test.y)
    assert final(finished)["logreg", 128, 1] == pytest.approx(error, abs=0.005)


def test_a_second_run_trains_nothing_and_changes_nothing(tmp_path):
    study = small(train_sizes=(32,), learners={"net": small().learners["net"]})
    executor.run_trials(study, tmp_path)
    before = (tmp_path / record_log.FILE).read_bytes()
    assert executor.run_trials(study, tmp_path) == executor.Outcome(trained=0, before=2, failed=0, diverged=0)
    assert (tmp_path / record_log.FILE).read_bytes() == before


def test_more_sizes_and_seeds_train_only_the_new_cells_and_get_the_same_numbers(finished, tmp_path):
    executor.run_trials(small(train_sizes=(32, 128), seeds=1), tmp_path)
    assert executor.run_trials(small(), tmp_path) == executor.Outcome(trained=8, before=4, failed=0, diverged=0)
    assert final(tmp_path) == final(finished)


def test_another_precision_trains_the_deep_cells_again_beside_the_others(tmp_path):
    study = small(train_sizes=(32,), precision="bfloat16")
    executor.run_trials(dataclasses.replace(study, precision="float32"), tmp_path)
    before = record_log.rows(tmp_path)
    outcome = executor.run_trials(study, tmp_path)
    assert outcome == executor.Outcome(trained=2, before=2, failed=0, diverged=0)
    rows = record_log.rows(tmp_path)
    assert rows[: len(before)] == before
    assert {(row.learner, row.precision) for row in rows[len(before) :]} == {("net", "bfloat16")}
    told = {row.trial_id for row in rows if row.precision != "float32"}
    assert report_options(Workdir.open(tmp_path))["trial_ids"] == told == {trial.trial_id for trial in study.trials}


def test_another_study_is_refused_and_nothing_is_lost(tmp_path):
    study = small(train_sizes=(32,), seeds=1, learners={"net": small().learners["net"]})
    executor.run_trials(study, tmp_path)
    before = (tmp_path / record_log.FILE).read_bytes()
    for changed, what in (
        (dataclasses.replace(study, budget=Budget(steps=41)), "budget.steps: 40 → 41"),
        (dataclasses.replace(study, data=Digits(test=300)), "data.test: 360 → 300"),
        (dataclasses.replace(study, learners={"net": Learner(MLP((8,)), Hyper(lr=0.01))}), "learners.net.model.widths"),
    ):
        with pytest.raises(UsageError, match="holds another study") as error:
            executor.run_trials(changed, tmp_path)
        assert what in str(error.value)
    assert (tmp_path / record_log.FILE).read_bytes() == before


@pytest.mark.parametrize(("size", "words"), [(9, "below the 10 classes"), (1258, "choose at most 1257")])
def test_a_size_that_cannot_be_fails_before_the_workdir_is_made(size, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        executor.run_trials(small(train_sizes=(32, size)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@dataclasses.dataclass(frozen=True)
class Fragile:
    """A classical learner that raises on more than 50 examples, until it is mended."""

    mended = False

    def fit(self, x, y, num_classes, seed):
        """Fails or fits logistic regression."""
        if len(y) > 50 and not Fragile.mended:
            raise MemoryError("50 examples are all I hold")
        return LogisticRegression().fit(x, y, num_classes, seed)


def test_a_cell_that_raises_fails_alone_and_is_tried_again(tmp_path, monkeypatch):
    study = small(learners={"fragile": Fragile()}, seeds=1)
    assert executor.run_trials(study, tmp_path).failed == 2
    rows = [row for row in record_log.rows(tmp_path) if row.status == "failed"]
    assert {row.train_size for row in rows} == {64, 128}
    assert all(row.value is None and "50 examples are all I hold" in row.note for row in rows)
    assert learning_curves(record_log.rows(tmp_path))[0].num_failed == 2
    monkeypatch.setattr(Fragile, "mended", True)
    assert executor.run_trials(study, tmp_path) == executor.Outcome(trained=2, before=1, failed=0, diverged=0)


def test_a_diverged_cell_keeps_its_row_without_a_number(tmp_path):
    study = small(learners={"wild": Learner(MLP((16,)), Hyper(lr=1e30))}, train_sizes=(32,), seeds=1)
    assert executor.run_trials(study, tmp_path).diverged == 1
    rows = {(row.split, row.metric): row for row in record_log.rows(tmp_path)}
    assert rows["test", "error"].value is None
    assert rows["test", "error"].status == "diverged"
    assert np.isfinite(rows["train", "loss"].value)
    assert "NaN" not in (tmp_path / record_log.FILE).read_text()
    assert executor.run_trials(study, tmp_path).trained == 0


def test_hyperparameter_axes_train_in_one_cohort_and_validation_chooses(tmp_path):
    study = small(learners={"net": Learner(MLP((16,)))}, train_sizes=(64,), axes=grid(lr=(1e-5, 1e-2)))
    work = preparation.remaining(study, Workdir(tmp_path, None))
    assert len(work.cohorts) == 1
    assert work.num_trials == 4
    executor.run_trials(study, tmp_path)
    rows = [row for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "error")]
    good = [row.value for row in rows if json.loads(row.hyper)["hyper"]["lr"] == 1e-2]
    (curve,) = learning_curves(record_log.rows(tmp_path))
    assert sorted(curve.errors[0]) == sorted(good)


def test_with_nothing_at_hand_the_public_run_does_the_same(finished, tmp_path):
    outcome = dlm.run(small(train_sizes=(32,), seeds=1), tmp_path).outcome
    assert outcome.trained == 2
    assert final(tmp_path).items() <= final(finished).items()


def out_of_memory_above(width):
    """`Population.advance` on devices that hold so many members."""
    advance = Population.advance

    def limited(self, members, states, data, steps, window):
        if len(steps) > width:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes")
        return advance(self, members, states, data, steps, window)

    return limited


def test_a_cohort_that_runs_out_of_memory_is_halved_until_it_fits(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Population, "advance", out_of_memory_above(4))
    assert executor.run_trials(small(), tmp_path) == executor.Outcome(trained=12, before=0, failed=0, diverged=0)
    assert "6 trials at once ran out of memory" in capsys.readouterr().err
    assert final(tmp_path) == final(finished)


def test_a_learner_without_the_memory_for_one_member_fails_alone_and_is_tried_again(finished, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Population, "advance", out_of_memory_above(0))
        assert executor.run_trials(small(), tmp_path).failed == 6
    failed = [row for row in record_log.rows(tmp_path) if row.status == "failed"]
    assert {row.learner for row in failed} == {"net"}
    assert all("RESOURCE_EXHAUSTED" in row.note for row in failed)
    assert len(final(tmp_path)) == 12
    assert executor.run_trials(small(), tmp_path) == executor.Outcome(trained=6, before=6, failed=0, diverged=0)
    assert final(tmp_path) == final(finished)


def test_a_changed_program_is_refused_where_it_would_make_new_numbers_and_nowhere_else(tmp_path, monkeypatch):
    study = small(train_sizes=(32,), seeds=1)
    executor.run_trials(study, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.json*")}
    transform = optimizer.transform
    monkeypatch.setattr(optimizer, "transform", lambda *given: optax.chain(transform(*given), optax.scale(0.5)))
    monkeypatch.setattr(executor, "summarize_program", summarize_program)  # not the one that tests share
    assert executor.run_trials(study, tmp_path).trained == 0, "nothing is left to make"
    with pytest.raises(UsageError, match=r"was made with other code: learners\.net computes another program") as error:
        executor.run_trials(small(train_sizes=(32, 64), seeds=1), tmp_path)
    assert "choose another --workdir" in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.json*")} == before


def test_another_version_of_a_compiler_or_of_a_classical_library_is_named(tmp_path, monkeypatch):
    executor.run_trials(small(train_sizes=(32,), seeds=1), tmp_path)
    monkeypatch.setattr(description.importlib.metadata, "version", lambda package: f"{package}-next")
    with pytest.raises(UsageError, match=r"jaxlib .* → jaxlib-next.*scikit-learn .* → scikit-learn-next"):
        executor.run_trials(small(train_sizes=(32, 64), seeds=1), tmp_path)
    monkeypatch.undo()
    assert executor.run_trials(small(train_sizes=(32, 64), seeds=2), tmp_path).before == 2


def test_what_a_cohort_computes_has_one_name_whatever_its_sizes_seeds_and_rates(digits):
    first, *others = (
        summarize_program(study.trials[0], digits).digest
        for study in (
            small(),
            small(train_sizes=(64,), seeds=5, budget=Budget(steps=7)),
            small(learners={"net": Learner(MLP((16,)), Hyper(lr=0.5))}),
            small(learners={"net": Learner(MLP((17,)), Hyper(lr=0.01))}),
        )
    )
    assert others[:2] == [first, first]
    assert others[2] != first
