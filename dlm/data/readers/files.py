"""Checks paths, decodes text files, and lists the files of folders with a sub-folder per split and class."""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import difflib
import io
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from dlm.data.columns import SPLITS
from dlm.utils.errors import UsageError

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SYSTEM_NAMES = {  # casefolded
    "__macosx", "@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "system volume information",
    "lost+found", "thumbs.db", "ehthumbs.db", "desktop.ini",
}  # fmt: skip
MediaFile = Path | bytes  # an image or sound, or its content
MAX_BROKEN_SHARE = 0.05  # of media files; with more, reading fails


def checked_path(path: str) -> Path:
    """The path with `~` expanded. Raises UsageError unless it is a non-empty file or folder."""
    if not path.strip():
        raise UsageError("the path is empty; give a file or a folder")
    try:
        result = Path(path).expanduser()
        if result.is_dir():
            if not any(result.iterdir()):
                raise UsageError("the folder is empty; choose one with files")
        elif not result.exists():
            raise UsageError(f"no such file or folder{_similar(result)}; check the path")
        elif not result.is_file():
            raise UsageError("not a regular file; give a file or a folder")
        elif result.stat().st_size == 0:
            raise UsageError("the file is empty; choose one with rows")
    except (RuntimeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"invalid path ({error}); give a file or a folder") from None
    return result


@contextlib.contextmanager
def error_context(path: Path | str) -> Iterator[None]:
    """Prefix UsageErrors with the path, and raise OSErrors as such."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror or error}); make it readable, or choose another"
        ) from None


def check_fits(size: int, remedy: str) -> None:
    """Raises UsageError if `size` bytes exceed the free memory."""
    free = psutil.virtual_memory().available
    if size > free:
        raise UsageError(f"{_formatted_bytes(size)} exceed the {_formatted_bytes(free)} of free memory; {remedy}")


def check_broken(files: Sequence[MediaFile], readable: Sequence[bool], kind: str, remedy: str) -> tuple[str, ...]:
    """A remark on files that are not readable. Raises UsageError for a larger share than MAX_BROKEN_SHARE."""
    broken = [media_name(file) for file, is_readable in zip(files, readable) if not is_readable]
    if len(broken) > MAX_BROKEN_SHARE * len(files):
        raise UsageError(f"{len(broken):,} of {len(files):,} {kind} cannot be read, for example {broken[0]}; {remedy}")
    return (f"Dropped unreadable {kind}: {len(broken):,}, for example {broken[0]}.",) if broken else ()


def media_name(file: MediaFile) -> str:
    """A media file's name for messages."""
    return file.name if isinstance(file, Path) else "one in a table"


def opened(file: MediaFile) -> Path | io.BytesIO:
    """What a decoder reads."""
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _formatted_bytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def read_text(path: Path) -> str:
    """A whole file as text, without a byte order mark. Raises UsageError with the first byte that is not UTF-8."""
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError("the text is UTF-16; save it as UTF-8")
    if 0 in data:
        raise UsageError(f"not a text file: byte {data.index(0):,} is zero; choose a text file, or save it as UTF-8")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        what = f"byte {error.start:,} is 0x{data[error.start]:02x}"
        if error.reason == "unexpected end of data":
            what = f"byte {error.start:,} begins an incomplete character"
        raise UsageError(f"not UTF-8: {what}; save it as UTF-8 text") from None


def _similar(path: Path) -> str:
    """Names in the same folder that are similar to a missing one."""
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    return f" (did you mean {', '.join(close)}?)" if close else ""


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Names as a comma-separated list, cut after `limit`."""
    first = [name[:40] if name.isprintable() else ascii(name)[:40] for name in names[:limit]]
    return ", ".join(first) + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


@dataclasses.dataclass(frozen=True)
class LabelledFile:
    """A file with its split ("all" if there are none) and its class, empty if it is not in a class folder."""

    path: Path
    split: str
    label: str


def class_files(folder: Path, suffixes: Collection[str]) -> tuple[tuple[LabelledFile, ...], tuple[str, ...]]:
    """Files with one of the suffixes, in folder/class/…, folder/split/class/… or folder; remarks on skipped files.

    Sorted by name. A class folder is read recursively.
    """
    root = _unwrapped(folder)
    parts, others = _split_folders(root)
    every = [file for split, part in parts.items() for file in _files(part, split)]
    visible = [file for file in every if not is_hidden_inside(file.path, root)]
    wanted = [file for file in visible if file.path.suffix.casefold() in suffixes]
    labelled = {file.split for file in wanted if file.label}
    # If there are class folders, files beside them have no class.
    used = [file for file in wanted if bool(file.label) == bool(labelled)]
    flat = [part.name for split, part in parts.items() if labelled and split not in labelled]
    used_set = set(used)
    ignored = [str(file.path.relative_to(root)) for file in visible if file not in used_set]
    folders = {class_name(path) for part in parts.values() for path in _folders_in(part)}
    empty = folders - {file.label for file in wanted}
    num_hidden = len(every) - len(visible)
    remarks = {
        f"Read from {root.relative_to(folder)}, the only folder inside.": root != folder,
        f"Skipped folders beside the splits: {listed(others)}.": others,
        f"Skipped splits without class folders: {listed(flat)}.": flat,
        f"Skipped folders without suitable files: {listed(sorted(empty))}.": empty,
        f"Skipped hidden files: {num_hidden:,}.": num_hidden,
        f"Skipped other files: {len(ignored):,}, for example {next(iter(ignored), '')}.": ignored,
    }
    for file in used:
        if any("\udc80" <= letter <= "\udcff" for letter in str(file.path)):
            raise UsageError(f"the file name {file.path.name!a} is not UTF-8; rename it")
    return tuple(used), tuple(remark for remark, applies in remarks.items() if applies)


def split_names(names: Iterable[str]) -> dict[str, str]:
    """Split -> the given name for it, in the order train, validation, test; empty unless train and another exist.

    Without a test split, the validation split is used as the test split.
    """
    known = {SPLIT_NAMES[name.casefold()]: name for name in sorted(names) if name.casefold() in SPLIT_NAMES}
    if "train" not in known or len(known) < 2:
        return {}
    if "test" not in known:
        known["test"] = known.pop("validation")
    return {split: known[split] for split in SPLITS if split in known}


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to the operating system, a file server, or an archive program."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def is_hidden_inside(path: Path, folder: Path) -> bool:
    """Whether a path below a folder, or a folder on the way to it, belongs to the system."""
    return any(map(is_hidden, path.relative_to(folder).parts))


def walk(folder: Path) -> Iterable[Path]:
    """All files below a folder, hidden ones too, sorted by name. Links are followed, except to a folder above them."""
    paths = sorted(folder.iterdir())
    yield from (path for path in paths if not path.is_dir())
    for path in paths:
        if path.is_dir() and not _is_loop(path):
            yield from walk(path)


def _is_loop(path: Path) -> bool:
    """Whether a path is a link to a folder on the way to it."""
    return path.is_symlink() and any(path.samefile(parent) for parent in path.absolute().parents)


def class_name(folder: Path) -> str:
    """The name of a class; macOS stores accents as separate characters, which other systems do not."""
    return unicodedata.normalize("NFC", folder.name)


def _files(folder: Path, split: str) -> Iterable[LabelledFile]:
    """All files of a split. A class folder may be a link."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not _is_loop(path):
            yield from (LabelledFile(inside, split, class_name(path)) for inside in walk(path))
        elif path.is_file():
            yield LabelledFile(path, split, "")


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def _split_folders(folder: Path) -> tuple[Mapping[str, Path], list[str]]:
    """Folders of the splits, and names of other folders beside them."""
    inside = {path.name: path for path in _folders_in(folder)}
    splits = split_names(inside)
    if not splits:
        return {"all": folder}, []
    return {split: inside[name] for split, name in splits.items()}, sorted(set(inside) - set(splits.values()))


def _unwrapped(folder: Path) -> Path:
    """The innermost folder, if an archive was unpacked into a folder with a single folder inside."""
    while True:
        paths = [path for path in sorted(folder.iterdir()) if not is_hidden(path.name)]
        if len(paths) != 1 or not paths[0].is_dir() or _is_loop(paths[0]) or not _folders_in(paths[0]):
            return folder
        folder = paths[0]
