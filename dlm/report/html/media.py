"""Renders a test example for the page: an image, a sound, a text, or values of a table's row."""

from __future__ import annotations

import base64
import io

import numpy as np

from dlm.analysis.predictions import TestSet

MOST_CHARACTERS, MOST_VALUES = 240, 6


def picture(test: TestSet, row: int) -> str:
    """The example as a PNG data URI if it is an image or a spectrogram; empty otherwise."""
    if test.x is None or test.has_tokens:
        return ""
    x = np.asarray(test.x[row])
    if x.ndim == 3 and x.shape[2] == 1:
        x = x[..., 0]
    is_picture = (x.ndim == 2 and min(x.shape) >= 4) or (x.ndim == 3 and x.shape[2] == 3)
    return png(x if x.ndim == 3 else _upright(x, test)) if is_picture else ""


def _upright(x: np.ndarray, test: TestSet) -> np.ndarray:
    """A spectrogram [time, band] with low frequencies at the bottom and time to the right; images unchanged."""
    return x if x.dtype == np.uint8 else x.T[::-1]


def png(values: np.ndarray) -> str:
    """Numbers [H, W] or [H, W, 3] as a PNG data URI, from the minimum (black) to the maximum (white)."""
    values = np.asarray(values, np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return png_of(255 * np.nan_to_num((values - low) / ((high - low) or 1.0)))


def png_of(values: np.ndarray) -> str:
    """Brightness 0 to 255, [H, W] or [H, W, 3], as a PNG data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.round(values).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def signed_png(values: np.ndarray) -> str:
    """Signed numbers [H, W] or [H, W, C] as a PNG data URI: blue above zero, red below, white at zero."""
    values = np.asarray(values, np.float32)
    values = values.sum(axis=2) if values.ndim == 3 else values
    share = np.clip(np.nan_to_num(values) / (float(np.nanmax(np.abs(values))) or 1.0), -1, 1)
    blue, red = np.array([0.0, 114.0, 178.0]), np.array([213.0, 94.0, 0.0])
    ends = np.where(share[..., None] > 0, blue, red)
    return png_of(255 + np.abs(share)[..., None] * (ends - 255))


def sound(test: TestSet, row: int) -> str:
    """The example as a WAV data URI; empty where the test set has no sounds."""
    if "sounds" not in test.content:
        return ""
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(test.content["rate"]))
        file.writeframes(np.trim_zeros(test.content["sounds"][row], "b").astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()


def text(test: TestSet, row: int) -> str:
    """The beginning of a text, or the last of other tokens; empty for other inputs."""
    if test.x is None or not test.has_tokens:
        return ""
    if not test.has_bytes:
        return "tokens " + " ".join(str(token) for token in np.asarray(test.x[row]).ravel()[-MOST_VALUES:])
    words = np.asarray(test.x[row], np.uint8).tobytes().rstrip(b"\x00").decode(errors="replace")
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 1] + "…"


def values(test: TestSet, row: int) -> list[str]:
    """The values of a table's row that are farthest from the mean, in standard deviations, by column name."""
    if test.x is None or test.has_tokens or np.asarray(test.x).ndim != 2:
        return []
    own, (mean, spread) = np.asarray(test.x[row], float), test.feature_stats
    far = np.abs(own - mean) / np.where(spread > 0, spread, np.inf)
    names = test.feature_names or tuple(f"column {k}" for k in range(len(own)))
    order = np.argsort(-np.nan_to_num(far), kind="stable")[:MOST_VALUES]
    return [f"{names[k]}: {own[k]:.4g}" for k in order]
