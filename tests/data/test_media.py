"""Spectrograms show frequencies, byte blocks contain every byte once, and documents are split whole."""

import numpy as np
import pytest

from dlm import UsageError
from dlm.data.media import byte_blocks, log_mel, mel_bands, split_documents

DOCUMENTS = [b"the cat", b"", b"a", b"sat on the mat"]


def test_every_byte_is_a_target_once_and_its_input_is_the_byte_before():
    x, y = byte_blocks(DOCUMENTS, 4)
    assert (x.dtype, y.dtype, x.shape, y.shape) == (np.uint8, np.uint8, (5, 4), (5, 4))
    assert y.tobytes() == b"the catasat on the m"  # "at" is dropped
    assert x.tobytes() == b"\0the ca\0\0sat on the "


def test_inputs_continue_from_block_to_block():
    x, y = byte_blocks([b"one long text, cut in blocks"], 7)
    assert np.array_equal(x[1:, 0], y[:-1, -1])
    assert np.array_equal(x[:, 1:], y[:, :-1])
    assert x[0, 0] == 0


def test_a_text_of_complete_blocks_drops_nothing():
    x, y = byte_blocks([b"ab", b"cd"], 4)
    assert (x.tobytes(), y.tobytes()) == (b"\0a\0c", b"abcd")


@pytest.mark.parametrize("documents", [[], [b""], [b"ab", b"c"]])
def test_a_text_shorter_than_a_block_is_a_usage_error(documents):
    with pytest.raises(UsageError, match=r"length=4 exceeds the \d bytes"):
        byte_blocks(documents, 4)


def texts(number):
    rng = np.random.default_rng(0)
    return [rng.integers(97, 123, rng.integers(1, 200)).astype(np.uint8).tobytes() for _ in range(number)]


def test_splits_do_not_depend_on_order_or_repetition_of_documents():
    documents = texts(300)
    first = split_documents(documents)
    assert split_documents([*documents[::-1], *documents[:50], b""]) == first
    assert sorted(document for part in first for document in part) == sorted(set(documents))


def test_splits_have_their_shares_of_the_bytes_within_a_document():
    documents = texts(300)
    total = sum(map(len, documents))
    for shares in [(0.8, 0.1, 0.1), (0.5, 0.5), (1.0,)]:
        ends = np.cumsum([sum(map(len, part)) for part in split_documents(documents, shares)])
        assert np.all(np.abs(ends - np.cumsum(shares) * total) <= 100)


def test_max_bytes_takes_the_first_documents():
    documents = texts(300)
    (few,), (all_of_them,) = (split_documents(documents, (1.0,), most) for most in (5000, 0))
    assert few == all_of_them[: len(few)]
    assert 5000 - 200 < sum(map(len, few)) <= 5000


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.5, -0.5), (1.0, 0.0)])
def test_invalid_shares_are_a_usage_error(shares):
    with pytest.raises(UsageError, match="shares="):
        split_documents([b"a"], shares)


def test_a_tone_is_loudest_in_the_mel_band_of_its_frequency():
    time = np.arange(8000) / 8000
    tones = np.stack([np.sin(2 * np.pi * pitch * time) for pitch in (300, 1000, 3000)]).astype(np.float32)
    spectra = log_mel(tones, 8000)
    assert spectra.shape == (3, 98, 40)
    loudest = spectra.mean(axis=1).argmax(axis=1)
    assert list(loudest) == sorted(loudest)
    frequencies = np.arange(101) * 40
    centres = [frequencies[mel_bands(8000, 200)[:, band].argmax()] for band in loudest]
    assert np.allclose(centres, [300, 1000, 3000], rtol=0.15)
    assert np.allclose(log_mel(0.1 * tones, 8000), spectra, atol=1e-2)
