"""What was read once, kept as arrays in the user's cache folder under a key of its content.

An entry is a folder that is made beside, under a name of its maker, and renamed when it is whole: readers see all of it
or nothing, and of two processes that make the same one the slower takes the faster one's. Every opening checks every
byte. An entry can be deleted at any time; where the cache cannot be written, arrays are kept in memory.
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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from dlm.data import column_store
from dlm.data.columns import Column, Columns, joined, settled
from dlm.utils.files import user_cache

FORMAT = 1  # of an entry; another one is another key
MAKING = ".making"
GIVEN_UP = 86_400.0  # seconds of silence after which whoever made an entry on another host counts as gone


def folder() -> Path:
    """Where entries are: `data` of the cache folder."""
    return user_cache() / "data"


def content_key(files: Iterable[Path], *settings: str) -> str:
    """A key of what the files hold, whatever their names, and of settings: 32 hexadecimal digits. OSErrors pass."""
    whole = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor() as pool:
        for digest in pool.map(_digest, files):
            whole.update(digest)
    for setting in (str(FORMAT), *settings):
        whole.update(hashlib.blake2b(setting.encode(), digest_size=32).digest())
    return whole.hexdigest()


def cached(key: str, make: Callable[[], Iterable[Columns]]) -> dict[str, Column]:
    """The columns of an entry, read-only and mapped into memory; made from `make`'s blocks of rows if it is not there.

    `make` gives at least one block, all of the same columns, and may be asked again. Its errors pass.
    """
    entry = folder() / key
    try:
        for _ in range(2):
            if (found := _opened(entry)) is not None:
                return found
            _make(entry, make())
        if (found := _opened(entry)) is not None:
            return found
    except _Unusable as error:
        _say(f"the cache {folder()} cannot be used ({error}); the data is kept in memory, and read again next time")
    return _in_memory(make())


class _Unusable(Exception):
    """The cache, not what should go into it, is at fault."""


def _opened(entry: Path) -> dict[str, Column] | None:
    """An entry's columns; None if it is not there, or was damaged and is removed."""
    try:
        with _blaming_the_cache():
            return column_store.read(entry) if entry.is_dir() else None
    except column_store.Damaged as error:
        _say(f"{entry} is damaged ({error}); it is made again")
    # Renamed first, so that nobody finds it half removed; who has it open keeps what is mapped.
    away = _own_name(entry)
    with contextlib.suppress(OSError):
        os.rename(entry, away)
    shutil.rmtree(away, ignore_errors=True)
    return None


def _make(entry: Path, blocks: Iterable[Columns]) -> None:
    """Write an entry, or leave the one that somebody else has written meanwhile."""
    temporary = _own_name(entry)
    try:
        with _blaming_the_cache():
            entry.parent.mkdir(parents=True, exist_ok=True)
            _sweep(entry.parent)
            temporary.mkdir()
        writer = column_store.Writer(temporary)
        for block in blocks:
            with _blaming_the_cache():
                writer.append(block)
        with _blaming_the_cache():
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
    return {name: settled(joined([part[name] for part in parts])) for name in parts[0]}


@contextlib.contextmanager
def _blaming_the_cache():  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise _Unusable(error.strerror or str(error)) from None


def _own_name(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}{MAKING}")


def _sweep(root: Path) -> None:
    """Remove what makers have left that were killed: of this host at once, of another after a day of silence."""
    for left in root.glob(f"*{MAKING}"):
        owner, process, _ = left.name.removesuffix(MAKING).rsplit(".", 2)
        dead = owner.endswith(f".{socket.gethostname()}") and process.isdigit() and not psutil.pid_exists(int(process))
        if dead or time.time() - _last_written(left) > GIVEN_UP:
            shutil.rmtree(left, ignore_errors=True)


def _last_written(left: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (left, *left.iterdir()))
    except OSError:
        return time.time()  # it is going away by itself


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).digest()


def _say(text: str) -> None:
    print(f"dlm: {text}", file=sys.stderr, flush=True)
