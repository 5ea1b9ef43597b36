"""Columns as a learner takes them: inputs and targets as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlm.data.columns import Column, Columns, Ragged
from dlm.data.dataset import Split
from dlm.data.media import log_mel
from dlm.data.text_blocks import blocks
from dlm.utils.errors import UsageError

MOST_CATEGORIES = 64  # of a column, by frequency; rarer ones share one place
YEAR, DAY = 365.2425 * 86_400, 86_400.0
CALENDAR = (
    "year",
    "season (sine)",
    "season (cosine)",
    "weekday (sine)",
    "weekday (cosine)",
    "hour (sine)",
    "hour (cosine)",
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """How each column is written: the categories that have a place of their own, and whether numbers go missing."""

    names: tuple[str, ...]
    categories: dict[str, np.ndarray]
    missing: frozenset[str]


def plan(columns: Columns, names: Sequence[str]) -> Plan:
    """From the training pool: only which columns there will be. What a subset does not hold stays 0 for its learner."""
    categories, missing = {}, set()
    for name in names:
        column = columns[name]
        if column.kind in ("class", "text"):
            found, counts = np.unique(_known(column), return_counts=True)
            categories[name] = np.sort(found[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])
        elif column.kind in ("number", "date"):
            if np.isnan(np.asarray(column.values, np.float64)).any():
                missing.add(name)
        else:
            raise UsageError(f"data.inputs: column {name!r} holds {column.kind}, which is no part of a table")
    return Plan(tuple(names), categories, frozenset(missing))


def table(columns: Columns, plan: Plan) -> np.ndarray:
    """The inputs float32 [N, D]: numbers; a place a category, 1 for its own; dates as year, season, weekday, hour."""
    parts: list[np.ndarray] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            parts.append(_places(column, plan.categories[name]))
            continue
        if isinstance(column.values, Ragged):
            raise UsageError(f"data.inputs: column {name!r} holds sequences of several lengths; name it alone")
        numbers = np.asarray(column.values, np.float64).reshape(len(column), -1)
        parts.append(_calendar(numbers) if column.kind == "date" else numbers.astype(np.float32))
        if name in plan.missing:
            parts.append(np.isnan(numbers).astype(np.float32))
    return np.concatenate(parts, axis=1)


def feature_names(columns: Columns, plan: Plan) -> tuple[str, ...]:
    """What each of the D numbers of `table` is: `age`, `sex=male`, `date: year`, `age is missing`."""
    names: list[str] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            names += [f"{name}={_category(column, value)}" for value in plan.categories[name]] + [f"{name}: others"]
            continue
        width = int(np.prod(np.asarray(column.values).shape[1:], dtype=int))
        own = [name] if width == 1 else [f"{name}[{place}]" for place in range(width)]
        names += [f"{name}: {part}" for part in CALENDAR] if column.kind == "date" else own
        if name in plan.missing:
            names += [f"{one} is missing" for one in own]
    return tuple(names)


def fields(columns: Columns, plan: Plan) -> tuple[int, ...]:
    """How many of the D numbers of `table` each field has: 1 a number, k a category; dates are numbers, too."""
    widths: list[int] = []
    for name in plan.names:
        column = columns[name]
        if column.kind in ("class", "text"):
            widths.append(len(plan.categories[name]) + 1)
            continue
        width = int(np.prod(np.asarray(column.values).shape[1:], dtype=int))
        own = len(CALENDAR) if column.kind == "date" else width
        widths += [1] * (own + (width if name in plan.missing else 0))
    return tuple(widths)


def _category(column: Column, value: Any) -> str:
    if column.kind == "text":
        return bytes(value).decode(errors="replace")
    return column.names[int(value)] if column.names else str(int(value))


def _places(column: Column, kept: np.ndarray) -> np.ndarray:
    """One-hot by `kept`, with a last place for any other category; none for a missing one. float32 [N, K + 1]."""
    values = _values(column)
    place = np.where(np.isin(values, kept), np.searchsorted(kept, values), len(kept))
    is_known = np.ones(len(column), bool) if column.kind == "text" else values >= 0
    return (place[:, None] == np.arange(len(kept) + 1)).astype(np.float32) * is_known[:, None]


def _values(column: Column) -> np.ndarray:
    """Categories [N]: codes of classes, or texts as bytes."""
    if column.kind == "class":
        return column.array
    return np.array([column.ragged[row].tobytes() for row in range(len(column))])


def _known(column: Column) -> np.ndarray:
    values = _values(column)
    return values if column.kind == "text" else values[values >= 0]


def _calendar(seconds: np.ndarray) -> np.ndarray:
    """Dates [N, 1] as numbers: the year with its fraction, and places on the circles of year, week and day. [N, 7]."""
    turns = [seconds / YEAR, seconds / (7 * DAY), seconds / DAY]
    circles = [of(2 * np.pi * turn) for turn in turns for of in (np.sin, np.cos)]
    return np.concatenate([1970 + seconds / YEAR, *circles], axis=1).astype(np.float32)


def is_tabular(column: Column) -> bool:
    """Whether a column can be part of a table: a number or a few, a category, a date."""
    if isinstance(column.values, Ragged):
        return False
    return column.kind in ("class", "date") or (column.kind == "number" and column.values.ndim <= 2)


NUM_BYTES = 256
MOST_SOUND = 2**28  # bytes of a split's sounds that are kept beside their spectrograms


@dataclasses.dataclass(frozen=True)
class Encoding:
    """What was chosen for a data set: made from its training pool, and applied to every split.

    `length` is that of texts (bytes), sounds (samples), sequences; `size` the height and width of pictures.
    """

    inputs: tuple[str, ...]
    target: str
    length: int = 0
    size: tuple[int, int] | None = None
    table: Plan | None = None

    @property
    def predicts_itself(self) -> bool:
        """Whether the target is the input's own next symbol."""
        return self.inputs == (self.target,)

    def vocabulary(self, columns: Columns) -> int:
        """Kinds of tokens that inputs are made of, 0 where they are numbers."""
        return NUM_BYTES if not self.table and columns[self.inputs[0]].kind == "text" else 0

    def scale(self, columns: Columns) -> float:
        """What stored inputs are multiplied by for a learner: brightness becomes 0 … 1."""
        column = columns[self.inputs[0]]
        values = column.values.values if isinstance(column.values, Ragged) else column.values
        return 1 / 255 if not self.table and column.kind in ("image", "number") and values.dtype == np.uint8 else 1.0


def encoded(columns: Columns, encoding: Encoding) -> Split:
    """Inputs and targets of one split."""
    if encoding.predicts_itself:
        column = columns[encoding.target]
        if column.kind != "text":
            raise UsageError(f"data.target={encoding.target!r} is its own input, which only a text can be")
        documents = [column.ragged[row].tobytes() for row in range(len(column))]
        return Split(*blocks(documents, encoding.length))
    return Split(
        _inputs(columns, encoding), _targets(columns[encoding.target], encoding), sounds=_sounds(columns, encoding)
    )


def _inputs(columns: Columns, encoding: Encoding) -> Any:
    if encoding.table:
        return table(columns, encoding.table)
    (name,) = encoding.inputs
    column = columns[name]
    if column.kind == "text":
        return _padded(column.ragged, encoding.length)
    if column.kind == "audio":
        samples = _samples(column, encoding.length)
        full = np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1.0
        return log_mel(samples.astype(np.float32) / np.float32(full), column.rate)
    if column.kind == "image":
        return _pictures(name, column, encoding.size)
    if isinstance(column.values, Ragged):
        return _padded(column.values, encoding.length)
    return column.values


def _sounds(columns: Columns, encoding: Encoding) -> np.ndarray | None:
    """What is heard of the inputs, int16 [N, T]; None where they are no sounds, or too many bytes to be kept."""
    column = columns[encoding.inputs[0]]
    if encoding.table or column.kind != "audio" or 2 * len(column) * encoding.length > MOST_SOUND:
        return None
    samples = _samples(column, encoding.length)
    return samples if samples.dtype == np.int16 else np.round(32_767 * np.clip(samples, -1, 1)).astype(np.int16)


def _samples(column: Column, length: int) -> np.ndarray:
    """Sounds of one length. [N, length]."""
    return _padded(column.ragged, length) if isinstance(column.values, Ragged) else column.array[:, :length]


def _padded(values: Ragged, length: int) -> np.ndarray:
    """Rows cut or filled with zeros to one length. [N, length, ...]."""
    inner = {tuple(shape[1:]) for shape in values.shapes}
    if len(inner) > 1:
        raise UsageError(f"sequences have items of several shapes, such as {sorted(inner)[:3]}; they must agree")
    out = np.zeros((len(values), length, *(inner.pop() if inner else ())), values.values.dtype)
    for row in range(len(values)):
        items = values[row][:length]
        out[row, : len(items)] = items
    return out


def _pictures(name: str, column: Column, size: tuple[int, int] | None) -> np.ndarray:
    values = column.values
    if size is None and isinstance(values, Ragged):
        shapes = np.unique(values.shapes[:, :2], axis=0)
        raise UsageError(
            f"{name!r} holds pictures of {len(shapes)} sizes, such as {shapes[0][0]}×{shapes[0][1]} and "
            f"{shapes[-1][0]}×{shapes[-1][1]}; choose one, such as data.size=64,64"
        )
    if size is None or (not isinstance(values, Ragged) and values.shape[1:3] == size):
        return values  # type: ignore[return-value]
    return np.stack([_resized(values[row], size) for row in range(len(values))])


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, C] in another size, each channel for itself."""
    from PIL import Image

    from dlm.data.media import resized

    return np.stack([np.asarray(resized(Image.fromarray(channel), size)) for channel in np.moveaxis(picture, 2, 0)], 2)


def _targets(column: Column, encoding: Encoding) -> np.ndarray:
    if column.kind == "text":
        return _padded(column.values, encoding.length)  # type: ignore[arg-type]
    if isinstance(column.values, Ragged) or column.kind in ("audio", "date"):
        raise UsageError(f"data.target={encoding.target!r} holds {column.kind} of several lengths; choose another")
    if column.kind == "class":
        if column.values.min(initial=0) < 0:
            raise UsageError(
                f"data.target={encoding.target!r} has examples without a label; choose another split or target"
            )
        return np.asarray(column.values, np.int32)
    if column.kind == "image" or (column.values.ndim > 1 and column.values.dtype.kind in "iu"):
        return np.asarray(column.values, np.int32)  # a class for each pixel or place
    y = np.asarray(column.values, np.float32)
    if not np.isfinite(y).all():
        raise UsageError(f"data.target={encoding.target!r} has missing numbers; leave those rows out")
    return y
