"""Errors that a user can fix, shown without a traceback, and checks that raise them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class _WithoutTraceback:
    """An error that a notebook shows without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]  # IPython calls it


class UsageError(_WithoutTraceback, ValueError):
    """Wrong usage, raised before training; exit code 2. The message names the value, the rule and a remedy."""


class Interrupted(_WithoutTraceback, RuntimeError):
    """A signal stopped the run and its state is saved; `exit_code` is the exit code of the process."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def nearest(word: str, choices: Iterable[str]) -> str:
    """A remedy for an unknown name: the most similar choices, or all choices without a similar one."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "choose one of " + ", ".join(known) if known else "there are none"


def choose(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a UsageError unless `value` is one of `choices`."""
    if value not in choices:
        raise UsageError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}")


def at_least(least: float, **values: float | tuple[float, ...]) -> None:
    """Raise a UsageError for a value, or an entry of a tuple, below `least`. Keywords are the names in the message."""
    for name, value in values.items():
        if any(entry < least for entry in (value if isinstance(value, tuple) else (value,))):
            raise UsageError(f"{name}={value} must be at least {least}")
