"""Folders of pictures, one sub-folder a class, as columns."""

from __future__ import annotations

import dataclasses
import io
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from dlm.data.columns import Column
from dlm.data.media import resized
from dlm.data.readers.folders import classes, counts, tree
from dlm.data.readers.paths import check_fits
from dlm.data.readers.user_dataset import Found, keep
from dlm.utils.errors import UsageError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MOST_BROKEN = 0.05  # a share of files; above it something else is wrong

_GREY = ("1", "L", "LA", "La")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 274  # the EXIF tag; 5 to 8 lie on their side
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

Source = Path | bytes


@dataclasses.dataclass(frozen=True)
class _Header:
    """What is known of a picture before its pixels are read; `mode` is Pillow's name of what a pixel is."""

    height: int
    width: int
    mode: str
    alpha: bool
    moving: bool
    turned: bool

    @property
    def deep(self) -> bool:
        return self.mode.startswith("I")

    @property
    def grey(self) -> bool:
        return self.mode in _GREY or self.deep


def read_images(folder: Path, size: tuple[int, int] | None = None) -> Found:
    """A folder with a sub-folder a class, or with splits of such: columns image and label.

    `size`: height and width that all pictures are resized to; without it they must have one size. UsageError for
    folders without classes, and as of `pictures`.
    """
    found = tree(folder, ENDINGS)
    if not found.files:
        raise UsageError(f"holds no pictures; the formats read are {', '.join(ENDINGS)}")
    if not found.files[0].label:
        raise UsageError(
            "the pictures stand in no folders of classes; put those of each class into a folder of its name, or name a "
            "table with a column of file names and one of targets"
        )
    image, kept, told = pictures([file.path for file in found.files], size)
    columns = {"image": image, "label": classes([file.label for file in found.files])}
    rows = Found(columns, counts(file.split for file in found.files), "label", (*found.remarks, *told))
    return keep(rows, kept)


def pictures(
    files: Sequence[Source], size: tuple[int, int] | None = None
) -> tuple[Column, np.ndarray, tuple[str, ...]]:
    """Picture files as uint8 [N, H, W, C], C 1 if all are grey, else 3; which could be read, bool [N]; remarks.

    A picture that cannot be read is black. UsageError for several sizes where none is given, for more broken files
    than MOST_BROKEN, for pictures of floating-point numbers, and for more pixels than memory.
    """
    if size and (len(size) != 2 or not all(1 <= side <= 10_000 for side in size)):
        raise UsageError(
            f"data.size={size} must be height and width, from 1 to 10000; choose such as data.size=(64, 64)"
        )
    headers = [_header(file) for file in files]
    known = [header for header in headers if header]
    _check_broken([file for file, header in zip(files, headers) if not header], len(files))
    floating = next((file for file, header in zip(files, headers) if header and header.mode == "F"), None)
    if floating is not None:
        raise UsageError(f"{_name(floating)} holds floating-point numbers; save such pictures as arrays, in .npz")
    height, width = size or _only_size(files, headers)
    channels = 1 if all(header.grey for header in known) else 3
    check_fits(len(files) * height * width * channels, "choose a smaller size, such as data.size=(64, 64)")
    bits = _bits([file for file, header in zip(files, headers) if header and header.deep])
    values = np.zeros((len(files), height, width, channels), np.uint8)
    kept = np.zeros(len(files), bool)
    for row, (file, header) in enumerate(zip(files, headers)):
        pixels = _pixels(file, (height, width), channels, bits) if header else None
        if pixels is not None:
            values[row], kept[row] = pixels, True
    broken = [file for file, good in zip(files, kept) if not good]
    _check_broken(broken, len(files))
    told = (*_broken_told(broken), *_told(known, channels, bits, (height, width)))
    return Column(values, "image"), kept, told


def _header(file: Source) -> _Header | None:
    try:
        with Image.open(_opened(file)) as image:
            turned = image.getexif().get(_ORIENTATION, 1)
            width, height = image.size[::-1] if turned in (5, 6, 7, 8) else image.size
            alpha = image.mode in _ALPHA or "transparency" in image.info
            moving = getattr(image, "is_animated", False)
            return _Header(height, width, image.mode, alpha, moving, turned in range(2, 9))
    except PermissionError:
        raise
    except _BROKEN:
        return None


def _pixels(file: Source, size: tuple[int, int], channels: int, bits: int) -> np.ndarray | None:
    """uint8 [H, W, C], or None where the file is broken further on."""
    height, width = size
    try:
        with Image.open(_opened(file)) as image:
            # A JPEG that is much larger is read at a fraction of its size, still twice of what is asked for.
            image.draft(None, (2 * max(size), 2 * max(size)))
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                upright = Image.fromarray((np.asarray(upright).astype(np.uint32) >> (bits - 8)).astype(np.uint8))
            plain = upright.convert("L" if channels == 1 else "RGB")
            if plain.size != (width, height):
                plain = resized(plain, size)
            return np.asarray(plain).reshape(height, width, channels)
    except _BROKEN:
        return None


def _only_size(files: Sequence[Source], headers: Sequence[_Header | None]) -> tuple[int, int]:
    """The size of all pictures. UsageError names the two that most have."""
    sizes = Counter((header.height, header.width) for header in headers if header)
    if len(sizes) == 1:
        return next(iter(sizes))
    named = []
    for (height, width), count in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:2]:
        pairs = zip(files, headers)
        one = next(file for file, header in pairs if header and (header.height, header.width) == (height, width))
        named.append(f"{height}×{width} ({count:,}, such as {_name(one)})")
    raise UsageError(
        f"the pictures have {len(sizes):,} sizes, most often {' and '.join(named)}, height × width; choose one size, "
        "such as data.size=(64, 64)"
    )


def _bits(files: Sequence[Source]) -> int:
    """Bits of the highest number in pictures of 16 bits: 12-bit scans are stored as such too."""
    highest = 255
    for file in files:
        try:
            with Image.open(_opened(file)) as image:
                highest = max(highest, int(np.asarray(image).max()))
        except _BROKEN:
            continue
    return highest.bit_length()


def _told(headers: Sequence[_Header], channels: int, bits: int, size: tuple[int, int]) -> tuple[str, ...]:
    """In sentences, what was done to the pictures."""
    grey, deep, alpha, moving, turned, resized = (
        sum(map(of, headers))
        for of in (
            lambda header: header.grey and channels == 3,
            lambda header: header.deep,
            lambda header: header.alpha,
            lambda header: header.moving,
            lambda header: header.turned,
            lambda header: (header.height, header.width) != size,
        )
    )
    total = f"of {len(headers):,} pictures"
    told = {
        f"{grey:,} {total} are grey and made RGB, as the others are.": grey,
        f"{deep:,} {total} have 16 bits a pixel; the upper 8 of the {bits} that are used are kept.": deep,
        f"{alpha:,} {total} have transparent pixels; that is dropped.": alpha,
        f"{moving:,} {total} have several frames; the first is taken.": moving,
        f"{turned:,} {total} are turned upright, as their cameras say.": turned,
        f"{resized:,} {total} are resized to {size[0]}×{size[1]}, height × width, whatever their shape.": resized,
    }
    return tuple(sentence for sentence, count in told.items() if count)


def _check_broken(broken: Sequence[Source], total: int) -> None:
    if len(broken) > MOST_BROKEN * total:
        raise UsageError(
            f"{len(broken):,} of {total:,} pictures cannot be read, such as {_name(broken[0])}; mend them, or leave "
            "them out"
        )


def _broken_told(broken: Sequence[Source]) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"Pictures that cannot be read are left out: {len(broken):,}, such as {_name(broken[0])}.",)


def _name(file: Source) -> str:
    return file.name if isinstance(file, Path) else "one in a table"


def _opened(file: Source) -> Path | io.BytesIO:
    return io.BytesIO(file) if isinstance(file, bytes) else file
