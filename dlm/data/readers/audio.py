"""Folders of WAV files, one sub-folder a class, as columns."""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from dlm.data.columns import Column, ragged
from dlm.data.readers.folders import classes, counts, tree
from dlm.data.readers.paths import check_fits
from dlm.data.readers.user_dataset import Found, keep
from dlm.utils.errors import UsageError

ENDINGS = (".wav", ".wave")
OTHERS = (".mp3", ".flac", ".ogg", ".m4a", ".opus", ".aiff", ".aif")
MOST_BROKEN = 0.05  # a share of files; above it something else is wrong

Source = Path | bytes


def read_sounds(folder: Path) -> Found:
    """A folder with a sub-folder a class, or with splits of such: columns audio and label.

    UsageError for folders without classes, and as of `waves`.
    """
    found = tree(folder, ENDINGS)
    if not found.files:
        raise UsageError("holds no WAV files; others are made such by: ffmpeg -i song.mp3 song.wav")
    if not found.files[0].label:
        raise UsageError(
            "the sounds stand in no folders of classes; put those of each class into a folder of its name, or name a "
            "table with a column of file names and one of targets"
        )
    audio, kept, told = waves([file.path for file in found.files])
    columns = {"audio": audio, "label": classes([file.label for file in found.files])}
    rows = Found(columns, counts(file.split for file in found.files), "label", (*found.remarks, *told))
    return keep(rows, kept)


def waves(files: Sequence[Source]) -> tuple[Column, np.ndarray, tuple[str, ...]]:
    """WAV files as Ragged int16 of one rate; which could be read, bool [N]; remarks.

    Channels are averaged; the commonest rate is that of all, by polyphase filtering (`scipy.signal.resample_poly`).
    What cannot be read is silent. UsageError for more broken files than MOST_BROKEN, and more samples than memory.
    """
    check_fits(sum(map(_bytes, files)), "resample them to a lower rate, or take fewer")
    read = [_read(file) for file in files]
    broken = [file for file, one in zip(files, read) if one is None]
    if len(broken) > MOST_BROKEN * len(files):
        raise UsageError(
            f"{len(broken):,} of {len(files):,} sounds cannot be read, such as {_name(broken[0])}; mend them, write "
            "them anew as PCM, or leave them out"
        )
    rates = Counter(rate for rate, _, _ in filter(None, read))
    rate = min(rates, key=lambda one: (-rates[one], -one))
    samples = [np.zeros(0, np.int16) if one is None else _resampled(one[1], one[0], rate) for one in read]
    other = rates.total() - rates[rate]
    mixed = sum(channels > 1 for _, _, channels in filter(None, read))
    kinds = ", ".join(f"{one:,} Hz" for one in sorted(rates) if one != rate)
    first = _name(broken[0]) if broken else ""
    told = {
        f"Sounds that cannot be read are left out: {len(broken):,}, such as {first}.": broken,
        f"{mixed:,} of {rates.total():,} sounds have several channels; their mean is taken.": mixed,
        f"{other:,} of {rates.total():,} sounds, of {kinds}, are resampled to {rate:,} Hz as the others have.": other,
    }
    kept = np.array([one is not None for one in read], bool)
    column = Column(ragged(samples, np.int16, 1), "audio", rate=rate)
    return column, kept, tuple(sentence for sentence, holds in told.items() if holds)


def _read(file: Source) -> tuple[int, np.ndarray, int] | None:
    """(rate, samples int16 [T], channels), or None for what is no WAV file or holds no samples."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(io.BytesIO(file) if isinstance(file, bytes) else file)
    except PermissionError:
        raise
    except (ValueError, OSError, EOFError, struct.error, KeyError, UnboundLocalError, ZeroDivisionError):
        return None
    if not samples.size or rate <= 0:
        return None
    # 24 bits come as the upper ones of 32.
    top = {"uint8": 128.0, "int16": 32768.0, "int32": 2.0**31, "int64": 2.0**63}.get(samples.dtype.name, 1.0)
    if top == 1.0 and samples.dtype.kind != "f":
        return None
    middle = 128.0 if samples.dtype == np.uint8 else 0.0
    wave = (np.nan_to_num(samples.astype(np.float64)) - middle) / top
    channels = wave.shape[1] if wave.ndim == 2 else 1
    return int(rate), _int16(wave.mean(axis=1) if wave.ndim == 2 else wave), channels


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return samples
    common = math.gcd(rate, wanted)
    return _int16(resample_poly(samples / 32768, wanted // common, rate // common))


def _int16(wave: np.ndarray) -> np.ndarray:
    """Samples of −1 … 1 as int16; what lies beyond is clipped."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)


def _bytes(file: Source) -> int:
    return len(file) if isinstance(file, bytes) else file.stat().st_size


def _name(file: Source) -> str:
    return file.name if isinstance(file, Path) else "one in a table"
