"""Sounds as pictures: log-mel spectrograms."""

from __future__ import annotations

import numpy as np

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
