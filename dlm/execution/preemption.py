"""Signals that ask a run to stop: noted at once in every phase, acted on where nothing is lost."""

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
GRACE = 3.0  # seconds for the program to come to a place where it looks by itself
NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Watch:
    """Context in which SIGTERM, SIGUSR1 and a first Ctrl-C are noted; a second Ctrl-C ends the process.

    Call it to poll: 0, or the exit code that a signal asks for; `check()` raises Interrupted instead. While `unsaved`
    is set, whoever set it looks and saves. Else nothing would be lost, and if the program does not come to look within
    `GRACE` seconds (it compiles or fits, say), the process ends where it stands, after the functions in `before_end`
    were called. Outside the main thread it never sees a signal.

    `hosted`: the process is somebody else's, such as a notebook's kernel. Ctrl-C never ends it then: the first is noted
    and the program comes to look in its own time, a second raises KeyboardInterrupt.
    """

    def __init__(self, *, hosted: bool = False) -> None:
        self.hosted = hosted
        self.unsaved = False
        # Whoever draws on the terminal says it there, for writing in between would tear the drawing.
        self.is_silent: Callable[[], bool] = lambda: False
        self.before_end: list[Callable[[], object]] = []
        self._code = 0
        self._interrupts = {"main": 0, "ear": 0}  # as heard by the main thread, and by the one that listens
        self._lock = threading.RLock()
        self._before: dict[int, object] = {}
        self._fd_before = -1
        self._ears: tuple[socket.socket, socket.socket] | None = None

    def __call__(self) -> int:
        return self._code

    def check(self) -> None:
        """Interrupted if a signal asked to stop."""
        if self._code:
            raise Interrupted("stopped by a signal, with all saved; run the same command again to go on", self._code)

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            # Python's handlers wait until the main thread is back from C; a thread that reads this pipe does not.
            self._ears = socket.socketpair()
            self._ears[1].setblocking(False)
            for number in NUMBERS:
                self._before[number] = signal.signal(number, lambda number, _: self._hear(number, "main"))
            self._fd_before = signal.set_wakeup_fd(self._ears[1].fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._listen, args=(self._ears[0],), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._ears is None:
            return
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            # None: a handler that Python did not set, and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]
        mouth, self._ears = self._ears[1], None
        mouth.close()  # which ends the thread that reads from the other end

    def _listen(self, ear: socket.socket) -> None:
        with contextlib.suppress(OSError), ear:
            while heard := ear.recv(1):
                if heard[0] not in NUMBERS:
                    continue
                self._hear(heard[0], "ear")
                if not (self.hosted and heard[0] == signal.SIGINT):
                    threading.Thread(target=self._end_if_nobody_looks, daemon=True).start()

    def _hear(self, number: int, by: str) -> None:
        """Note a signal. Each is heard twice: the main thread's hearing makes polling exact, the other's is in time."""
        with self._lock:
            self._interrupts[by] += number == signal.SIGINT
            if self._interrupts[by] > 1 and not self.hosted:
                os._exit(EXIT_INTERRUPTED)
            if self._interrupts[by] > 1 and by == "main" and number == signal.SIGINT:
                raise KeyboardInterrupt
            # Ctrl-C stays: whoever pressed it does not want the run started again.
            pressed = number == signal.SIGINT or self._code == EXIT_INTERRUPTED
            code = EXIT_INTERRUPTED if pressed else EXIT_PREEMPTED
            if code == self._code:
                return
            self._code = code
            if self.is_silent():
                return
            how = "; Ctrl-C again stops at once, without" if code == EXIT_INTERRUPTED else ""
            os.write(2, f"\ndlm: saving what is done, then stopping{how}\n".encode())  # print is not safe in a handler

    def _end_if_nobody_looks(self) -> None:
        time.sleep(GRACE)
        while self._ears is not None:
            if not self.unsaved:
                for function in self.before_end:
                    with contextlib.suppress(Exception):
                        function()
                os._exit(self._code)
            time.sleep(0.1)
