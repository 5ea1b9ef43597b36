"""Converts Arrow arrays to columns: numbers, classes, texts, dates, arrays of numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dlm.data.columns import Column, Ragged, text_values
from dlm.data.schema_inference import is_free_text

_EXACT = 2**24  # integers up to here are exact in float32
_EXACT_DOUBLE = 2**53  # and in float64


def decoded(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in a type with Arrow functions: views, dictionaries, runs and extensions are decoded.

    Decimals and half floats become floats, durations and times seconds, and binary values texts if they are UTF-8.
    Other types are unchanged.
    """
    try:
        return _decoded(array)
    except pa.ArrowNotImplementedError:  # a combination without a function, such as runs of views
        try:
            return _decoded(pa.chunked_array([pa.array(array.to_pylist())]))
        except (pa.ArrowException, TypeError, ValueError):
            return array


def _decoded(array: pa.ChunkedArray) -> pa.ChunkedArray:
    kind, types = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return decoded(pa.chunked_array([chunk.storage for chunk in array.chunks], kind.storage_type))
    if types.is_run_end_encoded(kind):
        return decoded(pa.chunked_array([pc.run_end_decode(chunk) for chunk in array.chunks], kind.value_type))
    if types.is_dictionary(kind):
        values = [decoded(pa.chunked_array([chunk.dictionary])).combine_chunks() for chunk in array.chunks]
        parts = [value.take(chunk.indices) for value, chunk in zip(values, array.chunks)]
        return pa.chunked_array(parts) if parts else decoded(pa.chunked_array([], kind.value_type))
    if types.is_decimal(kind):
        return pc.cast(array, pa.float64())
    if types.is_float16(kind):
        return pc.cast(array, pa.float32())
    if types.is_time(kind) or types.is_duration(kind):
        return pa.chunked_array([pa.array(_seconds(array), from_pandas=True)])
    if kind == pa.string_view():
        return pc.cast(array, pa.large_string())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or _is_view(kind):
        array = pc.cast(array, pa.large_binary()) if _is_view(kind) or types.is_fixed_size_binary(kind) else array
        try:
            return pc.cast(array, pa.large_string())
        except pa.ArrowInvalid:
            return array
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        # Not cast, which gives an invalid array for large list views.
        array = pa.chunked_array([pa.array(array.to_pylist(), pa.large_list(kind.value_type))])
    if (
        _is_list(array.type)
        and (values := decoded(pa.chunked_array([], array.type.value_type)).type) != kind.value_type
    ):
        size = [kind.list_size] if types.is_fixed_size_list(kind) else []
        return pc.cast(array, pa.list_(values, *size) if size else pa.large_list(values))
    return array


def _exceeds_double(array: pa.ChunkedArray) -> bool:
    """Whether an array has integers that float64 would round."""
    if not pa.types.is_integer(array.type) or array.type.bit_width < 64:
        return False
    ends = pc.min_max(array).as_py()
    return any(abs(end or 0) > _EXACT_DOUBLE for end in ends.values())


def _is_view(kind: pa.DataType) -> bool:
    return kind == pa.binary_view()


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def column(name: str, array: pa.ChunkedArray) -> Column | None:
    """The column, or None for an unsupported type. Missing numbers are NaN, missing classes −1."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return Column(_numbers(pc.cast(array, pa.uint8())), "number")
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return Column(_seconds(array), "number")
    if _is_number(kind):
        if array.null_count and _exceeds_double(array):
            return class_column(pc.cast(array, pa.string()))
        return Column(_numbers(array), "number")
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return Column(_seconds(pc.cast(array, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)), "date")
    if is_string(kind):
        return text_column(array) if is_free_text(name, array) else class_column(array)
    return _arrays(array) if _is_list(kind) and _is_number(kind.value_type) and not array.null_count else None


def class_column(array: pa.ChunkedArray) -> Column:
    """Booleans or texts as classes, whatever their number; names are sorted."""
    if pa.types.is_boolean(array.type):
        return Column(pc.fill_null(pc.cast(array, pa.int32()), -1).to_numpy(), "class", ("false", "true"))
    names = sorted(pc.unique(array.drop_null()).to_pylist())
    index = pc.index_in(array, value_set=pa.array(names, array.type))
    return Column(pc.fill_null(index, -1).to_numpy().astype(np.int32), "class", tuple(names))


def text_column(array: pa.ChunkedArray) -> Column:
    """Texts as views of Arrow's memory; missing ones are empty."""
    whole = _combined(pc.fill_null(pc.cast(array, pa.large_string()), ""))
    if not len(whole):
        return Column(text_values([]), "text")
    starts = np.frombuffer(whole.buffers()[1], np.int64)[whole.offset : whole.offset + len(whole) + 1]
    values = np.frombuffer(whole.buffers()[2] or b"", np.uint8)[starts[0] : starts[-1]]
    return Column(Ragged(values, np.diff(starts).astype(np.int32)[:, None]), "text")


def _numbers(array: pa.ChunkedArray) -> np.ndarray:
    """float32 if the type is no larger, or all numbers are integers that float32 represents exactly; else float64.

    Integers that float64 would round stay integers if none is missing.
    """
    kind = array.type
    if not array.null_count and _exceeds_double(array):
        return array.to_numpy()
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


def _arrays(array: pa.ChunkedArray) -> Column:
    """Lists of numbers: an array [N, k] if all have equal length, else Ragged."""
    whole = _combined(array)
    flat = _numbers(pa.chunked_array([whole.flatten()]))
    lengths = pc.list_value_length(whole).to_numpy(zero_copy_only=False)
    if len(set(lengths.tolist())) == 1:
        return Column(flat.reshape(len(lengths), -1), "number")
    return Column(Ragged(flat, lengths.astype(np.int32)[:, None]), "number")


def _combined(array: pa.ChunkedArray) -> pa.Array:
    whole = array.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def is_string(kind: pa.DataType) -> bool:
    """Whether an Arrow type is text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
