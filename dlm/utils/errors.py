"""Errors that are the user's to mend; `launch.py` prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class _Sentence:
    """An error whose text says all: a notebook shows that alone, since a traceback would bury it."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]  # IPython asks for it in place of the traceback


class UsageError(_Sentence, ValueError):
    """Wrong usage, found before anything is trained: exit code 2. The text holds value, rule and remedy."""


class Interrupted(_Sentence, RuntimeError):
    """A signal asked to stop and the state is saved; `exit_code` is what the process should return."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def nearest(word: str, choices: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest choices first, else all of them."""
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
    """Raise a UsageError for a value, or an entry of a tuple of values, below `least`; names are the fields'."""
    for name, value in values.items():
        if any(entry < least for entry in (value if isinstance(value, tuple) else (value,))):
            raise UsageError(f"{name}={value} must be at least {least}")
