"""Measures recall, false positives and time of the duplicate search on simulated and real duplicates.

    python -m benchmarks.leakage
    python -m benchmarks.leakage --part=time

Reads the TFDS datasets fashion_mnist, busi, fsdd, sms_spam, daily_dialog, multi30k and tiny_shakespeare from
--data_dir or TFDS_DATA_DIR and skips absent ones. One thread; seconds are processor time.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.signal
import scipy.sparse
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits
from threadpoolctl import threadpool_limits

from dlm.data import near_duplicates
from dlm.data.leakage import Leaks, find_leaks
from dlm.data.near_duplicates import NO_SHINGLE, ImageSimilarity, TokenSimilarity
from dlm.data.tfds.folders import data_folder

NUM_CHANGED = 2000  # pool rows of which changed copies are searched
FOOTER = b" Sent from my phone. Reply STOP to end."


def read(name: str, split: str, data_dir: Path | None) -> list[dict]:
    """All examples of a split."""
    import tensorflow_datasets as tfds

    source = tfds.data_source(name, split=split, data_dir=data_folder(data_dir))
    starts = range(0, len(source), 1000)
    return [row for start in starts for row in source.__getitems__(range(start, min(start + 1000, len(source))))]


def there(name: str, data_dir: Path | None) -> bool:
    """Whether a dataset is prepared on this machine; prints a message if not."""
    folder = data_folder(data_dir) / name
    if not folder.is_dir():
        print(f"{name}: skipped, {folder} does not exist")
    return folder.is_dir()


def changed_pictures(x: np.ndarray, top: int) -> Iterator[tuple[str, np.ndarray]]:
    """Changed images [n, H, W, 1] with values 0 … top: noise, brightness, contrast, shift, JPEG."""
    rng = np.random.default_rng(0)

    def stored(values: np.ndarray) -> np.ndarray:
        return np.clip(np.round(values), 0, top).astype(np.uint8)

    yield "noise of s.d. 3/255", stored(x + rng.normal(0, 3 * top / 255, x.shape))
    yield "brighter by 20/255", stored(x + 20.0 * top / 255)
    yield "darker by 20/255", stored(x - 20.0 * top / 255)
    yield "contrast times 1.15", stored(x * 1.15)
    yield "a pixel to the right", np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    yield "a pixel up", np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:]
    yield "a pixel to the right and up", np.pad(x, ((0, 0), (0, 1), (1, 0), (0, 0)))[:, 1:, :-1]
    for quality in (90, 75, 50):
        yield f"JPEG, quality {quality}", stored(np.stack([jpeg(picture, top, quality) for picture in x]))


def jpeg(picture: np.ndarray, top: int, quality: int) -> np.ndarray:
    """An image [H, W, 1] after JPEG compression."""
    file = io.BytesIO()
    Image.fromarray((picture[..., 0] * (255.0 / top)).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[..., None] * (top / 255)


def changed_table(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Changed rows [n, D] of real numbers: noise, rounding, one changed column."""
    rng = np.random.default_rng(0)
    columns = rng.integers(0, x.shape[1], len(x))
    yield "noise of 1 % of each column's s.d.", x + rng.normal(0, 0.01 * x.std(0), x.shape)
    yield "three significant digits", np.vectorize(lambda value: float(f"{value:.3g}"))(x)
    yield "one column off by its s.d. (another row)", x + np.eye(x.shape[1])[columns] * x.std(0)


def changed_texts(texts: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Changed texts: one word replaced by another one of the collection, a footer, capitals."""
    rng = np.random.default_rng(0)
    words = sorted({word for text in texts for word in text.split()})

    def replaced(text: bytes) -> bytes:
        parts = text.split(b" ")
        parts[rng.integers(len(parts))] = words[rng.integers(len(words))]
        return b" ".join(parts)

    yield "one word replaced", [replaced(text) for text in texts]
    yield f"{len(FOOTER)} bytes appended", [text + FOOTER for text in texts]
    yield "all in capitals (not searched for)", [text.upper() for text in texts]


def padded(texts: list[bytes], length: int) -> np.ndarray:
    """Texts as bytes uint8 [n, length], cut or filled with zeros."""
    return np.stack([np.frombuffer(text[:length].ljust(length, b"\0"), np.uint8) for text in texts])


def recall(leaks: Leaks, originals: np.ndarray) -> float:
    """Share of test rows that are detected as copies of the pool rows they were made from, `originals` [M]."""
    return float(np.mean(leaks.test.of == originals))


def search(name: str, pool: np.ndarray, test: np.ndarray, kind: str = "numbers") -> Leaks:
    """Searches for leaks and prints the number of rows with a duplicate and the seconds."""
    start = time.process_time()
    leaks = find_leaks(pool, test, kind=kind)
    seconds = time.process_time() - start
    counts = (f"{each.exact.sum()} exact, {len(each) - each.exact.sum()} near" for each in (leaks.test, leaks.pool))
    print("{}, {:,} + {:,} rows: test rows {}; pool rows {};".format(name, len(pool), len(test), *counts), end=" ")
    print(f"{seconds:.1f} s {leaks.note}")
    return leaks


def report(name: str, pool: np.ndarray, changes: Iterator, rows: np.ndarray, kind: str = "numbers") -> None:
    """Prints the recall of each kind of change."""
    for change, test in changes:
        print(f"  {name}, {change}: {recall(find_leaks(pool, test, kind=kind), rows):.1%} of {len(rows):,}")


def fashion(data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Images of the pool and the test set of Fashion-MNIST."""
    pool, test = (np.stack([row["image"] for row in read("fashion_mnist", s, data_dir)]) for s in ("train", "test"))
    return pool, test


def pictures(data_dir: Path | None) -> None:
    """Recall of changed images, and comparison of the search with all pairs."""
    digits = load_digits().images[..., None].astype(np.uint8)
    search("digits", digits[:1437], digits[1437:])
    report("digits", digits[:1437], changed_pictures(digits[:1437], 16), np.arange(1437))
    if there("fashion_mnist", data_dir):
        pool, test = fashion(data_dir)
        print(of_all_pairs(pool, test, search("Fashion-MNIST", pool, test)))
        rows = np.random.default_rng(0).choice(len(pool), NUM_CHANGED, replace=False)
        report("Fashion-MNIST", pool, changed_pictures(pool[rows], 255), rows)
    for name, taken in (("busi", "image"), ("fsdd", "audio")):
        if there(name, data_dir):
            splits = ([seen(row[taken]) for row in read(name, split, data_dir)] for split in ("train", "test"))
            search(name, *map(np.stack, splits))


def seen(row: np.ndarray) -> np.ndarray:
    """An image unchanged; of a sound, the log spectrogram of its first half second."""
    if row.ndim > 1:
        return row
    sound = np.pad(np.asarray(row, np.float32)[:4000], (0, max(0, 4000 - len(row))))
    return np.log(1e-3 + scipy.signal.spectrogram(sound, nperseg=256, noverlap=128)[2]).T


def tables() -> None:
    """Breast cancer, 30 real numbers a row, and digits as rows of 64 numbers."""
    x, digits = load_breast_cancer().data, load_digits().data
    search("breast cancer", x[:400], x[400:])
    report("breast cancer", x, changed_table(x), np.arange(len(x)))
    search("digits as a table", digits[:1437], digits[1437:])
    noise = np.random.default_rng(0).normal(0, 3 * 16 / 255, digits.shape)
    report("digits as a table", digits, iter([("noise of s.d. 3/255", digits + noise)]), np.arange(len(digits)))


def texts(data_dir: Path | None) -> None:
    """Texts as bytes: messages, dialogues, captions, and disjoint windows of one long text."""
    for name, length in (("sms_spam", 160), ("daily_dialog", 512), ("multi30k", 128), ("tiny_shakespeare", 128)):
        if not there(name, data_dir):
            continue
        pool, test = (text_of(name, split, data_dir) for split in ("train", "test"))
        if not test:
            pool, test = pool[:4000], pool[4000:]
        x, x_test = padded(pool, length), padded(test, length)
        print(of_all_texts(x, x_test, search(name, x, x_test, kind="tokens")))
        rows = np.random.default_rng(0).permutation(np.flatnonzero((x != 0).sum(1) >= 80))[:NUM_CHANGED]
        changed = changed_texts([pool[row] for row in rows])
        report(f"{name}, from 80 bytes", x, ((n, padded(t, length)) for n, t in changed), rows, kind="tokens")


def text_of(name: str, split: str, data_dir: Path | None) -> list[bytes]:
    """The texts of a split, empty if there is none; of one long text, its windows of 128 bytes."""
    if name == "sms_spam" and split == "test":
        return []
    rows = read(name, split, data_dir)
    if name == "tiny_shakespeare":
        return [rows[0]["text"][at : at + 128] for at in range(0, len(rows[0]["text"]) - 127, 128)]
    return [b" ".join(row["dialog"]) if "dialog" in row else row["en" if "en" in row else "text"] for row in rows]


def of_all_pairs(pool: np.ndarray, test: np.ndarray, leaks: Leaks) -> str:
    """Share of the near-duplicate images of a comparison of all pairs that the search finds, without shifts."""
    similarity = ImageSimilarity.of(pool, np.arange(len(pool)))
    x = np.concatenate([pool, test])
    cells = np.concatenate([near_duplicates.cells(x[at : at + 5000], 0) for at in range(0, len(x), 5000)])
    cells -= similarity.averages[0]
    cells /= np.linalg.norm(cells, axis=1, keepdims=True)
    every = set()
    for at in range(0, len(pool), 2000):
        first, second = np.nonzero(cells[at : at + 2000] @ cells.T >= similarity.COSINE)
        every |= {(a + at, b) for a, b in zip(first.tolist(), second.tolist()) if a + at < b}
    return share_found(every, leaks, len(pool))


def of_all_texts(pool: np.ndarray, test: np.ndarray, leaks: Leaks) -> str:
    """Share of the near-duplicate texts of a comparison of all pairs that the search finds."""
    similarity, x = TokenSimilarity.of(pool, np.arange(len(pool))), np.concatenate([pool, test])
    shingles = similarity.shingles(x)
    row, column = np.nonzero((shingles != NO_SHINGLE) & similarity.comparable(x)[:, None])
    names, column = np.unique(shingles[row, column], return_inverse=True)
    incidence = scipy.sparse.csr_array((np.ones(len(row), np.int32), (row, column)), shape=(len(x), len(names)))
    counts, every = incidence.sum(1), set()
    for at in range(0, len(pool), 500):
        shared = (incidence[at : min(at + 500, len(pool))] @ incidence.T).tocoo()
        united = counts[shared.coords[0] + at] + counts[shared.coords[1]] - shared.data
        hits = shared.data >= similarity.RESEMBLANCE * united
        first, second = (axis[hits].tolist() for axis in shared.coords)
        every |= {(a + at, b) for a, b in zip(first, second) if a + at < b and (x[a + at] != x[b]).any()}
    return share_found(every, leaks, len(pool))


def share_found(every: set[tuple[int, int]], leaks: Leaks, pool_size: int) -> str:
    """Share of the later rows of all near pairs that the search finds; test rows follow the pool rows."""
    rows = np.concatenate([leaks.pool.rows, leaks.test.rows + pool_size]).tolist()
    later = {second for _, second in every}
    return f"  near-duplicate rows of a comparison of all pairs: {len(later & set(rows))} of {len(later)} detected"


def timed(data_dir: Path | None) -> None:
    """Seconds for a quarter, a half and all of Fashion-MNIST, and four times as much by mirroring it."""
    if not there("fashion_mnist", data_dir):
        return
    pool, test = fashion(data_dir)
    mirrored = [pool, pool[:, :, ::-1], pool[:, ::-1], pool[:, ::-1, ::-1]]
    for parts in (0.25, 0.5, 1, 2, 4):
        rows = int(len(pool) * min(parts, 1))
        ours = np.concatenate([each[:rows] for each in mirrored[: max(1, int(parts))]])
        search("Fashion-MNIST", ours, test[: int(len(test) * min(parts, 1))])


def main() -> None:
    """Prints one part, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("pictures", "tables", "texts", "time"))
    parser.add_argument("--data_dir", type=Path)
    options = parser.parse_args()
    with threadpool_limits(1):
        for name, part in (("pictures", pictures), ("tables", lambda _: tables()), ("texts", texts), ("time", timed)):
            if options.part in (None, name):
                part(options.data_dir)


if __name__ == "__main__":
    main()
