"""Somebody's files before they are read: are they there, are they text, do they fit into memory."""

from __future__ import annotations

import codecs
import contextlib
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from dlm.utils.errors import UsageError

_CHUNK = 1 << 24
_SAVE = "save it as text in UTF-8"


def existing(path: str) -> Path:
    """The path, `~` spelled out. UsageError if nothing is there, or it is neither a file nor a folder, or is empty."""
    if not path.strip():
        raise UsageError("the path is empty; name a file or a folder")
    try:
        found = Path(path).expanduser()
        if found.is_dir():
            if not any(found.iterdir()):
                raise UsageError("the folder is empty; name one with files in it")
        elif not found.exists():
            raise UsageError(f"there is no such file or folder{_near(found)}; name one that is there")
        elif not found.is_file():
            raise UsageError("is no plain file; name a file or a folder")
        elif found.stat().st_size == 0:
            raise UsageError("the file is empty; name one with rows in it")
    except (RuntimeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"is no path ({error}); name a file or a folder") from None
    return found


@contextlib.contextmanager
def about(path: Path | str) -> Iterator[None]:
    """Within it, a UsageError or an error of the system is told with the path in front."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror or error}); make it readable, or name another"
        ) from None


def check_fits(size: int, remedy: str) -> None:
    """UsageError where `size` bytes are more than the memory that is free."""
    free = psutil.virtual_memory().available
    if size > free:
        raise UsageError(f"{amount(size)} are more than the {amount(free)} of memory that are free; {remedy}")


def check_text(path: Path) -> None:
    """UsageError where a file is no UTF-8, with the first byte that is wrong. It is read in parts."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = 0
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            _check_chunk(chunk, start, decoder)
            start += len(chunk)
    left = len(decoder.getstate()[0])
    if left:
        raise UsageError(f"is no text in UTF-8: byte {start - left:,} begins a character that is cut; {_SAVE}")


def text_of(path: Path) -> str:
    """A whole file as text, without a byte order mark. UsageError as of `check_text`."""
    data = path.read_bytes()
    _check_chunk(data, 0, None)
    return data.decode().removeprefix("\ufeff")


def amount(size: int) -> str:
    """A number of bytes to read."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in a sentence, the first of them where they are many."""
    shown = [name[:40] if name.isprintable() else ascii(name)[:40] for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _check_chunk(chunk: bytes, start: int, decoder: codecs.IncrementalDecoder | None) -> None:
    if start == 0 and chunk[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise UsageError("is text in UTF-16; save it as UTF-8")
    if 0 in chunk:
        raise UsageError(f"is no text: byte {start + chunk.index(0):,} is zero; name a file of text, or {_SAVE}")
    waiting = len(decoder.getstate()[0]) if decoder else 0
    try:
        decoder.decode(chunk) if decoder else chunk.decode()
    except UnicodeDecodeError as error:
        place = start - waiting + error.start
        raise UsageError(f"is no text in UTF-8: byte {place:,} is 0x{error.object[error.start]:02x}; {_SAVE}") from None


def _near(path: Path) -> str:
    """Names beside a missing one that are like it."""
    try:
        beside = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.6)
    return f" (beside it: {', '.join(close)})" if close else ""
