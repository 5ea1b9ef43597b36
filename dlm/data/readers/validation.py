"""What a person's own data must be to be learned from: enough rows, several classes of some rows, one shape."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from dlm.data.columns import Column, Columns, Ragged, num_rows
from dlm.data.readers.paths import listed
from dlm.data.readers.user_dataset import Found, Own, keep, known, used_classes
from dlm.utils.errors import UsageError

LEAST_ROWS = 30
LEAST_OF_A_CLASS = 3  # one for each of training, validation and test
MOST_RARE = 0.1  # a share of the rows; where more are in rare classes, these are no classes


def learnable(found: Found) -> Found:
    """Without rows that have no target, and without classes too rare to be in every split; told in remarks."""
    column = found.columns[found.target]
    there = known(column)
    told = [f"Rows without a target are left out: {int((~there).sum()):,}."] if not there.all() else []
    found = keep(found, there)
    if column.kind == "class" and num_rows(found.columns):
        found, rare = _without_rare(found)
        told += rare
    return dataclasses.replace(found, remarks=(*found.remarks, *told))


def check(own: Own) -> None:
    """UsageError for what no study can be made of: value, rule and remedy."""
    counts = {split: num_rows(columns) for split, columns in own.splits.items()}
    total = sum(counts.values())
    if total < LEAST_ROWS:
        raise UsageError(
            f"{total} rows are too few: at least {LEAST_ROWS} are needed, for some are held out to choose and to "
            "measure by, and the rest is to be learned from at several sizes; give more"
        )
    for split, count in counts.items():
        if count < LEAST_OF_A_CLASS:
            raise UsageError(f"split {split} has {count} rows; give it more, or all rows as one")
    for columns in own.splits.values():
        for name, column in columns.items():
            _check_shape(name, column)
    if own.target:
        _check_target(own)
    if not all(set(columns) - {own.target} for columns in own.splits.values()):
        raise UsageError(f"there is no column but the target {own.target!r}; give columns to learn from")


def duplicates(own: Own) -> tuple[str, ...]:
    """In a sentence, how many rows are the same as an earlier one, target and all."""
    seen: set[bytes] = set()
    total = 0
    for columns in own.splits.values():
        seen.update(_row_digests(columns))
        total += num_rows(columns)
    same = total - len(seen)
    return (f"Rows that are the same as an earlier one, target and all: {same:,} of {total:,}.",) if same else ()


def _without_rare(found: Found) -> tuple[Found, list[str]]:
    """Without classes of too few rows, and in splits without those that training has none of."""
    column = found.columns[found.target]
    values = np.asarray(column.values)
    places = np.arange(len(column.names))
    training = values[: next(iter(found.counts.values()))]
    rare = places[np.bincount(values, minlength=len(places)) < LEAST_OF_A_CLASS]
    unseen = np.setdiff1d(places[np.bincount(training, minlength=len(places)) == 0], rare)
    present = np.isin(rare, values)
    out = np.isin(values, [*rare, *unseen])
    if out.mean() > MOST_RARE:
        raise UsageError(
            f"{int(out.sum()):,} of {len(values):,} rows are of classes with fewer than {LEAST_OF_A_CLASS} rows, or "
            f"that training has none of, such as {column.names[int(values[out][0])]!r}; choose another target, or join "
            "classes"
        )
    told = []
    if present.any():
        names = [column.names[place] for place in rare[present]]
        told.append(f"Classes of fewer than {LEAST_OF_A_CLASS} rows are left out, for no split could do without: ")
        told[-1] += f"{listed(names)}."
    if len(unseen):
        told.append(f"Classes that training has none of are left out: {listed([column.names[k] for k in unseen])}.")
    found = keep(found, ~out)
    columns = {**found.columns, found.target: used_classes(found.columns[found.target])}
    return dataclasses.replace(found, columns=columns), told


def _check_target(own: Own) -> None:
    values = np.concatenate([np.asarray(columns[own.target].values) for columns in own.splits.values()])
    column = next(iter(own.splits.values()))[own.target]
    if column.kind == "class" and len(np.unique(values)) < 2:
        raise UsageError(f"target {own.target!r} has one class only, {listed(column.names)}; give rows of at least two")
    if column.kind == "number" and (values == values[0]).all():
        raise UsageError(f"target {own.target!r} is {values.flat[0]:g} in every row; choose one that varies")


def _check_shape(name: str, column: Column) -> None:
    if column.kind == "image" and isinstance(column.values, Ragged):
        shapes = sorted({tuple(map(int, shape)) for shape in column.values.shapes})
        raise UsageError(
            f"the pictures of {name!r} have {len(shapes):,} shapes, such as {shapes[0]} and {shapes[-1]}; choose one "
            "size, such as data.size=(64, 64)"
        )


def _row_digests(columns: Columns) -> list[bytes]:
    """A hash of what each row holds."""
    # Narrow columns side by side, for a table has many; wide ones as they lie, for they may fill the memory.
    narrow, wide = [np.zeros((num_rows(columns), 0), np.uint8)], []
    for column in columns.values():
        values = column.values
        if isinstance(values, Ragged):
            # Shapes count too: the same values may lie in another one.
            narrow.append(np.ascontiguousarray(values.shapes).view(np.uint8))
            ends = (values.starts * values.values.itemsize).tolist()
            wide.append((np.ascontiguousarray(values.values).view(np.uint8).data, ends))
        elif values.ndim == 1:
            narrow.append(np.ascontiguousarray(values)[:, None].view(np.uint8))
        else:
            flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            wide.append((flat.data, [len(flat) // len(values) * row for row in range(len(values) + 1)]))
    digests = []
    for number, row in enumerate(np.concatenate(narrow, axis=1)):
        digest = hashlib.blake2b(row, digest_size=16)
        for held, ends in wide:
            digest.update(held[ends[number] : ends[number + 1]])
        digests.append(digest.digest())
    return digests
