"""A person's own data from a path: what it is, who reads it, and what must hold of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from dlm.data.columns import Columns
from dlm.data.readers import audio, images, npz, tables, text
from dlm.data.readers.folders import hidden, in_splits, walk
from dlm.data.readers.paths import about, existing, listed
from dlm.data.readers.tables import columns_of_table
from dlm.data.readers.user_dataset import Found, Kind, Own, Task, keep, split, with_target
from dlm.data.readers.validation import check, duplicates, learnable
from dlm.utils.errors import UsageError, choose

Media = Literal["images", "sounds"]

_KINDS: dict[str, Media] = {**dict.fromkeys(images.ENDINGS, "images"), **dict.fromkeys(audio.ENDINGS, "sounds")}
_NAMES = ("path", "file", "filename", "file_name", "filepath", "image", "audio")


def column_of_files(table: pa.Table) -> tuple[str, Media] | None:
    """The column whose texts are all names of pictures or of WAV files, and which of them; None if there is none."""
    found: dict[str, Media] = {}
    for name in table.column_names:
        array = table.column(name)
        if not pa.types.is_string(array.type) or array.null_count:
            continue
        # Most tables name no files, and their first rows tell.
        kind = _media_kind(array.slice(0, 100)) and _media_kind(array)
        if kind:
            found[name] = kind
    usual = [name for name in found if name.casefold() in _NAMES]
    column = next(iter(usual or found), None)
    return (column, found[column]) if column is not None else None


def _media_kind(paths: pa.ChunkedArray) -> Media | None:
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
    values, kept, files_told = images.pictures(paths, size) if kind == "images" else audio.waves(paths)
    others = [name for name in table.column_names if name not in (column, target)]
    unused = (f"Columns not used beside the files: {listed(others)}.",) if others else ()
    return keep(Found({column: values, **targets}, {"all": len(paths)}, target, (*told, *unused, *files_told)), kept)


__all__ = ["Own", "check", "read"]

_LOOKED_AT = 10_000  # files of a folder, to see what it holds
_FOLDERS: dict[Kind, Sequence[str]] = {
    "images": images.ENDINGS,
    "sounds": audio.ENDINGS,
    "texts": text.ENDINGS,
    "table": tables.ENDINGS,
}
_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it and name what is inside"),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pt", ".pth", ".h5", ".hdf5", ".mat", ".npy"), "save its arrays as .npz, x and y"
    ),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".sqlite", ".db"), "save it as parquet"),
    **dict.fromkeys(audio.OTHERS, "make it WAV and put it into a folder of its class"),
}


def read(
    path: str, *, target: str = "", kind: Kind = "auto", size: tuple[int, int] | None = None, task: Task = "auto"
) -> Own:
    """A table, folder, text or array file as columns, by what it is or by what `kind` says it is.

    `target`: the column to predict; folders of classes need none. `size`: height and width of pictures. `task`: whether
    the target is classes or numbers, where that is not to be guessed. UsageError, with the path in front, for whatever
    is not there, cannot be read or cannot be learned from: value, rule and remedy.
    """
    choose("kind", kind, get_args(Kind))
    choose("task", task, get_args(Task))
    with about(path):
        where = existing(path)
        found = _of_folder(where, target, kind, size) if where.is_dir() else _of_file(where, target, kind, size)
        if found.target:
            columns, choice = with_target(found.columns, found.target, task)
            found = Found(columns, found.counts, found.target, (*found.remarks, choice))
            found = learnable(found)
        elif task != "auto":
            raise UsageError(f"task={task} needs a target, and there is none; give target=")
        what = "arrays" if where.suffix.casefold() == ".npz" else _kind(found.columns, found.target)
        own = Own(
            Path(os.path.abspath(where)).stem, split(found.columns, found.counts), what, found.target, found.remarks
        )
        check(own)
    return Own(own.name, own.splits, own.kind, own.target, (*own.remarks, *duplicates(own)))


def _of_folder(folder: Path, target: str, kind: Kind, size: tuple[int, int] | None) -> Found:
    kind = _kind_of_folder(folder) if kind == "auto" else kind
    if kind == "table":
        return _of_tables(*tables.read_tables(_table_files(folder)), target, kind, size)
    if kind == "arrays":
        raise UsageError("is a folder; name one file of arrays, such as data.npz")
    found = (
        images.read_images(folder, size)
        if kind == "images"
        else (audio.read_sounds if kind == "sounds" else text.read_documents)(folder)
    )
    if target not in ("", found.target):
        raise UsageError(
            f"target={target!r} is no column: in a folder the names of sub-folders are it; leave target out"
        )
    return found


def _of_file(path: Path, target: str, kind: Kind, size: tuple[int, int] | None) -> Found:
    ending = path.suffix.casefold()
    if ending in tables.ENDINGS and kind != "arrays":
        read, told = tables.read_tables({"all": [path]})
        files = column_of_files(read["all"]) if kind in ("auto", "images", "sounds") else None
        if not files:
            return _of_tables(read, told, target, kind, size)
        target = _chosen(read["all"], target, files[0])
        return _with_remarks(told, read_media(read["all"], path.parent, *files, target, size))
    if ending == ".npz" and kind in ("auto", "arrays"):
        return npz.read_npz(path, target)
    if ending in text.ENDINGS and kind in ("auto", "texts"):
        if target:
            raise UsageError(f"target={target!r} is no column: lines of text have none; leave target out")
        return text.read_lines(path)
    raise UsageError(_unfit(path, kind))


def _of_tables(
    read: Mapping[str, pa.Table], told: tuple[str, ...], target: str, kind: Kind, size: tuple[int, int] | None
) -> Found:
    first = next(iter(read.values()))
    if not target and not tables.guessed_target(first.column_names):
        found = tables.found_in_tables(read, "", size)
        text = {name: column for name, column in found.columns.items() if column.kind == "text"}
        if len(text) == 1 and (len(found.columns) == 1 or kind == "texts"):
            return _with_remarks(told, Found(text, found.counts, "", found.remarks))
    return _with_remarks(told, tables.found_in_tables(read, _chosen(first, target), size))


def _chosen(table: pa.Table, target: str, beside: str = "") -> str:
    """The target given, or the one that its name tells, or the only column there is beside that of the files."""
    others = [name for name in table.column_names if name != beside]
    chosen = target or tables.guessed_target(others) or (others[0] if beside and len(others) == 1 else "")
    if not chosen:
        raise UsageError(f"which column is to be predicted? Name it, target=…; there are {listed(table.column_names)}")
    return chosen


def _with_remarks(told: tuple[str, ...], found: Found) -> Found:
    return Found(found.columns, found.counts, found.target, (*told, *found.remarks))


def _kind(columns: Columns, target: str) -> str:
    kinds = {column.kind for name, column in columns.items() if name != target}
    for kind, name in (("image", "images"), ("audio", "sounds")):
        if kind in kinds:
            return name
    return "texts" if kinds == {"text"} else "table"


def _kind_of_folder(folder: Path) -> Kind:
    """What most files of a folder are; one table counts as ten of others, which may be notes on it."""
    endings = Counter(path.suffix.casefold() for path in islice(walk(folder), _LOOKED_AT) if not hidden(path.name))
    found = {kind: sum(endings[ending] for ending in known) for kind, known in _FOLDERS.items()}
    found["table"] *= 10
    most = max(found, key=lambda kind: found[kind])
    if not found[most]:
        raise UsageError(f"holds no files that are read ({_endings(endings)}); {_known()}")
    return most


def _table_files(folder: Path) -> dict[str, list[Path]]:
    """The tables of a folder: by split where names begin with train, test …, else all as one."""
    paths = [p for p in sorted(folder.iterdir()) if p.suffix.casefold() in tables.ENDINGS and not hidden(p.name)]
    if not paths:
        raise UsageError("holds no table itself; name the folder or the file where it is")
    first = {path: re.split(r"[\W_\d]", path.stem)[0] for path in paths}
    splits = in_splits(set(first.values()))
    if not splits:
        return {"all": paths}
    return {split: [path for path in paths if first[path] == word] for split, word in splits.items()}


def _unfit(path: Path, kind: Kind) -> str:
    ending = path.suffix.casefold()
    known = {*tables.ENDINGS, *text.ENDINGS, ".npz"}
    if ending in known:
        return f"kind={kind} does not go with a {ending} file; leave kind out"
    if ending in (*images.ENDINGS, *audio.ENDINGS):
        return "is a single file; name the folder that holds a folder for each class"
    remedy = _REMEDIES.get(ending)
    return f"{ending or 'no ending'!r} is not read; " + (f"{remedy}; {_known()}" if remedy else _known())


def _endings(endings: Counter[str]) -> str:
    return listed([ending or "no ending" for ending, _ in endings.most_common(4)]) or "it is empty"


def _known() -> str:
    return (
        f"known are {', '.join((*tables.ENDINGS, '.npz', *text.ENDINGS))}, and folders of pictures, WAV files, "
        "texts or tables"
    )
