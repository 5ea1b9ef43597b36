"""Data sets of TensorFlow Datasets, prepared on disk as array_record and read without TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dlm.data.dataset import Dataset
from dlm.data.schema_inference import Choice
from dlm.data.tfds.reader import describe, read


@dataclasses.dataclass(frozen=True)
class Tfds(Choice):
    """A set by its TFDS name, such as `fashion_mnist` or `name/config`.

    `version` empty: the newest on disk. `train` is the pool, in TFDS notation (`train[:80%]`, `train+unlabelled`), as
    `validation` and `test` may be; these are the splits of that name where there are, and held out where there are not.
    """

    name: str
    version: str = ""
    train: str = "train"

    def load(self, data_dir: Path | None = None, *, download: bool = False, groups: tuple[str, ...] = ()) -> Dataset:
        """UsageError if the set is absent or unfit. With `download` an absent one is fetched and prepared first."""
        about = describe(self.name, version=self.version, data_dir=data_dir, download=download)
        splits = {"train": self.train}
        for part in ("validation", "test"):
            asked = getattr(self, part)
            if isinstance(asked, str) and (asked or part in about.splits):
                splits[part] = asked or part
        full_name, columns = read(self.name, splits, version=self.version, data_dir=data_dir)
        return self.dataset(full_name, columns, groups=groups)
