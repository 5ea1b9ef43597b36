"""Reads the user's data at a path: detects its kind, reads it, infers the target's type, and checks it."""

from __future__ import annotations

import dataclasses
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import get_args

import pyarrow as pa

from dlm.data.columns import FileKind, Size
from dlm.data.readers import audio, files, images, npz, tables
from dlm.data.readers.arrow import is_string
from dlm.data.readers.tables import SplitTables
from dlm.data.readers.user_dataset import UserDataset, check, labelled
from dlm.data.schema_inference import Task, target_by_name, with_target
from dlm.utils.errors import UsageError, choose

TEXT_SUFFIXES = (".txt", ".text")
PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "image", "audio")
FOLDER = "folder"  # as the group of a file: the folder that it has inside its class folder
MAX_FILES_INSPECTED = 10_000  # of a folder, to detect its kind
_SUFFIXES: dict[FileKind, Sequence[str]] = {
    "images": images.SUFFIXES,
    "sounds": audio.SUFFIXES,
    "texts": TEXT_SUFFIXES,
    "table": tables.SUFFIXES,
}
_FILES: tuple[FileKind, ...] = ("images", "sounds")
_COLUMNS = {"images": "image", "sounds": "audio", "texts": "text"}
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
    path: str,
    *,
    target: str = "",
    kind: FileKind = "auto",
    size: Size | None = None,
    task: Task = "auto",
    group: str = "",
    inputs: tuple[str, ...] = (),
) -> UserDataset:
    """The data of a table, folder, text or array file, whose kind is detected unless `kind` is set.

    target: the column to predict; folders of classes need none. size: height and width of images. task: whether the
    target is classes or numbers. group: a column of a table, or "folder"; it and `inputs` are never dropped. Raises
    UsageError, prefixed with the path, for a path that is absent, unreadable or not suitable for a study.
    """
    choose("kind", kind, get_args(FileKind))
    choose("task", task, get_args(Task))
    with files.error_context(path):
        where = files.checked_path(path)
        data = (read_folder if where.is_dir() else _from_file)(where, target, kind, size, group, inputs)
        if data.target:
            columns, remark = with_target(data.columns, data.target, task)
            data = labelled(dataclasses.replace(data, columns=columns).with_remarks(remark))
        elif task != "auto":
            raise UsageError(f"task={task} needs a target; set target")
        check(data)
    return dataclasses.replace(data, name=Path(os.path.abspath(where)).stem)


def read_folder(
    folder: Path,
    target: str = "",
    kind: FileKind = "auto",
    size: Size | None = None,
    group: str = "",
    inputs: tuple[str, ...] = (),
) -> UserDataset:
    """The data of a folder of tables, or of images, sounds or texts in class folders, before it is checked."""
    kind = _folder_kind(folder) if kind == "auto" else kind
    if kind == "table":
        data = dataclasses.replace(tables.read_tables(_table_files(folder)), inputs=inputs)
        return _from_tables(data, target, kind, size, group)
    if kind == "arrays":
        raise UsageError("the path is a folder; give one file of arrays, for example data.npz")
    if group not in ("", FOLDER):
        raise UsageError(
            f"data.group={group!r} is not a column of a folder of {kind}; set data.group={FOLDER}, with a folder per "
            "group in each class folder, or give a table with columns of file names, target and group"
        )
    data = _class_folders(folder, kind, group)
    if target not in ("", data.target):
        raise UsageError(
            f"target={target!r} does not apply to a folder, whose sub-folders are the classes; remove target"
        )
    return tables.from_tables(data, size)


def _class_folders(folder: Path, kind: FileKind, group: str = "") -> SplitTables:
    """Files as column image, audio or text, the names of their class folders as column label, and their groups."""
    matches, remarks = files.class_files(folder, _SUFFIXES[kind])
    if not matches:
        convert = "; convert others by: ffmpeg -i song.mp3 song.wav" if kind == "sounds" else ""
        raise UsageError(f"the folder has no {kind}; supported suffixes are {', '.join(_SUFFIXES[kind])}{convert}")
    target = "label" if matches[0].label else ""
    if kind == "texts":
        files.check_fits(sum(file.path.stat().st_size for file in matches), "use fewer documents")
    elif not target:
        raise UsageError(
            f"the {kind} are not in class folders; move those of each class to a folder of its name, or give a table "
            "with a column of file names and a target column"
        )
    name, empty = _COLUMNS[kind], 0
    rows: dict[str, list[dict[str, str | None]]] = {}
    for file in matches:
        value = str(file.path)
        if kind == "texts":
            with files.error_context(file.path.relative_to(folder)):
                value = files.read_text(file.path).strip()
        if value:
            row = {name: value, "label": unicodedata.normalize("NFC", file.label), FOLDER: _inner_folder(file, folder)}
            rows.setdefault(file.split, []).append(row)
        else:
            empty += 1
    schema = pa.schema([(column, pa.string()) for column in (name, target, group) if column])
    splits = {split: pa.Table.from_pylist(part, schema) for split, part in (rows or {"all": []}).items()}
    remarks += (f"Dropped empty documents: {empty:,}.",) if empty else ()
    return SplitTables(splits, remarks, {name: kind}, target, group)


def _inner_folder(file: files.LabelledFile, folder: Path) -> str | None:
    """The first folder inside the class folder of a file; None without one."""
    parts = [files.class_name(parent) for parent in file.path.relative_to(folder).parents[-2::-1]]
    inside = parts[parts.index(file.label) + 1 :] if file.label in parts else ()
    return inside[0] if inside else None


def read_lines(path: Path) -> UserDataset:
    """A text file, a document per line, as column text without labels."""
    files.check_fits(path.stat().st_size, "use a part of it")
    lines = [line.strip() for line in files.read_text(path).splitlines()]
    documents = pa.table({"text": pa.array([line for line in lines if line], pa.string())})
    blank = len(lines) - len(documents)
    remarks = [f"Each line is a document: {len(documents):,}."]
    remarks += [f"Dropped blank lines: {blank:,}."] if blank else []
    return tables.from_tables(SplitTables({"all": documents}, tuple(remarks), {"text": "texts"}))


def _from_file(
    path: Path, target: str, kind: FileKind, size: Size | None, group: str, inputs: tuple[str, ...]
) -> UserDataset:
    suffix = path.suffix.casefold()
    if suffix in tables.SUFFIXES and kind != "arrays":
        data = dataclasses.replace(tables.read_tables({"all": [path]}), inputs=inputs)
        if kind in ("auto", "images", "sounds"):
            data = _with_files(data, path.parent, target, group)
        return _from_tables(data, target, kind, size, group)
    if group:
        raise UsageError(f"data.group={group!r} needs a table with such a column; save the data as CSV or Parquet")
    if suffix == ".npz" and kind in ("auto", "arrays"):
        return npz.read_npz(path, target)
    if suffix in TEXT_SUFFIXES and kind in ("auto", "texts"):
        if target:
            raise UsageError(f"target={target!r} does not apply to lines of text; remove target")
        return read_lines(path)
    raise UsageError(_unsupported(path, kind))


def _from_tables(data: SplitTables, target: str, kind: FileKind, size: Size | None, group: str) -> UserDataset:
    """Tables with a target, or the only text of tables without one."""
    data = dataclasses.replace(data, group=group)
    names = [name for name in data.first.column_names if name != group]
    target = target or data.target or target_by_name(names)
    if not target:
        result = tables.from_tables(data, size)
        texts = {name: column for name, column in result.columns.items() if column.kind == "text"}
        if len(texts) == 1 and (len(result.columns) == 1 + bool(group) or kind == "texts"):
            if group:
                raise UsageError(f"data.group={group!r} needs a target; documents without one stay whole, remove it")
            return dataclasses.replace(result, columns=texts)
        raise UsageError(_unknown_target(names))
    return tables.from_tables(dataclasses.replace(data, target=target), size)


def _with_files(data: SplitTables, folder: Path, target: str, group: str) -> SplitTables:
    """Tables with a column of file names, relative to `folder`, reduced to it, target and group; others as given.

    It is the column whose values are all names of images, or of WAV files. Without a usual name of a target, the target
    is the only other column.
    """
    table = data.first
    kinds = {name: kind for name in table.column_names if (kind := _media_kind(table.column(name)))}
    kinds = {name: kind for name, kind in kinds.items() if not data.inputs or name in data.inputs}
    column = next((name for name in kinds if name.casefold() in PATH_NAMES), next(iter(kinds), None))
    if column is None:
        return data
    others = [name for name in table.column_names if name not in (column, group)]
    target = target or target_by_name(others) or (others[0] if len(others) == 1 else "")
    if not target:
        raise UsageError(_unknown_target(table.column_names))
    if target not in others:
        return data
    paths = [_existing(folder, name) for name in table.column(column).to_pylist()]
    missing = [row for row, path in enumerate(paths) if path is None]
    remarks = [*data.remarks]
    if missing:
        name = table.column(column)[missing[0]].as_py()
        what = f"{len(missing):,} of {len(paths):,} rows name no existing file in column {column!r}, the first is row "
        what += f"{missing[0] + 1:,} ({name!r})"
        if len(missing) > files.MAX_BROKEN_SHARE * len(paths):
            raise UsageError(f"{what}; write file names relative to the table's folder")
        remarks.append(f"These rows are left out: {what}.")
    unused = [name for name in others if name != target]
    if unused:
        remarks.append(
            f"Columns not used beside the files: {files.listed(unused)}; data.inputs uses these instead of the files."
        )
    rows = pa.array([row for row, path in enumerate(paths) if path is not None], pa.int64())
    extra = {name: table.column(name).take(rows) for name in (target, group) if name in table.column_names}
    table = pa.table({column: [path for path in paths if path is not None], **extra})
    return SplitTables({"all": table}, tuple(remarks), {column: kinds[column]}, target, inputs=data.inputs)


def _existing(folder: Path, name: str | None) -> str | None:
    """The path of a file of a table, whatever the Unicode form of its name; None if there is none."""
    forms = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))] if name else []
    return next((str(folder / form) for form in forms if (folder / form).is_file()), None)


def _media_kind(paths: pa.ChunkedArray) -> FileKind | None:
    """The kind of the files that nearly all values of a column name; None if they do not name files of one kind."""
    if not is_string(paths.type):
        return None
    kind: FileKind | None = None
    for rows in (paths.slice(0, 100), paths):  # the first rows exclude most columns
        suffixes = [Path(name or "").suffix.casefold() for name in rows.to_pylist()]
        counts = {each: sum(suffix in _SUFFIXES[each] for suffix in suffixes) for each in _FILES}
        kind, count = max(counts.items(), key=lambda item: item[1])
        if count < (1 - files.MAX_BROKEN_SHARE) * len(suffixes):
            return None
    return kind


def _unknown_target(names: Sequence[str]) -> str:
    return f"cannot infer the target column; set --target to one of: {files.listed(names)}"


def _folder_kind(folder: Path) -> FileKind:
    """The kind of most files; a table counts as ten files of other kinds, which may be notes on it."""
    visible = (path for path in files.walk(folder) if not files.is_hidden_inside(path, folder))
    suffixes = Counter(path.suffix.casefold() for path in islice(visible, MAX_FILES_INSPECTED))
    counts = {kind: sum(suffixes[suffix] for suffix in known) for kind, known in _SUFFIXES.items()}
    counts["table"] *= 10
    kind = max(counts, key=lambda each: counts[each])
    if not counts[kind]:
        frequent = files.listed([suffix or "no suffix" for suffix, _ in suffixes.most_common(4)]) or "it is empty"
        raise UsageError(f"the folder has no supported files ({frequent}); {_supported()}")
    return kind


def _table_files(folder: Path) -> dict[str, list[Path]]:
    """The tables of a folder, by split if their names start with train, test …, else all."""
    paths = [
        p for p in sorted(folder.iterdir()) if p.suffix.casefold() in tables.SUFFIXES and not files.is_hidden(p.name)
    ]
    if not paths:
        raise UsageError("the folder has no table at its top level; give the folder or file that has")
    first_words = {path: re.split(r"[\W_\d]", path.stem)[0] for path in paths}
    splits = files.split_names(set(first_words.values()))
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
