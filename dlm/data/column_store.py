"""Stores columns as a folder of .npy files, written block by block; reading verifies checksums and memory-maps them.

`manifest.json` has the columns, the shape and CRC-32 of every array, and its own CRC-32; it is written last.
"""

from __future__ import annotations

import dataclasses
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.columns import Column, Columns, Ragged, as_ragged, row_shape

MANIFEST = "manifest.json"
HEADER = 192  # bytes before an array's data; the same for every shape, so that it can be written last
CHECK_BYTES = 1 << 24  # of a file at once


class DamagedStore(Exception):
    """A folder is not a complete set of columns."""


class Writer:
    """Writes columns to an empty folder, a block of rows at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.columns: dict[str, _GrowingColumn] = {}

    def append(self, block: Columns) -> None:
        """Append rows. Raises ValueError if their columns differ from those of earlier blocks."""
        if not self.columns:
            self.columns = {
                name: _GrowingColumn(self.folder, str(number), column)
                for number, (name, column) in enumerate(block.items())
            }
        if list(block) != list(self.columns):
            raise ValueError(f"columns {list(block)} differ from those of earlier blocks, {list(self.columns)}")
        for name, column in block.items():
            self.columns[name].append(column)

    def close(self) -> None:
        """Write the headers, then the manifest."""
        content = [{"name": name, **column.close()} for name, column in self.columns.items()]
        text = json.dumps({"columns": content, "crc32": _checksum_of(content)})
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")


def read(folder: Path) -> dict[str, Column]:
    """The columns of a folder, read-only and memory-mapped.

    Raises DamagedStore if a file is missing or any byte has changed, and OSError if the folder cannot be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["crc32"] != _checksum_of(manifest["columns"]):
            raise DamagedStore(f"checksum mismatch in {MANIFEST}")
        return {entry["name"]: _column(folder, entry) for entry in manifest["columns"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DamagedStore(f"{type(error).__name__}: {error}") from None


class _GrowingArray:
    """A .npy file that grows. It is open only while it is written, since a data set may have hundreds of columns."""

    def __init__(self, path: Path, dtype: np.dtype):
        self.path, self.dtype, self.size, self.checksum = path, dtype.newbyteorder("<"), 0, 0
        path.write_bytes(bytes(HEADER))

    def append(self, values: np.ndarray) -> None:
        data = _bytes(np.ascontiguousarray(values, self.dtype))
        with self.path.open("ab") as file:
            file.write(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += values.size

    def close(self, *shape: int) -> dict[str, Any]:
        with self.path.open("r+b") as file:
            file.write(_header(self.dtype.str, shape))
        return {"file": self.path.name, "dtype": self.dtype.str, "shape": shape, "crc32": self.checksum}


class _GrowingColumn:
    """The files of one column: values, and starts and shapes once row shapes differ."""

    def __init__(self, folder: Path, stem: str, first: Column):
        values = first.values.values if isinstance(first.values, Ragged) else first.values
        self.like, self.dtype = dataclasses.replace(first, values=values[:0]), values.dtype
        self.path = lambda part: folder / f"{stem}.{part}.npy"
        self.values = _GrowingArray(self.path("values"), values.dtype)
        self.shape = None if first.kind == "text" else row_shape(first)
        self.ragged: tuple[_GrowingArray, _GrowingArray] | None = None
        self.rows = self.rank = 0

    def append(self, column: Column) -> None:
        values = column.values.values if isinstance(column.values, Ragged) else column.values
        if dataclasses.replace(column, values=self.like.values) != self.like or values.dtype != self.dtype:
            raise ValueError(f"{column.kind} {values.dtype} differs in kind or type from earlier blocks")
        if self.ragged is None and (self.shape is None or row_shape(column) != self.shape):
            self._begin_ragged()
        if self.ragged is not None:
            rows = as_ragged(column).values
            assert isinstance(rows, Ragged)
            self.ragged[0].append(rows.starts[1:] + self.values.size)
            self.ragged[1].append(rows.shapes)
            self.rank = rows.shapes.shape[1]
        self.values.append(values)
        self.rows += len(column)

    def _begin_ragged(self) -> None:
        """Write starts and shapes of the rows so far, which have one shape."""
        starts = _GrowingArray(self.path("starts"), np.dtype(np.int64))
        shapes = _GrowingArray(self.path("shapes"), np.dtype(np.int32))
        starts.append(np.arange(self.rows + 1) * (self.values.size // max(1, self.rows)))
        if self.rows:
            shapes.append(np.tile(np.array(self.shape, np.int32), (self.rows, 1)))
        self.ragged = starts, shapes

    def close(self) -> dict[str, Any]:
        entry = {"kind": self.like.kind, "names": self.like.names, "rate": self.like.rate}
        if self.ragged is None:
            return entry | {"values": self.values.close(self.rows, *(self.shape or ()))}
        starts, shapes = self.ragged
        parts = {"starts": starts.close(self.rows + 1), "shapes": shapes.close(self.rows, self.rank)}
        return entry | parts | {"values": self.values.close(self.values.size)}


def _column(folder: Path, entry: dict[str, Any]) -> Column:
    parts = {name: _mapped(folder, entry[name]) for name in ("values", "starts", "shapes") if name in entry}
    values = Ragged(**parts) if "starts" in parts else parts["values"]
    return Column(values, entry["kind"], tuple(entry["names"]), entry["rate"])


def _mapped(folder: Path, entry: dict[str, Any]) -> np.ndarray:
    path, dtype, shape = folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["shape"])
    with path.open("rb") as file:
        header_matches = file.read(HEADER) == _header(dtype.str, shape)
    if not header_matches or path.stat().st_size != HEADER + dtype.itemsize * math.prod(shape):
        raise DamagedStore(f"unexpected header or size of {path.name}")
    array = np.asarray(np.load(path, mmap_mode="r"))  # a view, since arithmetic on a memmap gives memmaps
    checksum = 0
    data = _bytes(array)
    for start in range(0, len(data), CHECK_BYTES):
        checksum = zlib.crc32(data[start : start + CHECK_BYTES], checksum)
    if checksum != entry["crc32"]:
        raise DamagedStore(f"checksum mismatch in {path.name}")
    return array


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file of format 1.0, padded with spaces to HEADER bytes."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape})
    magic = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    return magic + text.encode("latin1").ljust(HEADER - 11) + b"\n"


def _checksum_of(content: Any) -> int:
    return zlib.crc32(json.dumps(content).encode())
