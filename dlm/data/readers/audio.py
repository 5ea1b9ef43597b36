"""Reads WAV files as columns of one sampling rate."""

from __future__ import annotations

import math
import struct
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from dlm.data.columns import Column, ragged
from dlm.data.readers.files import MediaFile, check_broken, check_fits, opened

SUFFIXES = (".wav", ".wave")
OTHER_SUFFIXES = (".mp3", ".flac", ".ogg", ".m4a", ".opus", ".aiff", ".aif")


def read_audio(files: Sequence[MediaFile]) -> tuple[Column, np.ndarray, tuple[str, ...]]:
    """Sounds as Ragged int16 of one rate; which could be read, bool [N]; remarks.

    Channels are averaged. All sounds are resampled to the most frequent rate by polyphase filtering
    (`scipy.signal.resample_poly`). Unreadable sounds are empty. Raises UsageError for a larger share of unreadable
    files than MAX_BROKEN_SHARE, and for sounds that exceed the memory.
    """
    sizes = (len(file) if isinstance(file, bytes) else file.stat().st_size for file in files)
    check_fits(sum(sizes), "resample them to a lower rate, or use fewer")
    sounds = [_read(file) for file in files]
    readable = [sound is not None for sound in sounds]
    dropped = check_broken(files, readable, "sounds", "convert them to PCM, or remove them")
    rates = Counter(rate for rate, _, _ in filter(None, sounds))
    rate = min(rates, key=lambda each: (-rates[each], -each))
    samples = [np.zeros(0, np.int16) if sound is None else _resampled(sound[1], sound[0], rate) for sound in sounds]
    others = rates.total() - rates[rate]
    num_stereo = sum(channels > 1 for _, _, channels in filter(None, sounds))
    other_rates = ", ".join(f"{each:,} Hz" for each in sorted(rates) if each != rate)
    remarks = {
        f"{num_stereo:,} of {rates.total():,} sounds have several channels, which are averaged.": num_stereo,
        f"{others:,} of {rates.total():,} sounds ({other_rates}) are resampled to {rate:,} Hz.": others,
    }
    column = Column(ragged(samples, np.int16, 1), "audio", rate=rate)
    return column, np.array(readable), (*dropped, *(remark for remark, applies in remarks.items() if applies))


def _read(file: MediaFile) -> tuple[int, np.ndarray, int] | None:
    """(rate, samples int16 [T], channels), or None for files that are not WAV or have no samples."""
    from scipy.io import wavfile  # slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(opened(file))
    except PermissionError:
        raise
    except (ValueError, OSError, EOFError, struct.error, KeyError, UnboundLocalError, ZeroDivisionError):
        return None
    if not samples.size or rate <= 0:
        return None
    # SciPy returns 24 bits as the upper bits of 32.
    peak = {"uint8": 128.0, "int16": 32768.0, "int32": 2.0**31, "int64": 2.0**63}.get(samples.dtype.name, 1.0)
    if peak == 1.0 and samples.dtype.kind != "f":
        return None
    zero = 128.0 if samples.dtype == np.uint8 else 0.0
    wave = (np.nan_to_num(samples.astype(np.float64)) - zero) / peak
    channels = wave.shape[1] if wave.ndim == 2 else 1
    return int(rate), _int16(wave.mean(axis=1) if wave.ndim == 2 else wave), channels


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    from scipy.signal import resample_poly  # slow to import

    if rate == wanted:
        return samples
    common = math.gcd(rate, wanted)
    return _int16(resample_poly(samples / 32768, wanted // common, rate // common))


def _int16(wave: np.ndarray) -> np.ndarray:
    """Samples in −1 … 1 as int16; others are clipped."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
