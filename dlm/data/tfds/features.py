"""The features that a TFDS data set declares, as fields of its records, found without TensorFlow."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlm.data import media
from dlm.data.columns import Column, Kind, Ragged
from dlm.data.tfds.folders import Prepared
from dlm.utils.errors import UsageError
from dlm.utils.optional_imports import import_optional

Records = Sequence[Mapping[str, Any]]  # of each example, feature name -> tf.train.Feature
INT16_RANGE = 32_768


@dataclasses.dataclass(frozen=True)
class Field:
    """One feature: the kind of column it becomes, the shape of a row (None for a size that differs) and its type.

    `stored`: as int64_list, float_list, texts, bytes or zlib (tensors), or images.
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    dtype: np.dtype
    stored: str
    names: tuple[str, ...] = ()
    rate: int = 0
    optional: bool = False

    def column(self, records: Records) -> Column:
        """The rows of some records. ValueError if they do not fit."""
        values = _READERS.get(self.stored, _numbers)(self, records)
        return Column(values, self.kind, self.names, self.rate)


def _numbers(field: Field, records: Records) -> np.ndarray | Ragged:
    lists = [getattr(record[field.name], field.stored).value for record in records]
    sizes = np.fromiter(map(len, lists), np.int64, len(lists))
    stored_as = np.int64 if field.stored == "int64_list" else np.float32
    flat = np.fromiter(itertools.chain.from_iterable(lists), stored_as, int(sizes.sum()))
    return _shaped(field, flat.astype(field.dtype, copy=False), sizes)


def _texts(field: Field, records: Records) -> Ragged:
    """The texts of a sequence are joined by line ends."""
    rows = [b"\n".join(record[field.name].bytes_list.value) for record in records]
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    return Ragged(np.frombuffer(b"".join(rows), np.uint8), starts, np.diff(starts).astype(np.int32)[:, None])


def _tensors(field: Field, records: Records) -> np.ndarray | Ragged:
    """Tensors stored as their bytes; with several sizes unknown, the shape of each is stored beside it."""
    unknown = field.shape.count(None) > 1
    name = f"{field.name}/value" if unknown else field.name
    unpack = zlib.decompress if field.stored == "zlib" else bytes
    try:
        rows = [b"".join(map(unpack, record[name].bytes_list.value)) for record in records]
    except zlib.error as error:
        raise ValueError(str(error)) from None
    flat = np.frombuffer(b"".join(rows), field.dtype.newbyteorder("<"))
    sizes = np.array([len(row) for row in rows]) // field.dtype.itemsize
    shapes = [tuple(record[f"{field.name}/shape"].int64_list.value) for record in records] if unknown else None
    return _shaped(field, flat, sizes, shapes)


def _images(field: Field, records: Records) -> np.ndarray | Ragged:
    lists = [record[field.name].bytes_list.value for record in records]
    files = list(itertools.chain.from_iterable(lists))
    if len(field.shape) == 3 and len(files) != len(lists):
        raise ValueError("there is not one image in each example")
    height, width, channels = field.shape[-3:]
    assert channels is not None
    if not files:
        return _shaped(field, np.zeros(0, field.dtype), np.zeros(len(lists), np.int64))
    if field.dtype == np.uint16:
        values = media.decode_deep(files)
    elif field.dtype == np.float32:
        values = _as_float(media.decode(files, 4))
    else:
        values = media.decode(files, channels)
    found = values.shapes if isinstance(values, Ragged) else np.array([values.shape[1:]])
    if any(size is not None and np.any(found[:, axis] != size) for axis, size in enumerate((height, width, channels))):
        raise ValueError(f"images of other sizes are among those of {field.shape[-3:]}")
    if len(field.shape) == 3:
        return values
    assert isinstance(values, np.ndarray)
    sizes = np.array([len(files) for files in lists]) * int(np.prod(values.shape[1:]))
    return _shaped(field, values.reshape(-1), sizes)


_READERS = {"texts": _texts, "images": _images, "bytes": _tensors, "zlib": _tensors}


def _as_float(values: np.ndarray | Ragged) -> np.ndarray | Ragged:
    """Numbers that were stored as the four bytes of a pixel."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values).view("<f4")
    shapes = values.shapes.copy()
    shapes[:, 2] = 1
    return Ragged(values.values.view("<f4"), values.starts // 4, shapes)


def _shaped(
    field: Field, flat: np.ndarray, sizes: np.ndarray, shapes: list[tuple[int, ...]] | None = None
) -> np.ndarray | Ragged:
    """Numbers one after another, `sizes` of them in each row, in the field's shape, and as the kind of column asks."""
    flat = _as_kind(field.kind, flat)
    known = math.prod(size for size in field.shape if size is not None)
    if field.optional and None not in field.shape:
        flat, sizes = _with_missing(flat, sizes, known)
    if None not in field.shape:
        if np.any(sizes != known):
            raise ValueError(f"rows of {sorted({*map(int, sizes)})[:5]} numbers are no rows of shape {field.shape}")
        return flat.reshape(len(sizes), *field.shape)
    if shapes is None:
        if not known or np.any(sizes % known):
            raise ValueError(f"rows of {sorted({*map(int, sizes)})[:5]} numbers are no rows of shape {field.shape}")
        shapes = [tuple(size // known if each is None else each for each in field.shape) for size in sizes]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Ragged(flat, starts, np.array(shapes, np.int32).reshape(len(sizes), len(field.shape)))


def _with_missing(flat: np.ndarray, sizes: np.ndarray, known: int) -> tuple[np.ndarray, np.ndarray]:
    """NaN where a row is missing, so that integers become float64."""
    there = sizes > 0
    rows = np.full((len(sizes), known), np.nan, np.result_type(flat.dtype, np.float16))
    rows[there] = flat.reshape(-1, known)
    return rows.reshape(-1), np.full(len(sizes), known)


def _as_kind(kind: Kind, flat: np.ndarray) -> np.ndarray:
    if flat.dtype == bool:
        return flat.astype(np.uint8)
    if kind != "audio" or flat.dtype == np.int16:
        return flat
    # Integers of more bits hold samples of 16 bits nearly always; as floats they are found if they are not.
    return flat.astype(np.float32) / np.float32(1 if flat.dtype.kind == "f" else INT16_RANGE)


LAZY = -1  # in the place of a sample rate: the audio is stored as the file it came from


def opened(prepared: Prepared) -> tuple[Any, tuple[Field, ...], dict[str, str]]:
    """TFDS's builder of a data set, its fields, and what cannot be a column: name -> why. UsageError if TFDS fails."""
    tfds = import_optional("tensorflow_datasets", f"TFDS data set {prepared.full_name!r}")
    try:
        content = json.loads((prepared.folder / "features.json").read_text(encoding="utf-8"))
        audio: dict[str, int] = {}
        plain = _plain(content, "", audio)
        builder = _builder(prepared.folder, plain) if plain != content else tfds.builder_from_directory(prepared.folder)
    except Exception as error:  # what TFDS raises depends on the feature
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"TFDS cannot make the features of {prepared.full_name!r} without TensorFlow ({reason[:300]}); where it is "
            f"installed, store them as Tensor, Text, ClassLabel or Image, or export them to files, and read those"
        ) from None
    fields, left_out = _fields(builder.info.features, audio)
    return builder, fields, left_out


def _plain(feature: dict[str, Any], name: str, audio: dict[str, int]) -> dict[str, Any]:
    """A feature's description without the classes that need TensorFlow to be constructed, though not to be read.

    Audio is stored like a Tensor, a Video like a Sequence of Image. The sample rates of Audio go to `audio`.
    """
    core = "tensorflow_datasets.core.features"
    if "featuresDict" in feature:
        inner = feature["featuresDict"]["features"].items()
        named = {key: _plain(each, f"{name}/{key}" if name else key, audio) for key, each in inner}
        return feature | {"featuresDict": {"features": named}}
    if "sequence" in feature:
        return feature | {
            "sequence": feature["sequence"] | {"feature": _plain(feature["sequence"]["feature"], name, audio)}
        }
    if "audio" in feature:
        given = feature["audio"]
        audio[name] = LAZY if given.get("lazyDecode") else int(given.get("sampleRate", 0))
        if audio[name] == LAZY:
            return {"pythonClassName": f"{core}.text_feature.Text", "text": {}}
        tensor = {key: given[key] for key in ("shape", "dtype", "encoding") if key in given}
        return {"pythonClassName": f"{core}.tensor_feature.Tensor", "tensor": tensor}
    if "video" in feature:
        given = feature["video"]
        length, *frame = given["shape"]["dimensions"]
        image = {"shape": {"dimensions": frame}, "dtype": given.get("dtype", "uint8")}
        frames = {"pythonClassName": f"{core}.image_feature.Image", "image": image}
        sequence = {"feature": frames, "length": length}
        return {"pythonClassName": f"{core}.sequence_feature.Sequence", "sequence": sequence}
    return feature


def _builder(folder: Path, features: dict[str, Any]) -> Any:
    """The builder of a folder whose features are described otherwise than its features.json does."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info, read_only_builder

    info = dataset_info.read_proto_from_builder_dir(folder)
    info.features.CopyFrom(tfds.features.FeatureConnector.from_json(features).to_proto())
    return read_only_builder.builder_from_metadata(folder, info)


def _fields(features: Any, audio: Mapping[str, int]) -> tuple[tuple[Field, ...], dict[str, str]]:
    fields, left_out = [], {}
    for name, feature, info in _leaves("", features, features.get_tensor_info()):
        try:
            fields.append(_field(name, feature, info, audio.get(name)))
        except _NoColumn as reason:
            left_out[name] = str(reason)
    return tuple(sorted(fields, key=lambda field: field.name)), left_out  # a protobuf map has no order


def _leaves(name: str, feature: Any, info: Any) -> Iterator[tuple[str, Any, Any]]:
    """Features that hold no others, by nested name, with the type and the shape they have seen from the top."""
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


class _NoColumn(Exception):
    """Why a feature is left out."""


def _field(name: str, feature: Any, info: Any, rate: int | None) -> Field:
    import tensorflow_datasets as tfds

    core = tfds.features
    if info is None:
        raise _NoColumn("a data set within each example")
    if type(feature) not in (
        core.Tensor, core.Scalar, core.Text, core.ClassLabel, core.BBoxFeature, core.Image, core.LabeledImage
    ):  # fmt: skip
        raise _NoColumn(f"a feature of its own kind, {type(feature).__name__}")
    if rate == LAZY:
        raise _NoColumn("audio stored as files, which TFDS decodes with TensorFlow")
    dtype, shape = np.dtype(info.np_dtype), tuple(info.shape)
    if info.sequence_rank > 1:
        raise _NoColumn("sequences in sequences")
    if isinstance(feature, core.Image):
        return _image(name, feature, dtype, shape)
    if dtype.kind in "OSU":
        if len(shape) > 1:
            raise _NoColumn("tables of texts")
        return Field(name, "text", (), dtype, "texts")
    if dtype.kind not in "biuf":
        raise _NoColumn(f"numbers of type {dtype}")
    encoding = str(getattr(feature.to_json_content(), "encoding", "") or "none").lower()
    if shape.count(None) > 1 and (info.sequence_rank or encoding == "none"):
        raise _NoColumn("numbers of several unknown sizes")
    stored = encoding if encoding != "none" else "float_list" if dtype.kind == "f" else "int64_list"
    if isinstance(feature, core.ClassLabel) and feature.num_classes:
        kind, names = ("number" if shape else "class"), tuple(feature.names)
        return Field(name, kind, shape, np.dtype(np.int32), stored, names)  # type: ignore[arg-type]
    kind = "number" if rate is None else "audio"
    return Field(name, kind, shape, dtype, stored, rate=rate or 0, optional=info.optional)  # type: ignore[arg-type]


def _image(name: str, feature: Any, dtype: np.dtype, shape: tuple[int | None, ...]) -> Field:
    """An image; what is not uint8, and the frames of a video, are numbers."""
    frames = len(shape) == 4
    if len(feature.shape) != 3 or feature.shape[2] not in (1, 2, 3, 4):
        raise _NoColumn("images of several frames in one file, or of an unknown number of channels")
    if frames and None in shape[1:]:
        raise _NoColumn("images of unknown sizes in sequences")
    if dtype not in (np.uint8, np.uint16, np.float32) or (dtype == np.uint16 and feature.shape[2] != 1):
        raise _NoColumn(f"images of {feature.shape[2]} channels of type {dtype}")
    names = tuple(getattr(feature, "names", None) or ()) if getattr(feature, "num_classes", None) else ()
    return Field(name, "image" if dtype == np.uint8 and not frames else "number", shape, dtype, "images", names)
