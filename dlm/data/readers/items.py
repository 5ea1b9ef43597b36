"""Reads objects with `__len__` and `__getitem__` as columns: lists, map data sets of PyTorch, grain, Hugging Face."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dlm.data.columns import Column, Ragged, ragged
from dlm.data.readers import arrow, notations
from dlm.data.readers.audio import unit_range
from dlm.data.readers.files import listed
from dlm.data.readers.user_dataset import UserDataset
from dlm.utils.errors import UsageError

MAX_ITEMS = 2**40  # an infinitely repeated data set reports more


def read_items(datasets: Mapping[str, Any]) -> UserDataset:
    """The items of the data set of each split as columns; reads each item once, in order.

    An item is a mapping from column names to values, a tuple (x, y), or one value x. Values: numbers, texts (also as
    UTF-8 bytes), dates, arrays and tensors, Pillow images, sounds as {"array", "sampling_rate"}. None is a missing
    value; items that are None are skipped, like grain's filtered items. If `dataset.features[name].names` are class
    names, as in Hugging Face data sets, the column has kind class. Raises UsageError for unsupported items.
    """
    splits = {split: [_row(item) for item in _items(each) if item is not None] for split, each in datasets.items()}
    rows = [row for part in splits.values() for row in part]
    if not rows:
        raise UsageError("the data set has no items; give one with rows")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise UsageError("the items of the data set are empty; give mappings with keys and values")
    features = getattr(next(iter(datasets.values())), "features", None)
    remarks: list[str] = []
    columns = {
        name: _column(name, [row.get(name) for row in rows], _class_names(features, name), remarks) for name in names
    }
    return UserDataset(columns, {split: len(part) for split, part in splits.items()}, "", tuple(remarks))


def _items(dataset: Any) -> Iterator[Any]:
    """All items: up to the length, or until IndexError if there is no length."""
    if isinstance(dataset, str | bytes | Mapping) or not hasattr(dataset, "__getitem__"):
        raise UsageError(
            f"{type(dataset).__name__} is not a sequence of items; give a list, or an object with __getitem__"
        )
    try:
        length = len(dataset)
    except (TypeError, NotImplementedError):
        length = None
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"the data set has no valid length ({error}); let __len__ return the number of items"
        ) from None
    if length is not None and length > MAX_ITEMS:
        raise UsageError(f"the data set reports {length:,} items; give it before it is repeated")
    for index in itertools.count() if length is None else range(length):
        try:
            item = dataset[index]
        except IndexError:
            if length is None:
                return
            raise UsageError(f"the data set has length {length:,} but no item {index:,}; correct __len__") from None
        yield item


def _row(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return {str(name): value for name, value in item.items()}
    if hasattr(item, "_asdict"):
        return item._asdict()
    is_tuple = isinstance(item, tuple) or (isinstance(item, list) and not all(map(_is_number, item)))
    if not is_tuple:
        return {"x": item}
    return dict(zip(("x", "y"), item)) if len(item) == 2 else {f"item {k}": value for k, value in enumerate(item)}


def _class_names(features: Any, name: str) -> tuple[str, ...]:
    feature = features.get(name) if isinstance(features, Mapping) else None
    names = getattr(feature, "names", None)
    return tuple(names) if isinstance(names, list | tuple) else ()


def _column(name: str, values: list[Any], names: tuple[str, ...], remarks: list[str]) -> Column:
    first = next((value for value in values if value is not None), None)
    if names:
        return _classes(name, values, names)
    if first is None:
        return Column(np.full(len(values), np.nan), "number")
    if _is_number(first):
        return _numbers(name, values)
    if isinstance(first, str | bytes) or hasattr(first, "isoformat") or isinstance(first, np.datetime64):
        return _texts(name, values, remarks)
    if isinstance(first, Mapping):
        return _sounds(name, values)
    return _arrays(name, [_array(name, value, k) for k, value in enumerate(values)], _is_image(first))


def _classes(name: str, values: list[Any], names: tuple[str, ...]) -> Column:
    indices = np.array([-1 if value is None else int(value) for value in values], np.int32)
    if indices.max(initial=-1) >= len(names) or indices.min(initial=-1) < -1:
        raise UsageError(
            f"{name} has {len(names)} class names, but values {indices.min()} to {indices.max()}; name every class"
        )
    return Column(indices, "class", names)


def _numbers(name: str, values: list[Any]) -> Column:
    wrong = next((k for k, value in enumerate(values) if not _is_number(value) and value is not None), None)
    if wrong is not None:
        raise UsageError(_mixed(name, values, wrong))
    if None in values:
        return Column(np.array([np.nan if value is None else float(value) for value in values]), "number")
    array = np.array([value.item() if hasattr(value, "item") else value for value in values])
    if array.dtype.kind not in "biufO":
        raise UsageError(f"{name} has type {array.dtype}; give real numbers")
    # Python integers above 64 bits become floats.
    stored = {"b": np.uint8, "O": np.float64}.get(array.dtype.kind, array.dtype)
    return Column(array.astype(stored), "number")


def _texts(name: str, values: list[Any], remarks: list[str]) -> Column:
    """Texts or dates, with the rules for tables."""
    try:
        array = pa.array([value.decode() if isinstance(value, bytes) else value for value in values])
        chunks = pa.chunked_array([array])
        if arrow.is_string(array.type):
            chunks, remark = notations.converted(chunks)
            remarks += [f"Column {name}: {remark}"] if remark else []
        column = arrow.column(name, chunks)
    except UnicodeDecodeError:
        raise UsageError(f"{name} has bytes that are not UTF-8 text; decode them to arrays first") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds = [type(value) for value in values]
        wrong = next(k for k, kind in enumerate(kinds) if kind is not kinds[0])
        raise UsageError(_mixed(name, values, wrong)) from None
    if column is None:
        raise UsageError(f"{name} has type {array.type}; give numbers, texts, dates, arrays or images")
    return column


def _sounds(name: str, values: list[Any]) -> Column:
    keys = {"array", "sampling_rate"}
    if not all(isinstance(value, Mapping) and keys <= set(value) for value in values):
        raise UsageError(f"{name} has mappings; only sounds with the keys array and sampling_rate are supported")
    rates = {int(value["sampling_rate"]) for value in values}
    if len(rates) > 1:
        raise UsageError(
            f"{name} has several sampling rates, {listed([str(rate) for rate in sorted(rates)])}; resample to one"
        )
    sounds = [np.asarray(value["array"]) for value in values]
    dtype = np.int16 if all(wave.dtype == np.int16 for wave in sounds) else np.float32
    if any(wave.ndim != 1 for wave in sounds):
        raise UsageError(f"{name} has sounds of several channels; give one channel, [T]")
    if dtype == np.float32:
        sounds = [
            wave if wave.dtype.kind == "f" and not np.any(np.abs(wave) > 1) else unit_range(wave)[0] for wave in sounds
        ]
    return Column(ragged(sounds, dtype, 1), "audio", rate=rates.pop())


def _array(name: str, value: Any, index: int) -> np.ndarray:
    if _is_image(value):
        value = value.convert("L" if value.mode in ("1", "L", "LA") else "RGB")
    array = np.asarray(value)
    if array.dtype.kind not in "buif" or not array.ndim:
        kind = f"an array of {array.dtype}" if array.ndim else type(value).__name__
        raise UsageError(f"item {index:,} has {kind} as {name}; give numbers, texts, dates, arrays or images")
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def _arrays(name: str, values: Sequence[np.ndarray], are_images: bool) -> Column:
    ranks = {value.ndim for value in values}
    if len(ranks) > 1 and not are_images:
        raise UsageError(f"{name} has arrays of {sorted(ranks)} axes; give all the same number")
    are_images = are_images or all(
        value.dtype == np.uint8 and (value.ndim == 2 or (value.ndim == 3 and value.shape[2] <= 4)) for value in values
    )
    if are_images:
        values = [value[..., None] if value.ndim == 2 else value for value in values]
    if are_images and len(channels := {value.shape[2] for value in values}) > 1 and channels == {1, 3}:
        values = [np.repeat(value, 3, axis=2) if value.shape[2] == 1 else value for value in values]
    joined: np.ndarray | Ragged
    if len({value.shape for value in values}) == 1:
        joined = np.stack(values)
    else:
        joined = ragged(list(values), np.result_type(*{value.dtype for value in values}), values[0].ndim)
    return Column(joined, "image" if are_images else "number")


def _is_number(value: Any) -> bool:
    if isinstance(value, str | bytes | np.datetime64):  # NumPy scalars of these have ndim
        return False
    return isinstance(value, numbers.Real | np.bool_) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item"))


def _is_image(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "mode")


def _mixed(name: str, values: list[Any], wrong: int) -> str:
    first = next(value for value in values if value is not None)
    kinds = f"{type(first).__name__} and {type(values[wrong]).__name__}"
    return f"{name} has values of type {kinds}, the latter in item {wrong:,}; use one type per key"
