"""Caches decoded columns as memory-mapped arrays in the user's cache folder, under a hash of their source files.

An entry is a folder, written under a temporary name and renamed when complete, so readers see all of it or nothing; of
two processes that write the same entry, the slower one uses the faster one's. Every read verifies all checksums.
Entries can be deleted at any time. If the cache is not writable, the arrays stay in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from dlm.data import column_store
from dlm.data.columns import Column, Columns, concatenated, uniform
from dlm.utils.files import user_cache

FORMAT = 1  # of an entry, part of the key
TEMPORARY = ".making"  # suffix of incomplete entries
STALE_SECONDS = 86_400.0  # an incomplete entry of another host that is older is removed


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
        for _ in range(2):
            if (columns := _read(entry)) is not None:
                return columns
            _write(entry, make())
        if (columns := _read(entry)) is not None:
            return columns
    except _CacheError as error:
        _warn(f"cannot use the cache {folder()} ({error}); the data stays in memory and is read again next time")
    return _in_memory(make())


class _CacheError(Exception):
    """The cache cannot be read or written."""


def _read(entry: Path) -> dict[str, Column] | None:
    """An entry's columns; None if it is absent, or damaged and now removed."""
    try:
        with _cache_errors():
            return column_store.read(entry) if entry.is_dir() else None
    except column_store.DamagedStore as error:
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
            entry.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(entry.parent)
            temporary.mkdir()
        writer = column_store.Writer(temporary)
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


def _in_memory(blocks: Iterable[Columns]) -> dict[str, Column]:
    parts = list(blocks)
    return {name: uniform(concatenated([part[name] for part in parts])) for name in parts[0]}


@contextlib.contextmanager
def _cache_errors() -> Iterator[None]:
    """Raise OSErrors of the cache as _CacheError; those of the data source are not within."""
    try:
        yield
    except OSError as error:
        raise _CacheError(error.strerror or str(error)) from None


def _temporary_name(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}{TEMPORARY}")


def _remove_stale(root: Path) -> None:
    """Remove incomplete entries of killed processes: of this host at once, of other hosts after STALE_SECONDS."""
    for path in root.glob(f"*{TEMPORARY}"):
        owner, process, _ = path.name.removesuffix(TEMPORARY).rsplit(".", 2)
        dead = owner.endswith(f".{socket.gethostname()}") and process.isdigit() and not psutil.pid_exists(int(process))
        if dead or time.time() - _last_written(path) > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _last_written(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return time.time()  # another process removes it


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest()


def _warn(text: str) -> None:
    print(f"dlm: {text}", file=sys.stderr, flush=True)
