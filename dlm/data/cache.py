"""Caches decoded columns as memory-mapped arrays in the user's cache folder, under a hash of their source files.

An entry is a folder of raw arrays and `manifest.json`: the columns, the type, shape and CRC-32 of every array, and its
own CRC-32. It is written block by block under a temporary name and renamed when complete, so readers see all of it or
nothing; of two processes that write the same entry, the slower one uses the faster one's. Every read verifies all
checksums. Entries can be deleted at any time. If the cache is not writable, the arrays stay in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.columns import Column, Columns, Ragged, as_ragged, concatenated
from dlm.utils.files import user_cache

MANIFEST = "manifest.json"
FORMAT = 2  # of an entry, part of the key
TEMPORARY = ".making"  # suffix of incomplete entries
STALE_SECONDS = 3600.0  # an incomplete entry that has not grown for so long is removed


def folder() -> Path:
    """The folder of all entries."""
    return user_cache() / "data"


def content_key(files: Iterable[Path], *settings: str) -> str:
    """Hash of the contents of files, not their names, and of settings: 32 hexadecimal digits. Raises OSError."""
    key = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor() as pool:
        for digest in pool.map(_digest, files):
            key.update(digest)
    for setting in (str(FORMAT), *settings):
        key.update(hashlib.blake2b(setting.encode(), digest_size=32).digest())
    return key.hexdigest()


def cached(key: str, make: Callable[[], Iterable[Columns]]) -> dict[str, Column]:
    """The columns of an entry, read-only and memory-mapped; written from the blocks of rows of `make` if absent.

    `make` returns at least one block, all with the same columns, and may be called again. Its errors are not caught.
    """
    entry = folder() / key
    try:
        columns = _read(entry)
        if columns is None:
            _write(entry, make())
            columns = _read(entry)
    except _CacheError as error:
        _warn(f"cannot use the cache {folder()} ({error}); the data stays in memory and is read again next time")
        columns = None
    if columns is not None:
        return columns
    blocks = list(make())
    return {name: concatenated([block[name] for block in blocks]) for name in blocks[0]}


class _DamagedEntry(Exception):
    """A folder is not a complete set of columns."""


class _CacheError(Exception):
    """The cache cannot be read or written."""


def _read(entry: Path) -> dict[str, Column] | None:
    """An entry's columns; None if it is absent, or damaged and now removed."""
    try:
        with _cache_errors():
            return _read_folder(entry) if entry.is_dir() else None
    except _DamagedEntry as error:
        _warn(f"{entry} is damaged ({error}); it is written again")
    # Renamed first, so that no process reads it half removed; open memory maps stay valid.
    removed = _temporary_name(entry)
    with contextlib.suppress(OSError):
        os.rename(entry, removed)
    shutil.rmtree(removed, ignore_errors=True)
    return None


def _write(entry: Path, blocks: Iterable[Columns]) -> None:
    """Write an entry, unless another process has written it meanwhile."""
    temporary = _temporary_name(entry)
    try:
        with _cache_errors():
            temporary.mkdir(parents=True)
            _remove_stale(entry.parent)
        writer = Writer(temporary)
        for block in blocks:
            with _cache_errors():
                writer.append(block)
        with _cache_errors():
            writer.close()
            try:
                os.rename(temporary, entry)
            except OSError:
                if not entry.is_dir():
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _cache_errors() -> Iterator[None]:
    """Raise OSErrors of the cache as _CacheError; those of the data source are not within."""
    try:
        yield
    except OSError as error:
        raise _CacheError(error.strerror or str(error)) from None


def _temporary_name(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.{uuid.uuid4().hex}{TEMPORARY}")


def _remove_stale(root: Path) -> None:
    """Remove incomplete entries of killed processes."""
    for path in root.glob(f"*{TEMPORARY}"):
        with contextlib.suppress(OSError):  # another process removes it
            last_written = max(each.stat().st_mtime for each in (path, *path.iterdir()))
            if time.time() - last_written > STALE_SECONDS:
                shutil.rmtree(path)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest()


def _warn(text: str) -> None:
    print(f"dlm: {text}", file=sys.stderr, flush=True)


class Writer:
    """Writes columns to an empty folder, a block of rows at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.columns: dict[str, _GrowingColumn] = {}

    def append(self, block: Columns) -> None:
        """Append rows. Raises ValueError if their columns differ from those of earlier blocks."""
        if not self.columns:
            names = enumerate(block)
            self.columns = {name: _GrowingColumn(self.folder / str(k), _description(block[name])) for k, name in names}
        if list(block) != list(self.columns):
            raise ValueError(f"columns {list(block)} differ from those of earlier blocks, {list(self.columns)}")
        for name, column in block.items():
            self.columns[name].append(column)

    def close(self) -> None:
        """Write the shapes of rows, then the manifest."""
        content = [{"name": name, **column.close()} for name, column in self.columns.items()]
        text = json.dumps({"columns": content, "crc32": _checksum_of(content)})
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")


def _read_folder(folder: Path) -> dict[str, Column]:
    """The columns of a folder, read-only and memory-mapped.

    Raises _DamagedEntry if a file is missing or any byte has changed, and OSError if the folder cannot be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["crc32"] != _checksum_of(manifest["columns"]):
            raise _DamagedEntry(f"checksum mismatch in {MANIFEST}")
        return {entry["name"]: _column(folder, entry) for entry in manifest["columns"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise _DamagedEntry(f"{type(error).__name__}: {error}") from None


class _GrowingColumn:
    """The values of a column in a file, open only while it is written, and the shapes of its rows in memory."""

    def __init__(self, stem: Path, description: dict[str, Any]):
        self.stem, self.description, self.size, self.checksum = stem, description, 0, 0
        self.shapes: list[np.ndarray] = []

    def append(self, column: Column) -> None:
        if _description(column) != self.description:
            raise ValueError(f"a column of kind {column.kind} differs in kind or type from earlier blocks")
        rows = as_ragged(column).ragged
        data = _bytes(rows.values)
        with self.stem.with_suffix(".values").open("ab") as file:
            file.write(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += rows.values.size
        self.shapes.append(rows.shapes)

    def close(self) -> dict[str, Any]:
        """The column's entry of the manifest; texts, and rows of several shapes, have a file of shapes."""
        shapes, dtype = np.concatenate(self.shapes), self.description["dtype"]
        values = {"file": f"{self.stem.name}.values", "dtype": dtype, "crc32": self.checksum}
        if self.description["kind"] != "text" and len(shapes) and not np.any(shapes != shapes[0]):
            return self.description | {"values": values | {"shape": [len(shapes), *shapes[0].tolist()]}}
        path, data = self.stem.with_suffix(".shapes"), _bytes(shapes)
        path.write_bytes(data)
        entry = {"file": path.name, "dtype": shapes.dtype.str, "crc32": zlib.crc32(data), "shape": shapes.shape}
        return self.description | {"values": values | {"shape": [self.size]}, "shapes": entry}


def _description(column: Column) -> dict[str, Any]:
    values = column.values.values if isinstance(column.values, Ragged) else column.values
    return {"kind": column.kind, "names": column.names, "rate": column.rate, "dtype": values.dtype.str}


def _column(folder: Path, entry: dict[str, Any]) -> Column:
    values = _mapped(folder, entry["values"])
    rows = Ragged(values, _mapped(folder, entry["shapes"])) if "shapes" in entry else values
    return Column(rows, entry["kind"], tuple(entry["names"]), entry["rate"])


def _mapped(folder: Path, entry: dict[str, Any]) -> np.ndarray:
    path, dtype, shape = folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["shape"])
    if path.stat().st_size != dtype.itemsize * math.prod(shape):
        raise _DamagedEntry(f"unexpected size of {path.name}")
    # A view, since arithmetic on a memmap gives memmaps; an empty file cannot be mapped.
    array = np.asarray(np.memmap(path, dtype, "r", shape=shape)) if math.prod(shape) else np.zeros(shape, dtype)
    if zlib.crc32(_bytes(array)) != entry["crc32"]:
        raise _DamagedEntry(f"checksum mismatch in {path.name}")
    return array


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _checksum_of(content: Any) -> int:
    return zlib.crc32(json.dumps(content).encode())
