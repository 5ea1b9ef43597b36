"""Classical learners in processes of their own: the same numbers, failures that stay alone, and nothing left behind."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from small import small

from dlm.baselines import LogisticRegression
from dlm.baselines.worker_pool import FOLDER
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
    class Own:
        how: str = "well"

        def fit(self, x, y, num_outputs, seed):
            if len(y) > 64 and self.how == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            if len(y) > 64 and self.how == "raises":
                raise ValueError("more than 64 examples are too many")
            if len(y) > 64 and self.how == "takes long":
                time.sleep(600)
            return LogisticRegression().fit(x, y, num_outputs, seed)

    def study():
        learners = {how: Own(how) for how in ("crashes", "raises", "well")}
        return Study(data=Digits(), task=Classification(), learners=learners, sizes=(32, 64, 128), seeds=1)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """An experiment of one's own, whose learners no import finds."""
    path = tmp_path_factory.mktemp("own") / "fragile.py"
    path.write_text(textwrap.dedent(EXPERIMENT))
    return path


def values(folder):
    return {row.key: (row.value, row.status) for row in record_log.rows(folder)}


def test_numbers_are_those_of_fits_in_this_process_and_nothing_stays(tmp_path):
    study = small(seeds=1)
    executor.run(study, tmp_path / "here", fit_workers=0)
    executor.run(study, tmp_path / "beside", fit_workers=1)
    assert values(tmp_path / "beside") == values(tmp_path / "here")
    assert not (tmp_path / "beside" / FOLDER).exists()


def test_a_fit_that_ends_its_process_fails_alone(own, tmp_path):
    study = experiment.load(str(own))
    assert executor.run(study, tmp_path, fit_workers=1) == executor.Outcome(trained=9, before=0, failed=2, diverged=0)
    failed = {row.learner: row for row in record_log.rows(tmp_path) if row.status == "failed"}
    assert {name: row.train_size for name, row in failed.items()} == {"crashes": 128, "raises": 128}
    assert "the process that fitted it ended" in failed["crashes"].note
    assert failed["raises"].note == "ValueError: more than 64 examples are too many"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGKILL, -9),
    ],
)
def test_processes_end_with_the_run_and_what_was_fitted_stays(number, code, own, tmp_path):
    study = f"""
        import dataclasses
        from dlm import execute, experiment
        from dlm.utils.errors import Interrupted
        study = experiment.load({str(own)!r})
        slow = type(study.learners["well"])("takes long")
        study = dataclasses.replace(study, learners={{"well": study.learners["well"], "slow": slow}})
        try:
            execute.run(study, {str(tmp_path)!r}, fit_workers=1)
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
    kept = [row for row in record_log.rows(tmp_path) if (row.split, row.metric) == ("test", "error")]
    assert sorted((row.learner, row.train_size) for row in kept) == [
        ("slow", 32), ("slow", 64), ("well", 32), ("well", 64), ("well", 128),
    ]  # fmt: skip
    assert {row.status for row in kept} == {"done"}


def until(true, seconds=90):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_first_fit_is_timed_without_its_imports(tmp_path):
    slow = Importing()
    executor.run(small(learners={"slow": slow}, train_sizes=(32,), seeds=1), tmp_path, fit_workers=0)
    (seconds,) = {row.seconds for row in record_log.rows(tmp_path)}
    assert Importing.calls == 2
    assert seconds < 0.25


@dataclasses.dataclass(frozen=True)
class Importing:
    """Works half a second at its first fit, as if it imported much."""

    calls = 0

    def fit(self, x, y, num_outputs, seed):
        """Fit logistic regression."""
        Importing.calls += 1
        end = time.thread_time() + 0.5
        while Importing.calls == 1 and time.thread_time() < end:
            pass
        return LogisticRegression().fit(x, y, num_outputs, seed)
