"""Finds prepared TFDS data sets on disk and reads their metadata; imports TFDS only to download."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from dlm.utils.errors import UsageError
from dlm.utils.optional_imports import import_optional

READABLE_FORMATS = ("array_record", "parquet")  # without TensorFlow
_VERSION = r"\d+(\.(\d+|\*)){2}"
_NAME = re.compile(rf"(?P<set>[\w-]+(/(?!{_VERSION}$)[\w.+-]+)?)([:/](?P<version>{_VERSION}))?")
_INFO, _TEMPLATE = "dataset_info.json", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A data set on disk. `full_name`: with config and version; `shards`: examples of each file of a split."""

    folder: Path
    full_name: str
    file_format: str
    shards: Mapping[str, tuple[int, ...]]
    files: Mapping[str, tuple[Path, ...]]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of examples of each split."""
        return {split: sum(lengths) for split, lengths in self.shards.items()}


def data_folder(data_dir: Path | None) -> Path:
    """Folder of prepared data sets: `data_dir`, else $TFDS_DATA_DIR, else TFDS's default."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def find(name: str, version: str = "", data_dir: Path | None = None, download: bool = False) -> PreparedDataset:
    """The newest version on disk, or the one given here or in the name, as in `name/config:1.0.0`.

    `download`: let TFDS download and prepare an absent data set. Raises UsageError if it is absent, incomplete, or
    stored in a format that only TensorFlow reads.
    """
    if not (match := _NAME.fullmatch(name)):
        raise UsageError(f"{name!r} is not a TFDS name; write name, name/config or name/config:1.0.0")
    query = _Query(match["set"], version or match["version"] or "", data_folder(data_dir))
    folder = query.newest()
    if not folder and download:
        folder = _download(query)
    if not folder:
        raise UsageError(_absent(query))
    return _prepared(folder)


@dataclasses.dataclass(frozen=True)
class _Query:
    name: str
    version: str
    root: Path

    @property
    def spec(self) -> str:
        return self.name + (f":{self.version}" if self.version else "")

    def newest(self) -> Path | None:
        # An interrupted preparation leaves a folder such as incomplete.X_1.0.0.
        folders = [info.parent for info in (self.root / self.name).glob(f"{self.version or '*'}/{_INFO}")]
        versions = [folder for folder in folders if re.fullmatch(r"[\d.]+", folder.name)]
        return max(versions, key=lambda folder: [int(part or 0) for part in folder.name.split(".")], default=None)

    def command(self) -> str:
        return (
            f'python -c "import tensorflow_datasets as tfds; tfds.builder({self.spec!r}, '
            f"data_dir={str(self.root)!r}, file_format='array_record').download_and_prepare()\""
        )


def _prepared(folder: Path) -> PreparedDataset:
    try:
        info = json.loads((folder / _INFO).read_text(encoding="utf-8"))
        splits = info.get("splits", ())
        shards = {each["name"]: tuple(map(int, each.get("shardLengths", ()))) for each in splits}
        templates = {each["name"]: each.get("filepathTemplate") or _TEMPLATE for each in splits}
        full_name = "/".join(part for part in (info["name"], info.get("configName"), info["version"]) if part)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"cannot read {folder / _INFO} ({error}): the preparation was interrupted, or the file is damaged; "
            f"delete {folder} and prepare the data set again"
        ) from None
    formats = [info.get("fileFormat") or "tfrecord", *info.get("alternativeFileFormats", ())]
    file_format = next((each for each in formats if each in READABLE_FORMATS), "")
    if not file_format:
        name, _, version = full_name.rpartition("/")
        command = _Query(name, version, folder.parents[full_name.count("/")]).command()
        raise UsageError(
            f"{full_name!r} is stored as {formats[0]}, which only TensorFlow reads. Where TensorFlow is installed, "
            f"convert it: tfds convert_format --dataset_version_dir={folder} --out_file_format=array_record; or delete "
            f"{folder} and prepare it again: {command}"
        )
    files = {}
    for split, lengths in shards.items():
        total = f"{len(lengths):05d}"
        fields = {"DATASET": info["name"], "SPLIT": split, "FILEFORMAT": file_format, "NUM_SHARDS": total}
        files[split] = tuple(
            folder / templates[split].format(**fields, SHARD_INDEX=f"{k:05d}", SHARD_X_OF_Y=f"{k:05d}-of-{total}")
            for k in range(len(lengths))
        )
    return PreparedDataset(folder, full_name, file_format, shards, files)


def _absent(query: _Query) -> str:
    version = f" version {query.version}" if query.version else ""
    return (
        f"TFDS data set {query.name!r}{version} is not in {query.root / query.name}. {_available(query)}"
        "Set --data_dir or TFDS_DATA_DIR to its folder, let TFDS download and prepare it with --download, or prepare "
        f"it where TensorFlow is installed: {query.command()}"
    )


def _available(query: _Query) -> str:
    """Other versions, an interrupted preparation, configs of the data set, or data sets of a similar name."""
    if other := dataclasses.replace(query, version="").newest():
        return f"The newest version there is {other.name}. "
    for incomplete in sorted((query.root / query.name).glob("incomplete.*")):
        return f"{incomplete} is an interrupted preparation. "
    infos = {info for pattern in (f"*/*/{_INFO}", f"*/*/*/{_INFO}") for info in query.root.glob(pattern)}
    complete = [info.parent.parent for info in infos if re.fullmatch(r"[\d.]+", info.parent.name)]
    names = sorted({str(each.relative_to(query.root)) for each in complete})
    configs = [name for name in names if name.startswith(f"{query.name}/")]
    similar = configs or difflib.get_close_matches(query.name, names)
    return f"Did you mean {' or '.join(map(repr, similar[:5]))}? " if similar else ""


def _download(query: _Query) -> Path:
    """Lets TFDS download and prepare a data set. Raises UsageError with its reason if it fails."""
    tfds = import_optional("tensorflow_datasets", "--download")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder = tfds.builder(query.spec, data_dir=query.root, file_format="array_record")
            builder.download_and_prepare()
        return Path(builder.data_dir)
    except Exception as error:  # unknown data set, no network, a missing package, …
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"TFDS could not download and prepare {query.spec!r} in {query.root} ({reason[:500]}). "
            f"{_available(query)}Check the name and the network; preparing many data sets needs TensorFlow or other "
            f"packages: prepare it once where they are installed, and copy the folder: {query.command()}"
        ) from None
