"""Entry point of `python -m dlm`, the `dlm` command and launch.py: handles signals before anything slow is imported."""

import os
import signal
import sys

_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


def _exit(number: int, _: object) -> None:
    os.write(2, b"dlm: stopped; run the same command again to continue\n")
    os._exit(130 if number == signal.SIGINT else 75)


def console() -> None:
    """Run the command line with `sys.argv` and exit with its code.

    The handlers here exit at once. They apply before and after training, when nothing has to be saved; during a run
    `dlm.execution.preemption.Watch` replaces them.
    """
    for number in _SIGNALS:
        signal.signal(number, _exit)
    from dlm import cli
    from dlm.utils.display import replace_unencodable

    replace_unencodable()
    code = cli.main(sys.argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # a reader such as `head` has ended; Python's own flush would fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for number in _SIGNALS:  # everything is saved; a signal during the interpreter's shutdown must not change the code
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    console()
