"""Tables that name files, in a column of paths beside one of targets, as columns of pictures or sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from dlm.data.own import images, sounds
from dlm.data.own.files import listed
from dlm.data.own.found import Found, keep
from dlm.data.own.tables import columns_of_table
from dlm.errors import UsageError

Media = Literal["images", "sounds"]

_KINDS: dict[str, Media] = {**dict.fromkeys(images.ENDINGS, "images"), **dict.fromkeys(sounds.ENDINGS, "sounds")}
_NAMES = ("path", "file", "filename", "file_name", "filepath", "image", "audio")


def column_of_files(table: pa.Table) -> tuple[str, Media] | None:
    """The column whose texts are all names of pictures or of WAV files, and which of them; None if there is none."""
    found: dict[str, Media] = {}
    for name in table.column_names:
        array = table.column(name)
        if not pa.types.is_string(array.type) or array.null_count:
            continue
        # Most tables name no files, and their first rows tell.
        kind = _kind(array.slice(0, 100)) and _kind(array)
        if kind:
            found[name] = kind
    usual = [name for name in found if name.casefold() in _NAMES]
    column = next(iter(usual or found), None)
    return (column, found[column]) if column is not None else None


def _kind(paths: pa.ChunkedArray) -> Media | None:
    endings = pc.unique(pc.utf8_lower(pc.replace_substring_regex(paths, r"(?s)^.*(\.[^.]*)$", r"\1"))).to_pylist()
    kinds = {_KINDS.get(ending) for ending in endings}
    return kinds.pop() if len(kinds) == 1 else None


def read_media(
    table: pa.Table, folder: Path, column: str, kind: Media, target: str, size: tuple[int, int] | None = None
) -> Found:
    """The files that a table's `column` names, looked up from `folder`, in its place, and the target beside them.

    UsageError for files that are not there, and as of `images.pictures` and `sounds.waves`.
    """
    names = table.column(column).to_pylist()
    paths = [folder / name for name in names]
    missing = [name for name, path in zip(names, paths) if not path.is_file()]
    if missing:
        raise UsageError(
            f"{len(missing):,} of {len(names):,} files that column {column!r} names are not there, such as "
            f"{missing[0]!r}; name them as seen from the table's folder"
        )
    targets, told = columns_of_table(table.select([target]), target)
    values, kept, files_told = images.pictures(paths, size) if kind == "images" else sounds.waves(paths)
    others = [name for name in table.column_names if name not in (column, target)]
    unused = (f"Columns not used beside the files: {listed(others)}.",) if others else ()
    return keep(Found({column: values, **targets}, {"all": len(paths)}, target, (*told, *unused, *files_told)), kept)
