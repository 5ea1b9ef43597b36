"""Reads TFDS data sets as columns: decoded by TFDS without TensorFlow, cached by content."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import operator
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data.cache import cached, content_key
from dlm.data.columns import Column, Columns, Kind, concatenated, consistent, ragged, sliced, text_values
from dlm.data.tfds.folders import PreparedDataset, find
from dlm.utils.errors import UsageError
from dlm.utils.optional_imports import import_optional

DECODING_VERSION = "2"  # part of the cache key; increase it when the same files give other columns
BLOCK_EXAMPLES, BLOCK_BYTES = 4096, 1 << 24  # at most, as stored; a block is decoded at once
INT16_RANGE = 32_768
LAZY_AUDIO = -1  # in place of a sampling rate: the audio is stored as an encoded file


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature as a column. `shape` and `dtype`: of one row, None for a varying size; `names`: class names."""

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    dtype: np.dtype
    names: tuple[str, ...] = ()
    rate: int = 0
    is_image: bool = False

    @property
    def is_16_bit_image(self) -> bool:
        """Whether values are encoded image files with 16 bits per pixel."""
        return self.dtype == np.uint16 and self.is_image

    def value(self, example: Any) -> Any:
        """The value of a nested feature such as "objects/label"."""
        return functools.reduce(operator.getitem, self.name.split("/"), example)

    def column(self, rows: list[Any]) -> Column:
        """Decoded values as a column. Raises ValueError if a value does not have the feature's shape."""
        if self.kind == "text":
            joined = [b"\n".join(map(bytes, np.asarray(row, object).reshape(-1))) for row in rows]
            return Column(text_values(joined), "text")
        dtype = np.result_type(self.dtype, np.float16) if any(row is None for row in rows) else self.dtype
        empty = [size or 0 for size in self.shape]
        parts = [np.full(empty, np.nan, dtype) if row is None else self._array(row, dtype) for row in rows]
        if None in self.shape and len({array.shape for array in parts}) > 1:
            values: Any = ragged(parts, parts[0].dtype, len(self.shape))
        else:
            values = np.stack(parts)
        return Column(values, self.kind, self.names, self.rate)

    def _array(self, row: Any, dtype: np.dtype) -> np.ndarray:
        array = _decoded_image(row) if self.is_16_bit_image else np.asarray(row, dtype)
        shape = tuple(size if size is not None else -1 for size in self.shape)
        if not array.size and array.ndim != len(shape):  # TFDS decodes an empty sequence without its inner axes
            array = array.reshape([max(size, 0) for size in shape])
        if array.ndim != len(shape) or any(size not in (-1, given) for size, given in zip(shape, array.shape)):
            raise ValueError(f"feature {self.name!r}: shape {array.shape} is not the declared shape {self.shape}")
        if array.dtype == bool:
            return array.astype(np.uint8)
        if self.kind != "audio" or array.dtype == np.int16:
            return array
        # Integers of more than 16 bits nearly always hold 16-bit samples.
        return array.astype(np.float32) / np.float32(1 if array.dtype.kind == "f" else INT16_RANGE)


@dataclasses.dataclass(frozen=True)
class TfdsMetadata:
    """Metadata of a data set. `sizes`: examples of each split; `unsupported`: feature name -> reason."""

    full_name: str
    sizes: Mapping[str, int]
    features: tuple[Feature, ...]
    unsupported: Mapping[str, str]
    builder: Any  # of TFDS


def read_metadata(
    name: str, *, version: str = "", data_dir: Path | None = None, download: bool = False
) -> TfdsMetadata:
    """Splits and features of a data set, without reading its examples. Raises UsageError like `read`."""
    return _metadata(find(name, version, data_dir, download))


def read(
    name: str, splits: Mapping[str, str], *, version: str = "", data_dir: Path | None = None, download: bool = False
) -> tuple[str, dict[str, dict[str, Column]]]:
    """Full name with version, and the columns of each requested split.

    splits: name -> TFDS split expression, for example {"train": "train[:80%]", "test": "test+validation"}. Each feature
    is a column; nested features have names such as "objects/label"; several texts in a row are joined by newlines.
    Numbers keep their dtype. Whole splits are memory-mapped and read-only.

    `download`: let TFDS download and prepare an absent data set. Raises UsageError if the data set is absent or
    damaged, for an unknown split or slice, and for formats that only TensorFlow reads.
    """
    prepared = find(name, version, data_dir, download)
    ranges = {split: _ranges(prepared, expression) for split, expression in splits.items()}
    whole = {
        split: _read_split(prepared, split) for split in {split for each in ranges.values() for split, _, _ in each}
    }
    columns: dict[str, Columns] = {}
    for split, pieces in ranges.items():
        parts = [sliced(whole[source], start, stop) for source, start, stop in pieces]
        columns[split] = {column: concatenated([part[column] for part in parts]) for column in parts[0]}
    return prepared.full_name, consistent(columns)


def _ranges(prepared: PreparedDataset, expression: str) -> list[tuple[str, int, int]]:
    """Rows of a split expression: (split, start, stop) for each term."""
    sizes = prepared.sizes
    ranges = [(expression, 0, sizes[expression])] if expression in sizes else _parsed(prepared, expression)
    if not any(start < stop for _, start, stop in ranges):
        raise UsageError(f"{prepared.full_name!r} has no examples in split {expression!r}; available: {sizes}")
    return [each for each in ranges if each[1] < each[2]]


def _parsed(prepared: PreparedDataset, expression: str) -> list[tuple[str, int, int]]:
    tfds = import_optional("tensorflow_datasets", f"split {expression!r}")
    sizes = prepared.sizes
    for term in re.split(r"\s*\+\s*", expression):
        split = term.partition("[")[0]
        if re.fullmatch(r"[\w-]+", split) and split not in {*sizes, "all"}:
            raise UsageError(f"{prepared.full_name!r} has no split {split!r}; available: {sizes}")
    infos = {split: tfds.core.SplitInfo(split, [*shards], 0) for split, shards in prepared.shards.items()}
    try:
        absolute = tfds.core.ReadInstruction.from_spec(expression).to_absolute(infos)
    except (ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[-1]
        raise UsageError(
            f"invalid split {expression!r} of {prepared.full_name!r} ({reason}); available: {sizes}; examples of valid "
            "expressions: 'train', 'train[:80%]', 'train[1000:2000]', 'train+test'"
        ) from None
    ends = [sizes[each.splitname] if each.to is None else each.to for each in absolute]
    return [(each.splitname, each.from_ or 0, end) for each, end in zip(absolute, ends)]


def _read_split(prepared: PreparedDataset, split: str) -> Columns:
    """All columns of a split, from the cache."""
    labels = sorted(prepared.folder.glob("*.labels.txt"))
    try:
        files = (prepared.folder / "features.json", *labels, *prepared.files[split])
        shards = [str(length) for length in prepared.shards[split]]
        key = content_key(files, DECODING_VERSION, prepared.file_format, *(label.name for label in labels), "", *shards)
    except OSError as error:
        raise UsageError(
            f"cannot read {error.filename} of split {split!r} of {prepared.full_name!r} ({error.strerror}); copy it "
            "there and make it readable, or delete its folder and prepare the data set again"
        ) from None
    return cached(key, partial(_column_blocks, prepared, split))


def _column_blocks(prepared: PreparedDataset, split: str) -> Iterator[Columns]:
    """Columns of a split, a block of rows at a time. Raises UsageError for damaged files."""
    metadata, num_read = _metadata(prepared), 0
    if not metadata.features:
        raise UsageError(f"no feature of {prepared.full_name!r} is supported: {metadata.unsupported}")
    try:
        for examples in _example_blocks(metadata, prepared, split):
            yield {each.name: each.column([each.value(row) for row in examples]) for each in metadata.features}
            num_read += len(examples)
    except Exception as error:  # array_record and the feature decoders raise many types
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(
            f"cannot read split {split!r} of {prepared.full_name!r} in {prepared.folder} after {num_read} examples "
            f"({reason}); delete the folder and prepare the data set again"
        ) from None


def _decoded_image(file: bytes) -> np.ndarray:
    """A grey image of 16 bits. uint16 [H, W, 1]."""
    from PIL import Image

    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image).astype(np.uint16)[..., None]


def _example_blocks(metadata: TfdsMetadata, prepared: PreparedDataset, split: str) -> Iterator[list[Any]]:
    """Blocks of decoded examples."""
    import tensorflow_datasets as tfds

    # Without unsupported features; 16-bit images are decoded by `Feature`, since TFDS needs OpenCV for them.
    names = {each.name.split("/")[0] for each in metadata.features}
    decoders = {each.name: tfds.decode.SkipDecoding() for each in metadata.features if each.is_16_bit_image}
    supported = tfds.features.FeaturesDict({name: metadata.builder.info.features[name] for name in sorted(names)})
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    source = metadata.builder.as_data_source(split=split, deserialize_method=raw, file_format=prepared.file_format)
    rows, stored = len(source), sum(file.stat().st_size for file in prepared.files[split])
    step = int(np.clip(BLOCK_BYTES * rows // max(1, stored), 1, BLOCK_EXAMPLES))
    for start in range(0, rows, step):
        records = source.__getitems__(range(start, min(start + step, rows)))
        yield [supported.deserialize_example_np(record, decoders=decoders) for record in records]


def _metadata(prepared: PreparedDataset) -> TfdsMetadata:
    """Metadata by TFDS. Raises UsageError if TFDS fails."""
    tfds = import_optional("tensorflow_datasets", f"TFDS data set {prepared.full_name!r}")
    try:
        content = json.loads((prepared.folder / "features.json").read_text(encoding="utf-8"))
        rates: dict[str, int] = {}
        simplified = _without_tensorflow(content, "", rates)
        same = simplified == content
        builder = tfds.builder_from_directory(prepared.folder) if same else _builder(prepared.folder, simplified)
    except Exception as error:  # depends on the feature
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"TFDS cannot construct the features of {prepared.full_name!r} without TensorFlow ({reason[:300]}); where "
            "it is installed, convert them to Tensor, Text, ClassLabel or Image features, or export them to files"
        ) from None
    features: dict[str, Feature] = {}
    unsupported: dict[str, str] = {}
    for name, feature, info in _leaves("", builder.info.features, builder.info.features.get_tensor_info()):
        try:
            features[name] = _feature(name, feature, info, rates.get(name))
        except _Unsupported as reason:
            unsupported[name] = str(reason)
    ordered = tuple(features[name] for name in sorted(features))
    return TfdsMetadata(prepared.full_name, prepared.sizes, ordered, unsupported, builder)


def _without_tensorflow(feature: dict[str, Any], name: str, rates: dict[str, int]) -> dict[str, Any]:
    """A feature's JSON with Audio and Video replaced: TFDS needs TensorFlow to construct them, though not to read them.

    Audio is stored like a Tensor, Video like a Sequence of Image. Adds the sampling rates of Audio to `rates`.
    """
    core = "tensorflow_datasets.core.features"
    if "featuresDict" in feature:
        items = feature["featuresDict"]["features"].items()
        named = {key: _without_tensorflow(each, f"{name}/{key}" if name else key, rates) for key, each in items}
        return feature | {"featuresDict": {"features": named}}
    if "sequence" in feature:
        inner = _without_tensorflow(feature["sequence"]["feature"], name, rates)
        return feature | {"sequence": feature["sequence"] | {"feature": inner}}
    if "audio" in feature:
        audio = feature["audio"]
        rates[name] = LAZY_AUDIO if audio.get("lazyDecode") else int(audio.get("sampleRate", 0))
        if rates[name] == LAZY_AUDIO:
            return {"pythonClassName": f"{core}.text_feature.Text", "text": {}}
        tensor = {key: audio[key] for key in ("shape", "dtype", "encoding") if key in audio}
        return {"pythonClassName": f"{core}.tensor_feature.Tensor", "tensor": tensor}
    if "video" in feature:
        length, *frame = feature["video"]["shape"]["dimensions"]
        image = {"shape": {"dimensions": frame}, "dtype": feature["video"].get("dtype", "uint8")}
        frames = {"pythonClassName": f"{core}.image_feature.Image", "image": image}
        return {
            "pythonClassName": f"{core}.sequence_feature.Sequence",
            "sequence": {"feature": frames, "length": length},
        }
    return feature


def _builder(folder: Path, features: dict[str, Any]) -> Any:
    """The builder of a folder with other features than its features.json declares."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info, read_only_builder

    info = dataset_info.read_proto_from_builder_dir(folder)
    info.features.CopyFrom(tfds.features.FeatureConnector.from_json(features).to_proto())
    return read_only_builder.builder_from_metadata(folder, info)


def _leaves(name: str, feature: Any, info: Any) -> Iterator[tuple[str, Any, Any]]:
    """Features without inner features: (nested name, feature, tensor info), the info None for nested data sets."""
    import tensorflow_datasets as tfds

    while isinstance(feature, tfds.features.Sequence) and not isinstance(feature, tfds.features.Dataset):
        feature = feature.feature
    if isinstance(feature, tfds.features.Dataset):
        yield name, feature, None
    elif isinstance(feature, tfds.features.FeaturesDict):
        for key, each in feature.items():
            yield from _leaves(f"{name}/{key}" if name else key, each, info[key])
    else:
        yield name, feature, info


class _Unsupported(Exception):
    """Why a feature cannot be a column."""


def _feature(name: str, feature: Any, info: Any, rate: int | None) -> Feature:
    import tensorflow_datasets as tfds

    core = tfds.features
    if info is None:
        raise _Unsupported("a data set within each example")
    if type(feature) not in (
        core.Tensor, core.Scalar, core.Text, core.ClassLabel, core.BBoxFeature, core.Image, core.LabeledImage
    ):  # fmt: skip
        raise _Unsupported(f"custom feature {type(feature).__name__}")
    if rate == LAZY_AUDIO:
        raise _Unsupported("audio stored as files, which TFDS decodes with TensorFlow")
    dtype, shape = np.dtype(info.np_dtype), tuple(info.shape)
    if info.sequence_rank > 1:
        raise _Unsupported("nested sequences")
    if isinstance(feature, core.Image):
        return _image(name, feature, dtype, shape)
    if dtype.kind in "OSU":
        if len(shape) > 1:
            raise _Unsupported("tables of texts")
        return Feature(name, "text", (), dtype)
    if dtype.kind not in "biuf":
        raise _Unsupported(f"numbers of type {dtype}")
    encoding = str(getattr(feature.to_json_content(), "encoding", "") or "none").lower()
    if shape.count(None) > 1 and (info.sequence_rank or encoding == "none"):
        raise _Unsupported("numbers with several varying sizes")
    if isinstance(feature, core.ClassLabel) and feature.num_classes:
        return Feature(name, "number" if shape else "class", shape, np.dtype(np.int32), tuple(feature.names))
    return Feature(name, "number" if rate is None else "audio", shape, dtype, rate=rate or 0)


def _image(name: str, feature: Any, dtype: np.dtype, shape: tuple[int | None, ...]) -> Feature:
    """An image; images of other types than uint8 and the frames of a video are numbers."""
    is_video = len(shape) == 4
    if len(feature.shape) != 3 or feature.shape[2] not in (1, 2, 3, 4):
        raise _Unsupported("files of several images, or an unknown number of channels")
    if is_video and None in shape[1:]:
        raise _Unsupported("sequences of images of varying size")
    if dtype not in (np.uint8, np.uint16, np.float32) or (dtype == np.uint16 and feature.shape[2] != 1):
        raise _Unsupported(f"images of {feature.shape[2]} channels of type {dtype}")
    names = tuple(getattr(feature, "names", None) or ()) if getattr(feature, "num_classes", None) else ()
    if dtype == np.uint16 and (is_video or "/" in name):
        raise _Unsupported("nested images of 16 bits")
    kind: Kind = "image" if dtype == np.uint8 and not is_video else "number"
    return Feature(name, kind, shape, dtype, names, is_image=True)
