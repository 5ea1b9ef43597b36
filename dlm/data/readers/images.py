"""Reads image files, and folders of images with a sub-folder per class, as columns."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from dlm.data.columns import Column, Size
from dlm.data.media import resized
from dlm.data.readers.files import MediaFile, check_broken, check_fits, media_name, opened
from dlm.utils.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")

_GREY = ("1", "L", "LA", "La")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 274  # EXIF tag; 5 to 8 are rotated by 90 degrees
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class _Header(NamedTuple):
    """Metadata of an image; `mode` is Pillow's pixel format."""

    size: tuple[int, int]  # height and width
    mode: str
    is_grey: bool
    is_16_bit: bool
    has_alpha: bool
    is_animated: bool
    is_rotated: bool


def read_images(files: Sequence[MediaFile], size: Size | None = None) -> tuple[Column, np.ndarray, tuple[str, ...]]:
    """Images uint8 [N, H, W, C], C is 1 if all are grey, else 3; which could be read, bool [N]; remarks.

    size: height and width that images are resized to; without it they must have one size. Unreadable images are black.
    Raises UsageError for several sizes, a larger share of unreadable files than MAX_BROKEN_SHARE, floating-point
    pixels, and images that exceed the memory.
    """
    if size and (len(size) != 2 or not all(1 <= side <= 10_000 for side in size)):
        raise UsageError(f"data.size={size} must be height and width in 1 … 10000, for example data.size=(64, 64)")
    headers = [_header(file) for file in files]
    known = [header for header in headers if header]
    check_broken(files, [header is not None for header in headers], "images", "repair or remove them")
    floating = next((file for file, header in zip(files, headers) if header and header.mode == "F"), None)
    if floating is not None:
        raise UsageError(f"{media_name(floating)} has floating-point pixels; save such images as arrays in .npz")
    height, width = size or _common_size(files, headers)
    channels = 1 if all(header.is_grey for header in known) else 3
    check_fits(len(files) * height * width * channels, "set a smaller size, for example data.size=(64, 64)")
    bits = _used_bits([file for file, header in zip(files, headers) if header and header.is_16_bit])
    values = np.zeros((len(files), height, width, channels), np.uint8)
    readable = np.zeros(len(files), bool)
    for row, (file, header) in enumerate(zip(files, headers)):
        pixels = _pixels(file, (height, width), channels, bits) if header else None
        if pixels is not None:
            values[row], readable[row] = pixels, True
    dropped = check_broken(files, readable.tolist(), "images", "repair or remove them")
    return Column(values, "image"), readable, (*dropped, *_remarks(known, channels, bits, (height, width)))


def _header(file: MediaFile) -> _Header | None:
    try:
        with Image.open(opened(file)) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            is_16_bit = image.mode.startswith("I")
            return _Header(
                size=image.size if orientation in (5, 6, 7, 8) else image.size[::-1],
                mode=image.mode,
                is_grey=image.mode in _GREY or is_16_bit,
                is_16_bit=is_16_bit,
                has_alpha=image.mode in _ALPHA or "transparency" in image.info,
                is_animated=getattr(image, "is_animated", False),
                is_rotated=orientation in range(2, 9),
            )
    except PermissionError:
        raise
    except _BROKEN:
        return None


def _pixels(file: MediaFile, size: tuple[int, int], channels: int, bits: int) -> np.ndarray | None:
    """uint8 [H, W, C], or None if the file is broken."""
    height, width = size
    try:
        with Image.open(opened(file)) as image:
            # A much larger JPEG is decoded at a fraction of its size, at least twice the requested one.
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


def _common_size(files: Sequence[MediaFile], headers: Sequence[_Header | None]) -> tuple[int, int]:
    """The size of all images. Raises UsageError with the two most frequent sizes if there are several."""
    examples: dict[tuple[int, int], list[MediaFile]] = {}
    for file, header in zip(files, headers):
        if header:
            examples.setdefault(header.size, []).append(file)
    if len(examples) == 1:
        return next(iter(examples))
    frequent = sorted(examples, key=lambda size: (-len(examples[size]), size))[:2]
    listed = (f"{h}×{w} ({len(examples[h, w]):,}, for example {media_name(examples[h, w][0])})" for h, w in frequent)
    raise UsageError(
        f"the images have {len(examples):,} sizes (height × width), most often {' and '.join(listed)}; set one size, "
        "for example data.size=(64, 64)"
    )


def _used_bits(files: Sequence[MediaFile]) -> int:
    """Bits of the largest pixel of 16-bit images, since 12-bit scans are stored as such too."""
    highest = 255
    for file in files:
        try:
            with Image.open(opened(file)) as image:
                highest = max(highest, int(np.asarray(image).max()))
        except _BROKEN:
            continue
    return highest.bit_length()


def _remarks(headers: Sequence[_Header], channels: int, bits: int, size: tuple[int, int]) -> tuple[str, ...]:
    """Conversions of the images, in sentences."""
    total = f"of {len(headers):,} images"
    conversions = (
        ("are grey and converted to RGB.", sum(header.is_grey and channels == 3 for header in headers)),
        (f"have 16 bits a pixel; the upper 8 of the {bits} used bits are read.", sum(h.is_16_bit for h in headers)),
        ("have an alpha channel, which is dropped.", sum(header.has_alpha for header in headers)),
        ("have several frames; the first is read.", sum(header.is_animated for header in headers)),
        ("are rotated by their EXIF orientation.", sum(header.is_rotated for header in headers)),
        (f"are resized to {size[0]}×{size[1]} (height × width).", sum(header.size != size for header in headers)),
    )
    return tuple(f"{count:,} {total} {conversion}" for conversion, count in conversions if count)
