"""Reads the user's data at a path: detects its kind, reads it, infers the target's type, and checks it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from dlm.data.columns import Column, Columns, FileKind, text_values
from dlm.data.readers import audio, images, npz, tables
from dlm.data.readers.files import (
    LabelledFile,
    check_fits,
    checked_path,
    class_column,
    class_files,
    error_context,
    is_hidden,
    listed,
    read_text,
    split_counts,
    split_names,
    walk,
)
from dlm.data.readers.user_dataset import UserDataset, check, duplicate_remark, labelled
from dlm.data.schema_inference import Task, target_by_name, with_target
from dlm.utils.errors import UsageError, choose

Media = Literal["images", "sounds"]

TEXT_SUFFIXES = (".txt", ".text")
PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "image", "audio")
MAX_FILES_INSPECTED = 10_000  # of a folder, to detect its kind
_SUFFIXES: dict[FileKind, Sequence[str]] = {
    "images": images.SUFFIXES,
    "sounds": audio.SUFFIXES,
    "texts": TEXT_SUFFIXES,
    "table": tables.SUFFIXES,
}
_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "unpack it and give its content"),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pt", ".pth", ".h5", ".hdf5", ".mat", ".npy"), "save its arrays as .npz, x and y"
    ),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".sqlite", ".db"), "save it as Parquet"),
    **dict.fromkeys(audio.OTHER_SUFFIXES, "convert it to WAV and move it to a folder of its class"),
}


def read_path(
    path: str, *, target: str = "", kind: FileKind = "auto", size: tuple[int, int] | None = None, task: Task = "auto"
) -> UserDataset:
    """The data of a table, folder, text or array file, whose kind is detected unless `kind` is set.

    target: the column to predict; folders of classes need none. size: height and width of images. task: whether the
    target is classes or numbers. Raises UsageError, prefixed with the path, for a path that is absent, unreadable or
    not suitable for a study.
    """
    choose("kind", kind, get_args(FileKind))
    choose("task", task, get_args(Task))
    with error_context(path):
        where = checked_path(path)
        data = (read_folder if where.is_dir() else _from_file)(where, target, kind, size)
        if data.target:
            columns, remark = with_target(data.columns, data.target, task)
            data = labelled(dataclasses.replace(data, columns=columns).with_remarks(after=(remark,)))
        elif task != "auto":
            raise UsageError(f"task={task} needs a target; set target")
        detected = "arrays" if where.suffix.casefold() == ".npz" else _kind(data.columns, data.target)
        data = dataclasses.replace(data, name=Path(os.path.abspath(where)).stem, kind=detected)
        check(data)
    return data.with_remarks(after=duplicate_remark(data))


def read_folder(
    folder: Path, target: str = "", kind: FileKind = "auto", size: tuple[int, int] | None = None
) -> UserDataset:
    """The data of a folder of tables, or of images, sounds or texts in class folders, before it is checked."""
    kind = _folder_kind(folder) if kind == "auto" else kind
    if kind == "table":
        return _from_tables(*tables.read_tables(_table_files(folder)), target, kind, size)
    if kind == "arrays":
        raise UsageError("the path is a folder; give one file of arrays, for example data.npz")
    files, remarks = class_files(folder, _SUFFIXES[kind])
    if not files:
        convert = "; convert others by: ffmpeg -i song.mp3 song.wav" if kind == "sounds" else ""
        raise UsageError(f"the folder has no {kind}; supported suffixes are {', '.join(_SUFFIXES[kind])}{convert}")
    data = _documents(folder, files) if kind == "texts" else _labelled_media(files, kind, size)
    if target not in ("", data.target):
        raise UsageError(
            f"target={target!r} does not apply to a folder, whose sub-folders are the classes; remove target"
        )
    return data.with_remarks(before=remarks)


def _labelled_media(files: Sequence[LabelledFile], kind: str, size: tuple[int, int] | None) -> UserDataset:
    """Images or sounds in class folders, as columns image or audio, and label."""
    if not files[0].label:
        raise UsageError(
            f"the {kind} are not in class folders; move those of each class to a folder of its name, or give a table "
            "with a column of file names and a target column"
        )
    paths = [file.path for file in files]
    column, readable, remarks = images.read_images(paths, size) if kind == "images" else audio.read_audio(paths)
    columns = {column.kind: column, "label": class_column([file.label for file in files])}
    return UserDataset(columns, split_counts(file.split for file in files), "label", remarks).where(readable)


def _documents(folder: Path, files: Sequence[LabelledFile]) -> UserDataset:
    """Text files, a document each, as column text, and column label if they are in class folders."""
    check_fits(sum(file.path.stat().st_size for file in files), "use fewer documents")
    documents = []
    for file in files:
        with error_context(file.path.relative_to(folder)):
            documents.append(read_text(file.path).strip())
    nonempty = [k for k, document in enumerate(documents) if document]
    empty = len(documents) - len(nonempty)
    remarks = (f"Dropped empty documents: {empty:,}.",) if empty else ()
    columns = {"text": Column(text_values([documents[k] for k in nonempty]), "text")}
    target = "label" if files[0].label else ""
    if target:
        columns["label"] = class_column([files[k].label for k in nonempty])
    return UserDataset(columns, split_counts(files[k].split for k in nonempty), target, remarks)


def read_lines(path: Path) -> UserDataset:
    """A text file, a document per line, as column text without labels."""
    check_fits(path.stat().st_size, "use a part of it")
    lines = [line.strip() for line in read_text(path).splitlines()]
    documents = [line for line in lines if line]
    blank = len(lines) - len(documents)
    remarks = [
        f"Each line is a document: {len(documents):,}.",
        *([f"Dropped blank lines: {blank:,}."] if blank else []),
    ]
    return UserDataset({"text": Column(text_values(documents), "text")}, {"all": len(documents)}, "", tuple(remarks))


def _from_file(path: Path, target: str, kind: FileKind, size: tuple[int, int] | None) -> UserDataset:
    suffix = path.suffix.casefold()
    if suffix in tables.SUFFIXES and kind != "arrays":
        by_split, remarks = tables.read_tables({"all": [path]})
        files = column_of_files(by_split["all"]) if kind in ("auto", "images", "sounds") else None
        if not files:
            return _from_tables(by_split, remarks, target, kind, size)
        target = _chosen_target(by_split["all"], target, files[0])
        return _media_of_table(by_split["all"], path.parent, *files, target, size).with_remarks(before=remarks)
    if suffix == ".npz" and kind in ("auto", "arrays"):
        return npz.read_npz(path, target)
    if suffix in TEXT_SUFFIXES and kind in ("auto", "texts"):
        if target:
            raise UsageError(f"target={target!r} does not apply to lines of text; remove target")
        return read_lines(path)
    raise UsageError(_unsupported(path, kind))


def _from_tables(
    by_split: Mapping[str, pa.Table],
    remarks: tuple[str, ...],
    target: str,
    kind: FileKind,
    size: tuple[int, int] | None,
) -> UserDataset:
    first = next(iter(by_split.values()))
    if not target and not target_by_name(first.column_names):
        data = tables.from_tables(by_split, "", size)
        texts = {name: column for name, column in data.columns.items() if column.kind == "text"}
        if len(texts) == 1 and (len(data.columns) == 1 or kind == "texts"):
            return dataclasses.replace(data, columns=texts).with_remarks(before=remarks)
    return tables.from_tables(by_split, _chosen_target(first, target), size).with_remarks(before=remarks)


def _chosen_target(table: pa.Table, target: str, files: str = "") -> str:
    """The given target, else the one with a usual name, else the only column beside the column of files."""
    others = [name for name in table.column_names if name != files]
    chosen = target or target_by_name(others) or (others[0] if files and len(others) == 1 else "")
    if not chosen:
        raise UsageError(f"cannot infer the target column; set --target to one of: {listed(table.column_names)}")
    return chosen


def column_of_files(table: pa.Table) -> tuple[str, Media] | None:
    """The column whose values are all names of images or of WAV files, and which; None if there is none."""
    kinds: dict[str, Media] = {}
    for name in table.column_names:
        array = table.column(name)
        if not pa.types.is_string(array.type) or array.null_count:
            continue
        # The first rows exclude most columns.
        kind = _media_kind(array.slice(0, 100)) and _media_kind(array)
        if kind:
            kinds[name] = kind
    usual = [name for name in kinds if name.casefold() in PATH_NAMES]
    column = next(iter(usual or kinds), None)
    return (column, kinds[column]) if column is not None else None


def _media_kind(paths: pa.ChunkedArray) -> Media | None:
    suffixes = pc.unique(pc.utf8_lower(pc.replace_substring_regex(paths, r"(?s)^.*(\.[^.]*)$", r"\1"))).to_pylist()
    if all(suffix in images.SUFFIXES for suffix in suffixes):
        return "images" if suffixes else None
    return "sounds" if all(suffix in audio.SUFFIXES for suffix in suffixes) else None


def _media_of_table(
    table: pa.Table, folder: Path, column: str, kind: Media, target: str, size: tuple[int, int] | None
) -> UserDataset:
    """The files that a table's `column` names, relative to `folder`, in place of it, and the target."""
    names = table.column(column).to_pylist()
    paths = [folder / name for name in names]
    missing = [name for name, path in zip(names, paths) if not path.is_file()]
    if missing:
        raise UsageError(
            f"{len(missing):,} of {len(names):,} files in column {column!r} do not exist, for example {missing[0]!r}; "
            "write them relative to the table's folder"
        )
    targets, target_remarks = tables.columns_of_table(table.select([target]), target)
    values, readable, remarks = images.read_images(paths, size) if kind == "images" else audio.read_audio(paths)
    others = [name for name in table.column_names if name not in (column, target)]
    unused = (f"Columns not used beside the files: {listed(others)}.",) if others else ()
    remarks = (*target_remarks, *unused, *remarks)
    return UserDataset({column: values, **targets}, {"all": len(paths)}, target, remarks).where(readable)


def _kind(columns: Columns, target: str) -> str:
    kinds = {column.kind for name, column in columns.items() if name != target}
    for kind, name in (("image", "images"), ("audio", "sounds")):
        if kind in kinds:
            return name
    return "texts" if kinds == {"text"} else "table"


def _folder_kind(folder: Path) -> FileKind:
    """The kind of most files; a table counts as ten files of other kinds, which may be notes on it."""
    suffixes = Counter(
        path.suffix.casefold() for path in islice(walk(folder), MAX_FILES_INSPECTED) if not is_hidden(path.name)
    )
    counts = {kind: sum(suffixes[suffix] for suffix in known) for kind, known in _SUFFIXES.items()}
    counts["table"] *= 10
    kind = max(counts, key=lambda each: counts[each])
    if not counts[kind]:
        frequent = listed([suffix or "no suffix" for suffix, _ in suffixes.most_common(4)]) or "it is empty"
        raise UsageError(f"the folder has no supported files ({frequent}); {_supported()}")
    return kind


def _table_files(folder: Path) -> dict[str, list[Path]]:
    """The tables of a folder, by split if their names start with train, test …, else all."""
    paths = [p for p in sorted(folder.iterdir()) if p.suffix.casefold() in tables.SUFFIXES and not is_hidden(p.name)]
    if not paths:
        raise UsageError("the folder has no table at its top level; give the folder or file that has")
    first_words = {path: re.split(r"[\W_\d]", path.stem)[0] for path in paths}
    splits = split_names(set(first_words.values()))
    if not splits:
        return {"all": paths}
    return {split: [path for path in paths if first_words[path] == word] for split, word in splits.items()}


def _unsupported(path: Path, kind: FileKind) -> str:
    suffix = path.suffix.casefold()
    if suffix in {*tables.SUFFIXES, *TEXT_SUFFIXES, ".npz"}:
        return f"kind={kind} does not apply to a {suffix} file; remove kind"
    if suffix in (*images.SUFFIXES, *audio.SUFFIXES):
        return "the path is a single file; give a folder with a folder per class"
    remedy = f"{_REMEDIES[suffix]}; " if suffix in _REMEDIES else ""
    return f"suffix {suffix!r} is not supported; {remedy}{_supported()}"


def _supported() -> str:
    known = ", ".join((*tables.SUFFIXES, ".npz", *TEXT_SUFFIXES))
    return f"supported are {known}, and folders of images, WAV files, texts or tables"
