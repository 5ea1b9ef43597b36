"""One Arrow column as a column of ours: numbers, classes, texts, dates, arrays of numbers."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dlm.data.columns import Column, Ragged

LONG = 20  # characters of a text that is no name of a class, on average
WORDS = 3  # or that many words
MANY = 20  # different values; with fewer, texts are classes
_TEXT_NAMES = (
    "text", "texts", "sentence", "document", "review", "comment", "tweet", "message", "content", "body", "prompt",
)  # fmt: skip
_EXACT = 2**24  # whole numbers up to here are the same as float32


def column(name: str, array: pa.ChunkedArray) -> Column | None:
    """The column, or None for a type that is none of ours. A number or class that is missing is NaN or −1."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = pc.cast(array, kind.value_type)
        return _classes(array) if _is_string(array.type) else column(name, array)
    if pa.types.is_boolean(kind):
        return Column(_numbers(pc.cast(array, pa.uint8())), "number")
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return Column(_seconds(array), "number")
    if _is_number(kind):
        return Column(_numbers(array), "number")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Column(_seconds(pc.cast(array, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)), "date")
    if _is_string(kind):
        return Column(_texts(array), "text") if _is_text(name, array) else _classes(array)
    return _arrays(array) if _is_list(kind) and _is_number(kind.value_type) and not array.null_count else None


def classes(array: pa.ChunkedArray) -> Column:
    """Truth values or texts, however many differ, as classes; their names sorted."""
    if pa.types.is_boolean(array.type):
        return Column(pc.fill_null(pc.cast(array, pa.int32()), -1).to_numpy(), "class", ("false", "true"))
    return _classes(array)


def _classes(array: pa.ChunkedArray) -> Column:
    names = sorted(pc.unique(array.drop_null()).to_pylist())
    places = pc.index_in(array, value_set=pa.array(names, array.type))
    return Column(pc.fill_null(places, -1).to_numpy().astype(np.int32), "class", tuple(names))


def _numbers(array: pa.ChunkedArray) -> np.ndarray:
    """float32 where that holds every number as it is and all are whole, or it was no more before; else float64."""
    kind = array.type
    values = pc.cast(array, pa.float64(), safe=False).to_numpy().astype(np.float64)
    values[np.isinf(values)] = np.nan
    known = values[~np.isnan(values)]
    single = pa.types.is_float32(kind) or pa.types.is_float16(kind)
    if single or bool(np.all(known % 1 == 0) and np.all(np.abs(known) <= _EXACT)):
        return values.astype(np.float32)
    return values


def _seconds(array: pa.ChunkedArray) -> np.ndarray:
    units = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    whole = pa.int32() if array.type.bit_width == 32 else pa.int64()
    values = pc.cast(pc.cast(array, whole), pa.float64(), safe=False).to_numpy()
    return values / units[array.type.unit]


def _texts(array: pa.ChunkedArray) -> Ragged:
    """Texts as they lie in Arrow's memory; one that is missing is empty."""
    whole = pc.fill_null(pc.cast(array, pa.large_string()), "").combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    starts = np.frombuffer(whole.buffers()[1], np.int64)[whole.offset : whole.offset + len(whole) + 1]
    values = np.frombuffer(whole.buffers()[2] or b"", np.uint8)
    return Ragged(values, starts, np.diff(starts).astype(np.int32)[:, None])


def _is_text(name: str, array: pa.ChunkedArray) -> bool:
    """Whether these are texts to read rather than names of classes: most differ, and are long or of several words."""
    given = array.drop_null()
    distinct = pc.count_distinct(given).as_py()
    if distinct <= MANY:
        return False
    if re.sub(r"\W", "", name).casefold() in _TEXT_NAMES:
        return True
    length = pc.mean(pc.utf8_length(given)).as_py()
    words = 1 + pc.mean(pc.count_substring(given, " ")).as_py()
    return distinct > len(given) / 2 and (length >= LONG or words >= WORDS)


def _arrays(array: pa.ChunkedArray) -> Column | None:
    """Lists of numbers: an array [N, k] where all are equally long."""
    whole = array.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    flat = _numbers(pa.chunked_array([whole.flatten()]))
    lengths = pc.list_value_length(whole).to_numpy(zero_copy_only=False)
    if len(set(lengths.tolist())) == 1:
        return Column(flat.reshape(len(lengths), -1), "number")
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Column(Ragged(flat, starts, lengths.astype(np.int32)[:, None]), "number")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
