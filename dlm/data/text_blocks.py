"""Texts as bytes, cut into blocks of one length for a language model; whole texts held out for validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dlm.utils.errors import UsageError, at_least

BEGINNING = 0  # the byte before a document's first one


def blocks(documents: Sequence[bytes], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a model of the next byte: (x, y), uint8 [N, length] each, y one byte ahead of x.

    Documents are joined in the order given, and the targets cut every `length` bytes: each byte is the target of one
    place of one row, and fewer than `length` bytes at the very end are lost. The input before a document's first byte
    is BEGINNING, so a row may hold the end of one document and the beginning of the next.
    """
    at_least(1, length=length)
    y = np.frombuffer(b"".join(documents), np.uint8)
    if len(y) < length:
        raise UsageError(f"length={length} exceeds the {len(y)} bytes of text that are there; choose at most {len(y)}")
    x = np.roll(y, 1)
    starts = np.cumsum([0, *(len(document) for document in documents if document)])[:-1]
    x[starts] = BEGINNING
    kept = len(y) // length * length
    return x[:kept].reshape(-1, length), y[:kept].reshape(-1, length)


def split_documents(
    documents: Sequence[bytes], shares: Sequence[float] = (0.8, 0.1, 0.1), most_bytes: int = 0
) -> tuple[list[bytes], ...]:
    """Documents dealt out to splits that hold these shares of the bytes, each within a document.

    They are sorted by a hash of their content, so it does not matter where or in which order they were found; of equal
    ones, and of empty ones, one and none is kept. With `most_bytes` above 0 only so many first bytes are taken, the
    last document whole or not at all. Returns a list for each share, in the order of the hashes.
    """
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"shares={tuple(shares)} must be numbers above 0 that add up to 1, such as (0.8, 0.1, 0.1)")
    at_least(0, most_bytes=most_bytes)
    ordered = sorted({document for document in documents if document}, key=_content_hash)
    ends = np.cumsum([len(document) for document in ordered])
    if most_bytes:
        ordered = ordered[: np.searchsorted(ends, most_bytes, side="right")]
        ends = ends[: len(ordered)]
    middles = ends - np.array([len(document) for document in ordered]) / 2
    places = np.searchsorted(np.cumsum(shares)[:-1] * (ends[-1] if ordered else 0), middles, side="right")
    return tuple([ordered[at] for at in np.flatnonzero(places == place)] for place in range(len(shares)))


def _content_hash(document: bytes) -> bytes:
    return hashlib.blake2b(document, digest_size=16).digest()
