"""Pictures and sounds that lie in a table as the bytes of their files."""

from __future__ import annotations

from collections.abc import Sequence

from dlm.data.columns import Column
from dlm.data.own.images import pictures
from dlm.data.own.sounds import waves
from dlm.errors import UsageError


def encoded(name: str, rows: Sequence[bytes | None], size: tuple[int, int] | None) -> tuple[Column, tuple[str, ...]]:
    """Bytes of files, WAV or any format of pictures, as a column. UsageError names a row that cannot be read."""
    files = [row or b"" for row in rows]
    sounds = next(filter(None, files), b"").startswith(b"RIFF")
    column, kept, remarks = waves(files) if sounds else pictures(files, size)
    if not kept.all():
        broken = int(kept.argmin())
        raise UsageError(
            f"row {broken + 1:,} of column {name!r} is no {'sound' if sounds else 'picture'}; leave it out"
        )
    return column, remarks
