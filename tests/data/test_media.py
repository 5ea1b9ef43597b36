"""Images decoded in piles are those that Pillow decodes one by one."""

import io

import numpy as np
import pytest
from PIL import Image

from dlm.data import media
from dlm.data.columns import Ragged

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def picture(seed, height, width, channels):
    """Smooth, noisy and flat parts, so that a PNG file has lines of every filter."""
    rng = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., None] + np.arange(channels) * 40
    noise = rng.integers(0, 256, (height, width, channels)) * (np.arange(height) % 3 == 0)[:, None, None]
    return ((slope + noise) % 256).astype(np.uint8)


def saved(pixels, kind="PNG", **options):
    file = io.BytesIO()
    mode = MODES[pixels.shape[2]]
    Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes()).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def alone(monkeypatch):
    """The files that were decoded one by one."""
    seen, each = [], media._each
    monkeypatch.setattr(media, "_each", lambda files, channels: seen.extend(files) or each(files, channels))
    return seen


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (28, 28)])
def test_small_png_files_of_one_size_are_decoded_as_a_pile(alone, channels, size):
    pixels = np.stack([picture(seed, *size, channels) for seed in range(20)])
    found = media.decode([saved(each) for each in pixels], channels)
    assert np.array_equal(found, pixels)
    assert not alone


def test_files_of_many_sizes_and_kinds_keep_their_places(alone):
    sizes = [(4, 4), (4, 4), (6, 4), (200, 200), (4, 4)]
    pixels = [picture(seed, *size, 3) for seed, size in enumerate(sizes)]
    photo = saved(pixels[0], "JPEG")
    found = media.decode([photo, *map(saved, pixels), saved(pixels[1], "WEBP", lossless=True)], 3)
    assert isinstance(found, Ragged)
    assert np.array_equal(found[0], np.asarray(Image.open(io.BytesIO(photo))))
    for row, expected in enumerate([*pixels, pixels[1]], start=1):
        assert np.array_equal(found[row], expected)
    assert len(alone) == 3


def test_other_channels_are_converted_and_of_a_palette_places_are_kept():
    grey, colour = picture(0, 6, 6, 1), picture(1, 6, 6, 3)
    assert np.array_equal(media.decode([saved(grey)], 3)[0], np.repeat(grey, 3, axis=2))
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.array_equal(media.decode([saved(colour)], 1)[0, ..., 0], expected)
    palette = Image.fromarray(grey[..., 0] % 4).convert("P")
    palette.putpalette([9, 9, 9, 0, 0, 255, 255, 0, 0, 1, 2, 3])
    file = io.BytesIO()
    palette.save(file, "PNG")
    places = np.asarray(palette)
    assert np.array_equal(media.decode([file.getvalue()], 1)[0, ..., 0], places)
    colours = np.array(palette.getpalette()[:12]).reshape(4, 3)
    assert np.array_equal(media.decode([file.getvalue()], 3)[0], colours[places])


def test_interlaced_and_one_bit_files_are_decoded_alone(alone):
    bits = Image.fromarray(picture(0, 9, 9, 1)[..., 0] > 99)
    file = io.BytesIO()
    bits.save(file, "PNG")
    assert np.array_equal(media.decode([file.getvalue()], 1)[0, ..., 0], np.asarray(bits) * 255)
    assert len(alone) == 1


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file[:-30],
        lambda file: file[:60] + bytes([file[60] ^ 255]) + file[61:],
        lambda file: b"no image",
        lambda file: b"",
    ],
    ids=["short", "flipped", "other", "empty"],
)
def test_a_file_that_cannot_be_decoded_is_an_error(harm):
    good = saved(picture(0, 8, 8, 1))
    with pytest.raises(ValueError, match=r"damaged|cut short|cannot be decoded"):
        media.decode([good, harm(good), good], 1)
