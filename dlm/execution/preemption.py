"""Handles the signals that stop a run: recorded at once, acted on when the state is saved."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from dlm.utils.errors import Interrupted

EXIT_PREEMPTED = 75  # EX_TEMPFAIL: run the same command again
EXIT_INTERRUPTED = 130
GRACE = 3.0  # seconds until the process is ended if the program does not poll
NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Watch:
    """Context that records SIGTERM, SIGUSR1 and a first Ctrl-C; a second Ctrl-C ends the process.

    Call it to poll: 0, or the requested exit code; `check()` raises Interrupted instead. Code that sets `unsaved` polls
    and saves. Otherwise the process is ended if the program does not poll within `GRACE` seconds, for example while it
    compiles, after a call of each function in `before_end`. Works in the main thread only.

    `hosted`: the process belongs to a host such as a notebook kernel, and Ctrl-C never ends it: the first is recorded,
    a second raises KeyboardInterrupt.
    """

    def __init__(self, *, hosted: bool = False) -> None:
        self.hosted = hosted
        self.unsaved = False
        # True while a live display, which other output would corrupt, reports the signal itself.
        self.is_silent: Callable[[], bool] = lambda: False
        self.before_end: list[Callable[[], object]] = []
        self._code = 0
        self._interrupts = {"main": 0, "listener": 0}  # received by the main thread, and by the listener
        self._lock = threading.RLock()
        self._before: dict[int, object] = {}
        self._fd_before = -1
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def __call__(self) -> int:
        return self._code

    def check(self) -> None:
        """Interrupted if a signal asked to stop."""
        if self._code:
            raise Interrupted(
                "stopped by a signal with the state saved; run the same command again to resume", self._code
            )

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            # Python's handlers wait until the main thread is back from C; a thread that reads this pipe does not.
            self._sockets = socket.socketpair()
            self._sockets[1].setblocking(False)
            for number in NUMBERS:
                self._before[number] = signal.signal(number, lambda number, _: self._receive(number, "main"))
            self._fd_before = signal.set_wakeup_fd(self._sockets[1].fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._listen, args=(self._sockets[0],), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._sockets is None:
            return
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            # None: a handler that Python did not set, and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]
        writer, self._sockets = self._sockets[1], None
        writer.close()  # which ends the thread that reads from the other end

    def _listen(self, reader: socket.socket) -> None:
        with contextlib.suppress(OSError), reader:
            while received := reader.recv(1):
                if received[0] not in NUMBERS:
                    continue
                self._receive(received[0], "listener")
                if not (self.hosted and received[0] == signal.SIGINT):
                    threading.Thread(target=self._end_if_not_polled, daemon=True).start()

    def _receive(self, number: int, by: str) -> None:
        """Record a signal. It arrives twice: at the main thread, for exact polling, and at the listener, in time."""
        with self._lock:
            self._interrupts[by] += number == signal.SIGINT
            if self._interrupts[by] > 1 and not self.hosted:
                os._exit(EXIT_INTERRUPTED)
            if self._interrupts[by] > 1 and by == "main" and number == signal.SIGINT:
                raise KeyboardInterrupt
            # An earlier Ctrl-C has priority: a scheduler must not restart the run.
            pressed = number == signal.SIGINT or self._code == EXIT_INTERRUPTED
            code = EXIT_INTERRUPTED if pressed else EXIT_PREEMPTED
            if code == self._code:
                return
            self._code = code
            if self.is_silent():
                return
            how = "; Ctrl-C again stops at once, without" if code == EXIT_INTERRUPTED else ""
            os.write(2, f"\ndlm: saving what is done, then stopping{how}\n".encode())  # print is not safe in a handler

    def _end_if_not_polled(self) -> None:
        time.sleep(GRACE)
        while self._sockets is not None:
            if not self.unsaved:
                for function in self.before_end:
                    with contextlib.suppress(Exception):
                        function()
                os._exit(self._code)
            time.sleep(0.1)
