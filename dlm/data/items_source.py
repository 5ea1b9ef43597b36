"""Data sets that other libraries hold: whatever has a length and gives an item by its number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dlm.data.arrays import Arrays
from dlm.data.choice import Choice
from dlm.data.guess import guessed_target
from dlm.data.own.found import split
from dlm.data.own.targets import with_target


def from_items(train: Any, *, name: str, validation: Any = "", test: Any = "", **choice: Any) -> Arrays:
    """Arrays of anything with `__len__` and `__getitem__`: lists, PyTorch's map data sets, grain's, Hugging Face's.

    Items are mappings or pairs, see `columns_of`. `validation` and `test` are such data sets too, or how many or which
    share to hold out; `choice` is as for every source: inputs, target, length, size. To be called in the `load` of a
    source of your own.
    """
    from dlm.data.own.items import columns_of

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
    return dataclasses.replace(Choice(target=target, **choice), **held_out).arrays(name, splits, remarks)


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
