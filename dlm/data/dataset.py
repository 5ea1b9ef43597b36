"""The form every source ends in, NumPy arrays: a pool to draw subsets from, validation and test splits."""

from __future__ import annotations

import dataclasses
import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlm.data.groups import Groups
from dlm.data.subsets import HASHED_AT_ONCE, row_digests, stratified_order
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from dlm.data.normalization import NormalizationStats


def class_weights(y: np.ndarray, num_classes: int, balance: float) -> np.ndarray:
    """A weight for each class, its share among the labels `y` to the power of −`balance`. float32 [C].

    The mean over examples is 1, so that a learning rate keeps its meaning. 0 weighs all alike, 1 makes each class that
    occurs count the same in all; a class that does not occur has the weight 1.
    """
    shares = np.bincount(y, minlength=num_classes) / len(y)
    occurs = shares > 0
    weights = np.where(occurs, shares, 1.0) ** -balance
    return np.where(occurs, weights / (shares * weights).sum(), 1.0).astype(np.float32)


STANDARD_EXTENT = 3.0  # standard deviations, within which nearly all of a standardized column lies
HOLD_OUT_SEED = 2**32  # beyond every subset seed, so that the split's order is no subset's


class Rows:
    """Rows of an array on disk, read when they are asked for; otherwise like an array [N, ...]."""

    def __init__(self, base: np.ndarray, rows: np.ndarray):
        self.base, self.rows = base, rows
        self.shape, self.dtype, self.ndim = (len(rows), *base.shape[1:]), base.dtype, base.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.base[self.rows[rows]])

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.base, np.memmap):
            return Rows, (self.base, self.rows)
        base = self.base
        return _reopened, (str(base.filename), base.dtype.str, base.shape, base.offset, self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def _reopened(path: str, dtype: str, shape: tuple[int, ...], offset: int, rows: np.ndarray) -> Rows:
    """Rows in another process: the file is opened there, and not sent."""
    return Rows(np.memmap(path, dtype, "r", offset, shape), rows)


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of one split. x: [N, ...] in storage type (uint8, float32, …), an array or Rows.

    y: int32 [N] classes; float32 [N] or [N, K] numbers; whole numbers [N, ...] tokens or a class for each pixel.
    groups: int32 [N, G], whom an example is of by each of the columns asked for (−1: not known), None if none was.
    sounds: int16 [N, T], what was heard where inputs are spectrograms; None where nothing was, or it is too much.
    """

    x: np.ndarray | Rows
    y: np.ndarray
    groups: np.ndarray | None = None
    sounds: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Split:
        """The rows asked for, in that order; of inputs on disk none is read."""
        beside = [None if each is None else each[rows] for each in (self.groups, self.sounds)]
        if isinstance(self.x, Rows):
            return Split(Rows(self.x.base, self.x.rows[rows]), self.y[rows], *beside)
        if isinstance(self.x, np.memmap):
            return Split(Rows(self.x, rows), self.y[rows], *beside)
        return Split(self.x[rows], self.y[rows], *beside)

    @property
    def strata(self) -> np.ndarray:
        """What subsets keep the shares of: the classes, or nothing (all zero). int [N]."""
        is_class = self.y.ndim == 1 and self.y.dtype.kind in "iu"
        return self.y if is_class else np.zeros(len(self.y), np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of inputs and targets."""
        return int(np.prod(self.x.shape)) * self.x.dtype.itemsize + self.y.nbytes


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set.

    `num_classes` counts labels, 0 where targets are no classes. A learner sees inputs as `x * scale + shift`, float32;
    with `standardize` (NaN where missing) by its own training subset, see `NormalizationStats`;
    with `vocabulary` above 0 as they are, tokens of 0 … vocabulary − 1. `remarks` say how files were read. `leaked`:
    rows of the test split that are in the pool too, None where there are none or nobody looked. `rate`: samples a
    second of the splits' sounds. `class_names`,
    `feature_names` (of a table's columns) where they are known; `fields`: how many columns of a table belong together,
    in their order: 1 is a number, k the places of a category; empty where inputs are no table, or nobody knows.
    `groups`: each column that tells groups apart, and their names. `in_time`: the pool is in order of time, its subsets
    are its latest rows, and targets are learnt as they are, in one scale with the inputs that they follow. `overlap`:
    why examples hold much of each other by design, in words; empty where they do not.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int = 0
    scale: float = 1.0
    shift: float = 0.0
    vocabulary: int = 0
    standardize: bool = False
    remarks: tuple[str, ...] = ()
    leaked: np.ndarray | None = None
    rate: int = 0
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    fields: tuple[int, ...] = ()
    groups: Groups = ()
    in_time: bool = False
    overlap: str = ""

    @cached_property
    def digests(self) -> np.ndarray:
        """Content hash of each row of the pool. uint64 [N]."""
        return row_digests(self.train.x, self.train.y)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name the content of all three splits, whatever the order of rows."""
        splits = (self.digests, *(row_digests(part.x, part.y) for part in (self.validation, self.test)))
        return hashlib.sha256(b"|".join(np.sort(split).tobytes() for split in splits)).hexdigest()[:16]

    def order(self, subset_seed: int) -> np.ndarray:
        """The order of the pool whose first n rows are the subset of size n. int32 [N].

        In time it is the latest first for every seed: seeds share their history, and differ in initial weights alone.
        """
        if self.in_time:
            return np.arange(len(self.train), dtype=np.int32)[::-1].copy()
        return stratified_order(self.digests, self.train.strata, subset_seed)

    def features(self, x: Any, stats: NormalizationStats | None = None) -> np.ndarray:
        """Stored inputs [N, ...] as the learner gets them, with these statistics: float32, or int32 tokens."""
        x = np.asarray(x)
        if self.vocabulary:
            return x.astype(np.int32)
        if self.standardize:
            assert stats is not None
            return stats.inputs(x.astype(np.float32)).astype(np.float32)
        return (x * np.float32(self.scale) + np.float32(self.shift)).astype(np.float32)

    @cached_property
    def extent(self) -> tuple[float, float]:
        """The least and the largest value of the pool's inputs as a learner sees them: what salt noise sets them to."""
        if self.standardize:
            return -STANDARD_EXTENT, STANDARD_EXTENT
        starts = range(0, len(self.train), HASHED_AT_ONCE)
        ends = [(of.min(), of.max()) for of in (self.train.x[at : at + HASHED_AT_ONCE] for at in starts)]
        least, most = float(min(low for low, _ in ends)), float(max(high for _, high in ends))
        return least * self.scale + self.shift, most * self.scale + self.shift

    def with_leaked(self, rows: np.ndarray | None) -> Dataset:
        """The same data with its leaked test rows known; what was computed of the rows stays."""
        found = dataclasses.replace(self, leaked=rows)
        found.__dict__.update({name: self.__dict__[name] for name in _OF_ROWS if name in self.__dict__})
        return found

    @property
    def has_numeric_targets(self) -> bool:
        """Whether targets are numbers to come near to, not classes or tokens."""
        return self.train.y.dtype.kind == "f"


_OF_ROWS = ("digests", "fingerprint", "extent")  # cached properties, which take a look at every row


def hold_out(pool: Split, count: float, name: str) -> tuple[Split, Split]:
    """(held out, the rest): a stratified `count` of the pool, or a share if below 1, chosen by content alone."""
    number = round(count * len(pool)) if 0 < count < 1 else int(count)
    if not 0 < number < len(pool):
        raise UsageError(
            f"{name}={count} must lie between 1 and {len(pool) - 1}, or be a share of the {len(pool)} examples "
            "that are there"
        )
    order = stratified_order(row_digests(pool.x, pool.y), pool.strata, HOLD_OUT_SEED)
    return pool.take(order[:number]), pool.take(np.sort(order[number:]))


def check_sizes(dataset: Dataset, sizes: tuple[int, ...]) -> None:
    """UsageError for a size above the pool or below the number of classes."""
    for size in sizes:
        if size > len(dataset.train):
            raise UsageError(
                f"train_size={size} exceeds the {len(dataset.train)} examples in the training pool of "
                f"{dataset.name!r}; choose at most {len(dataset.train)}"
            )
        if size < dataset.num_classes:
            raise UsageError(
                f"train_size={size} is below the {dataset.num_classes} classes of {dataset.name!r}; "
                f"choose at least {dataset.num_classes}"
            )
