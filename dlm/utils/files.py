"""Writes files atomically, moves damaged files aside, and resolves folders."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

import platformdirs

from dlm.utils.errors import UsageError

DAMAGED = ".damaged"


def local_folder(folder: str | os.PathLike[str], name: str) -> Path:
    """A folder given as argument or flag `name`, with ~ expanded. UsageError for a URL such as gs://bucket."""
    if "://" in os.fspath(folder):
        raise UsageError(f"{name}={folder} is not a local folder; mount it and give the folder")
    return Path(folder).expanduser()


def user_cache() -> Path:
    """Folder for caches shared by runs: $DLM_CACHE_DIR, by default the user's cache folder."""
    return Path(os.environ.get("DLM_CACHE_DIR") or platformdirs.user_cache_dir("dlm"))


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new content, never a part, even after a power failure."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True):  # type: ignore[no-untyped-def]
    """Context of a temporary path that replaces `path` at the end; an error leaves `path` unchanged.

    Without `durable` it does not wait for the disk, and a power failure may lose the new content.
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
    """Move a damaged file or folder into `folder`, by default its own, and return the new path."""
    folder = folder or path.parent
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{path.name}{DAMAGED}{f'-{number}' if number else ''}" for number in itertools.count())
    target = next(folder / name for name in names if not (folder / name).exists())
    os.replace(path, target)
    _sync(folder)
    return target


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
