"""TFDS data sets as columns: read in large blocks, without TensorFlow, and kept in the cache by their content."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.cache import cached, content_key
from dlm.data.columns import Column, Columns, Kind, agreed, cut, joined
from dlm.data.tfds.features import Field, opened
from dlm.data.tfds.folders import Prepared, check_files, find
from dlm.utils.errors import UsageError, nearest
from dlm.utils.optional_imports import import_optional

DECODING = "1"  # changes with what columns are made of the same files
EXAMPLES_AT_ONCE, BYTES_AT_ONCE = 4096, 1 << 24  # as stored; what they decode to is in memory meanwhile


@dataclasses.dataclass(frozen=True)
class Feature:
    """A column before it is read. `shape`: of a row, None for a size that differs; `names`: of its classes."""

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    names: tuple[str, ...]
    rate: int

    @property
    def num_classes(self) -> int:
        """0 where it is not of classes."""
        return len(self.names)


@dataclasses.dataclass(frozen=True)
class Description:
    """What a data set says of itself. `splits`: name -> examples; `left_out`: features that are no column -> why."""

    full_name: str
    splits: Mapping[str, int]
    features: tuple[Feature, ...]
    left_out: Mapping[str, str]

    def feature(self, name: str) -> Feature:
        """One feature. UsageError if there is none of that name."""
        by_name = {feature.name: feature for feature in self.features}
        if name in self.left_out:
            raise UsageError(f"feature {name!r} of {self.full_name!r} cannot be read: {self.left_out[name]}")
        if name not in by_name:
            raise UsageError(f"{self.full_name!r} has no feature {name!r}; {nearest(name, by_name)}")
        return by_name[name]


def describe(name: str, *, version: str = "", data_dir: Path | None = None, download: bool = False) -> Description:
    """A data set's splits and features, without reading it. UsageError as of `read`."""
    prepared = find(name, version, data_dir, download)
    _, fields, left_out = opened(prepared)
    features = tuple(Feature(each.name, each.kind, each.shape, each.names, each.rate) for each in fields)
    return Description(prepared.full_name, prepared.sizes, features, left_out)


def read(
    name: str,
    splits: Mapping[str, str],
    *,
    version: str = "",
    data_dir: Path | None = None,
    download: bool = False,
) -> tuple[str, dict[str, dict[str, Column]]]:
    """The set's full name with version, and the columns of each split that is wanted.

    `splits`: wanted name -> split in TFDS's notation, such as {"train": "train[:80%]", "test": "test+validation"}. A
    feature is a column, nested ones by names such as "objects/label"; a text of several is joined by line ends. Numbers
    keep their type. Arrays are memory-mapped and read-only where they come whole from the cache.

    `download`: an absent set is downloaded and prepared by TFDS. UsageError if the set is absent or damaged, or there
    is no such split or slice, and for what only TensorFlow reads.
    """
    prepared = find(name, version, data_dir, download)
    wanted = {split: _ranges(prepared, expression) for split, expression in splits.items()}
    whole = {split: _whole(prepared, split) for split in {split for each in wanted.values() for split, _, _ in each}}
    columns: dict[str, Columns] = {}
    for split, ranges in wanted.items():
        pieces = [cut(whole[source], start, stop) for source, start, stop in ranges]
        columns[split] = {column: joined([piece[column] for piece in pieces]) for column in pieces[0]}
    return prepared.full_name, agreed(columns)


def _ranges(prepared: Prepared, expression: str) -> list[tuple[str, int, int]]:
    """The rows that an expression asks for: (split, start, stop) for each of its terms."""
    sizes = prepared.sizes
    found = [(expression, 0, sizes[expression])] if expression in sizes else _instructions(prepared, expression)
    if not any(start < stop for _, start, stop in found):
        raise UsageError(f"{prepared.full_name!r} has no examples in split {expression!r}; it has {sizes}")
    return [each for each in found if each[1] < each[2]]


def _instructions(prepared: Prepared, expression: str) -> list[tuple[str, int, int]]:
    tfds = import_optional("tensorflow_datasets", f"split {expression!r}")
    sizes = prepared.sizes
    for term in re.split(r"\s*\+\s*", expression):
        split = term.partition("[")[0]
        if re.fullmatch(r"[\w-]+", split) and split not in {*sizes, "all"}:
            raise UsageError(f"{prepared.full_name!r} has no split {split!r}; it has {sizes}")
    infos = {split: tfds.core.SplitInfo(split, [*shards], 0) for split, shards in prepared.shards.items()}
    try:
        absolute = tfds.core.ReadInstruction.from_spec(expression).to_absolute(infos)
    except (ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[-1]
        raise UsageError(
            f"split {expression!r} of {prepared.full_name!r} is none ({reason}); it has {sizes}: write such as "
            "'train', 'train[:80%]', 'train[1000:2000]', 'train+test'"
        ) from None
    ends = [sizes[each.splitname] if each.to is None else each.to for each in absolute]
    return [(each.splitname, each.from_ or 0, end) for each, end in zip(absolute, ends)]


def _whole(prepared: Prepared, split: str) -> Columns:
    check_files(prepared, split)
    labels = sorted(prepared.folder.glob("*.labels.txt"))
    try:
        files = (prepared.folder / "features.json", *labels, *prepared.files[split])
        shards = [str(length) for length in prepared.shards[split]]
        key = content_key(files, DECODING, prepared.file_format, *(label.name for label in labels), "", *shards)
    except OSError as error:
        reason = f"{error.filename} cannot be read ({error.strerror})"
        raise UsageError(f"{reason}; mend that, or name another folder with --data_dir") from None
    return cached(key, partial(_blocks, prepared, split))


def _blocks(prepared: Prepared, split: str) -> Iterator[Columns]:
    """A split's columns, some rows at a time. UsageError for what is damaged or no column."""
    builder, fields, left_out = opened(prepared)
    if not fields:
        raise UsageError(f"no feature of {prepared.full_name!r} can be read: {left_out}")
    number = 0
    try:
        for records in _records(builder, prepared, split):
            yield {field.name: _column(field, records) for field in fields}
            number += len(records)
    except (_Misfit, _Unreadable) as error:
        raise UsageError(
            f"split {split!r} of {prepared.full_name!r} in {prepared.folder} cannot be read after {number} examples "
            f"({error}); delete the folder and prepare the set again"
        ) from None


class _Unreadable(Exception):
    """What TFDS or array_record said."""


class _Misfit(Exception):
    """A feature does not hold what it is said to hold."""


def _records(builder: Any, prepared: Prepared, split: str) -> Iterator[list[Any]]:
    """Blocks of parsed records; the next one is read while this one is decoded."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        source = builder.as_data_source(split=split, deserialize_method=raw, file_format=prepared.file_format)
        rows, stored = len(source), sum(file.stat().st_size for file in prepared.files[split])
        at_once = int(np.clip(BYTES_AT_ONCE * rows // max(1, stored), 1, EXAMPLES_AT_ONCE))
        with ThreadPoolExecutor(1) as pool:
            blocks = [range(start, min(start + at_once, rows)) for start in range(0, rows, at_once)]
            coming = pool.submit(source.__getitems__, blocks[0])
            for following in [*blocks[1:], None]:
                block = coming.result()
                if following is not None:
                    coming = pool.submit(source.__getitems__, following)
                yield [tf_example_pb2.Example.FromString(record).features.feature for record in block]
    except Exception as error:  # array_record raises whatever its C++ side does
        raise _Unreadable(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from None


def _column(field: Field, records: list[Any]) -> Column:
    try:
        return field.column(records)
    except ValueError as error:
        raise _Misfit(f"feature {field.name!r}: {error}") from None
