"""Files that are whole or not there: atomic writes, and a place beside for what was damaged."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from dlm.utils.errors import UsageError

DAMAGED = ".damaged"


def local_folder(folder: str | os.PathLike[str], name: str) -> Path:
    """A folder that somebody named by `name`, ~ resolved. UsageError for an address such as gs://bucket."""
    if "://" in os.fspath(folder):
        raise UsageError(f"{name}={folder} is no local folder; mount it and name the folder")
    return Path(folder).expanduser()


def user_cache() -> Path:
    """Where what can be made again is kept between runs: $DLM_CACHE_DIR, else the user's cache folder."""
    return Path(os.environ.get("DLM_CACHE_DIR") or platformdirs.user_cache_dir("dlm"))


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that whoever reads it sees the old or the new one, never a part, even after a power cut."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True):  # type: ignore[no-untyped-def]
    """A temporary path to write to, which takes the place of `path` at the end; an error leaves `path` as it was.

    Unless it is `durable`, a power cut may lose what was written, which saves waiting for the disk.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync(path.parent)


def set_aside(path: Path, folder: Path | None = None) -> Path:
    """Move a damaged file or folder out of the way (into `folder`, or beside itself), and say where to.

    Nothing is deleted: whoever wants to know what happened finds it there.
    """
    folder = folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    target = _free(lambda number: folder / f"{path.name}{DAMAGED}{f'-{number}' if number else ''}")
    os.replace(path, target)
    _sync(folder)
    return target


def _free(name: Callable[[int], Path]) -> Path:
    number = 0
    while name(number).exists():
        number += 1
    return name(number)


def _sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
