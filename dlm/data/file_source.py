"""A person's own data: a table, a folder of pictures, sounds or texts, a text file, arrays."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlm.data.arrays import Arrays
from dlm.data.choice import Choice
from dlm.data.own.found import Kind, Task


@dataclasses.dataclass(frozen=True)
class File(Choice):
    """Data at a path: CSV or Parquet, a folder with a folder for each class, texts, JSON lines, WAV files, `.npz`.

    `kind` and `task` (whether the target is classes or numbers) are told by what is there unless they are given.
    """

    path: str
    kind: Kind = "auto"
    task: Task = "auto"

    def load(self, data_dir: Path | None = None, *, groups: tuple[str, ...] = ()) -> Arrays:
        """UsageError for what is not there, cannot be read, or cannot be learnt from."""
        from dlm.data.own.read import read

        own = read(self.path, target=self.target, kind=self.kind, size=self.size, task=self.task)
        splits = {"train" if name == "all" else name: columns for name, columns in own.splits.items()}
        return dataclasses.replace(self, target=own.target).arrays(own.name, splits, own.remarks, groups)
