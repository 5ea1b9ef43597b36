"""A person's own data from a path: what it is, who reads it, and what must hold of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import get_args

import pyarrow as pa

from dlm.data.columns import Columns
from dlm.data.own import documents, images, npz, sounds, tables
from dlm.data.own.checks import check, duplicates, learnable
from dlm.data.own.files import about, existing, listed
from dlm.data.own.folders import hidden, in_splits, walk
from dlm.data.own.found import Found, Kind, Own, Task, split
from dlm.data.own.media import column_of_files, read_media
from dlm.data.own.targets import with_target
from dlm.errors import UsageError, choose

__all__ = ["Own", "check", "read"]

_LOOKED_AT = 10_000  # files of a folder, to see what it holds
_FOLDERS: dict[Kind, Sequence[str]] = {
    "images": images.ENDINGS,
    "sounds": sounds.ENDINGS,
    "texts": documents.ENDINGS,
    "table": tables.ENDINGS,
}
_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it and name what is inside"),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pt", ".pth", ".h5", ".hdf5", ".mat", ".npy"), "save its arrays as .npz, x and y"
    ),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".sqlite", ".db"), "save it as parquet"),
    **dict.fromkeys(sounds.OTHERS, "make it WAV and put it into a folder of its class"),
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
        else (sounds.read_sounds if kind == "sounds" else documents.read_documents)(folder)
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
    if ending in documents.ENDINGS and kind in ("auto", "texts"):
        if target:
            raise UsageError(f"target={target!r} is no column: lines of text have none; leave target out")
        return documents.read_lines(path)
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
    known = {*tables.ENDINGS, *documents.ENDINGS, ".npz"}
    if ending in known:
        return f"kind={kind} does not go with a {ending} file; leave kind out"
    if ending in (*images.ENDINGS, *sounds.ENDINGS):
        return "is a single file; name the folder that holds a folder for each class"
    remedy = _REMEDIES.get(ending)
    return f"{ending or 'no ending'!r} is not read; " + (f"{remedy}; {_known()}" if remedy else _known())


def _endings(endings: Counter[str]) -> str:
    return listed([ending or "no ending" for ending, _ in endings.most_common(4)]) or "it is empty"


def _known() -> str:
    return (
        f"known are {', '.join((*tables.ENDINGS, '.npz', *documents.ENDINGS))}, and folders of pictures, WAV files, "
        "texts or tables"
    )
