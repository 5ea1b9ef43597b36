"""Data sets of TensorFlow Datasets, prepared on disk as array_record and read without TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.arrays import Arrays, Split, hold_out
from dlm.errors import UsageError

READ_AT_ONCE = 4096  # examples; reading one by one takes twice as long


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A classification set by its TFDS name, such as `fashion_mnist` or `name/config`.

    `version` empty: the newest on disk. `validation` examples are held out of the train split, stratified and chosen
    by content; with `test` above 0 so are test examples, for sets without a test split. `image` and `label` name the
    features.
    """

    name: str
    version: str = ""
    validation: int = 10_000
    test: int = 0
    image: str = "image"
    label: str = "label"
    test_split: str = "test"

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Inputs in storage type, images seen as 0 … 1. UsageError if the set is absent or of another kind."""
        builder = _builder(self, data_dir)
        features = builder.info.features
        num_classes = getattr(features[self.label] if self.label in features else None, "num_classes", None)
        if self.image not in features or not num_classes:
            known = ", ".join(f"{name}: {type(feature).__name__}" for name, feature in features.items())
            raise UsageError(
                f"data.image={self.image!r} and data.label={self.label!r} must name an array and a ClassLabel of "
                f"{self.name!r}; it has {known}"
            )
        pool = _read(builder, "train", self)
        if self.test:
            test, pool = hold_out(pool, self.test, "data.test")
        elif self.test_split in builder.info.splits:
            test = _read(builder, self.test_split, self)
        else:
            raise UsageError(f"{self.name!r} has no split {self.test_split!r}; hold one out with data.test=COUNT")
        validation, pool = hold_out(pool, self.validation, "data.validation")
        scale = 1 / 255 if pool.x.dtype == np.uint8 else 1.0
        return Arrays(builder.info.full_name, pool, validation, test, num_classes, scale)


def folders(data_dir: Path | None) -> list[Path]:
    """Where prepared sets are looked for: the folder given, else $TFDS_DATA_DIR, else TFDS's own default."""
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return [Path(given).expanduser()]


def _builder(source: Tfds, data_dir: Path | None) -> Any:
    for folder in folders(data_dir):
        versions = sorted((folder / source.name).glob(f"{source.version or '*'}/dataset_info.json"), key=_version_key)
        if versions:
            import tensorflow_datasets as tfds

            return tfds.builder_from_directory(versions[-1].parent)
    where = " or ".join(str(folder / source.name) for folder in folders(data_dir))
    version = f" version {source.version}" if source.version else ""
    raise UsageError(
        f"TFDS data set {source.name!r}{version} is not in {where}; nothing is downloaded by itself. "
        "Name its folder with --data_dir or TFDS_DATA_DIR, or prepare it once where TensorFlow is installed: "
        f'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{source.name}', file_format='array_record').download_and_prepare()\""
    )


def _version_key(info: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in info.parent.name.split(".") if part.isdigit())


def _read(builder: Any, split: str, source: Tfds) -> Split:
    """A whole split, in batches. UsageError for examples that do not share one shape."""
    reader = builder.as_data_source(split=split)
    inputs, labels = [], []
    for start in range(0, len(reader), READ_AT_ONCE):
        examples = reader.__getitems__(range(start, min(start + READ_AT_ONCE, len(reader))))
        shapes = {np.shape(example[source.image]) for example in examples}
        if len(shapes) > 1 or (inputs and shapes != {inputs[0].shape[1:]}):
            raise UsageError(f"{source.name!r} has examples of different shapes, such as {sorted(shapes)[:3]}")
        inputs.append(np.stack([example[source.image] for example in examples]))
        labels.append(np.array([example[source.label] for example in examples], np.int32))
    return Split(np.concatenate(inputs), np.concatenate(labels))
