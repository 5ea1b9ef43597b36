"""Reads .npz files of arrays x and y, or x_train, y_train, x_test and y_test, as columns."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dlm.data.columns import SPLITS, Column, text_values
from dlm.data.readers.arrow import class_column
from dlm.data.readers.files import SPLIT_NAMES, check_fits, listed
from dlm.data.readers.notations import cleaned
from dlm.data.readers.user_dataset import UserDataset
from dlm.utils.errors import UsageError, nearest

INPUTS = ("x", "images", "inputs", "features", "data")
TARGETS = ("y", "labels", "label", "targets", "target")


def read_npz(path: Path, target: str = "") -> UserDataset:
    """Inputs and targets by their usual array names, as columns x and y or with the names in the file.

    target: name of the target array, if it is unusual. Raises UsageError for missing arrays, arrays of Python objects
    (unpickling could run code), and arrays that exceed the memory.
    """
    stored = _load(path, target)
    pairs = _pairs(stored, target)
    first_x, first_y = next(iter(pairs.values()))
    name_x, name_y = ("x", "y") if len(pairs) > 1 else (first_x, first_y)
    for split, (x, y) in pairs.items():
        if stored[x].ndim < 1 or stored[x].shape[:1] != stored[y].shape[:1]:
            raise UsageError(
                f"{x} has shape {stored[x].shape} and {y} {stored[y].shape}; give both one row per example"
                + (f" of {split}" if split != "all" else "")
            )
    names_x, names_y = zip(*pairs.values())
    x_column, x_remarks = _inputs(name_x, _concatenated([stored[name] for name in names_x], names_x))
    y_column, y_remarks = _targets(name_y, _concatenated([stored[name] for name in names_y], names_y))
    unused = sorted(set(stored) - {*names_x, *names_y})
    counts = {split: len(stored[y]) for split, (_, y) in pairs.items()}
    remarks = (f"Arrays not used: {listed(unused)}.",) if unused else ()
    return UserDataset({name_x: x_column, name_y: y_column}, counts, name_y, (*remarks, *x_remarks, *y_remarks))


def _load(path: Path, target: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            check_fits(sum(part.file_size for part in archive.infolist()), "save a part of it")
        with np.load(path, allow_pickle=False) as file:
            return {name: array for name in file.files if (array := _array(file, name, target)) is not None}
    except zipfile.BadZipFile:
        raise UsageError("not an .npz file; save one with numpy.savez_compressed(path, x=inputs, y=targets)") from None
    except (OSError, UsageError):
        raise
    except Exception as error:  # NumPy and zlib raise many types
        raise UsageError(f"an array cannot be read ({error}); save the file again") from None


def _array(file: np.lib.npyio.NpzFile, name: str, target: str) -> np.ndarray | None:
    """An array of the file; None for one of Python objects that has no role, such as an unused None.

    Raises UsageError for such inputs or targets.
    """
    try:
        return file[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        role = "_".join(word for word in name.casefold().split("_") if word not in SPLIT_NAMES)
        if name != target and role not in (*INPUTS, *TARGETS):
            return None
        raise UsageError(
            f"array {name} has Python objects, which are not loaded since unpickling can run code; save numbers or "
            "texts"
        ) from None


def _pairs(stored: Mapping[str, np.ndarray], target: str) -> dict[str, tuple[str, str]]:
    """Names of inputs and targets of each split, or of "all"."""
    names = {split: (_one(stored, split, INPUTS), _one(stored, split, TARGETS)) for split in ("all", *SPLITS)}
    pairs = {split: (x, y) for split, (x, y) in names.items() if x and y and split != "all"}
    if "train" in pairs and len(pairs) > 1 and target in ("", "y", *(y for _, y in pairs.values())):
        if "test" not in pairs:
            pairs["test"] = pairs.pop("validation")
        return pairs
    x, y = names["all"]
    if target and target not in stored:
        raise UsageError(f"the file has no array {target!r}; {nearest(target, stored)[:400]}")
    y = target or y
    if not x or not y or x == y:
        raise UsageError(
            f"cannot infer inputs and targets of the arrays {listed(sorted(stored)) or '(none)'}; name them x and y, "
            "or x_train, y_train, x_test and y_test"
        )
    return {"all": (x, y)}


def _one(stored: Mapping[str, np.ndarray], split: str, roles: Sequence[str]) -> str:
    """The array of a split whose name has the first of the roles, as x_train, train_images or X; empty if none."""
    ranked: dict[int, str] = {}
    for name in sorted(stored):
        words = name.casefold().split("_")
        splits = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES] or ["all"]
        role = "_".join(word for word in words if word not in SPLIT_NAMES)
        if splits == [split] and role in roles:
            ranked.setdefault(roles.index(role), name)
    return ranked[min(ranked)] if ranked else ""


def _concatenated(parts: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = ", ".join(f"{name} {part.shape}" for name, part in zip(names, parts))
        raise UsageError(f"examples of the splits differ in shape: {shapes}; give them one shape")
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _inputs(name: str, values: np.ndarray) -> tuple[Column, tuple[str, ...]]:
    if values.dtype.kind in "US" and values.ndim == 1:
        return Column(text_values(values.tolist()), "text"), ()
    _check_numbers(name, values)
    if values.dtype != np.uint8 or values.ndim not in (3, 4):
        return _finite(name, values)
    values = values[..., None] if values.ndim == 3 else values
    if values.shape[3] in (1, 2, 3, 4):
        return Column(values, "image"), ()
    if values.shape[1] in (1, 3):
        remark = f"Array {name}: channels are first, {values.shape[1:]}, and are moved last."
        return Column(np.ascontiguousarray(values.transpose(0, 2, 3, 1)), "image"), (remark,)
    return Column(values, "number"), ()


def _targets(name: str, values: np.ndarray) -> tuple[Column, tuple[str, ...]]:
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.dtype.kind in "US"):
        raise UsageError(f"targets {name} have shape {values.shape}; give one number, K numbers, or a text per example")
    if values.dtype.kind in "US":
        texts = values if values.dtype.kind == "U" else np.char.decode(values, errors="replace")
        return class_column(cleaned(pa.chunked_array([pa.array(texts.tolist(), pa.string())]))), ()
    _check_numbers(name, values)
    if values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        names = tuple(map(str, range(values.shape[1])))
        remark = f"Array {name}: one-hot rows, read as classes."
        return Column(values.argmax(axis=1).astype(np.int32), "class", names), (remark,)
    if values.dtype == np.bool_:
        return Column(values.astype(np.int32), "class", ("false", "true")), ()
    return _finite(name, values)


def _finite(name: str, values: np.ndarray) -> tuple[Column, tuple[str, ...]]:
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype.kind != "f":
        return Column(values, "number"), ()
    values = values.astype(np.float32) if values.itemsize < 4 else values
    infinite = np.isinf(values)
    if not infinite.any():
        return Column(values, "number"), ()
    remark = f"Array {name}: {int(infinite.sum()):,} infinite values are treated as missing."
    return Column(np.where(infinite, np.nan, values), "number"), (remark,)


def _check_numbers(name: str, values: np.ndarray) -> None:
    if values.dtype.kind not in "buif":
        raise UsageError(f"array {name} has type {values.dtype}; save numbers, or one text per row")
