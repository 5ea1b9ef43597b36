"""Encodes columns as inputs and targets: tables with one-hot categories, byte texts, spectrograms, images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlm.data.columns import Centring, Column, Columns, Ragged, Size, sliced
from dlm.data.dataset import Split
from dlm.data.media import byte_blocks, log_mel, resized
from dlm.data.schema_inference import infer_inputs, infer_target
from dlm.utils.errors import UsageError, nearest

MAX_CATEGORIES = 64  # of a column, by frequency; rarer ones share one position
YEAR, DAY = 365.2425 * 86_400, 86_400.0  # seconds
CALENDAR = ("year", *(f"{part} ({of})" for part in ("season", "weekday", "hour") for of in ("sine", "cosine")))
NUM_BYTES = 256
MAX_TEXT_LENGTH, BLOCK_LENGTH, MAX_SEQUENCE_LENGTH = 512, 128, 512  # if no length is set
MAX_SOUND_SECONDS = 4.0
MAX_ROWS_COMPARED = 10_000
MAX_WAVEFORM_BYTES = 2**28  # of a split; larger waveforms are not stored beside their spectrograms


@dataclasses.dataclass(frozen=True)
class TableEncoding:
    """Encoding of a table: the columns, the categories with a position of their own, and columns with missing numbers.

    It is fitted to the training pool and only fixes the layout; categories absent from a subset are 0 for its learner.
    calendar: indices into CALENDAR of the features of a date that vary. centring: of numbers, and of the year.
    """

    names: tuple[str, ...]
    categories: dict[str, np.ndarray]
    missing: frozenset[str]
    calendar: dict[str, list[int]]
    centring: dict[str, Centring]

    @classmethod
    def fit(cls, columns: Columns, names: Sequence[str]) -> TableEncoding:
        """The encoding of the pool's columns. Raises UsageError for kinds that do not fit a table."""
        categories, missing = {}, set()
        calendar: dict[str, list[int]] = {}
        centring: dict[str, Centring] = {}
        for name in names:
            column = columns[name]
            if column.kind in ("class", "text"):
                values = _categories(column)
                values, counts = np.unique(values if column.kind == "text" else values[values >= 0], return_counts=True)
                categories[name] = np.sort(values[np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]])
            elif column.kind in ("number", "date"):
                numbers = _table_numbers(name, column)
                if np.isnan(numbers).any():
                    missing.add(name)
                if column.kind == "date":
                    numbers = _calendar(numbers)
                    calendar[name] = _varying(numbers)
                    numbers = numbers[:, :1]
                centring[name] = Centring.fit(numbers)
            else:
                raise UsageError(
                    f"data.inputs: column {name!r} has kind {column.kind}, which cannot be part of a table"
                )
        return cls(tuple(names), categories, frozenset(missing), calendar, centring)

    def transform(self, columns: Columns) -> np.ndarray:
        """Inputs float32 [N, D]: numbers, one-hot categories, calendar features of dates, flags of missing numbers."""
        return np.concatenate([values for _, values in self._fields(columns)], axis=1)

    def feature_names(self, columns: Columns) -> tuple[str, ...]:
        """Names of the D features: `age`, `sex=male`, `date: year`, `age is missing`."""
        return tuple(name for names, _ in self._fields(sliced(columns, 0, 1)) for name in names)

    def fields(self, columns: Columns) -> tuple[int, ...]:
        """Number of features of each field: 1 for a number or calendar feature, k for a one-hot category."""
        return tuple(len(names) for names, _ in self._fields(sliced(columns, 0, 1)))

    def remarks(self, columns: Columns) -> list[str]:
        """The columns of whose values less than half stay distinct after they are standardized in float32."""
        merged = []
        for name, centring in self.centring.items():
            values = _table_numbers(name, columns[name])[:MAX_ROWS_COMPARED]
            if columns[name].kind != "number" or values.shape[1] != 1:
                continue
            distinct, inputs = np.unique(values[~np.isnan(values)]), centring(values[~np.isnan(values)][:, None])
            mean, std = np.float32(inputs.mean(dtype=np.float64)), np.float32(inputs.std(dtype=np.float64))
            remaining = len(np.unique((inputs - mean) / std)) if std else 1
            if len(distinct) > 20 and remaining < len(distinct) / 2:
                merged.append(f"{name} ({remaining:,} of {len(distinct):,})")
        return [
            f"Few values of these columns stay distinct in float32, since others are far away: {', '.join(merged)}; "
            "correct these, or take the logarithm."
        ][: len(merged)]

    def _fields(self, columns: Columns) -> Iterator[tuple[list[str], np.ndarray]]:
        """Names and values, float32 [N, k], of each field's features."""
        for name in self.names:
            column = columns[name]
            if name in self.categories:
                labels = [f"{name}={_label(column, value)}" for value in self.categories[name]]
                yield [*labels, f"{name}: others"], _one_hot(column, self.categories[name])
                continue
            numbers = _table_numbers(name, column)
            elements = [name] if numbers.shape[1] == 1 else [f"{name}[{index}]" for index in range(numbers.shape[1])]
            centring = self.centring[name]
            if column.kind == "date":
                parts, used = _calendar(numbers), self.calendar[name]
                values = np.concatenate([centring(parts[:, :1]), parts[:, 1:].astype(np.float32)], axis=1)[:, used]
                calendar = (*centring.names(CALENDAR[:1]), *CALENDAR[1:])
                names = [f"{name}: {calendar[index]}" for index in used]
            else:
                values, names = centring(numbers), centring.names(elements)
            if name in self.missing:
                values = np.concatenate([values, np.isnan(numbers).astype(np.float32)], axis=1)
                names += [f"{each} is missing" for each in elements]
            yield from (([each], values[:, [index]]) for index, each in enumerate(names))


def _label(column: Column, value: Any) -> str:
    if column.kind == "text":
        return bytes(value).decode(errors="replace")
    return column.names[int(value)] if column.names else str(int(value))


def _one_hot(column: Column, categories: np.ndarray) -> np.ndarray:
    """One-hot rows with a last position for all other categories; zeros if missing. float32 [N, K + 1]."""
    values = _categories(column)
    index = np.where(np.isin(values, categories), np.searchsorted(categories, values), len(categories))
    is_known = np.ones(len(column), bool) if column.kind == "text" else values >= 0
    return (index[:, None] == np.arange(len(categories) + 1)).astype(np.float32) * is_known[:, None]


def _categories(column: Column) -> np.ndarray:
    """Class indices, or texts as bytes. [N]."""
    return column.array if column.kind == "class" else np.array(column.row_bytes())


def _table_numbers(name: str, column: Column) -> np.ndarray:
    """Numbers of a table's column. float64 [N, K]."""
    if isinstance(column.values, Ragged):
        raise UsageError(f"data.inputs: column {name!r} has sequences of varying length; use it as the only input")
    return np.asarray(column.values, np.float64).reshape(len(column), -1)


def _calendar(seconds: np.ndarray) -> np.ndarray:
    """Dates [N, 1] as the year with its fraction, and sine and cosine of the phase in year, week and day. [N, 7]."""
    # The remainder is exact: equal times of day have equal phases, whatever the date.
    turns = [seconds % period / period for period in (YEAR, 7 * DAY, DAY)]
    circles = [of(2 * np.pi * turn) for turn in turns for of in (np.sin, np.cos)]
    return np.concatenate([1970 + seconds / YEAR, *circles], axis=1)


def _varying(calendar: np.ndarray) -> list[int]:
    """Indices of the calendar features that vary, the year at least; a sine varies if its cosine does."""
    known = calendar[~np.isnan(calendar[:, 0])]
    varies = np.ptp(known, axis=0) > 1e-9 if len(known) else np.zeros(len(CALENDAR), bool)
    circles = (varies[1::2] | varies[2::2]).repeat(2)
    return [0, *(1 + np.flatnonzero(circles)).tolist()]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How a data set's columns become inputs and targets; fitted to the training pool, applied to every split.

    `length`: of texts (bytes), sounds (samples) and sequences; `size`: height and width of images; `table`: set if the
    inputs are a table.
    """

    inputs: tuple[str, ...]
    target: str
    length: int = 0
    size: Size | None = None
    table: TableEncoding | None = None
    reference: np.ndarray | float = 0.0

    @classmethod
    def fit(cls, columns: Columns, inputs: tuple[str, ...], target: str, length: int, size: Size | None) -> Encoding:
        """The encoding of the pool's columns; infers `inputs`, `target` and `length` if they are empty or 0."""
        target = target or infer_target(columns, inputs)
        if target not in columns:
            raise UsageError(f"data.target={target!r} is not a column of the data; {nearest(target, columns)}")
        inputs = inputs or infer_inputs(columns, target)
        first, reference = columns[inputs[0]], _reference(target, columns[target])
        if target in inputs and (len(inputs) > 1 or first.kind != "text"):
            raise UsageError(
                f"data.target={target!r} is also among the inputs, which is only possible for one text; remove it from "
                "data.inputs, or choose another target"
            )
        if len(inputs) > 1 or first.is_tabular:
            return cls(inputs, target, table=TableEncoding.fit(columns, inputs), reference=reference)
        if first.kind in ("text", "audio") or (first.kind == "number" and not first.is_array):
            length = length or (BLOCK_LENGTH if inputs == (target,) else _usual_length(first))
        return cls(inputs, target, length, size, reference=reference)

    @property
    def is_language_model(self) -> bool:
        """Whether the target is the next byte of the input text."""
        return self.inputs == (self.target,)

    def vocabulary(self, columns: Columns) -> int:
        """Number of tokens, 0 if inputs are numbers."""
        return NUM_BYTES if not self.table and columns[self.inputs[0]].kind == "text" else 0

    def scale(self, columns: Columns) -> float:
        """Factor of stored inputs: pixels become 0 … 1."""
        column = columns[self.inputs[0]]
        values = column.values.values if isinstance(column.values, Ragged) else column.values
        return 1 / 255 if not self.table and column.kind in ("image", "number") and values.dtype == np.uint8 else 1.0

    def remarks(self, columns: Columns) -> list[str]:
        """What is changed before numbers are cast to float32, and what float32 cannot represent."""
        remarks = [] if self.table is None else self.table.remarks(columns)
        if np.any(self.reference):
            numbers = ", ".join(f"{number:.17g}" for number in np.atleast_1d(self.reference))
            remarks.append(
                f"Target {self.target}: {numbers} is subtracted, since float32 would round the numbers; errors keep "
                "their unit."
            )
        return remarks

    def encode(self, columns: Columns) -> Split:
        """Inputs and targets of one split."""
        if self.is_language_model:
            return Split(*byte_blocks(columns[self.target].row_bytes(), self.length))
        return Split(self._inputs(columns), self._targets(columns[self.target]), sounds=self._waveforms(columns))

    def _inputs(self, columns: Columns) -> Any:
        if self.table:
            return self.table.transform(columns)
        (name,) = self.inputs
        column = columns[name]
        if column.kind == "text":
            return _padded(column.ragged, self.length)
        if column.kind == "audio":
            samples = self._samples(column)
            peak = np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1.0
            return log_mel(samples.astype(np.float32) / np.float32(peak), column.rate)
        if column.kind == "image":
            return _images(name, column, self.size)
        values = _padded(column.values, self.length) if isinstance(column.values, Ragged) else column.values
        if values.dtype.kind == "f" and not np.isfinite(values.astype(np.float32)).all():
            wrong = "missing values" if np.isnan(values).any() else f"values up to {np.abs(values).max():.3g}"
            raise UsageError(f"data.inputs: column {name!r} has {wrong}; remove those rows, or scale the numbers")
        return values

    def _waveforms(self, columns: Columns) -> np.ndarray | None:
        """Waveforms of audio inputs, int16 [N, T]; None for other inputs and above MAX_WAVEFORM_BYTES."""
        column = columns[self.inputs[0]]
        if self.table or column.kind != "audio" or 2 * len(column) * self.length > MAX_WAVEFORM_BYTES:
            return None
        samples = self._samples(column)
        if samples.dtype == np.int16:
            return samples
        peak = np.maximum(np.abs(samples).max(axis=1, keepdims=True, initial=0), 1)
        return np.round(32_767 * samples / peak).astype(np.int16)

    def _samples(self, column: Column) -> np.ndarray:
        """Waveforms of equal length. [N, length]."""
        return column.array[:, : self.length] if column.is_array else _padded(column.ragged, self.length)

    def _targets(self, column: Column) -> np.ndarray:
        if column.kind == "text":
            return _padded(column.ragged, self.length)
        if isinstance(column.values, Ragged) or column.kind in ("audio", "date"):
            raise UsageError(
                f"data.target={self.target!r} has kind {column.kind}; choose a class, number, text or image"
            )
        if column.kind == "class":
            if column.values.min(initial=0) < 0:
                raise UsageError(f"data.target={self.target!r} has unlabelled examples; choose another split or target")
            return np.asarray(column.values, np.int32)
        if column.kind == "image" or (column.values.ndim > 1 and column.values.dtype.kind in "iu"):
            return np.asarray(column.values, np.int32)  # a class per pixel or position
        if not np.isfinite(column.values).all():
            raise UsageError(f"data.target={self.target!r} has missing numbers; remove those rows")
        return (np.asarray(column.values, np.float64) - self.reference).astype(np.float32)


def _reference(name: str, column: Column) -> np.ndarray | float:
    """What is subtracted from numeric targets before they are cast to float32: 0 for usual ones. float64 [] or [K]."""
    if column.kind != "number" or not column.is_array or column.array.dtype.kind != "f" or column.array.ndim > 2:
        return 0.0
    values = np.asarray(column.array, np.float64)
    reference = Centring.fit(values.reshape(len(values), -1)).check(f"data.target={name!r}").reference
    return reference if values.ndim > 1 else reference[0]


def _usual_length(column: Column) -> int:
    """The longest row of the pool, or the 95th percentile if that is too long, up to a limit per kind."""
    values = column.values
    lengths = values.shapes[:, 0] if isinstance(values, Ragged) else np.array([values.shape[1]])
    sound = int(MAX_SOUND_SECONDS * column.rate)
    limit = {"text": MAX_TEXT_LENGTH, "audio": sound}.get(column.kind, MAX_SEQUENCE_LENGTH)
    length = int(lengths.max()) if lengths.max() <= limit else int(np.ceil(np.quantile(lengths, 0.95)))
    return max(1, min(length, limit))


def _padded(values: Ragged, length: int) -> np.ndarray:
    """Rows cut or zero-padded to one length. [N, length, ...]."""
    inner = {tuple(shape[1:]) for shape in values.shapes}
    if len(inner) > 1:
        raise UsageError(
            f"items of sequences have several shapes, for example {sorted(inner)[:3]}; give them one shape"
        )
    out = np.zeros((len(values), length, *(inner.pop() if inner else ())), values.values.dtype)
    for row in range(len(values)):
        items = values[row][:length]
        out[row, : len(items)] = items
    return out


def _images(name: str, column: Column, size: Size | None) -> np.ndarray:
    """Images of one size, resized if `size` differs."""
    values = column.values
    if size is None and isinstance(values, Ragged):
        shapes = np.unique(values.shapes[:, :2], axis=0)
        raise UsageError(
            f"{name!r} has images of {len(shapes)} sizes, for example {shapes[0][0]}×{shapes[0][1]} and "
            f"{shapes[-1][0]}×{shapes[-1][1]}; set one, for example data.size=64,64"
        )
    if size is None or (isinstance(values, np.ndarray) and values.shape[1:3] == size):
        return column.array
    return np.stack([_resized(values[row], size) for row in range(len(values))])


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image [H, W, C] resized, channel by channel."""
    from PIL import Image

    return np.stack([np.asarray(resized(Image.fromarray(channel), size)) for channel in np.moveaxis(image, 2, 0)], 2)
