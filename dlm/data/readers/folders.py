"""A folder of files: which of them belong to which split and class."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from dlm.data.columns import Column
from dlm.data.readers.paths import listed
from dlm.data.readers.user_dataset import SPLITS
from dlm.utils.errors import UsageError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclasses.dataclass(frozen=True)
class File:
    """A file with its split, all where there are none, and its class, empty where it stands in no class's folder."""

    path: Path
    split: str
    label: str


@dataclasses.dataclass(frozen=True)
class Tree:
    """Files by split, class and name, and what was passed over."""

    files: tuple[File, ...]
    remarks: tuple[str, ...]


def tree(folder: Path, endings: Collection[str]) -> Tree:
    """The files with one of these endings: folder/class/…/file, folder/split/class/…/file or folder/file.

    The order is that of names, whatever the file system's. A class's folder is read with all that is inside it.
    """
    root = _unwrapped(folder)
    parts, others = _parts(root)
    every = [file for split, part in parts.items() for file in _all(part, split)]
    seen = [file for file in every if not any(map(hidden, file.path.relative_to(root).parts))]
    wanted = [file for file in seen if file.path.suffix.casefold() in endings]
    labelled = {file.split for file in wanted if file.label}
    # Where classes have folders, what stands beside these folders belongs to none.
    used = [file for file in wanted if bool(file.label) == bool(labelled)]
    flat = [part.name for split, part in parts.items() if labelled and split not in labelled]
    taken = set(used)
    ignored = [file.path for file in seen if file not in taken]
    empty = {path.name for part in parts.values() for path in folders_in(part)} - {file.label for file in wanted}
    remarks = (
        _told(root != folder, f"Read from {root.relative_to(folder)}, which is all that the folder holds."),
        _told(others, f"Folders beside the splits are passed over: {listed(others)}."),
        _told(flat, f"No files in folders of classes, so passed over: {listed(flat)}."),
        _told(empty, f"Folders without such files are no classes: {listed(sorted(empty))}."),
        _told(len(every) - len(seen), f"Hidden files are passed over: {len(every) - len(seen):,}."),
        _told(ignored, f"Other files are passed over: {len(ignored):,}, such as {_first(ignored, root)}."),
    )
    return Tree(_one_split(used), tuple(remark for remark in remarks if remark))


def in_splits(names: Iterable[str]) -> dict[str, str]:
    """Split names -> which of the names stand for them, in the order train, validation, test; empty if they are none.

    They are splits where there is one for training and another. Without one for test that for validation is it.
    """
    known = {SPLIT_NAMES[name.casefold()]: name for name in sorted(names) if name.casefold() in SPLIT_NAMES}
    if "train" not in known or len(known) < 2:
        return {}
    if "test" not in known:
        known["test"] = known.pop("validation")
    return {split: known[split] for split in SPLITS if split in known}


def counts(splits: Iterable[str]) -> dict[str, int]:
    """How many rows each split has, in the order train, validation, test; one alone is called all."""
    given = list(splits)
    found = {name: given.count(name) for name in ("all", *SPLITS) if name in given}
    return found if len(found) > 1 else {"all": len(given)}


def classes(labels: Collection[str]) -> Column:
    """Names of classes as a column, the names sorted."""
    names = sorted(set(labels))
    place = {name: k for k, name in enumerate(names)}
    return Column(np.array([place[label] for label in labels], np.int32), "class", tuple(names))


def hidden(name: str) -> bool:
    """Whether a file or folder is the system's and no one's data."""
    return name.startswith(".") or name == "__MACOSX"


def folders_in(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not hidden(path.name))


def walk(folder: Path) -> Iterable[Path]:
    """All files below a folder, also hidden ones, by name."""
    for here, names, files in os.walk(folder, onerror=_raise):
        names.sort()
        yield from (Path(here, name) for name in sorted(files))


def _all(folder: Path, split: str) -> Iterable[File]:
    """All files of a split. A class's folder may be a link to one elsewhere."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from (File(inside, split, path.name) for inside in walk(path))
        elif path.is_file():
            yield File(path, split, "")


def _told(holds: object, sentence: str) -> str:
    return sentence if holds else ""


def _first(paths: list[Path], root: Path) -> str:
    return str(paths[0].relative_to(root)) if paths else ""


def _parts(folder: Path) -> tuple[Mapping[str, Path], list[str]]:
    """Folders of splits, and the names of others beside them."""
    inside = {path.name: path for path in folders_in(folder)}
    splits = in_splits(inside)
    if not splits:
        return {"all": folder}, []
    return {split: inside[name] for split, name in splits.items()}, sorted(set(inside) - set(splits.values()))


def _unwrapped(folder: Path) -> Path:
    """The folder inside, where an archive was unpacked into a folder that holds nothing else."""
    while True:
        seen = [path for path in sorted(folder.iterdir()) if not hidden(path.name)]
        if len(seen) != 1 or not seen[0].is_dir() or not folders_in(seen[0]):
            return folder
        folder = seen[0]


def _one_split(files: list[File]) -> tuple[File, ...]:
    """The files of a single split are called all. UsageError for names that are not text."""
    for file in files:
        if any("\udc80" <= letter <= "\udcff" for letter in str(file.path)):
            raise UsageError(f"the file name {file.path.name!a} is not UTF-8; rename it")
    if len({file.split for file in files}) > 1:
        return tuple(files)
    return tuple(dataclasses.replace(file, split="all") for file in files)


def _raise(error: OSError) -> None:
    raise error
