"""What a classical learner says of data that it is no learner of, before anything is fitted."""

from __future__ import annotations

from typing import Any

from dlm.data.arrays import Arrays
from dlm.errors import UsageError


def needs_classes(learner: Any, arrays: Arrays) -> None:
    """UsageError unless there is one class an example."""
    if not _has_classes(arrays):
        raise UsageError(
            f"{_name(learner)} tells classes apart, and the targets of {arrays.name!r} are {targets_of(arrays)}; "
            f"leave it out{_instead(arrays)}"
        )


def needs_numbers(learner: Any, arrays: Arrays) -> None:
    """UsageError unless targets are numbers."""
    if not arrays.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} comes near to numbers, and the targets of {arrays.name!r} are {targets_of(arrays)}; "
            f"leave it out{_instead(arrays)}"
        )


def needs_classes_or_numbers(learner: Any, arrays: Arrays) -> None:
    """UsageError for targets that are tokens, or a class at each place."""
    if not _has_classes(arrays) and not arrays.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} learns one class or numbers of an example, and the targets of {arrays.name!r} are "
            f"{targets_of(arrays)}; leave it out{_instead(arrays)}"
        )


def needs_ratings(learner: Any, arrays: Arrays) -> None:
    """UsageError unless inputs are a user and an item, and targets numbers."""
    if not arrays.vocabulary or arrays.train.x.shape[1:] != (2,) or not arrays.has_numeric_targets:
        raise UsageError(
            f"{_name(learner)} tells ratings of users and items, and {arrays.name!r} has other data; leave it out, or "
            "use the source Ratings()"
        )


def needs_next_items(learner: Any, arrays: Arrays) -> None:
    """UsageError unless inputs are histories of items, and targets the items that came next."""
    y = arrays.train.y
    if not arrays.vocabulary or arrays.train.x.ndim != 2 or y.shape[1:] != (1,) or y.dtype.kind == "f":
        raise UsageError(
            f"{_name(learner)} recommends the next item, and {arrays.name!r} has other data; leave it out, or use the "
            "source NextItems()"
        )


def targets_of(arrays: Arrays) -> str:
    """The kind of a data set's targets, in words."""
    if arrays.has_numeric_targets:
        return "numbers"
    if _has_classes(arrays):
        return "classes"
    return "a class at each place" if arrays.num_classes else "tokens"


def _name(learner: Any) -> str:
    return f"{type(learner).__name__}()"


def _has_classes(arrays: Arrays) -> bool:
    return arrays.num_classes > 0 and arrays.train.y.ndim == 1


def _instead(arrays: Arrays) -> str:
    if arrays.has_numeric_targets:
        return ", or use one of numbers, such as Ridge()"
    return ", or use one of classes, such as LogisticRegression()" if _has_classes(arrays) else ""
