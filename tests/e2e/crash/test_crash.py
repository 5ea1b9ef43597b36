"""A run that is killed or told to stop, and then started again, ends with the numbers of an unbroken one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlm.storage import record_log
from tests.e2e.crash.harness import Harness
from tests.e2e.crash.lives import Aim, without_times

ROOT = Path(__file__).resolve().parents[3]
STUDY = [
    sys.executable,
    str(ROOT / "launch.py"),
    "--experiment=digits",
    "--learners=mlp,logreg",
    "--train_sizes=32,128,1257",
    "--seeds=4",
    "--set=learners.mlp.model.widths=512,512",
    "--set=budget.epochs=30",
    "--save_seconds=0.3",
]


def start(folder):
    return subprocess.Popen(
        [*STUDY, f"--workdir={folder}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def finish(folder):
    process = start(folder)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def numbers(folder):
    """Every number but times, by what it is the number of."""
    return {row.key: (row.value, row.status, row.subset_hash, row.num_examples) for row in record_log.rows(folder)}


def answer(out):
    """What is printed, but for what depends on the run: times, folder and counts."""
    return without_times(out)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Numbers and answer of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    out = finish(folder)
    return numbers(folder), answer(out)


def in_the_midst(folder, process):
    """Wait until something is finished and a checkpoint of the rest is saved, but not all is done."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        saved = list(folder.glob("cohorts/*/checkpoints/*/commit_success.txt")) + list(
            folder.glob("cohorts/*/checkpoints/*/_CHECKPOINT_METADATA")
        )
        if saved:
            assert process.poll() is None, "the run was over before it could be stopped"
            return
        time.sleep(0.01)
    raise AssertionError("no checkpoint appeared")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_stopped_in_the_midst_and_started_again(number, code, unbroken, tmp_path):
    process = start(tmp_path)
    in_the_midst(tmp_path, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in err
    assert len(numbers(tmp_path)) < len(unbroken[0])
    assert answer(finish(tmp_path)) == unbroken[1]
    assert numbers(tmp_path) == unbroken[0]


@pytest.mark.slow
def test_killed_thrice_in_the_worst_moments(tmp_path):
    harness = Harness(tmp_path, warm=False)
    kills = [("append", 2, 0.5), ("rename", 2, 0.0), ("save", 1, 0.01)]
    harness.broken(Aim(signal.SIGKILL, at, phase, occurrence) for phase, occurrence, at in kills)
    assert [facts["phase"] for facts in harness.tally.sent] == [phase for phase, _, _ in kills]
    assert not harness.tally.notes


@pytest.mark.slow
@pytest.mark.parametrize(("how", "count"), [("kill", 8), ("signal", 6)])
def test_ended_in_every_phase(how, count, tmp_path):
    tally = getattr(Harness(tmp_path, seed=1), how)(count)
    assert len(tally.sent) == count
    assert not tally.notes
