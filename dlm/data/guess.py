"""Which columns are inputs, which is the target, and how long a text or sound is, where nobody says."""

from __future__ import annotations

import numpy as np

from dlm.data import tabular
from dlm.data.columns import Column, Columns, Ragged
from dlm.data.encode import Encoding
from dlm.errors import UsageError, nearest

TEXT_LENGTH, BLOCK_LENGTH, SEQUENCE_LENGTH = 512, 128, 512  # at most, where no length is given
SOUND_SECONDS = 4.0
TARGETS = ("label", "target", "class", "y")
INPUTS = ("image", "audio", "text", "features", "x")


def choose(
    columns: Columns, inputs: tuple[str, ...], target: str, length: int = 0, size: tuple[int, int] | None = None
) -> Encoding:
    """The encoding of a pool's columns; `inputs` and `target` are guessed where they are empty."""
    for name in (*inputs, *([target] if target else [])):
        if name not in columns:
            raise UsageError(f"data has no column {name!r}; {nearest(name, columns)}")
    target = target or guessed_target(columns, inputs)
    inputs = inputs or guessed_inputs(columns, target)
    first = columns[inputs[0]]
    if len(inputs) > 1 or tabular.is_tabular(first):
        return Encoding(inputs, target, table=tabular.plan(columns, inputs))
    if first.kind in ("text", "audio") or (first.kind == "number" and isinstance(first.values, Ragged)):
        length = length or _usual_length(first, itself=inputs == (target,))
    return Encoding(inputs, target, length, size)


def guessed_target(columns: Columns, inputs: tuple[str, ...]) -> str:
    """The column to predict: by its name, else the only one of classes, else the only text, which predicts itself."""
    free = [name for name in columns if name not in inputs]
    for name in TARGETS:
        if name in free:
            return name
    classes = [name for name in free if columns[name].kind == "class"]
    if len(classes) == 1:
        return classes[0]
    texts = [name for name in columns if columns[name].kind == "text"]
    if len(columns) == len(texts) == 1:
        return texts[0]
    raise UsageError(f"which column is to be predicted cannot be told; name one with data.target: {_listed(columns)}")


def guessed_inputs(columns: Columns, target: str) -> tuple[str, ...]:
    """The columns to learn from: by name, else the only picture, sound, text or array, else all that make a table."""
    if len(columns) == 1:
        return (target,)
    free = {name: column for name, column in columns.items() if name != target}
    for name in INPUTS:
        if name in free:
            return (name,)
    for kind in ("image", "audio", "text"):
        found = [name for name, column in free.items() if column.kind == kind]
        if len(found) == 1 or (found and kind == "image"):
            return (found[0],)
    arrays = [name for name, column in free.items() if not tabular.is_tabular(column) and column.kind == "number"]
    if len(arrays) == 1:
        return (arrays[0],)
    found = [name for name, column in free.items() if tabular.is_tabular(column)]
    if not found:
        raise UsageError(f"which columns to learn from cannot be told; name them with data.inputs: {_listed(columns)}")
    return tuple(found)


def _usual_length(column: Column, *, itself: bool) -> int:
    """The longest of a pool's rows, or what 95 % of them do not exceed, but no more than is sensible."""
    if itself:
        return BLOCK_LENGTH
    values = column.values
    lengths = values.shapes[:, 0] if isinstance(values, Ragged) else np.array([values.shape[1]])
    most = {"text": TEXT_LENGTH, "audio": int(SOUND_SECONDS * column.rate)}.get(column.kind, SEQUENCE_LENGTH)
    wanted = int(lengths.max()) if lengths.max() <= most else int(np.ceil(np.quantile(lengths, 0.95)))
    return max(1, min(wanted, most))


def _listed(columns: Columns) -> str:
    return ", ".join(f"{name} ({column.kind})" for name, column in columns.items())
