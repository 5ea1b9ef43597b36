"""A workdir has one living process in it at a time, whatever processes and hosts die, halt or come back."""

import contextlib
import errno
import fcntl
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
from dlm.storage.lock import LOCK, occupied

GUARD = f"{LOCK}.takeover"
LEFT = lock.GONE_AFTER + 1

# Again and again a child process tries to get in. Once in, it mostly dies there; on the way it dawdles, or dies too.
RACER = """
import fcntl, os, random, sys, time
from pathlib import Path
from dlm import UsageError, lock

def without(*_):
    raise OSError("no such locks here")

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
    for name in ("fsync", "rename", "link", "unlink"):
        setattr(os, name, mortal(getattr(os, name)))
    try:
        with lock.occupied(folder):
            os.write(log, f"enter {os.getpid()}\\n".encode())
            time.sleep(random.random() * 0.003)
            os.write(log, f"leave {os.getpid()}\\n".encode())
            os._exit(1) if random.random() < 0.8 else None
    except UsageError:
        os._exit(0)
    os._exit(1)

fcntl.flock, lock.PAUSE = without, 0.002
folder, times = Path(sys.argv[1]), 0
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for _ in range(3000):
    pid = os.fork() or child(folder, log)
    times += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if times == 8: sys.exit()
sys.exit("others always came first")
"""


def holder(**changes):
    fields = {"host": socket.gethostname(), "pid": os.getpid(), "born": lock._born(os.getpid()), "since": "noon"}
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
    with pytest.raises(UsageError, match=message), occupied(folder):
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


@pytest.fixture
def no_flock(monkeypatch):
    """A file system without flock."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_the_folder_is_made_held_and_let_go(tmp_path):
    folder = tmp_path / "a" / "b"
    with occupied(folder):
        assert names(folder) == [LOCK]
        assert pid_in(folder) == os.getpid()
    assert names(folder) == []


def test_it_is_let_go_when_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError, match="in training"), occupied(tmp_path):
        raise RuntimeError("in training")
    assert names(tmp_path) == []


def test_a_living_process_keeps_others_out(tmp_path):
    with occupied(tmp_path):
        leave(tmp_path / LOCK, (tmp_path / LOCK).read_text(), LEFT)  # a halted process of this host is no dead one
        held = f"in use by process {os.getpid()} on {socket.gethostname()} since .*; wait, .*delete .*{LOCK}"
        assert_refused(tmp_path, held)
        assert names(tmp_path) == [LOCK]


def test_another_process_is_seen(tmp_path):
    code = "import sys; from pathlib import Path; from dlm import lock\nwith lock.occupied(Path(sys.argv[1])): pass"
    run = [sys.executable, "-c", code, str(tmp_path)]
    with occupied(tmp_path):
        refused = subprocess.run(run, capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in refused.stderr
    assert subprocess.run(run, check=False).returncode == 0


@pytest.mark.parametrize("age", [0, LEFT])
def test_what_a_dead_process_left_is_taken_over_at_once(tmp_path, dead, age):
    leave(tmp_path / LOCK, holder(pid=dead), age)
    with occupied(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
        assert names(tmp_path) == [LOCK]
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="tells the birth of a process by /proc")
def test_a_process_number_used_again_is_not_the_process(tmp_path):
    leave(tmp_path / LOCK, holder(born="1"))
    with occupied(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["born"] != "1"


def test_a_process_whose_birth_is_hidden_is_taken_for_the_one_that_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_born", lambda _: "alive")
    leave(tmp_path / LOCK, holder(born="1"))
    assert_refused(tmp_path)


def test_the_lock_of_another_host_is_respected_while_it_is_renewed(tmp_path, dead):
    leave(tmp_path / LOCK, holder(host="elsewhere", pid=dead), 60)
    renewed = r"on elsewhere since noon \(renewed 6\d s ago; taken over by itself once it is silent for 120 s\); wait"
    assert_refused(tmp_path, rf"{renewed}, .*delete .*lock\.json")
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"
    assert names(tmp_path) == [LOCK]


def test_the_lock_of_another_host_is_taken_over_once_it_is_silent(tmp_path):
    leave(tmp_path / LOCK, holder(host="elsewhere"), LEFT)
    with occupied(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["host"] == socket.gethostname()
        assert names(tmp_path) == [LOCK]


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_silence_is_measured_by_the_clock_of_the_file_system(tmp_path, monkeypatch, ahead):
    touch = os.utime
    now = tmp_path.stat().st_mtime + ahead
    monkeypatch.setattr(os, "utime", lambda handle: touch(handle, (now, now)))
    (tmp_path / LOCK).write_text(holder(host="elsewhere"))
    touch(tmp_path / LOCK, (now - 60, now - 60))
    assert_refused(tmp_path, r"renewed 60 s ago")
    touch(tmp_path / LOCK, (now - LEFT, now - LEFT))
    with occupied(tmp_path):
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
def test_a_lock_that_says_nothing_counts_as_left_by_its_age_alone(tmp_path, text):
    leave(tmp_path / LOCK, text, 60)
    assert_refused(tmp_path, r"in use by somebody who does not say who \(renewed 6\d s ago; .*delete .*lock\.json")
    assert (tmp_path / LOCK).read_text() == text
    leave(tmp_path / LOCK, text, LEFT)
    with occupied(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
    assert names(tmp_path) == []


def test_a_lock_of_before_there_were_renewals_is_understood(tmp_path):
    assert "once" not in json.loads(holder())
    leave(tmp_path / LOCK, holder(), LEFT)
    assert_refused(tmp_path, f"process {os.getpid()} on")


def test_the_lock_is_renewed_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    with occupied(tmp_path):
        text = (tmp_path / LOCK).read_text()
        for _ in range(2):
            os.utime(tmp_path / LOCK, (1, 1))
            until(lambda: (tmp_path / LOCK).stat().st_mtime != 1)
        assert (tmp_path / LOCK).read_text() == text


def test_a_lock_that_someone_else_took_is_neither_renewed_nor_removed(tmp_path, monkeypatch):
    renewals, renew = [], lock._renew
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    monkeypatch.setattr(lock, "_renew", lambda *args: (renew(*args), renewals.append(1)))
    with occupied(tmp_path):
        (tmp_path / "other").write_text(holder(host="elsewhere"))
        os.utime(tmp_path / "other", (1, 1))
        os.replace(tmp_path / "other", tmp_path / LOCK)
        renewals.clear()
        until(lambda: len(renewals) >= 3)
        assert (tmp_path / LOCK).stat().st_mtime == 1
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"
    assert names(tmp_path) == [LOCK]


def test_a_folder_that_vanishes_disturbs_nobody(tmp_path, monkeypatch):
    tried, raised, renew = [], [], lock._renew
    monkeypatch.setattr(lock, "HEARTBEAT", 0.01)
    monkeypatch.setattr(lock, "_renew", lambda *args: (tried.append(1), renew(*args)))
    monkeypatch.setattr(threading, "excepthook", raised.append)
    with occupied(tmp_path / "a"):
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
            with occupied(folder):
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


@pytest.mark.parametrize("flock", ["flock", "no_flock"])
def test_of_many_who_find_a_dead_lock_one_gets_it(tmp_path, dead, flock, request):
    if flock == "no_flock":
        request.getfixturevalue("no_flock")
    for _ in range(20):
        leave(tmp_path / LOCK, holder(pid=dead))
        assert race_of_threads(tmp_path) == (1, 7)
        assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="its processes fork")
def test_two_are_never_in_it_though_processes_die_in_it_and_on_the_way(tmp_path, dead):
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
        os.utime(path, (1, 1))  # probes do not say whose they are
    with occupied(folder):
        assert names(folder) == [LOCK]
    assert names(folder) == []


@pytest.mark.usefixtures("no_flock")
def test_who_is_slow_to_remove_a_dead_lock_leaves_its_successor_alone(tmp_path, dead, monkeypatch):
    leave(tmp_path / LOCK, holder(pid=dead))
    clear, texts = lock._clear, []
    with contextlib.ExitStack() as faster:

        def slow(path, mine):
            if not texts:
                texts.append("")
                faster.enter_context(occupied(tmp_path))
                texts.append((tmp_path / LOCK).read_text())
            clear(path, mine)

        monkeypatch.setattr(lock, "_clear", slow)
        assert_refused(tmp_path)
        assert (tmp_path / LOCK).read_text() == texts[1]
        assert names(tmp_path) == [LOCK]


@pytest.mark.usefixtures("no_flock")
def test_while_a_dead_lock_is_removed_nobody_else_removes_it(tmp_path, dead, monkeypatch):
    monkeypatch.setattr(lock, "TRIES", 3)
    leave(tmp_path / LOCK, holder(pid=dead))
    rename, others = os.rename, []

    def slow(path, aside):
        if path == tmp_path / LOCK and not others:
            others.append(1)
            assert_refused(tmp_path, "takeover")
        rename(path, aside)

    monkeypatch.setattr(os, "rename", slow)
    with occupied(tmp_path):
        assert others
        assert names(tmp_path) == [LOCK]


def test_a_holder_who_comes_back_in_the_midst_of_a_takeover_keeps_the_lock(tmp_path, monkeypatch):
    text = holder(host="elsewhere")
    leave(tmp_path / LOCK, text, LEFT)
    rename = os.rename

    def late(path, aside):
        if path == tmp_path / LOCK:
            os.utime(path)
        rename(path, aside)

    monkeypatch.setattr(os, "rename", late)
    assert_refused(tmp_path, "on elsewhere since noon")
    assert (tmp_path / LOCK).read_text() == text
    assert names(tmp_path) == [LOCK]


def test_what_was_set_aside_is_not_put_back_over_another(tmp_path, monkeypatch):
    leave(tmp_path / LOCK, holder(host="elsewhere"), LEFT)
    rename = os.rename

    def late(path, aside):
        rename(path, aside)
        if path == tmp_path / LOCK:
            os.utime(aside)
            leave(tmp_path / LOCK, holder(host="third"))

    monkeypatch.setattr(os, "rename", late)
    assert_refused(tmp_path, "on third since noon")
    assert names(tmp_path) == [LOCK]


def test_who_is_overtaken_before_the_lock_says_whose_it_is_has_not_got_it(tmp_path, monkeypatch):
    def overtaken(_):
        if (tmp_path / LOCK).exists():
            (tmp_path / LOCK).unlink()
            leave(tmp_path / LOCK, holder(host="elsewhere"))

    def no_links(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "fsync", overtaken)
    assert_refused(tmp_path, "on elsewhere since noon")
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"


def test_a_process_killed_while_it_takes_the_lock_leaves_none_that_says_nothing(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from dlm.storage.lock import occupied\n"
        "os.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with occupied(Path(sys.argv[1])): pass"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    with occupied(tmp_path):
        assert pid_in(tmp_path) == os.getpid()


def test_a_takeover_that_broke_off_is_taken_over_too(tmp_path, dead):
    for name in (LOCK, GUARD, f"{GUARD}.takeover"):
        leave(tmp_path / name, holder(pid=dead))
    with occupied(tmp_path):
        assert pid_in(tmp_path) == os.getpid()
        assert names(tmp_path) == [LOCK]


def test_a_takeover_by_someone_else_is_left_to_them(tmp_path, dead, monkeypatch):
    monkeypatch.setattr(lock, "TRIES", 3)
    leave(tmp_path / LOCK, holder(pid=dead))
    leave(tmp_path / GUARD, holder(host="elsewhere"), 60)
    assert_refused(tmp_path, r"on elsewhere since noon \(renewed 6\d s ago.*takeover")
    assert pid_in(tmp_path) == dead
    assert names(tmp_path) == [LOCK, GUARD]


def test_only_what_dead_processes_left_is_swept(tmp_path, dead):
    aside, probe, new, kept = (f"{LOCK}.{digit * 32}" for digit in "abcd")
    leave(tmp_path / GUARD, holder(pid=dead))
    leave(tmp_path / aside, holder(pid=dead))
    leave(tmp_path / f"{GUARD}.{'e' * 32}", holder(host="elsewhere"), LEFT)
    leave(tmp_path / probe, "", LEFT)
    leave(tmp_path / new, "")
    leave(tmp_path / kept, holder(), LEFT)
    leave(tmp_path / f"{LOCK}.mine", "", LEFT)
    with occupied(tmp_path):
        pass
    assert names(tmp_path) == [new, kept, f"{LOCK}.mine"]


@pytest.mark.parametrize("written", [None, 3])
def test_a_full_disk_is_told_and_nothing_is_left(tmp_path, monkeypatch, written):
    def full(*_):
        if written is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left on device"), occupied(tmp_path):
            pass
    assert names(tmp_path) == []


def test_what_cannot_be_written_is_refused_and_left_alone(tmp_path):
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
