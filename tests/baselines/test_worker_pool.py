"""Worker processes: equal numbers, isolated failures, classes of experiment files, no leftover processes or files."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest
from small import small

from dlm.baselines import LogisticRegression
from dlm.baselines.worker_pool import FOLDER, _SharedData
from dlm.execution import executor
from dlm.storage import record_log
from dlm.study import experiment

EXPERIMENT = """
    import dataclasses, os, signal, time
    from dlm import Study
    from dlm.baselines import LogisticRegression
    from dlm.data import Digits
    from dlm.tasks import Classification

    @dataclasses.dataclass(frozen=True)
    class Fragile:
        mode: str = "works"

        def fit(self, x, y, num_outputs, seed):
            if len(y) > 64 and self.mode == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            if len(y) > 64 and self.mode.startswith("once:") and not os.path.exists(self.mode[5:]):
                open(self.mode[5:], "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if len(y) > 64 and self.mode == "raises":
                raise ValueError("more than 64 examples are too many")
            if len(y) > 64 and self.mode == "is slow":
                time.sleep(600)
            return LogisticRegression().fit(x, y, num_outputs, seed)

    def study():
        learners = {mode: Fragile(mode) for mode in ("crashes", "raises", "works")}
        return Study(data=Digits(), task=Classification(), learners=learners, train_sizes=(32, 64, 128), seeds=1)
"""


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """An experiment file outside the repository, whose learners are not importable."""
    path = tmp_path_factory.mktemp("experiment") / "fragile.py"
    path.write_text(textwrap.dedent(EXPERIMENT))
    return path


def values(folder):
    return {row.key: (row.value, row.status) for row in record_log.rows(folder)}


def test_workers_give_the_same_numbers_and_delete_their_data(tmp_path):
    study = small(seeds=1)
    executor.run_trials(study, tmp_path / "in_process", executor.RunOptions(fit_workers=0))
    executor.run_trials(study, tmp_path / "in_workers", executor.RunOptions(fit_workers=1))
    assert values(tmp_path / "in_workers") == values(tmp_path / "in_process")
    assert not (tmp_path / "in_workers" / FOLDER).exists()


def test_a_fit_that_crashes_its_process_fails_alone(fragile, tmp_path):
    study = experiment.load(str(fragile))
    assert executor.run_trials(study, tmp_path, executor.RunOptions(fit_workers=1)) == executor.Outcome(
        trained=9, before=0, failed=2, diverged=0
    )
    failed = {row.learner: row for row in record_log.rows(tmp_path) if row.status == "failed"}
    assert {name: row.train_size for name, row in failed.items()} == {"crashes": 128, "raises": 128}
    assert "the worker process died" in failed["crashes"].note
    assert failed["raises"].note == "ValueError: more than 64 examples are too many"


def test_a_fit_whose_process_died_once_is_fitted_again(fragile, tmp_path):
    study = experiment.load(str(fragile))
    works = study.learners["works"]
    once = dataclasses.replace(works, mode=f"once:{tmp_path / 'died'}")
    study = dataclasses.replace(study, learners={"once": once, "works": works}, tuning={})
    assert executor.run_trials(study, tmp_path / "w", executor.RunOptions(fit_workers=1)).failed == 0
    assert (tmp_path / "died").exists()


DATA_EXPERIMENT = """
    import dataclasses
    import numpy as np
    import dlm

    class Measurements(dlm.Split):
        def take(self, rows):
            return Measurements(np.asarray(self.x)[rows], np.asarray(self.y)[rows])

    @dataclasses.dataclass(frozen=True)
    class MyDataset(dlm.Dataset):
        def features(self, x, stats=None):
            return 2 * super().features(x, stats)

    @dataclasses.dataclass(frozen=True)
    class Sine:
        frequency: float = 2.0

        def load(self, data_dir=None):
            random = np.random.default_rng(0)
            x = random.normal(size=(120, 2)).astype(np.float32)
            y = np.sin(self.frequency * x[:, 0]).astype(np.float32)
            splits = [Measurements(x[rows], y[rows]) for rows in np.split(np.arange(120), [80, 100])]
            return MyDataset("sine", *splits)

    def study():
        learners = {"ridge": dlm.Ridge(), "forest": dlm.RandomForest(n_estimators=5)}
        return dlm.Study(data=Sine(), task=dlm.Regression(), learners=learners, train_sizes=(20, 80), seeds=1)
"""


def test_data_classes_of_an_experiment_file_work_in_workers(tmp_path):
    path = tmp_path / "sine.py"
    path.write_text(textwrap.dedent(DATA_EXPERIMENT))
    for name, fit_workers in (("in_process", 0), ("in_workers", 1)):
        executor.run_trials(experiment.load(str(path)), tmp_path / name, executor.RunOptions(fit_workers=fit_workers))
    assert values(tmp_path / "in_workers") == values(tmp_path / "in_process")
    assert {status for _, status in values(tmp_path / "in_workers").values()} == {"done"}


def test_arrays_in_shared_data_are_mapped_from_the_file(tmp_path):
    np.save(tmp_path / "disk.npy", np.arange(5.0))
    value = {
        "memory": np.arange(1000, dtype=np.float32).reshape(10, 100)[:, ::2],
        "disk": np.load(tmp_path / "disk.npy", mmap_mode="r"),
        "empty": np.zeros((0, 3)),
        "text": "abc",
    }
    shared = _SharedData.dump(value, tmp_path / "data")
    loaded = shared.load()
    assert len(shared.pickled) < 1000 + value["memory"].nbytes
    assert loaded["text"] == "abc"
    for name in ("memory", "disk", "empty"):
        np.testing.assert_array_equal(loaded[name], value[name])
        assert loaded[name].dtype == value[name].dtype
    assert not loaded["disk"].flags.writeable
    assert not loaded["disk"].flags.owndata


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGKILL, -9),
    ],
)
def test_workers_end_with_the_run_and_completed_fits_are_recorded(number, code, fragile, tmp_path):
    study = f"""
        import dataclasses
        from dlm.execution import executor
        from dlm.study import experiment
        from dlm.utils.errors import Interrupted
        study = experiment.load({str(fragile)!r})
        slow = type(study.learners["works"])("is slow")
        study = dataclasses.replace(study, learners={{"works": study.learners["works"], "slow": slow}})
        try:
            executor.run_trials(study, {str(tmp_path)!r}, executor.RunOptions(fit_workers=1))
        except Interrupted as error:
            raise SystemExit(error.exit_code)
    """
    run = subprocess.Popen([sys.executable, "-c", textwrap.dedent(study)], start_new_session=True)
    try:
        until(lambda: len(values(tmp_path)) >= 5 * 5)
        children = psutil.Process(run.pid).children(recursive=True)
        assert children
        os.kill(run.pid, number)
        assert run.wait(60) == code
        until(lambda: not [child for child in children if child.is_running() and child.status() != "zombie"])
    finally:
        run.kill()
    recorded = [row for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "error")]
    assert sorted((row.learner, row.train_size) for row in recorded) == [
        ("slow", 32), ("slow", 64), ("works", 32), ("works", 64), ("works", 128),
    ]  # fmt: skip
    assert {row.status for row in recorded} == {"done"}


def until(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_time_of_the_first_fit_excludes_imports(tmp_path):
    slow = Importing()
    executor.run_trials(
        small(learners={"slow": slow}, train_sizes=(32,), seeds=1), tmp_path, executor.RunOptions(fit_workers=0)
    )
    (seconds,) = {row.seconds for row in record_log.rows(tmp_path)}
    assert Importing.calls == 2
    assert seconds < 0.25


@dataclasses.dataclass(frozen=True)
class Importing:
    """Takes half a second more at its first fit, as if it imported a library."""

    calls = 0

    def fit(self, x, y, num_outputs, seed):
        """Fit logistic regression."""
        Importing.calls += 1
        end = time.thread_time() + 0.5
        while Importing.calls == 1 and time.thread_time() < end:
            pass
        return LogisticRegression().fit(x, y, num_outputs, seed)
