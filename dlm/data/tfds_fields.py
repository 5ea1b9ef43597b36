"""Fields of TFDS records: how each feature is stored, and the column it becomes.

A record is a `tf.train.Example`: a list of integers, floats or byte strings for each feature, nested names joined by
"/". Many records are read at once, feature by feature; TFDS's own decoding goes example by example.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlm.data import images
from dlm.data.columns import Column, Kind, Ragged

Records = Sequence[Mapping[str, Any]]  # of each example, feature name -> tf.train.Feature
INT16_RANGE = 32_768


@dataclasses.dataclass(frozen=True)
class Field:
    """One feature: the kind of column it becomes, the shape of a row (None for a size that differs) and its type.

    `stored`: as int64_list, float_list, texts, bytes or zlib (tensors), or images.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    dtype: np.dtype
    stored: str
    names: tuple[str, ...] = ()
    rate: int = 0
    optional: bool = False

    def column(self, records: Records) -> Column:
        """The rows of some records. ValueError if they do not fit."""
        values = _READERS.get(self.stored, _numbers)(self, records)
        return Column(values, self.kind, self.names, self.rate)


def _numbers(field: Field, records: Records) -> np.ndarray | Ragged:
    lists = [getattr(record[field.name], field.stored).value for record in records]
    sizes = np.fromiter(map(len, lists), np.int64, len(lists))
    stored_as = np.int64 if field.stored == "int64_list" else np.float32
    flat = np.fromiter(itertools.chain.from_iterable(lists), stored_as, int(sizes.sum()))
    return _shaped(field, flat.astype(field.dtype, copy=False), sizes)


def _texts(field: Field, records: Records) -> Ragged:
    """The texts of a sequence are joined by line ends."""
    rows = [b"\n".join(record[field.name].bytes_list.value) for record in records]
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    return Ragged(np.frombuffer(b"".join(rows), np.uint8), starts, np.diff(starts).astype(np.int32)[:, None])


def _tensors(field: Field, records: Records) -> np.ndarray | Ragged:
    """Tensors stored as their bytes; with several sizes unknown, the shape of each is stored beside it."""
    unknown = field.shape.count(None) > 1
    name = f"{field.name}/value" if unknown else field.name
    unpack = zlib.decompress if field.stored == "zlib" else bytes
    try:
        rows = [b"".join(map(unpack, record[name].bytes_list.value)) for record in records]
    except zlib.error as error:
        raise ValueError(str(error)) from None
    flat = np.frombuffer(b"".join(rows), field.dtype.newbyteorder("<"))
    sizes = np.array([len(row) for row in rows]) // field.dtype.itemsize
    shapes = [tuple(record[f"{field.name}/shape"].int64_list.value) for record in records] if unknown else None
    return _shaped(field, flat, sizes, shapes)


def _images(field: Field, records: Records) -> np.ndarray | Ragged:
    lists = [record[field.name].bytes_list.value for record in records]
    files = list(itertools.chain.from_iterable(lists))
    if len(field.shape) == 3 and len(files) != len(lists):
        raise ValueError("there is not one image in each example")
    height, width, channels = field.shape[-3:]
    assert channels is not None
    if not files:
        return _shaped(field, np.zeros(0, field.dtype), np.zeros(len(lists), np.int64))
    if field.dtype == np.uint16:
        values = images.decode_deep(files)
    elif field.dtype == np.float32:
        values = _as_float(images.decode(files, 4))
    else:
        values = images.decode(files, channels)
    found = values.shapes if isinstance(values, Ragged) else np.array([values.shape[1:]])
    if any(size is not None and np.any(found[:, axis] != size) for axis, size in enumerate((height, width, channels))):
        raise ValueError(f"images of other sizes are among those of {field.shape[-3:]}")
    if len(field.shape) == 3:
        return values
    assert isinstance(values, np.ndarray)
    sizes = np.array([len(files) for files in lists]) * int(np.prod(values.shape[1:]))
    return _shaped(field, values.reshape(-1), sizes)


_READERS = {"texts": _texts, "images": _images, "bytes": _tensors, "zlib": _tensors}


def _as_float(values: np.ndarray | Ragged) -> np.ndarray | Ragged:
    """Numbers that were stored as the four bytes of a pixel."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values).view("<f4")
    shapes = values.shapes.copy()
    shapes[:, 2] = 1
    return Ragged(values.values.view("<f4"), values.starts // 4, shapes)


def _shaped(
    field: Field, flat: np.ndarray, sizes: np.ndarray, shapes: list[tuple[int, ...]] | None = None
) -> np.ndarray | Ragged:
    """Numbers one after another, `sizes` of them in each row, in the field's shape, and as the kind of column asks."""
    flat = _as_kind(field.kind, flat)
    known = math.prod(size for size in field.shape if size is not None)
    if field.optional and None not in field.shape:
        flat, sizes = _with_missing(flat, sizes, known)
    if None not in field.shape:
        if np.any(sizes != known):
            raise ValueError(f"rows of {sorted({*map(int, sizes)})[:5]} numbers are no rows of shape {field.shape}")
        return flat.reshape(len(sizes), *field.shape)
    if shapes is None:
        if not known or np.any(sizes % known):
            raise ValueError(f"rows of {sorted({*map(int, sizes)})[:5]} numbers are no rows of shape {field.shape}")
        shapes = [tuple(size // known if each is None else each for each in field.shape) for size in sizes]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Ragged(flat, starts, np.array(shapes, np.int32).reshape(len(sizes), len(field.shape)))


def _with_missing(flat: np.ndarray, sizes: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
    """NaN where a row is missing, so that integers become float64."""
    there = sizes > 0
    rows = np.full((len(sizes), known), np.nan, np.result_type(flat.dtype, np.float16))
    rows[there] = flat.reshape(-1, known)
    return rows.reshape(-1), np.full(len(sizes), known)


def _as_kind(kind: Kind, flat: np.ndarray) -> np.ndarray:
    if flat.dtype == bool:
        return flat.astype(np.uint8)
    if kind != "audio" or flat.dtype == np.int16:
        return flat
    # Integers of more bits hold samples of 16 bits nearly always; as floats they are found if they are not.
    return flat.astype(np.float32) / np.float32(1 if flat.dtype.kind == "f" else INT16_RANGE)
