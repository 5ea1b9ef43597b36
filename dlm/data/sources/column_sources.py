"""Sources that read columns: TFDS data sets, the user's files, and items of any Python sequence."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.columns import Columns, FileKind, with_categories
from dlm.data.dataset import Dataset, Split, hold_out
from dlm.data.encoding import Encoding
from dlm.data.groups import SplitGroups, groups_of
from dlm.data.schema_inference import Task, identifiers, infer_inputs, infer_target, inputs_remark, with_target
from dlm.data.tfds.reader import read, read_metadata
from dlm.utils.errors import UsageError, nearest

HELD_OUT_SHARES = {"test": 0.2, "validation": 0.1}  # if there is no such split; validation of the rest
MIN_DOCUMENTS = 10  # from which whole documents are held out
# Of targets that are one class or number: an error rate of 20 % then has a standard error of 1.3 to 2 points.
FEWEST_TEST, MOST_TEST, FEWEST_SHARE, MOST_SHARE, SMALL = 400, 1000, 0.05, 0.3, 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnSource:
    """Base of sources that read columns. Empty fields and zeros are inferred from the columns.

    inputs, target: names of columns; a text that is both gives next-byte prediction. validation, test: name of a split,
    or how many examples to hold out of the training pool, as a number or a share; stratified and selected by content.
    By default 20 % for testing, at least 400, at most 1,000 or 5 %, never above 30 %; of the rest, 10 % for validation.
    length: texts (bytes), sounds (samples) and sequences are cut and padded to it. size: height and width that images
    are resized to. rate: samples per second, makes rows of numbers a sound. categories: columns of integer codes, which
    are encoded one-hot. `codes[0]` names an element of a column of several numbers. group: a column that is not an
    input, such as a patient; examples with the same value are never in two splits.
    """

    inputs: tuple[str, ...] = ()
    target: str = ""
    validation: int | float | str = ""
    test: int | float | str = ""
    length: int = 0
    size: tuple[int, int] | None = None
    rate: int = 0
    categories: tuple[str, ...] = ()
    group: str = dataclasses.field(default="", metadata={"omit_default": True})

    def to_dataset(
        self, name: str, splits: Mapping[str, Columns], remarks: Sequence[str] = (), groups: tuple[str, ...] = ()
    ) -> Dataset:
        """The dataset of columns of "train" and, unless they are held out of it, "validation" and "test".

        groups: columns that assign examples to groups, see `groups_of`.
        """
        grouped, selected = self._groups(splits)
        dropped = [] if self.inputs else identifiers(selected["train"], (self.target, *self.categories))
        selected = {part: {n: of[n] for n in of if n not in dropped} for part, of in selected.items()}
        selected = {part: self._with_sounds(columns) for part, columns in selected.items()} if self.rate else selected
        parts = {part: with_categories(columns, self.inputs, self.categories) for part, columns in selected.items()}
        selected = {part: columns for part, (columns, _) in parts.items()}
        columns, inputs = parts["train"]
        encoding = Encoding.fit(columns, inputs, self.target, self.length, self.size)
        if encoding.is_language_model:
            if groups or grouped:
                setting = f"groups={groups}" if groups else f"data.group={self.group!r}"
                raise UsageError(f"{setting} needs one example per row; a language model has none, remove it")
            selected = self._hold_out_documents(selected, encoding)
        every = {part: {**splits.get(part, {}), **columns} for part, columns in selected.items()}
        names, codes = groups_of(every, groups) if groups else ((), {})
        encoded = {part: replace(encoding.encode(of), groups=codes.get(part)) for part, of in selected.items()}
        grouped = self._hold_out(encoded, grouped)
        dataset = _dataset_of(name, encoded, columns, encoding)
        if grouped:
            dataset = replace(dataset, test_groups=grouped.codes["test"], pool_groups=grouped.codes["train"])
        inferred = "" if self.inputs else inputs_remark(columns, encoding.inputs, encoding.target)
        reason = f"Dropped columns, since their values number the rows: {', '.join(dropped)}. data.inputs uses them."
        notes = [
            *([reason] if dropped else []),
            *filter(None, [inferred]),
            *encoding.remarks(columns),
            *([grouped.remark()] if grouped else []),
        ]
        if "test" not in splits and dataset.test_precision:
            notes += [f"{dataset.test_precision} data.test sets another number."]
        return replace(dataset, groups=names, remarks=(*remarks, *notes))

    def _groups(self, splits: Mapping[str, Columns]) -> tuple[SplitGroups | None, Mapping[str, Columns]]:
        """The groups by the column `group`, and the splits without it."""
        columns = splits["train"]
        if not self.group:
            return None, splits
        if self.group in (self.target, *self.inputs, *self.categories):
            raise UsageError(f"data.group={self.group!r} is also the target or an input; choose another column")
        if self.group not in columns:
            raise UsageError(f"data.group={self.group!r} is not a column of the data; {nearest(self.group, columns)}")
        selected = {part: {n: of[n] for n in of if n != self.group} for part, of in splits.items()}
        if len(selected["train"]) < 2:
            raise UsageError(f"data.group={self.group!r} leaves no input beside the target; add input columns")
        return SplitGroups.of(self.group, splits), selected

    def _hold_out(self, encoded: dict[str, Split], grouped: SplitGroups | None) -> SplitGroups | None:
        """Move test and validation examples that are not given out of the encoded train; the groups of all splits."""
        for part in ("test", "validation"):
            pool = encoded["train"]
            if part in encoded:
                continue
            count = self._held_out(part, len(pool) if pool.y.ndim == 1 else 0)
            if grouped:
                encoded[part], encoded["train"], grouped = grouped.hold_out(part, pool, count)
            else:
                encoded[part], encoded["train"] = hold_out(pool, count, f"data.{part}")
        return grouped

    def _hold_out_documents(self, splits: Mapping[str, Columns], encoding: Encoding) -> dict[str, Columns]:
        """Hold out whole documents, if there are enough, so that none is in two splits."""
        result, texts = dict(splits), splits["train"][encoding.target].ragged
        lengths = texts.shapes[:, 0]
        remaining = sorted(range(len(texts)), key=lambda row: hashlib.blake2b(texts[row].tobytes()).digest())
        for part in ("test", "validation"):
            if part in result or len(remaining) < MIN_DOCUMENTS:
                continue
            number = self._held_out(part, 0)
            num_bytes = number * lengths[remaining].sum() if number < 1 else number * encoding.length
            count = int(np.searchsorted(np.cumsum(lengths[remaining]), num_bytes)) + 1
            result[part] = _take(splits["train"], remaining[:count])
            remaining = remaining[count:]
        return result | {"train": _take(splits["train"], sorted(remaining))}

    def _held_out(self, part: str, total: int) -> float:
        """Number or share of examples to hold out of `total`, 0 if its default does not depend on their number.

        Raises UsageError for a name, since the data has no such split.
        """
        value = getattr(self, part)
        if value and isinstance(value, str):
            raise UsageError(f"data.{part}={value!r} is not a split of the data; set how many examples to hold out")
        if value or part == "validation" or total < SMALL:
            return value or HELD_OUT_SHARES[part]
        count = max(FEWEST_TEST, min(MOST_TEST, HELD_OUT_SHARES["test"] * total), FEWEST_SHARE * total)
        return round(min(MOST_SHARE * total, count))

    def _with_sounds(self, columns: Columns) -> Columns:
        """The columns with numeric inputs as sounds of `rate`."""
        names = self.inputs or infer_inputs(columns, self.target or infer_target(columns, ()))
        return {
            name: replace(column, kind="audio", rate=self.rate) if name in names and column.kind == "number" else column
            for name, column in columns.items()
        }


def _dataset_of(name: str, splits: Mapping[str, Split], columns: Columns, encoding: Encoding) -> Dataset:
    """The dataset of three encoded splits; columns: those of the pool."""
    target, table = columns[encoding.target], encoding.table
    is_class = target.kind == "class"
    highest = max(int(split.y.max(initial=0)) for split in splits.values()) if is_class else 0
    return Dataset(
        name,
        splits["train"],
        splits["validation"],
        splits["test"],
        num_classes=max(len(target.names), 1 + highest) if is_class else 0,
        scale=encoding.scale(columns),
        vocabulary=encoding.vocabulary(columns),
        standardize=table is not None,
        rate=columns[encoding.inputs[0]].rate,
        split_by="document" if encoding.is_language_model else "",
        class_names=target.names if is_class else (),
        feature_names=table.feature_names(columns) if table else (),
        fields=table.fields(columns) if table else (),
    )


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
        for column in (*self.inputs, self.target, self.group):
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
    group="folder" groups the files of class folders by the folders inside these.
    """

    path: str
    kind: FileKind = "auto"
    task: Task = "auto"

    def load(self, data_dir: Path | None = None, *, groups: tuple[str, ...] = ()) -> Dataset:
        """Raises UsageError for a path that is absent, unreadable, or not suitable for learning."""
        from dlm.data.readers.read import read_path

        inputs = tuple(re.sub(r"\[\d+\]$", "", name) for name in (*self.inputs, *self.categories))
        data = read_path(
            self.path,
            target=self.target,
            kind=self.kind,
            size=self.size,
            task=self.task,
            group=self.group,
            inputs=inputs,
        )
        splits = {"train" if name == "all" else name: columns for name, columns in data.splits().items()}
        return replace(self, target=data.target).to_dataset(data.name, splits, data.remarks, groups)


def from_items(train: Any, *, name: str, validation: Any = "", test: Any = "", **options: Any) -> Dataset:
    """The dataset of objects with `__len__` and `__getitem__`: lists, data sets of PyTorch, grain, Hugging Face.

    Items are mappings or pairs, see `dlm.data.readers.items.read_items`. validation and test: data sets too, or how
    many examples to hold out. options: fields of `ColumnSource`. For use in the `load` of your own source.
    """
    from dlm.data.readers.items import read_items

    given = {"validation": validation, "test": test}
    held_out: dict[str, Any] = {part: value for part, value in given.items() if isinstance(value, int | float | str)}
    data = read_items({"train": train} | {part: value for part, value in given.items() if part not in held_out})
    others = (*options.get("inputs", ()), options.get("group", ""))
    target = options.pop("target", "") or infer_target(data.columns, others)
    if target in data.columns and data.columns[target].is_array and data.columns[target].kind in ("class", "number"):
        columns, remark = with_target(data.columns, target)
        data = replace(data, columns=columns).with_remarks(remark)
    source = replace(ColumnSource(target=target, **options), **held_out)
    return source.to_dataset(name, data.splits(), data.remarks)
