"""Sources that read columns: TFDS data sets, the user's files, and items of any Python sequence."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.columns import Columns, FileKind, with_categories
from dlm.data.dataset import Dataset, Split, hold_out
from dlm.data.encoding import Encoding
from dlm.data.groups import groups_of
from dlm.data.schema_inference import Task, infer_inputs, infer_target, with_target
from dlm.data.tfds.reader import read, read_metadata
from dlm.utils.errors import UsageError

HELD_OUT_SHARES = {"test": 0.2, "validation": 0.1}  # if there is no such split; validation of the rest
MIN_DOCUMENTS = 10  # from which whole documents are held out


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnSource:
    """Base of sources that read columns. Empty fields and zeros are inferred from the columns.

    inputs, target: names of columns; a text that is both gives next-byte prediction. validation, test: name of a split,
    or how many examples to hold out of the training pool, as a number or a share; stratified and selected by content.
    length: texts (bytes), sounds (samples) and sequences are cut and padded to it. size: height and width that images
    are resized to. rate: samples per second, makes rows of numbers a sound. categories: columns of integer codes, which
    are encoded one-hot. `codes[0]` names an element of a column of several numbers.
    """

    inputs: tuple[str, ...] = ()
    target: str = ""
    validation: int | float | str = ""
    test: int | float | str = ""
    length: int = 0
    size: tuple[int, int] | None = None
    rate: int = 0
    categories: tuple[str, ...] = ()

    def to_dataset(
        self, name: str, splits: Mapping[str, Columns], remarks: Sequence[str] = (), groups: tuple[str, ...] = ()
    ) -> Dataset:
        """The dataset of columns of "train" and, unless they are held out of it, "validation" and "test".

        groups: columns that assign examples to groups, see `groups_of`.
        """
        splits = {part: self._with_sounds(columns) for part, columns in splits.items()} if self.rate else splits
        parts = {part: with_categories(columns, self.inputs, self.categories) for part, columns in splits.items()}
        splits = {part: columns for part, (columns, _) in parts.items()}
        columns, inputs = parts["train"]
        encoding = Encoding.fit(columns, inputs, self.target, self.length, self.size)
        if encoding.is_language_model:
            if groups:
                raise UsageError(f"groups={groups} needs one example per row; a language model has none, remove groups")
            splits = self._hold_out_documents(splits, encoding)
        group_names, codes = groups_of(splits, groups) if groups else ((), {})
        encoded = self._encoded(splits, encoding, codes)
        target = columns[encoding.target]
        is_class = target.kind == "class"
        highest = max(int(split.y.max(initial=0)) for split in encoded.values()) if is_class else 0
        return Dataset(
            name,
            encoded["train"],
            encoded["validation"],
            encoded["test"],
            num_classes=max(len(target.names), 1 + highest) if is_class else 0,
            scale=encoding.scale(columns),
            vocabulary=encoding.vocabulary(columns),
            standardize=encoding.table is not None,
            remarks=tuple(remarks),
            rate=columns[encoding.inputs[0]].rate,
            class_names=target.names if is_class else (),
            feature_names=encoding.table.feature_names(columns) if encoding.table else (),
            fields=encoding.table.fields(columns) if encoding.table else (),
            groups=group_names,
        )

    def _encoded(
        self, splits: Mapping[str, Columns], encoding: Encoding, groups: Mapping[str, np.ndarray]
    ) -> dict[str, Split]:
        """The encoded splits, with test and validation held out of train if they are not given."""
        encoded = {
            part: dataclasses.replace(encoding.encode(of), groups=groups.get(part)) for part, of in splits.items()
        }
        for part in ("test", "validation"):
            if part not in encoded:
                encoded[part], encoded["train"] = hold_out(encoded["train"], self._held_out(part), f"data.{part}")
        return encoded

    def _hold_out_documents(self, splits: Mapping[str, Columns], encoding: Encoding) -> dict[str, Columns]:
        """Hold out whole documents, if there are enough, so that none is in two splits."""
        result, texts = dict(splits), splits["train"][encoding.target].ragged
        lengths = texts.shapes[:, 0]
        remaining = sorted(range(len(texts)), key=lambda row: hashlib.blake2b(texts[row].tobytes()).digest())
        for part in ("test", "validation"):
            if part in result or len(remaining) < MIN_DOCUMENTS:
                continue
            number = self._held_out(part)
            num_bytes = number * lengths[remaining].sum() if number < 1 else number * encoding.length
            count = int(np.searchsorted(np.cumsum(lengths[remaining]), num_bytes)) + 1
            result[part] = _take(splits["train"], remaining[:count])
            remaining = remaining[count:]
        return result | {"train": _take(splits["train"], sorted(remaining))}

    def _held_out(self, part: str) -> float:
        """Number or share of examples to hold out. Raises UsageError for a name, since the data has no such split."""
        value = getattr(self, part)
        if value and isinstance(value, str):
            raise UsageError(f"data.{part}={value!r} is not a split of the data; set how many examples to hold out")
        return value or HELD_OUT_SHARES[part]

    def _with_sounds(self, columns: Columns) -> Columns:
        """The columns with numeric inputs as sounds of `rate`."""
        names = self.inputs or infer_inputs(columns, self.target or infer_target(columns, ()))
        return {
            name: dataclasses.replace(column, kind="audio", rate=self.rate)
            if name in names and column.kind == "number"
            else column
            for name, column in columns.items()
        }


def _take(columns: Columns, rows: list[int]) -> Columns:
    return {name: column.take(np.array(rows, np.int64)) for name, column in columns.items()}


@dataclasses.dataclass(frozen=True)
class Tfds(ColumnSource):
    """A data set of TensorFlow Datasets by name, for example `fashion_mnist` or `name/config`; read without TensorFlow.

    version: empty for the newest on disk. train: the training pool as a TFDS split expression (`train[:80%]`,
    `train+extra`); so may be `validation` and `test`, by default the splits of that name, held out if there are none.
    """

    name: str
    version: str = ""
    train: str = "train"

    def load(self, data_dir: Path | None = None, *, download: bool = False, groups: tuple[str, ...] = ()) -> Dataset:
        """Raises UsageError if the data set is absent or unsuitable; `download` lets TFDS prepare an absent one."""
        metadata = read_metadata(self.name, version=self.version, data_dir=data_dir, download=download)
        for column in (*self.inputs, self.target):
            if column in metadata.unsupported:
                raise UsageError(f"feature {column!r} of {metadata.full_name!r} has {metadata.unsupported[column]}")
        splits = {"train": self.train}
        for part in ("validation", "test"):
            expression = getattr(self, part)
            if isinstance(expression, str) and (expression or part in metadata.sizes):
                splits[part] = expression or part
        full_name, columns = read(self.name, splits, version=self.version, data_dir=data_dir)
        return self.to_dataset(full_name, columns, groups=groups)


@dataclasses.dataclass(frozen=True)
class File(ColumnSource):
    """The user's data at a path: CSV, Parquet or JSON lines, a folder with a folder per class, texts, WAV, `.npz`.

    kind: what the path contains; task: whether the target is classes or numbers; both are inferred by default.
    """

    path: str
    kind: FileKind = "auto"
    task: Task = "auto"

    def load(self, data_dir: Path | None = None, *, groups: tuple[str, ...] = ()) -> Dataset:
        """Raises UsageError for a path that is absent, unreadable, or not suitable for learning."""
        from dlm.data.readers.read import read_path

        data = read_path(self.path, target=self.target, kind=self.kind, size=self.size, task=self.task)
        splits = {"train" if name == "all" else name: columns for name, columns in data.splits().items()}
        return dataclasses.replace(self, target=data.target).to_dataset(data.name, splits, data.remarks, groups)


def from_items(train: Any, *, name: str, validation: Any = "", test: Any = "", **options: Any) -> Dataset:
    """The dataset of objects with `__len__` and `__getitem__`: lists, data sets of PyTorch, grain, Hugging Face.

    Items are mappings or pairs, see `dlm.data.readers.items.read_items`. validation and test: data sets too, or how
    many examples to hold out. options: fields of `ColumnSource`. For use in the `load` of your own source.
    """
    from dlm.data.readers.items import read_items

    given = {"validation": validation, "test": test}
    held_out: dict[str, Any] = {part: value for part, value in given.items() if isinstance(value, int | float | str)}
    data = read_items({"train": train} | {part: value for part, value in given.items() if part not in held_out})
    target = options.pop("target", "") or infer_target(data.columns, options.get("inputs", ()))
    if target in data.columns and data.columns[target].is_array and data.columns[target].kind in ("class", "number"):
        columns, remark = with_target(data.columns, target)
        data = dataclasses.replace(data, columns=columns).with_remarks(remark)
    source = dataclasses.replace(ColumnSource(target=target, **options), **held_out)
    return source.to_dataset(name, data.splits(), data.remarks)
