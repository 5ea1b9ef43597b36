"""Reads image files, and folders of images with a sub-folder per class, as columns."""

from __future__ import annotations

import dataclasses
import struct
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from dlm.data.columns import Column
from dlm.data.media import resized
from dlm.data.readers.files import MediaFile, check_broken, check_fits, media_name, opened
from dlm.utils.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")

_GREY = ("1", "L", "LA", "La")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_ORIENTATION = 274  # EXIF tag; 5 to 8 are rotated by 90 degrees
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


@dataclasses.dataclass(frozen=True)
class _Header:
    """Metadata of an image; `mode` is Pillow's pixel format."""

    height: int
    width: int
    mode: str
    has_alpha: bool
    is_animated: bool
    is_rotated: bool

    @property
    def is_16_bit(self) -> bool:
        return self.mode.startswith("I")

    @property
    def is_grey(self) -> bool:
        return self.mode in _GREY or self.is_16_bit


def read_images(
    files: Sequence[MediaFile], size: tuple[int, int] | None = None
) -> tuple[Column, np.ndarray, tuple[str, ...]]:
    """Images uint8 [N, H, W, C], C is 1 if all are grey, else 3; which could be read, bool [N]; remarks.

    size: height and width that images are resized to; without it they must have one size. Unreadable images are black.
    Raises UsageError for several sizes, a larger share of unreadable files than MAX_BROKEN_SHARE, floating-point
    pixels, and images that exceed the memory.
    """
    if size and (len(size) != 2 or not all(1 <= side <= 10_000 for side in size)):
        raise UsageError(f"data.size={size} must be height and width in 1 … 10000, for example data.size=(64, 64)")
    headers = [_header(file) for file in files]
    known = [header for header in headers if header]
    remedy = "repair or remove them"
    check_broken([file for file, header in zip(files, headers) if not header], len(files), "images", remedy)
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
    broken = [file for file, is_readable in zip(files, readable) if not is_readable]
    check_broken(broken, len(files), "images", remedy)
    dropped = f"Dropped unreadable images: {len(broken):,}, for example {media_name(broken[0])}." if broken else ""
    remarks = (*([dropped] if broken else []), *_remarks(known, channels, bits, (height, width)))
    return Column(values, "image"), readable, remarks


def _header(file: MediaFile) -> _Header | None:
    try:
        with Image.open(opened(file)) as image:
            orientation = image.getexif().get(_ORIENTATION, 1)
            width, height = image.size[::-1] if orientation in (5, 6, 7, 8) else image.size
            has_alpha = image.mode in _ALPHA or "transparency" in image.info
            is_animated = getattr(image, "is_animated", False)
            return _Header(height, width, image.mode, has_alpha, is_animated, orientation in range(2, 9))
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
    sizes = Counter((header.height, header.width) for header in headers if header)
    if len(sizes) == 1:
        return next(iter(sizes))
    frequent = []
    for (height, width), count in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:2]:
        pairs = zip(files, headers)
        file = next(file for file, header in pairs if header and (header.height, header.width) == (height, width))
        frequent.append(f"{height}×{width} ({count:,}, for example {media_name(file)})")
    raise UsageError(
        f"the images have {len(sizes):,} sizes (height × width), most often {' and '.join(frequent)}; set one size, "
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
        (f"are resized to {size[0]}×{size[1]} (height × width).", sum((h.height, h.width) != size for h in headers)),
    )
    return tuple(f"{count:,} {total} {conversion}" for conversion, count in conversions if count)
