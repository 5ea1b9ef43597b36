"""Turns audio into log-mel spectrograms and text into blocks of bytes, splits documents, and resizes images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlm.utils.errors import UsageError, at_least

if TYPE_CHECKING:
    from PIL import Image

WINDOW, HOP, NUM_MELS = 0.025, 0.010, 40  # seconds, seconds, bands: usual in speech recognition
FLOOR = 1e-6  # of a band's energy relative to the loudest one of its sound
BATCH = 256  # sounds transformed at once
DOCUMENT_START = 0  # the input byte before a document's first byte


def log_mel(samples: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel spectrograms of sounds [N, T] with samples in −1 … 1. float32 [N, frames, NUM_MELS].

    Hann windows of 25 ms every 10 ms and triangular bands, evenly spaced on the mel scale (Davis & Mermelstein 1980).
    Each spectrogram is standardized by its own mean and standard deviation, which removes the loudness.
    """
    width, hop = max(2, round(WINDOW * rate)), max(1, round(HOP * rate))
    padded = np.pad(samples, ((0, 0), (0, max(0, width - samples.shape[1]))))
    bands = mel_bands(rate, width)
    parts = [_log_mel(padded[start : start + BATCH], width, hop, bands) for start in range(0, len(padded), BATCH)]
    return np.concatenate(parts)


def _log_mel(samples: np.ndarray, width: int, hop: int, bands: np.ndarray) -> np.ndarray:
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(samples, width, axis=1)[:, ::hop]
    spectrum = np.abs(scipy.fft.rfft(frames * np.hanning(width).astype(np.float32), axis=2)) ** 2 / width
    energy = spectrum @ bands
    loudest = np.maximum(energy.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    energy = np.log(np.maximum(energy / loudest, FLOOR))
    mean, std = (of(energy, axis=(1, 2), keepdims=True) for of in (np.mean, np.std))
    return ((energy - mean) / np.maximum(std, 1e-3)).astype(np.float32)


def mel_bands(rate: int, width: int) -> np.ndarray:
    """Weights of a window's frequencies in each mel band. float32 [width // 2 + 1, NUM_MELS]."""
    highest = 2595.0 * np.log10(1.0 + rate / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, highest, NUM_MELS + 2) / 2595.0) - 1.0)
    # A band narrower than the frequency spacing would contain no frequency.
    spacing = rate / width
    frequencies = np.arange(width // 2 + 1)[:, None] * spacing
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise = (frequencies - low) / np.maximum(centre - low, spacing)
    fall = (high - frequencies) / np.maximum(high - centre, spacing)
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image resized to (height, width) by Lanczos filtering, which averages when it shrinks."""
    from PIL import Image

    return image.resize(size[::-1], Image.Resampling.LANCZOS)


def byte_blocks(documents: Sequence[bytes], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets for next-byte prediction: (x, y), uint8 [N, length] each, y one byte ahead of x.

    The documents are concatenated in the given order and cut every `length` bytes; fewer than `length` bytes at the end
    are dropped. The input before a document's first byte is DOCUMENT_START, and a row may span several documents.
    """
    at_least(1, length=length)
    y = np.frombuffer(b"".join(documents), np.uint8)
    if len(y) < length:
        raise UsageError(f"length={length} exceeds the {len(y)} bytes of text; choose at most {len(y)}")
    x = np.roll(y, 1)
    starts = np.cumsum([0, *(len(document) for document in documents if document)])[:-1]
    x[starts] = DOCUMENT_START
    end = len(y) // length * length
    return x[:end].reshape(-1, length), y[:end].reshape(-1, length)


def split_documents(
    documents: Sequence[bytes], shares: Sequence[float] = (0.8, 0.1, 0.1), max_bytes: int = 0
) -> tuple[list[bytes], ...]:
    """Whole documents divided into splits with these shares of the bytes.

    Documents are sorted by a hash of their content, so their order does not matter; empty and repeated ones are
    dropped. With `max_bytes` > 0 only the first documents that fit are used. Returns a list for each share.
    """
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"shares={tuple(shares)} must be positive and add up to 1, for example (0.8, 0.1, 0.1)")
    at_least(0, max_bytes=max_bytes)
    distinct = {document for document in documents if document}
    ordered = sorted(distinct, key=lambda document: hashlib.blake2b(document, digest_size=16).digest())
    ends = np.cumsum([len(document) for document in ordered])
    if max_bytes:
        ordered = ordered[: np.searchsorted(ends, max_bytes, side="right")]
        ends = ends[: len(ordered)]
    middles = ends - np.array([len(document) for document in ordered]) / 2
    split = np.searchsorted(np.cumsum(shares)[:-1] * (ends[-1] if ordered else 0), middles, side="right")
    return tuple([ordered[at] for at in np.flatnonzero(split == index)] for index in range(len(shares)))
