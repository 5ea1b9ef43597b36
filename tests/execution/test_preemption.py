"""Signals are noted, polled and given back."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from dlm import Interrupted
from dlm.execution.preemption import EXIT_INTERRUPTED, EXIT_PREEMPTED, Watch


def send(number):
    os.kill(os.getpid(), number)


def test_without_a_signal_there_is_nothing_to_see():
    with Watch() as watch:
        assert watch() == 0


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([signal.SIGTERM], EXIT_PREEMPTED),
        ([signal.SIGUSR1], EXIT_PREEMPTED),
        ([signal.SIGINT], EXIT_INTERRUPTED),
        ([signal.SIGTERM, signal.SIGTERM], EXIT_PREEMPTED),
        ([signal.SIGUSR1, signal.SIGINT], EXIT_INTERRUPTED),
        ([signal.SIGINT, signal.SIGTERM], EXIT_INTERRUPTED),
    ],
)
def test_a_signal_is_only_noted_and_ctrl_c_comes_first(numbers, code):
    with Watch() as watch:
        for number in numbers:
            send(number)
        assert watch() == code
    assert watch() == code


def test_the_handlers_that_were_there_are_given_back():
    seen = []
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    signal.signal(signal.SIGTERM, lambda *_: seen.append("mine"))
    mine = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(RuntimeError, match="inside"), Watch():
            raise RuntimeError("inside")
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
        send(signal.SIGTERM)
        assert seen == ["mine"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_handler_set_outside_python_does_not_break_the_end(monkeypatch):
    given = []
    # signal.signal returns None for a handler that a C library set.
    monkeypatch.setattr(signal, "signal", lambda number, handler: given.append(handler))
    with Watch():
        given.clear()
    assert given == [signal.SIG_DFL] * 3


def test_outside_the_main_thread_it_never_sees_one():
    told = []

    def watched():
        with Watch() as watch:
            told.append(watch())

    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    assert told == [0]


@pytest.mark.parametrize("between", ["", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_a_second_ctrl_c_ends_the_process_at_once(between):
    code = (
        "import os, signal, sys\nfrom dlm.execution.preemption import Watch\n"
        "with Watch():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"    {between}\n"
        "    print('once', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('twice', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (EXIT_INTERRUPTED, "once\n")


def ended(body):
    """Exit code and output of a process that does something under a Watch whose grace is short."""
    code = (
        "import hashlib, os, signal, time\nfrom dlm.execution import preemption\npreemption.GRACE = 0.1\n"
        "block = lambda: hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"  # minutes in C
        f"with preemption.Watch() as watch:\n    {body}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130)])
def test_where_nothing_is_at_stake_a_process_that_is_busy_in_c_is_ended(number, code):
    body = (
        f"watch.before_end.append(lambda: print('let go', flush=True)); os.kill(os.getpid(), signal.{number}); block()"
    )
    assert ended(body) == (code, "let go\n")


def test_what_is_at_stake_is_saved_first():
    body = (
        "watch.unsaved = True; os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.5); print('saved', flush=True); "
        "watch.unsaved = False; block()"
    )
    assert ended(body) == (75, "saved\n")


def test_a_program_that_looks_ends_by_itself():
    body = "os.kill(os.getpid(), signal.SIGTERM); print(watch(), flush=True)"
    assert ended(body) == (0, "75\n")


def test_check_raises_with_the_exit_code():
    with Watch() as watch:
        watch.check()
        send(signal.SIGINT)
        with pytest.raises(Interrupted, match="run the same command again") as error:
            watch.check()
    assert error.value.exit_code == EXIT_INTERRUPTED
