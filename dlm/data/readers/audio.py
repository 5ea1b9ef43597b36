"""Reads WAV files as columns of one sampling rate."""

from __future__ import annotations

import math
import struct
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlm.data.columns import Column, ragged
from dlm.data.readers.files import MediaFile, check_broken, check_fits, opened

SUFFIXES = (".wav", ".wave")
MIN_PEAK = 2.0**-9  # of full range, below which 16 bits leave fewer than 64 levels
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
    rates = Counter(sound.rate for sound in filter(None, sounds))
    rate = min(rates, key=lambda each: (-rates[each], -each))
    samples = [
        np.zeros(0, np.int16) if sound is None else _resampled(sound.samples, sound.rate, rate) for sound in sounds
    ]
    others = rates.total() - rates[rate]
    num_stereo, scaled = (
        sum(getattr(sound, name) for sound in filter(None, sounds)) for name in ("is_stereo", "is_scaled")
    )
    other_rates = ", ".join(f"{each:,} Hz" for each in sorted(rates) if each != rate)
    remarks = {
        f"{num_stereo:,} of {rates.total():,} sounds have several channels, which are averaged.": num_stereo,
        f"{scaled:,} of {rates.total():,} sounds exceed the range of their type, or are too quiet for 16 bits, and are "
        "scaled to full range; convert them to 16-bit PCM to set their loudness.": scaled,
        f"{others:,} of {rates.total():,} sounds ({other_rates}) are resampled to {rate:,} Hz.": others,
    }
    column = Column(ragged(samples, np.int16, 1), "audio", rate=rate)
    return column, np.array(readable), (*dropped, *(remark for remark, applies in remarks.items() if applies))


class _Sound(NamedTuple):
    """A sound that was read, samples int16 [T]; whether channels were averaged and samples scaled."""

    rate: int
    samples: np.ndarray
    is_stereo: bool
    is_scaled: bool


def _read(file: MediaFile) -> _Sound | None:
    """A sound; None for files that are not WAV or have no samples."""
    from scipy.io import wavfile  # slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(opened(file))
    except PermissionError:
        raise
    except (ValueError, OSError, EOFError, struct.error, KeyError, UnboundLocalError, ZeroDivisionError):
        return None
    if not samples.size or rate <= 0 or samples.dtype.kind not in "uif":
        return None
    wave, is_scaled = unit_range(samples)
    is_stereo = wave.ndim == 2 and wave.shape[1] > 1
    return _Sound(int(rate), _int16(wave.mean(axis=1) if wave.ndim == 2 else wave), is_stereo, is_scaled)


def unit_range(samples: np.ndarray) -> tuple[np.ndarray, bool]:
    """Samples of any type as float64 in −1 … 1, and whether they were scaled to their peak.

    They are if floats exceed 1, such as unscaled 16-bit numbers, and if samples of more than 16 bits are so quiet that
    16 bits would not represent them.
    """
    zero, full = 0.0, 1.0
    if samples.dtype.kind == "u":  # unsigned samples are centred
        zero = full = 2.0 ** (8 * samples.itemsize - 1)
    elif samples.dtype.kind == "i":  # SciPy returns 24 bits as the upper bits of 32
        full = 2.0 ** (8 * samples.itemsize - 1)
    wave = (np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0) - zero) / full
    peak = float(np.abs(wave).max(initial=0.0))
    is_scaled = peak > 1 or (samples.itemsize > 2 and 0 < peak < MIN_PEAK)
    return (wave / peak if is_scaled else wave), is_scaled


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    from scipy.signal import resample_poly  # slow to import

    if rate == wanted:
        return samples
    common = math.gcd(rate, wanted)
    return _int16(resample_poly(samples / 32768, wanted // common, rate // common))


def _int16(wave: np.ndarray) -> np.ndarray:
    """Samples in −1 … 1 as int16; others are clipped."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
