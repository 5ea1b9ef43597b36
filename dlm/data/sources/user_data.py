"""A person's own data: a table, a folder of pictures, sounds or texts, a text file, arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlm.data.dataset import Dataset
from dlm.data.readers.user_dataset import Kind, Task, split, with_target
from dlm.data.schema_inference import Choice, guessed_target


def from_items(train: Any, *, name: str, validation: Any = "", test: Any = "", **choice: Any) -> Dataset:
    """Arrays of anything with `__len__` and `__getitem__`: lists, PyTorch's map data sets, grain's, Hugging Face's.

    Items are mappings or pairs, see `columns_of`. `validation` and `test` are such data sets too, or how many or which
    share to hold out; `choice` is as for every source: inputs, target, length, size. To be called in the `load` of a
    source of your own.
    """
    from dlm.data.readers.items import columns_of

    others = {"validation": validation, "test": test}
    held_out: dict[str, Any] = {part: given for part, given in others.items() if isinstance(given, int | float | str)}
    sets = {"train": train} | {part: given for part, given in others.items() if part not in held_out}
    columns = columns_of(_Joined(sets))
    target = choice.pop("target", "") or guessed_target(columns, choice.get("inputs", ()))
    remarks: tuple[str, ...] = ()
    if columns[target].kind in ("class", "number") and columns[target].is_array:
        columns, remark = with_target(columns, target)
        remarks = (remark,)
    splits = split(columns, {part: len(given) for part, given in sets.items()})
    return dataclasses.replace(Choice(target=target, **choice), **held_out).dataset(name, splits, remarks)


class _Joined:
    """Data sets one after another, so that what a column is does not depend on the split."""

    def __init__(self, sets: Mapping[str, Any]):
        self._sets = list(sets.values())
        self.features = getattr(self._sets[0], "features", None)

    def __len__(self) -> int:
        return sum(map(len, self._sets))

    def __getitem__(self, row: int) -> Any:
        for items in self._sets:
            if row < len(items):
                return items[row]
            row -= len(items)
        raise IndexError(row)


@dataclasses.dataclass(frozen=True)
class File(Choice):
    """Data at a path: CSV or Parquet, a folder with a folder for each class, texts, JSON lines, WAV files, `.npz`.

    `kind` and `task` (whether the target is classes or numbers) are told by what is there unless they are given.
    """

    path: str
    kind: Kind = "auto"
    task: Task = "auto"

    def load(self, data_dir: Path | None = None, *, groups: tuple[str, ...] = ()) -> Dataset:
        """UsageError for what is not there, cannot be read, or cannot be learnt from."""
        from dlm.data.readers.read import read

        own = read(self.path, target=self.target, kind=self.kind, size=self.size, task=self.task)
        splits = {"train" if name == "all" else name: columns for name, columns in own.splits.items()}
        return dataclasses.replace(self, target=own.target).dataset(own.name, splits, own.remarks, groups)
