"""Data sets of TensorFlow Datasets, prepared on disk as array_record and read without TensorFlow."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.arrays import Arrays, Split, hold_out
from dlm.errors import UsageError

READ_AT_ONCE = 4096  # examples; reading one by one takes twice as long


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A classification set by its TFDS name, such as `fashion_mnist` or `name/config`.

    `version` empty: the newest on disk. `validation` examples are held out of the train split, stratified and
    chosen by content; with `test` above 0 so are test examples, for sets without a test split. `image` and
    `label` name the features.
    """

    name: str
    version: str = ""
    validation: int = 10_000
    test: int = 0
    image: str = "image"
    label: str = "label"
    test_split: str = "test"

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Inputs in storage type, images seen as 0 … 1. UsageError if the set is absent or unfit."""
        builder = _builder(self, data_dir)
        features = dict(builder.info.features.items())
        num_classes = getattr(features.get(self.label), "num_classes", None)
        if self.image not in features or not num_classes:
            known = ", ".join(f"{name}: {type(feature).__name__}" for name, feature in sorted(features.items()))
            raise UsageError(
                f"data.image={self.image!r} and data.label={self.label!r} must name an array and a "
                f"ClassLabel of {self.name!r}; it has {known}"
            )
        pool = _read(builder, "train", self)
        if self.test:
            test, pool = hold_out(pool, self.test, "data.test")
        elif self.test_split in builder.info.splits:
            test = _read(builder, self.test_split, self)
        else:
            raise UsageError(f"{self.name!r} has no split {self.test_split!r}; hold one out, data.test=COUNT")
        validation, pool = hold_out(pool, self.validation, "data.validation")
        scale = 1 / 255 if pool.x.dtype == np.uint8 else 1.0
        return Arrays(builder.info.full_name, pool, validation, test, num_classes, scale)


def folders(data_dir: Path | None) -> list[Path]:
    """Where prepared sets are looked for: the folder given, else $TFDS_DATA_DIR, else TFDS's own default."""
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return [Path(given).expanduser()]


def _builder(source: Tfds, data_dir: Path | None) -> Any:
    for folder in folders(data_dir):
        infos = (folder / source.name).glob(f"{source.version or '*'}/dataset_info.json")
        # A preparation cut short leaves a folder such as incomplete.X_1.0.0.
        versions = sorted((i for i in infos if re.fullmatch(r"[\d.]+", i.parent.name)), key=_version_key)
        if versions:
            import tensorflow_datasets as tfds

            return tfds.builder_from_directory(versions[-1].parent)
    where = " or ".join(str(folder / source.name) for folder in folders(data_dir))
    version = f" version {source.version}" if source.version else ""
    raise UsageError(
        f"TFDS data set {source.name!r}{version} is not in {where}; nothing is downloaded by itself. "
        f"{_nearest_on_disk(source.name, folders(data_dir))}"
        f"Name its folder with --data_dir or TFDS_DATA_DIR, or {_prepare(source.name)}"
    )


def _nearest_on_disk(name: str, where: list[Path]) -> str:
    """The configs of a set that has some, else sets of a similar name."""
    patterns = ("*/*/dataset_info.json", "*/*/*/dataset_info.json")
    known = sorted({str(i.parent.parent.relative_to(f)) for f in where for p in patterns for i in f.glob(p)})
    close = [other for other in known if other.startswith(f"{name}/")] or difflib.get_close_matches(name, known)
    return f"Did you mean {' or '.join(map(repr, close))}, which is there? " if close and name not in known else ""


def _prepare(name: str) -> str:
    return (
        "prepare it once where TensorFlow is installed: "
        f'python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}', file_format='array_record').download_and_prepare()\""
    )


def _version_key(info: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in info.parent.name.split(".") if part.isdigit())


def _read(builder: Any, split: str, source: Tfds) -> Split:
    """A whole split, read in batches. UsageError for what cannot be read, or is not numbers of one shape."""
    reader = _reader(builder, split, source)
    inputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, len(reader), READ_AT_ONCE):
        examples = reader.__getitems__(range(start, min(start + READ_AT_ONCE, len(reader))))
        shapes = {np.shape(example[source.image]) for example in examples}
        if len(shapes) > 1 or (inputs and shapes != {inputs[0].shape[1:]}):
            raise UsageError(f"{source.name!r} has examples of several shapes, such as {sorted(shapes)[:3]}")
        inputs.append(np.stack([example[source.image] for example in examples]))
        labels.append(np.array([example[source.label] for example in examples], np.int32))
        if inputs[-1].dtype.kind not in "buif":
            raise UsageError(f"data.image={source.image!r} of {source.name!r} holds no numbers; name an array")
        if labels[-1].min() < 0:
            raise UsageError(
                f"split {split!r} of {source.name!r} has unlabelled examples; name another with "
                "data.test_split, or hold examples out with data.test=COUNT"
            )
    return Split(np.concatenate(inputs), np.concatenate(labels))


def _reader(builder: Any, split: str, source: Tfds) -> Any:
    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    if not splits.get(split):
        raise UsageError(f"{source.name!r} has no examples in split {split!r}; it has {splits}")
    try:
        return builder.as_data_source(split=split)
    except NotImplementedError:
        raise UsageError(
            f"{source.name!r} is prepared as {builder.info.file_format.value}, which only TensorFlow reads; "
            f"delete {builder.data_dir} and {_prepare(source.name)}"
        ) from None
