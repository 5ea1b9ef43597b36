"""Anything with `__len__` and `__getitem__` as columns: lists, PyTorch's map datasets, grain's, Hugging Face's."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dlm.data.columns import Column, Columns, Ragged, ragged
from dlm.data.readers import arrow
from dlm.data.readers.paths import listed
from dlm.utils.errors import UsageError

MOST = 2**40  # items; a data set that is repeated without end says that it has more


def columns_of(dataset: Any) -> Columns:
    """The items of a data set, read once from first to last, as columns.

    An item is a mapping, whose keys name the columns; a tuple of two, x and y; or one value, x. Values: numbers, texts
    (also as UTF-8 bytes), dates, arrays and tensors, pictures of Pillow, sounds as {"array", "sampling_rate"}. None is
    missing; an item that is None is passed over, as grain's filtered ones. Where `dataset.features[name].names` tells
    names of classes, as Hugging Face's do, the column is one of classes. UsageError for what is no such data set.
    """
    rows = [_row(item) for item in _items(dataset) if item is not None]
    if not rows:
        raise UsageError("the data set has no items; give one with rows in it")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UsageError("the items of the data set are empty; give them keys and values")
    features = getattr(dataset, "features", None)
    return {name: _column(name, [row.get(name) for row in rows], _class_names(features, name)) for name in names}


def _items(dataset: Any) -> Iterator[Any]:
    """All items: as many as the length says, or until IndexError where there is none."""
    if isinstance(dataset, str | bytes | Mapping) or not hasattr(dataset, "__getitem__"):
        raise UsageError(
            f"{type(dataset).__name__} is no sequence of items; give a list, or anything with __len__ and __getitem__"
        )
    length = _length(dataset)
    place = 0
    while length is None or place < length:
        try:
            item = dataset[place]
        except IndexError:
            if length is not None:
                raise UsageError(f"the data set says that it has {length:,} items, and has none at {place:,}") from None
            return
        yield item
        place += 1
        if place > MOST:
            raise UsageError("the data set has no end; give one of so many items")


def _length(dataset: Any) -> int | None:
    try:
        length = len(dataset)
    except (TypeError, NotImplementedError):
        return None
    except (ValueError, OverflowError) as error:
        raise UsageError(f"the data set has no proper length ({error}); let __len__ count its items") from None
    if length > MOST:
        raise UsageError(f"the data set says that it has {length:,} items; give it before it is repeated")
    return length


def _row(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return {str(name): value for name, value in item.items()}
    if hasattr(item, "_asdict"):
        return item._asdict()
    parts = isinstance(item, tuple) or (isinstance(item, list) and not all(map(_is_number, item)))
    if not parts:
        return {"x": item}
    return dict(zip(("x", "y"), item)) if len(item) == 2 else {f"item {k}": value for k, value in enumerate(item)}


def _class_names(features: Any, name: str) -> tuple[str, ...]:
    feature = features.get(name) if isinstance(features, Mapping) else None
    names = getattr(feature, "names", None)
    return tuple(names) if isinstance(names, list | tuple) else ()


def _column(name: str, values: list[Any], names: tuple[str, ...]) -> Column:
    first = next((value for value in values if value is not None), None)
    if names:
        return _classes(name, values, names)
    if first is None:
        return Column(np.full(len(values), np.nan), "number")
    if _is_number(first):
        return _numbers(name, values)
    if isinstance(first, str | bytes) or hasattr(first, "isoformat") or isinstance(first, np.datetime64):
        return _texts(name, values)
    if isinstance(first, Mapping):
        return _sounds(name, values)
    return _arrays(name, [_array(name, value, k) for k, value in enumerate(values)], _is_picture(first))


def _classes(name: str, values: list[Any], names: tuple[str, ...]) -> Column:
    places = np.array([-1 if value is None else int(value) for value in values], np.int32)
    if places.max(initial=-1) >= len(names) or places.min(initial=-1) < -1:
        raise UsageError(
            f"{name} names {len(names)} classes, and holds {places.min()} to {places.max()}; name them all"
        )
    return Column(places, "class", names)


def _numbers(name: str, values: list[Any]) -> Column:
    wrong = next((k for k, value in enumerate(values) if not _is_number(value) and value is not None), None)
    if wrong is not None:
        raise UsageError(_mixed(name, values, wrong))
    if None in values:
        return Column(np.array([np.nan if value is None else float(value) for value in values]), "number")
    array = np.array([value.item() if hasattr(value, "item") else value for value in values])
    return Column(array.astype(np.uint8) if array.dtype == np.bool_ else array.astype(_storable(name, array)), "number")


def _texts(name: str, values: list[Any]) -> Column:
    """Texts or dates, as a table's."""
    try:
        array = pa.array([value.decode() if isinstance(value, bytes) else value for value in values])
        column = arrow.column(name, pa.chunked_array([array]))
    except UnicodeDecodeError:
        raise UsageError(f"{name} holds bytes that are no text in UTF-8; decode them to arrays first") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds = [type(value) for value in values]
        wrong = next(k for k, kind in enumerate(kinds) if kind is not kinds[0])
        raise UsageError(_mixed(name, values, wrong)) from None
    if column is None:
        raise UsageError(f"{name} holds {array.type}; give numbers, texts, dates, arrays or pictures")
    return column


def _sounds(name: str, values: list[Any]) -> Column:
    keys = {"array", "sampling_rate"}
    if not all(isinstance(value, Mapping) and keys <= set(value) for value in values):
        raise UsageError(
            f"{name} holds mappings; those of sounds have an array and a sampling_rate, others are not read"
        )
    rates = {int(value["sampling_rate"]) for value in values}
    if len(rates) > 1:
        raise UsageError(f"{name} has several rates, {listed([str(rate) for rate in sorted(rates)])}; resample to one")
    waves = [np.asarray(value["array"]) for value in values]
    dtype = np.int16 if all(wave.dtype == np.int16 for wave in waves) else np.float32
    if any(wave.ndim != 1 for wave in waves):
        raise UsageError(f"{name} has sounds of several channels; give one, [T]")
    return Column(ragged(waves, dtype, 1), "audio", rate=rates.pop())


def _array(name: str, value: Any, place: int) -> np.ndarray:
    if _is_picture(value):
        value = value.convert("L" if value.mode in ("1", "L", "LA") else "RGB")
    array = np.asarray(value)
    if array.dtype.kind not in "buif" or not array.ndim:
        what = f"an array of {array.dtype}" if array.ndim else type(value).__name__
        raise UsageError(f"item {place:,} holds {what} as {name}; give numbers, texts, dates, arrays or pictures")
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _arrays(name: str, values: Sequence[np.ndarray], pictures: bool) -> Column:
    ranks = {value.ndim for value in values}
    if len(ranks) > 1 and not pictures:
        raise UsageError(f"{name} holds arrays of {sorted(ranks)} axes; give all as many")
    image = pictures or all(
        value.dtype == np.uint8 and (value.ndim == 2 or (value.ndim == 3 and value.shape[2] <= 4)) for value in values
    )
    if image:
        values = [value[..., None] if value.ndim == 2 else value for value in values]
    if image and len(channels := {value.shape[2] for value in values}) > 1 and channels == {1, 3}:
        values = [np.repeat(value, 3, axis=2) if value.shape[2] == 1 else value for value in values]
    joined: np.ndarray | Ragged
    if len({value.shape for value in values}) == 1:
        joined = np.stack(values)
    else:
        joined = ragged(list(values), np.result_type(*{value.dtype for value in values}), values[0].ndim)
    return Column(joined, "image" if image else "number")


def _storable(name: str, array: np.ndarray) -> np.typing.DTypeLike:
    """Python's integers beyond 64 bits are kept as floats."""
    if array.dtype.kind in "iuf":
        return array.dtype
    if array.dtype.kind == "O":
        return np.float64
    raise UsageError(f"{name} holds {array.dtype}; give numbers that are real")


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes | np.datetime64):  # NumPy's own have axes too
        return False
    return isinstance(value, numbers.Real | np.bool_) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item"))


def _is_picture(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "mode")


def _mixed(name: str, values: list[Any], wrong: int) -> str:
    first = next(value for value in values if value is not None)
    kinds = f"{type(first).__name__} and {type(values[wrong]).__name__}"
    return f"{name} holds {kinds}, the latter in item {wrong:,}; give a key one kind of value"
