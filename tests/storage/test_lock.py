"""A workdir has at most one live holder, although processes and hosts die, halt or come back."""

import errno
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from dlm import UsageError
from dlm.storage import lock
from dlm.storage.lock import LOCK, hold_lock

CLAIMS = [f"{lock.CLAIM}{digit * 32}" for digit in "abcd"]
STALE = lock.STALE_AFTER + 1

# Again and again a child process tries to get in. Once in, it mostly dies there; on the way it dawdles, or dies too.
RACER = """
import os, random, sys, time
from pathlib import Path
from dlm import UsageError
from dlm.storage import lock

def chance():
    if random.random() < 0.01: os._exit(0)
    if random.random() < 0.2: time.sleep(random.random() * 0.004)

def mortal(call):
    def wrapped(*args, **kwargs):
        chance()
        result = call(*args, **kwargs)
        chance()
        return result
    return wrapped

def child(folder, log):
    random.seed(os.urandom(8))
    for name in ("fsync", "utime", "rename", "unlink"):
        setattr(os, name, mortal(getattr(os, name)))
    try:
        with lock.hold_lock(folder):
            os.write(log, f"enter {os.getpid()}\\n".encode())
            time.sleep(random.random() * 0.003)
            os.write(log, f"leave {os.getpid()}\\n".encode())
            os._exit(1) if random.random() < 0.8 else None
    except UsageError:
        os._exit(0)
    os._exit(1)

lock.PAUSE = 0.002
folder, times = Path(sys.argv[1]), 0
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for _ in range(3000):
    pid = os.fork() or child(folder, log)
    times += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if times == 8: sys.exit()
sys.exit("others always came first")
"""


def holder(**changes):
    fields = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": lock._born(os.getpid()),
        "since": "noon",
        "token": "t",
    }
    return json.dumps({**fields, **changes})


def leave(path, text, age=0.0):
    """Write a file that was last renewed `age` seconds ago by the file system's clock."""
    path.write_text(text)
    then = path.stat().st_mtime_ns - int(age * 1e9)
    os.utime(path, ns=(then, then))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pid_in(folder):
    return json.loads((folder / LOCK).read_text())["pid"]


def assert_refused(folder, message="is in use by"):
    with pytest.raises(UsageError, match=message), hold_lock(folder):
        pass


def until(condition):
    """Wait for what another thread does, and fail rather than wait for ever."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


@pytest.fixture(scope="module")
def dead():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_folder_is_made_and_the_lock_released(tmp_path):
    folder = tmp_path / "a" / "b"
    with hold_lock(folder):
        assert names(folder) == [LOCK]
        assert pid_in(folder) == os.getpid()
    assert names(folder) == []


def test_the_lock_is_released_when_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError, match="in training"), hold_lock(tmp_path):
        raise RuntimeError("in training")
    assert names(tmp_path) == []


def test_a_living_process_keeps_others_out(tmp_path):
    with hold_lock(tmp_path):
        leave(tmp_path / LOCK, (tmp_path / LOCK).read_text(), STALE)  # a halted process of this host is no dead one
        held = f"in use by process {os.getpid()} on {socket.gethostname()} since .*; wait, .*delete .*{LOCK}"
        assert_refused(tmp_path, held)
        assert names(tmp_path) == [LOCK]


def test_another_process_is_refused(tmp_path):
    code = (
        "import sys; from pathlib import Path; from dlm.storage import lock\n"
        "with lock.hold_lock(Path(sys.argv[1])): pass"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    with hold_lock(tmp_path):
        refused = subprocess.run(run, capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in refused.stderr
    assert subprocess.run(run, check=False).returncode == 0


@pytest.mark.parametrize("age", [0, STALE])
def test_the_lock_of_a_dead_process_is_taken_over_at_once(tmp_path, dead, age):
    leave(tmp_path / LOCK, holder(pid=dead), age)
    with hold_lock(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
        assert names(tmp_path) == [LOCK]
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="tells the birth of a process by /proc")
def test_a_reused_process_id_is_another_process(tmp_path):
    leave(tmp_path / LOCK, holder(born="1"))
    with hold_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["born"] != "1"


def test_a_process_with_unknown_start_time_counts_as_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_born", lambda _: "alive")
    leave(tmp_path / LOCK, holder(born="1"))
    assert_refused(tmp_path)


def test_the_lock_of_another_host_is_respected_while_it_is_renewed(tmp_path, dead):
    leave(tmp_path / LOCK, holder(host="elsewhere", pid=dead), 60)
    renewed = r"on elsewhere since noon \(renewed 6\d s ago; taken over automatically after 120 s\); wait"
    assert_refused(tmp_path, rf"{renewed}, .*delete .*lock\.json")
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"
    assert names(tmp_path) == [LOCK]


def test_the_lock_of_another_host_is_taken_over_once_it_is_silent(tmp_path):
    leave(tmp_path / LOCK, holder(host="elsewhere"), STALE)
    with hold_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["host"] == socket.gethostname()
        assert names(tmp_path) == [LOCK]


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_silence_is_measured_by_the_file_system_clock(tmp_path, monkeypatch, ahead):
    touch = os.utime
    now = tmp_path.stat().st_mtime + ahead
    monkeypatch.setattr(os, "utime", lambda handle: touch(handle, (now, now)))
    (tmp_path / LOCK).write_text(holder(host="elsewhere"))
    touch(tmp_path / LOCK, (now - 60, now - 60))
    assert_refused(tmp_path, r"renewed 60 s ago")
    touch(tmp_path / LOCK, (now - STALE, now - STALE))
    with hold_lock(tmp_path):
        assert pid_in(tmp_path) == os.getpid()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        "{",
        "[]",
        "3",
        "{}",
        '{"host": 1}',
        "[" * 100_000,
        "9" * 100_000,
        '{"host": "' + "a" * 100_000,
        holder(pid="4"),
        holder(pid=None),
        holder(pid=1e308),
        holder(pid=float("nan")),
        holder(pid=True),
        holder(pid=0),
        holder(pid=-1),
        holder(pid=10**30),
        holder(host=[]),
        holder(host="\ud800"),
        holder(since="\x1b[2J"),
        holder(more=1),
    ],
    ids=itertools.count(),  # the texts hold a process id, and names of tests are to be the same in every process
)
def test_an_unreadable_lock_is_stale_by_its_age_alone(tmp_path, text):
    leave(tmp_path / LOCK, text, 60)
    assert_refused(tmp_path, r"in use by an unknown process \(renewed 6\d s ago; .*delete .*lock\.json")
    assert (tmp_path / LOCK).read_text() == text
    leave(tmp_path / LOCK, text, STALE)
    with hold_lock(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
    assert names(tmp_path) == []


def test_the_lock_is_renewed_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    with hold_lock(tmp_path):
        text = (tmp_path / LOCK).read_text()
        for _ in range(2):
            os.utime(tmp_path / LOCK, (1, 1))
            until(lambda: (tmp_path / LOCK).stat().st_mtime != 1)
        assert (tmp_path / LOCK).read_text() == text


def test_a_lock_that_someone_else_took_is_neither_renewed_nor_removed(tmp_path, monkeypatch):
    renewals, renew = [], lock._renew
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    monkeypatch.setattr(lock, "_renew", lambda *args: (renew(*args), renewals.append(1)))
    with hold_lock(tmp_path):
        (tmp_path / "other").write_text(holder(host="elsewhere"))
        os.utime(tmp_path / "other", (1, 1))
        os.replace(tmp_path / "other", tmp_path / LOCK)
        renewals.clear()
        until(lambda: len(renewals) >= 3)
        assert (tmp_path / LOCK).stat().st_mtime == 1
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"
    assert names(tmp_path) == [LOCK]


def test_a_deleted_folder_raises_no_error(tmp_path, monkeypatch):
    tried, raised, renew = [], [], lock._renew
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    monkeypatch.setattr(lock, "_renew", lambda *args: (tried.append(1), renew(*args)))
    monkeypatch.setattr(threading, "excepthook", raised.append)
    with hold_lock(tmp_path / "a"):
        shutil.rmtree(tmp_path / "a")
        tried.clear()
        until(lambda: len(tried) >= 3)
    assert raised == []
    assert names(tmp_path) == []


def race_of_threads(folder):
    """How many of 8 threads that come at once get in, and how many are refused."""
    start, end, taken, refused = threading.Barrier(8), threading.Barrier(8), [], []

    def take():
        start.wait()
        try:
            with hold_lock(folder):
                taken.append(1)
                end.wait()
        except UsageError:
            refused.append(1)
            end.wait()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken), len(refused)


def test_one_of_many_processes_takes_over_a_dead_lock(tmp_path, dead):
    for _ in range(20):
        leave(tmp_path / LOCK, holder(pid=dead))
        assert race_of_threads(tmp_path) == (1, 7)
        assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its processes fork")
def test_never_two_holders_although_processes_die_at_every_step(tmp_path, dead):
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    leave(folder / LOCK, holder(pid=dead))
    run = [sys.executable, "-c", RACER, str(folder), str(log)]
    racers = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    assert [racer.communicate()[1] for racer in racers] == [""] * 8
    lines = [line.split() for line in log.read_text().splitlines()]
    assert len(lines) >= 2 * 8 * 8
    for (first, entered), (second, left) in zip(lines[::2], lines[1::2], strict=True):
        assert (first, second, entered) == ("enter", "leave", left)
    for path in folder.iterdir():
        os.utime(path, (1, 1))  # an empty claim has no process id
    with hold_lock(folder):
        assert names(folder) == [LOCK]
    assert names(folder) == []


def test_a_process_that_lost_its_claim_does_not_take_the_lock(tmp_path, dead, monkeypatch):
    leave(tmp_path / LOCK, holder(pid=dead))
    rename = os.rename

    def late(claim, path):
        os.unlink(claim)
        leave(tmp_path / LOCK, holder(host="elsewhere"))
        rename(claim, path)

    monkeypatch.setattr(os, "rename", late)
    assert_refused(tmp_path, "on elsewhere since noon")
    assert names(tmp_path) == [LOCK]


def test_only_one_process_at_a_time_takes_over_a_dead_lock(tmp_path, dead, monkeypatch):
    monkeypatch.setattr(lock, "TRIES", 3)
    leave(tmp_path / LOCK, holder(pid=dead))
    rename, others = os.rename, []

    def slow(claim, path):
        others.append(1)
        assert_refused(tmp_path, "other processes keep claiming its lock")
        rename(claim, path)

    monkeypatch.setattr(os, "rename", slow)
    with hold_lock(tmp_path):
        assert others == [1]
        assert names(tmp_path) == [LOCK]


def test_a_process_killed_while_taking_the_lock_leaves_no_empty_lock(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from dlm.storage.lock import hold_lock\n"
        "os.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with hold_lock(Path(sys.argv[1])): pass"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    with hold_lock(tmp_path):
        assert pid_in(tmp_path) == os.getpid()


def test_an_interrupted_takeover_is_taken_over(tmp_path, dead):
    for name in (LOCK, *CLAIMS):
        leave(tmp_path / name, holder(pid=dead))
    with hold_lock(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
        assert names(tmp_path) == [LOCK]


def test_a_takeover_in_progress_is_respected(tmp_path, dead, monkeypatch):
    monkeypatch.setattr(lock, "TRIES", 3)
    leave(tmp_path / LOCK, holder(pid=dead))
    leave(tmp_path / CLAIMS[0], holder(host="elsewhere"), 60)
    assert_refused(tmp_path, "other processes keep claiming its lock")
    assert pid_in(tmp_path) == dead
    assert names(tmp_path) == [LOCK, CLAIMS[0]]


def test_only_claims_of_dead_processes_are_removed(tmp_path, dead):
    leave(tmp_path / CLAIMS[0], holder(pid=dead))
    leave(tmp_path / CLAIMS[1], holder(host="elsewhere"), STALE)
    leave(tmp_path / CLAIMS[2], "", STALE)
    leave(tmp_path / CLAIMS[3], "")  # of a process that has not written it yet
    leave(tmp_path / f"{LOCK}.mine", "", STALE)
    with hold_lock(tmp_path):
        pass
    assert names(tmp_path) == [CLAIMS[3], f"{LOCK}.mine"]


@pytest.mark.parametrize("written", [None, 3])
def test_a_full_disk_raises_and_leaves_no_file(tmp_path, monkeypatch, written):
    def full(*_):
        if written is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left on device"), hold_lock(tmp_path):
            pass
    assert names(tmp_path) == []


def test_an_unwritable_path_is_refused_and_unchanged(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for path, reason in ((file, "it is a file"), (file / "below", "Not a directory")):
        assert_refused(path, rf"--workdir=.* cannot be written \({reason}\)")
    assert file.read_text() == "mine"
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    for path in (tmp_path, tmp_path / "below"):
        assert_refused(path, r"cannot be written \(Permission denied\)")
    tmp_path.chmod(0o700)
    assert names(tmp_path) == []
