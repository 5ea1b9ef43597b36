"""Watching a run from another process, with a simulated clock; for real terminals see test_terminal_view.py."""

import dataclasses
import io
import json
import os
import socket

import pytest
from command import contents
from rich.console import Console
from small import ROW

from dlm import UsageError
from dlm.report.progress import status
from dlm.report.progress.status import RunStatus, SizeProgress
from dlm.report.progress.watch import watch
from dlm.storage import description as descriptions
from dlm.storage import lock, record_log
from dlm.storage.lock import LOCK, hold_lock

HERE = {"host": socket.gethostname(), "pid": os.getpid()}
ROWS = (SizeProgress("mlp", 32, 4, 1, 3, 0, 0.25, unit=ROW.unit),)
RUNNING = RunStatus("toy", "running", "train", rows=ROWS, eta=60.0, **HERE)


@pytest.fixture
def workdir(tmp_path):
    study = {
        "name": "toy",
        "learners": {"mlp": {}},
        "train_sizes": [32, 64],
        "seeds": [0, 1],
        "axes": {"points": [{}]},
        "tuning": {},
    }
    description = descriptions.StudyDescription(
        question="", study=study, data={}, provenance={}, versions={}, command="", format=descriptions.FORMAT
    )
    descriptions.write(tmp_path, description)
    record_log.append(tmp_path, [ROW])
    return tmp_path


def watched(workdir, *events):
    """Watch a workdir; each poll is followed by the next event. Returns the last status and the printed lines."""
    file, now, remaining = io.StringIO(), [0.0], list(events)

    def sleep(seconds):
        now[0] += 10.0
        if not remaining:
            raise AssertionError("the watch does not end")
        remaining.pop(0)()

    last = watch(workdir, Console(file=file, width=200), interval_seconds=1.0, clock=lambda: now[0], sleep=sleep)
    return last, file.getvalue().splitlines()


def test_a_folder_without_a_study_raises(tmp_path):
    with pytest.raises(UsageError, match="holds no study"):
        watch(tmp_path)


def test_watch_ends_with_the_run(workdir):
    status.write(workdir, RUNNING)
    done = dataclasses.replace(RUNNING, state="done", rows=(SizeProgress("mlp", 32, 4, 4),))
    with hold_lock(workdir):
        before = contents(workdir)
        last, lines = watched(workdir, lambda: None, lambda: status.write(workdir, done))
        assert contents(workdir).keys() == before.keys()
    assert lines == [*["train · 1 of 4 trials · 3 running · about 1 min 00 s left"] * 2, "done · 4 of 4 trials"]
    assert last == done


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_the_state_of_an_ended_run_is_returned(state, workdir):
    status.write(workdir, dataclasses.replace(RUNNING, state=state))
    assert watched(workdir)[0].state == state


@pytest.mark.parametrize("damaged", [None, "{", RUNNING])
def test_a_killed_run_is_counted_from_its_records(damaged, workdir, monkeypatch):
    if isinstance(damaged, str):
        (workdir / status.FILE).write_text(damaged)
    elif damaged:
        status.write(workdir, damaged)
    # Its lock is there, and the process is not.
    monkeypatch.setattr(lock, "_born", lambda pid: "" if pid == 4_000_000 else "1")
    (workdir / LOCK).write_text(json.dumps({**HERE, "pid": 4_000_000, "born": "1", "since": "today", "token": ""}))
    last, lines = watched(workdir)
    assert last.state == "killed"
    assert last.rows[0] == SizeProgress("mlp", 32, 4 if damaged is RUNNING else 2, 1, 0, 0, 0.25, unit=ROW.unit)
    assert lines[-1].startswith("killed")


def test_a_starting_run_is_distinguished_from_the_previous_one(workdir):
    status.write(workdir, dataclasses.replace(RUNNING, state="done", pid=1))
    end = dataclasses.replace(RUNNING, state="stopped")
    with hold_lock(workdir):
        _, lines = watched(workdir, lambda: status.write(workdir, end))
    assert lines[0] == f"starting · 1 of 4 trials · process {HERE['pid']} on {HERE['host']}"
    assert lines[-1].startswith("stopped")


def test_a_silent_run_on_another_host_counts_as_ended(workdir):
    far = {"host": "elsewhere", "pid": 7}
    status.write(workdir, dataclasses.replace(RUNNING, **far))
    (workdir / LOCK).write_text(json.dumps({**far, "born": "1", "since": "today", "token": ""}))
    last, lines = watched(workdir, *[lambda: None] * 12)
    assert lines[3].startswith("silent for 30 s")
    assert lines[0].startswith("train")
    assert (last.state, last.detail) == ("silent", "process 7 on elsewhere, for 2 min 00 s")
