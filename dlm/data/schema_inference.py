"""What every source of columns lets choose, and how its columns become Arrays."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from dlm.data import encoding
from dlm.data.columns import Column, Columns, Ragged, places_of, with_places
from dlm.data.dataset import Dataset, hold_out
from dlm.data.encoding import Encoding, encoded, feature_names, fields
from dlm.data.groups import groups_of
from dlm.utils.errors import UsageError, nearest

TEXT_LENGTH, BLOCK_LENGTH, SEQUENCE_LENGTH = 512, 128, 512  # at most, where no length is given
SOUND_SECONDS = 4.0
TARGETS = ("label", "target", "class", "y")
INPUTS = ("image", "audio", "text", "features", "x")


def choose(
    columns: Columns, inputs: tuple[str, ...], target: str, length: int = 0, size: tuple[int, int] | None = None
) -> Encoding:
    """The encoding of a pool's columns; `inputs` and `target` are guessed where they are empty."""
    for name in (*inputs, *([target] if target else [])):
        if name not in columns:
            raise UsageError(f"data has no column {name!r}; {nearest(name, columns)}")
    target = target or guessed_target(columns, inputs)
    inputs = inputs or guessed_inputs(columns, target)
    first = columns[inputs[0]]
    if len(inputs) > 1 or encoding.is_tabular(first):
        return Encoding(inputs, target, table=encoding.plan(columns, inputs))
    if first.kind in ("text", "audio") or (first.kind == "number" and isinstance(first.values, Ragged)):
        length = length or _usual_length(first, itself=inputs == (target,))
    return Encoding(inputs, target, length, size)


def guessed_target(columns: Columns, inputs: tuple[str, ...]) -> str:
    """The column to predict: by its name, else the only one of classes, else the only text, which predicts itself."""
    free = [name for name in columns if name not in inputs]
    for name in TARGETS:
        if name in free:
            return name
    classes = [name for name in free if columns[name].kind == "class"]
    if len(classes) == 1:
        return classes[0]
    texts = [name for name in columns if columns[name].kind == "text"]
    if len(columns) == len(texts) == 1:
        return texts[0]
    raise UsageError(f"which column is to be predicted cannot be told; name one with data.target: {_listed(columns)}")


def guessed_inputs(columns: Columns, target: str) -> tuple[str, ...]:
    """The columns to learn from: by name, else the only picture, sound, text or array, else all that make a table."""
    if len(columns) == 1:
        return (target,)
    free = {name: column for name, column in columns.items() if name != target}
    for name in INPUTS:
        if name in free:
            return (name,)
    for kind in ("image", "audio", "text"):
        found = [name for name, column in free.items() if column.kind == kind]
        if len(found) == 1 or (found and kind == "image"):
            return (found[0],)
    dataset = [name for name, column in free.items() if not encoding.is_tabular(column) and column.kind == "number"]
    if len(dataset) == 1:
        return (dataset[0],)
    found = [name for name, column in free.items() if encoding.is_tabular(column)]
    if not found:
        raise UsageError(f"which columns to learn from cannot be told; name them with data.inputs: {_listed(columns)}")
    return tuple(found)


def _usual_length(column: Column, *, itself: bool) -> int:
    """The longest of a pool's rows, or what 95 % of them do not exceed, but no more than is sensible."""
    if itself:
        return BLOCK_LENGTH
    values = column.values
    lengths = values.shapes[:, 0] if isinstance(values, Ragged) else np.array([values.shape[1]])
    most = {"text": TEXT_LENGTH, "audio": int(SOUND_SECONDS * column.rate)}.get(column.kind, SEQUENCE_LENGTH)
    wanted = int(lengths.max()) if lengths.max() <= most else int(np.ceil(np.quantile(lengths, 0.95)))
    return max(1, min(wanted, most))


def _listed(columns: Columns) -> str:
    return ", ".join(f"{name} ({column.kind})" for name, column in columns.items())


TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1  # held out where there is no such split: a fifth, and a tenth of the rest
FEWEST_DOCUMENTS = 10  # of which some are held out whole


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Base of sources that read columns. What is empty or 0 is guessed from the columns.

    `inputs` and `target` name columns; a text that is both is learnt byte by byte. `validation` and `test`: the name of
    a split, or how many examples to hold out of the training pool, or which share if below 1; stratified and chosen by
    content. `length` cuts and pads texts (bytes), sounds (samples) and sequences; `size` is height and width that
    pictures are brought to; `rate` makes numbers in a row a sound of so many samples a second. `categories` names
    columns of whole numbers that are codes, not amounts: a code has a place of its own. Of a column of several numbers,
    each of its places is a column too: `codes[0]`, `codes[1]`, …
    """

    inputs: tuple[str, ...] = ()
    target: str = ""
    validation: int | float | str = ""
    test: int | float | str = ""
    length: int = 0
    size: tuple[int, int] | None = None
    rate: int = 0
    categories: tuple[str, ...] = ()

    def dataset(
        self, name: str, splits: Mapping[str, Columns], remarks: Sequence[str] = (), groups: tuple[str, ...] = ()
    ) -> Dataset:
        """Arrays of the columns of "train" and, where they are not to be held out, "validation" and "test".

        groups: columns that tell apart whom an example is of.
        """
        splits = {part: self._as_sounds(columns) for part, columns in splits.items()} if self.rate else splits
        inputs = places_of(splits["train"], self.inputs, self.categories)
        splits = {part: with_places(columns, inputs, self.categories) for part, columns in splits.items()}
        columns = splits["train"]
        encoding = choose(columns, inputs, self.target, self.length, self.size)
        if encoding.predicts_itself:
            if groups:
                raise UsageError(f"groups={groups} have no examples of their own in a text that predicts itself")
            splits = self._whole_documents(splits, encoding)
        found = {part: encoded(of, encoding) for part, of in splits.items()}
        group_names, codes = groups_of(splits, groups) if groups else ((), {})
        found = {part: dataclasses.replace(split, groups=codes.get(part)) for part, split in found.items()}
        pool = found["train"]
        for part in ("test", "validation"):
            if part not in found:
                found[part], pool = hold_out(pool, self._count(part), f"data.{part}")
        label = columns[encoding.target]
        return Dataset(
            name,
            pool,
            found["validation"],
            found["test"],
            num_classes=_num_classes(label.names, found.values()) if label.kind == "class" else 0,
            scale=encoding.scale(columns),
            vocabulary=encoding.vocabulary(columns),
            standardize=encoding.table is not None,
            remarks=tuple(remarks),
            rate=columns[encoding.inputs[0]].rate,
            class_names=label.names if label.kind == "class" else (),
            feature_names=feature_names(columns, encoding.table) if encoding.table else (),
            fields=fields(columns, encoding.table) if encoding.table else (),
            groups=group_names,
        )

    def _whole_documents(self, splits: Mapping[str, Columns], encoding: Encoding) -> dict[str, Columns]:
        """Texts that predict themselves, held out whole where there are enough of them: no text in two splits."""
        apart, texts = dict(splits), splits["train"][encoding.target].ragged
        lengths = texts.shapes[:, 0]
        hashes = [hashlib.blake2b(texts[row].tobytes()).digest() for row in range(len(texts))]
        left = sorted(range(len(texts)), key=hashes.__getitem__)
        for part in ("test", "validation"):
            if part in apart or len(left) < FEWEST_DOCUMENTS:
                continue
            number = self._count(part)
            wanted = number * lengths[left].sum() if number < 1 else number * encoding.length
            count = int(np.searchsorted(np.cumsum(lengths[left]), wanted)) + 1
            apart[part] = _taken(splits["train"], left[:count])
            left = left[count:]
        return apart | {"train": _taken(splits["train"], sorted(left))}

    def _count(self, part: str) -> float:
        """How many examples of a split are held out, or which share. UsageError for a name, which no split here has."""
        asked = getattr(self, part)
        if asked and isinstance(asked, str):
            raise UsageError(f"data.{part}={asked!r} names no split of these data; give how many examples to hold out")
        return asked or {"test": TEST_SHARE, "validation": VALIDATION_SHARE}[part]

    def _as_sounds(self, columns: Columns) -> Columns:
        """The columns with those of the inputs that are numbers in a row as sounds."""
        named = self.inputs or guessed_inputs(columns, self.target or guessed_target(columns, ()))
        return {
            name: dataclasses.replace(column, kind="audio", rate=self.rate)
            if name in named and column.kind == "number"
            else column
            for name, column in columns.items()
        }


def _taken(columns: Columns, rows: list[int]) -> Columns:
    return {name: column.take(np.array(rows, np.int64)) for name, column in columns.items()}


def _num_classes(names: Sequence[str], splits: object) -> int:
    highest = max(int(split.y.max(initial=0)) for split in splits)  # type: ignore[attr-defined]
    return max(len(names), highest + 1)
