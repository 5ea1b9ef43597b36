"""Signals that ask a run to stop: noted at once, acted on where the state can be saved."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

EXIT_PREEMPTED = 75  # EX_TEMPFAIL: run the same command again
EXIT_INTERRUPTED = 130


class Watch:
    """Context in which SIGTERM, SIGUSR1 and a first Ctrl-C are only noted; a second Ctrl-C ends the process.

    Call it to poll: 0, or the exit code that the signal asks for. Outside the main thread it never sees one.
    """

    def __init__(self) -> None:
        self._code = 0
        self._interrupted = False
        self._before: dict[int, object] = {}

    def __call__(self) -> int:
        return self._code

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None: a handler that Python did not set, and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            os._exit(EXIT_INTERRUPTED)
        # Ctrl-C stays: whoever pressed it does not want the run started again.
        self._interrupted |= number == signal.SIGINT
        self._code = EXIT_INTERRUPTED if self._interrupted else EXIT_PREEMPTED
        how = "; Ctrl-C again stops at once, without" if self._interrupted else ""
        os.write(2, f"\ndlm: saving what is done, then stopping{how}\n".encode())  # print is not safe in a handler
