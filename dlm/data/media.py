"""Encoded images, such as PNG and JPEG files, as arrays: many at a time."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from dlm.data.columns import Ragged, ragged

WINDOW, HOP, NUM_MELS = 0.025, 0.010, 40  # seconds, seconds, bands: the habits of speech recognition
FLOOR = 1e-6  # of a band's energy, where the loudest of its sound is 1
AT_ONCE = 256  # sounds


def log_mel(samples: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel spectrograms of sounds [N, T] with samples from −1 to 1, `rate` a second. float32 [N, frames, NUM_MELS].

    Hann windows of 25 ms every 10 ms, triangular bands even on the mel scale (Davis & Mermelstein 1980); each sound is
    brought to mean 0 and standard deviation 1, so that its loudness does not tell and no other sound is looked at.
    """
    width, hop = max(2, round(WINDOW * rate)), max(1, round(HOP * rate))
    padded = np.pad(samples, ((0, 0), (0, max(0, width - samples.shape[1]))))
    bands = mel_bands(rate, width)
    parts = [_log_mel(padded[start : start + AT_ONCE], width, hop, bands) for start in range(0, len(padded), AT_ONCE)]
    return np.concatenate(parts)


def _log_mel(samples: np.ndarray, width: int, hop: int, bands: np.ndarray) -> np.ndarray:
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(samples, width, axis=1)[:, ::hop]
    spectrum = np.abs(scipy.fft.rfft(frames * np.hanning(width).astype(np.float32), axis=2)) ** 2 / width
    energy = spectrum @ bands
    loudest = np.maximum(energy.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    energy = np.log(np.maximum(energy / loudest, FLOOR))
    mean, spread = (of(energy, axis=(1, 2), keepdims=True) for of in (np.mean, np.std))
    return ((energy - mean) / np.maximum(spread, 1e-3)).astype(np.float32)


def mel_bands(rate: int, width: int) -> np.ndarray:
    """Weights of a window's frequencies in each mel band. float32 [width // 2 + 1, NUM_MELS]."""
    edges = _frequency(np.linspace(_mel(0.0), _mel(rate / 2), NUM_MELS + 2))
    # A band narrower than the spacing of frequencies would hold none of them.
    spacing = rate / width
    frequencies = np.arange(width // 2 + 1)[:, None] * spacing
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise = (frequencies - low) / np.maximum(centre - low, spacing)
    fall = (high - frequencies) / np.maximum(high - centre, spacing)
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


def _mel(frequency: float) -> float:
    return 2595.0 * np.log10(1.0 + frequency / 700.0)


def _frequency(mel: np.ndarray) -> np.ndarray:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_PNG, _HEADER = b"\x89PNG\r\n\x1a\n", 33  # bytes of the signature and the first chunk, which holds the size
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
SMALL = 1 << 12  # pixels; opening a smaller PNG file takes longer than decoding it
IN_THREADS = 1 << 11  # bytes; a smaller file is decoded faster than handed to a thread


def decode(files: Sequence[bytes], channels: int) -> np.ndarray | Ragged:
    """Images of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels: uint8 [N, H, W, C], Ragged if sizes differ.

    What is stored with other channels, or 16 bits, is converted, as TensorFlow's decoders do; but of a palette as one
    channel the places in it are taken. ValueError for what Pillow cannot decode.
    """
    blocks: list[np.ndarray | list[np.ndarray]] = []
    for header, group in _groups(files, channels):
        blocks.append(_pile(group, channels) if header else _each(group, channels))
    if len(blocks) == 1 and isinstance(blocks[0], np.ndarray):
        return blocks[0]
    return _as_one([image for block in blocks for image in block])


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture in another height and width, by Lanczos's filter, which averages where it shrinks."""
    return image.resize(size[::-1], Image.Resampling.LANCZOS)


def decode_deep(files: Sequence[bytes]) -> np.ndarray | Ragged:
    """Grey images of 16 bits: uint16 [N, H, W, 1], Ragged if sizes differ. ValueError for what Pillow cannot decode."""
    return _as_one([_pixels(file, None).astype(np.uint16)[..., None] for file in files])


def _as_one(images: list[np.ndarray]) -> np.ndarray | Ragged:
    return np.stack(images) if len({image.shape for image in images}) == 1 else ragged(images, images[0].dtype, 3)


def _groups(files: Sequence[bytes], channels: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Neighbours that can be decoded as one pile, by the header they have in common; others with an empty one."""
    start = 0
    while start < len(files):
        header = _small_png(files[start], channels)
        rest = itertools.islice(files, start, None)
        if header:
            group = list(itertools.takewhile(lambda file, header=header: file.startswith(header), rest))  # type: ignore[misc]
        else:
            group = list(itertools.takewhile(lambda file: not _small_png(file, channels), rest))
        yield header, group
        start += len(group)


def _small_png(file: bytes, channels: int) -> bytes:
    """The header that files need to have in common to be decoded as a pile, empty for a file that is decoded alone."""
    width, height = int.from_bytes(file[16:20]), int.from_bytes(file[20:24])
    stored_as = bytes((8, _PNG_COLOURS[channels], 0, 0, 0))  # bits, colours, compression, filter, not interlaced
    fits = file.startswith(_PNG) and file[24:29] == stored_as and 0 < width * height <= SMALL
    return file[:_HEADER] if fits else b""


def _pile(files: list[bytes], channels: int) -> np.ndarray:
    """Small PNG files of one size as a single tall image: uint8 [N, H, W, C].

    A line of a PNG file is a byte that names a filter, and what the filter leaves of the pixels, given those to the
    left and above. Out of their zlib stream lines can be put one under another, with an empty one between images, as
    outside of an image all counts as zero.
    """
    width, height = int.from_bytes(files[0][16:20]), int.from_bytes(files[0][20:24])
    line = 1 + width * channels
    images = [_lines(file) for file in files]
    if any(len(image) != height * line for image in images):
        raise ValueError("a PNG file is cut short")
    empty = bytes(line)
    tall = (width, len(files) * (height + 1))
    mode = MODES[channels]
    lines = zlib.compress(empty.join(images) + empty, 0)
    pixels = Image.frombytes(mode, tall, lines, "zip", mode, 0).tobytes()
    return np.frombuffer(pixels, np.uint8).reshape(len(files), height + 1, width, channels)[:, :height]


def _lines(file: bytes) -> bytes:
    """What a PNG file's data chunks hold, decompressed."""
    parts, start = [], _HEADER
    while (name := file[start + 4 : start + 8]) != b"IEND":
        if not name:
            raise ValueError("a PNG file is cut short")
        size = int.from_bytes(file[start : start + 4])
        if name == b"IDAT":
            parts.append(file[start + 8 : start + 8 + size])
        start += 12 + size
    try:
        return zlib.decompress(parts[0] if len(parts) == 1 else b"".join(parts))
    except zlib.error as error:
        raise ValueError(f"a PNG file is damaged: {error}") from None


def _each(files: list[bytes], channels: int) -> list[np.ndarray]:
    if sum(map(len, files)) < IN_THREADS * len(files):
        return [_pixels(file, channels) for file in files]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda file: _pixels(file, channels), files))


def _pixels(file: bytes, channels: int | None) -> np.ndarray:
    """One image [H, W, C], or as it is stored."""
    try:
        with Image.open(io.BytesIO(file)) as image:
            if channels is None or (image.mode == "P" and channels == 1):
                pixels = np.asarray(image)
            elif image.mode.startswith("I;16"):  # Pillow would cut off what is above 255
                high = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                pixels = np.asarray(high.convert(MODES[channels]))
            else:
                pixels = np.asarray(image if image.mode == MODES[channels] else image.convert(MODES[channels]))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"an image cannot be decoded: {error}") from None
    return pixels if channels is None else pixels.reshape(*pixels.shape[:2], channels)
