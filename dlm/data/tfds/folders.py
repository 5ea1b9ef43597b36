"""Where a TFDS data set lies, and what its folder says of itself; an absent one is asked for in words, or downloaded.

Nothing here imports TFDS, except to download.
"""

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

READABLE = ("array_record", "parquet")  # without TensorFlow
_VERSION = r"\d+(\.(\d+|\*)){2}"
_NAME = re.compile(rf"(?P<set>[\w-]+(/(?!{_VERSION}$)[\w.+-]+)?)([:/](?P<version>{_VERSION}))?")
_INFO, _TEMPLATE = "dataset_info.json", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set on disk: its folder, its name with config and version, its format, and its splits.

    `shards`: for each split how many examples each of its files holds. `files`: their paths.
    """

    folder: Path
    full_name: str
    file_format: str
    shards: Mapping[str, tuple[int, ...]]
    files: Mapping[str, tuple[Path, ...]]

    @property
    def sizes(self) -> dict[str, int]:
        """Examples of each split."""
        return {split: sum(lengths) for split, lengths in self.shards.items()}


def folders(data_dir: Path | None) -> list[Path]:
    """Where prepared sets are looked for: the folder given, else $TFDS_DATA_DIR, else TFDS's own default."""
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return [Path(given).expanduser()]


def find(name: str, version: str = "", data_dir: Path | None = None, download: bool = False) -> Prepared:
    """The newest version on disk, or the one named here or in the name, as in `name/config:1.0.0`.

    `download`: where there is none TFDS downloads and prepares it. UsageError if it is absent, cut short, or in a
    format that only TensorFlow reads.
    """
    if not (parts := _NAME.fullmatch(name)):
        raise UsageError(f"{name!r} is no name of a TFDS data set; write it as name, name/config or name/config:1.0.0")
    wanted = _Wanted(parts["set"], version or parts["version"] or "", folders(data_dir))
    folder = wanted.newest()
    if not folder and download:
        folder = _download(wanted)
    if not folder:
        raise UsageError(_absent(wanted))
    return _prepared(folder)


@dataclasses.dataclass(frozen=True)
class _Wanted:
    name: str
    version: str
    where: list[Path]

    def newest(self) -> Path | None:
        # A preparation cut short leaves a folder such as incomplete.X_1.0.0.
        found = [info for folder in self.where for info in (folder / self.name).glob(f"{self.version or '*'}/{_INFO}")]
        versions = [info.parent for info in found if re.fullmatch(r"[\d.]+", info.parent.name)]
        return max(versions, key=lambda folder: [int(part or 0) for part in folder.name.split(".")], default=None)

    def command(self) -> str:
        version = f":{self.version}" if self.version else ""
        return (
            f'python -c "import tensorflow_datasets as tfds; tfds.builder({self.name + version!r}, '
            f"data_dir={str(self.where[0])!r}, file_format='array_record').download_and_prepare()\""
        )


def _prepared(folder: Path) -> Prepared:
    try:
        info = json.loads((folder / _INFO).read_text(encoding="utf-8"))
        shards = {each["name"]: tuple(map(int, each.get("shardLengths", ()))) for each in info.get("splits", ())}
        templates = {each["name"]: each.get("filepathTemplate") or _TEMPLATE for each in info.get("splits", ())}
        full_name = "/".join(part for part in (info["name"], info.get("configName"), info["version"]) if part)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{folder / _INFO} cannot be read ({error}): a preparation was cut short, or the file is damaged; "
            f"delete {folder} and prepare the set again"
        ) from None
    formats = [info.get("fileFormat") or "tfrecord", *info.get("alternativeFileFormats", ())]
    readable = next((each for each in formats if each in READABLE), "")
    if not readable:
        raise UsageError(_unreadable(folder, full_name, formats[0]))
    files = {}
    for split, lengths in shards.items():
        given = {"DATASET": info["name"], "SPLIT": split, "FILEFORMAT": readable, "NUM_SHARDS": f"{len(lengths):05d}"}
        numbers = [f"{number:05d}" for number in range(len(lengths))]
        files[split] = tuple(
            folder / templates[split].format(**given, SHARD_INDEX=each, SHARD_X_OF_Y=f"{each}-of-{given['NUM_SHARDS']}")
            for each in numbers
        )
    return Prepared(folder, full_name, readable, shards, files)


def check_files(prepared: Prepared, split: str) -> None:
    """UsageError if files of a split are missing."""
    if missing := [file.name for file in prepared.files[split] if not file.is_file()]:
        raise UsageError(
            f"split {split!r} of {prepared.full_name!r} lacks {len(missing)} of {len(prepared.files[split])} files in "
            f"{prepared.folder}, such as {missing[0]}; copy them there, or delete the folder and prepare the set again"
        )


def _absent(wanted: _Wanted) -> str:
    where = " or ".join(str(folder / wanted.name) for folder in wanted.where)
    version = f" version {wanted.version}" if wanted.version else ""
    return (
        f"TFDS data set {wanted.name!r}{version} is not in {where}; nothing is downloaded by itself. {_beside(wanted)}"
        f"Name its folder with --data_dir or TFDS_DATA_DIR, let TFDS download and prepare it with --download, or "
        f"prepare it once where TensorFlow is installed: {wanted.command()}"
    )


def _beside(wanted: _Wanted) -> str:
    """What is there instead: other versions, a preparation cut short, configs of the set, sets of a similar name."""
    if other := dataclasses.replace(wanted, version="").newest():
        return f"The newest version there is {other.name}. "
    for folder in wanted.where:
        for left in sorted((folder / wanted.name).glob("incomplete.*")):
            return f"{left} is a preparation that was cut short. "
    patterns = (f"*/*/{_INFO}", f"*/*/*/{_INFO}")
    infos = {info for folder in wanted.where for pattern in patterns for info in folder.glob(pattern)}
    whole = [info.parent.parent for info in infos if re.fullmatch(r"[\d.]+", info.parent.name)]
    known = sorted({str(each.relative_to(f)) for each in whole for f in wanted.where if each.is_relative_to(f)})
    near = [name for name in known if name.startswith(f"{wanted.name}/")] or difflib.get_close_matches(
        wanted.name, known
    )
    return f"Did you mean {' or '.join(map(repr, near[:5]))}, which is there? " if near else ""


def _unreadable(folder: Path, full_name: str, file_format: str) -> str:
    name, _, version = full_name.rpartition("/")
    return (
        f"{full_name!r} is prepared as {file_format}, which only TensorFlow reads. Where TensorFlow is installed, "
        f"convert it: tfds convert_format --dataset_version_dir={folder} --out_file_format=array_record; or delete "
        f"{folder} and prepare it again: {_Wanted(name, version, [_root(folder, full_name)]).command()}"
    )


def _root(folder: Path, full_name: str) -> Path:
    """The folder of all sets that this one is in."""
    return folder.parents[full_name.count("/")]


def _download(wanted: _Wanted) -> Path:
    """Have TFDS download and prepare a set. UsageError with its reason if it cannot."""
    tfds = import_optional("tensorflow_datasets", "--download")

    version = f":{wanted.version}" if wanted.version else ""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it says is no result
            builder = tfds.builder(wanted.name + version, data_dir=wanted.where[0], file_format="array_record")
            builder.download_and_prepare()
        return Path(builder.data_dir)
    except Exception as error:  # whatever a builder raises: no such set, no network, a package that is missing
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"TFDS could not download and prepare {wanted.name + version!r} in {wanted.where[0]} ({reason[:500]}). "
            f"{_beside(wanted)}Check the name and the network; many sets need TensorFlow, or other packages, to be "
            f"prepared: do it once where they are installed, and copy the folder: {wanted.command()}"
        ) from None
