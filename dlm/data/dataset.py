"""Dataset: the training pool, validation and test splits that every source loads, as NumPy arrays."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlm.data.subsets import HASH_ROWS, row_digests, stratified_order
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from dlm.data.normalization import NormalizationStats


def class_weights(y: np.ndarray, num_classes: int, balance: float) -> np.ndarray:
    """Weight of each class: its share among the labels `y` to the power of −`balance`. float32 [C].

    Weights average to 1 over the examples, so the loss keeps its scale. `balance` 0 weights all examples equally, 1 all
    classes equally; a class without examples has weight 1.
    """
    shares = np.bincount(y, minlength=num_classes) / len(y)
    occurs = shares > 0
    weights = np.where(occurs, shares, 1.0) ** -balance
    return np.where(occurs, weights / (shares * weights).sum(), 1.0).astype(np.float32)


Groups = tuple[tuple[str, tuple[str, ...]], ...]  # (column, names of its groups)
STANDARDIZED_RANGE = 3.0  # standard deviations; nearly all values of a standardized column lie within
HOLD_OUT_SEED = 2**32  # above every subset seed, so a held-out split is never the order of a subset
EXCLUDED_LOGIT = -1e9  # the logit of a token that must not be predicted: padding, and items of the history


class LazyRows:
    """Rows of an array on disk, read when indexed; otherwise like an array [N, ...]."""

    def __init__(self, base: np.ndarray, rows: np.ndarray):
        self.base, self.rows = base, rows
        self.shape, self.dtype, self.ndim = (len(rows), *base.shape[1:]), base.dtype, base.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.base[self.rows[rows]])

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.base, np.memmap):
            return LazyRows, (self.base, self.rows)
        base = self.base
        return _reopened, (str(base.filename), base.dtype.str, base.shape, base.offset, self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def _reopened(path: str, dtype: str, shape: tuple[int, ...], offset: int, rows: np.ndarray) -> LazyRows:
    """Unpickle in another process, which opens the file itself."""
    return LazyRows(np.memmap(path, dtype, "r", offset, shape), rows)


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of one split. x: [N, ...] in storage type (uint8, float32, …), an array or LazyRows.

    y: int32 [N] classes; float32 [N] or [N, K] numbers; integers [N, ...] tokens or a class per pixel. groups: int32
    [N, G], the group of each example by each group column (−1: unknown). sounds: int16 [N, T], the waveforms if inputs
    are spectrograms and the waveforms are small enough.
    """

    x: np.ndarray | LazyRows
    y: np.ndarray
    groups: np.ndarray | None = None
    sounds: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Split:
        """The given rows, in that order; inputs on disk are not read."""
        extras = [None if each is None else each[rows] for each in (self.groups, self.sounds)]
        if isinstance(self.x, LazyRows):
            return Split(LazyRows(self.x.base, self.x.rows[rows]), self.y[rows], *extras)
        if isinstance(self.x, np.memmap):
            return Split(LazyRows(self.x, rows), self.y[rows], *extras)
        return Split(self.x[rows], self.y[rows], *extras)

    @property
    def strata(self) -> np.ndarray:
        """Classes that subsets are stratified by; all zero for other targets. int [N]."""
        is_class = self.y.ndim == 1 and self.y.dtype.kind in "iu"
        return self.y if is_class else np.zeros(len(self.y), np.int32)

    @property
    def nbytes(self) -> int:
        """Size of inputs and targets in bytes."""
        return int(np.prod(self.x.shape)) * self.x.dtype.itemsize + self.y.nbytes


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set with its three splits and how a learner gets its inputs and targets.

    num_classes: number of labels, 0 if targets are not classes. Inputs become `x * scale + shift`, float32; with
    `standardize` (NaN where missing) they are standardized by the training subset, see `NormalizationStats`; with
    `vocabulary` > 0 they are tokens 0 … vocabulary − 1 and stay as they are. remarks: how files were read, in
    sentences. leaked_rows: test rows that are in the training pool too. rate: samples per second of `Split.sounds`.
    class_names, feature_names: if known. fields: number of input columns of each field of a table, 1 for a number and
    k for a one-hot category; empty if inputs are not a table. groups: group columns and the names of their groups.
    time_ordered: the pool is in order of time, subsets are its latest rows, and targets have the scale of the inputs.
    expected_overlap: why examples overlap by design, which skips the search for leaks. test_groups: int [N], the group
    of each test example, and pool_groups of each pool example, if examples of a group (a patient, a speaker) are not
    independent. split_by: what the splits follow, such as "time", which random splits would mix. splits: the number of
    hold-outs of which this is one, see `dlm.data.groups.hold_outs`.
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
    leaked_rows: np.ndarray | None = None
    rate: int = 0
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    fields: tuple[int, ...] = ()
    groups: Groups = ()
    time_ordered: bool = False
    expected_overlap: str = ""
    test_groups: np.ndarray | None = None
    pool_groups: np.ndarray | None = None
    split_by: str = ""
    splits: int = 1

    @cached_property
    def digests(self) -> np.ndarray:
        """Content hash of each row of the training pool. uint64 [N]."""
        return row_digests(self.train.x, self.train.y)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content of all three splits, independent of the order of rows. 16 hexadecimal digits."""
        splits = (self.digests, *(row_digests(part.x, part.y) for part in (self.validation, self.test)))
        return hashlib.sha256(b"|".join(np.sort(split).tobytes() for split in splits)).hexdigest()[:16]

    def order(self, subset_seed: int) -> np.ndarray:
        """Order of the pool whose first n rows are the subset of size n. int32 [N].

        Time-ordered data has one order for all seeds, latest first; seeds then differ in initial weights only.
        """
        if self.time_ordered:
            return np.arange(len(self.train), dtype=np.int32)[::-1].copy()
        return stratified_order(self.digests, self.train.strata, subset_seed)

    def features(self, x: Any, stats: NormalizationStats | None = None) -> np.ndarray:
        """Stored inputs [N, ...] as a learner gets them, normalized by its subset's statistics: float32 or tokens."""
        x = np.asarray(x)
        if self.vocabulary:
            return x.astype(np.int32)
        if self.standardize:
            assert stats is not None
            return stats.inputs(x.astype(np.float32)).astype(np.float32)
        return (x * np.float32(self.scale) + np.float32(self.shift)).astype(np.float32)

    @cached_property
    def input_range(self) -> tuple[float, float]:
        """Smallest and largest input of the pool as a learner gets it: the values of salt noise."""
        if self.standardize:
            return -STANDARDIZED_RANGE, STANDARDIZED_RANGE
        starts = range(0, len(self.train), HASH_ROWS)
        ranges = [(part.min(), part.max()) for part in (self.train.x[at : at + HASH_ROWS] for at in starts)]
        low, high = float(min(low for low, _ in ranges)), float(max(high for _, high in ranges))
        return low * self.scale + self.shift, high * self.scale + self.shift

    def with_leaked_rows(self, rows: np.ndarray | None) -> Dataset:
        """The same data with `leaked_rows` set; keeps what has been computed from the rows."""
        result = copy.copy(self)
        object.__setattr__(result, "leaked_rows", rows)
        return result

    @property
    def test_precision(self) -> str:
        """How precisely the test split, or those of all hold-outs, measure an error; empty for dense targets.

        The standard error of a share p is √(p(1 − p)/n); of a root-mean-square error, relative, about √(1/2n). Examples
        of a group may all be wrong together: then n is the effective number of groups, n²/Σ nᵍ² (Kish 1965).
        """
        total, count = sum(map(len, (self.train, self.validation, self.test))), len(self.test)
        groups, hold_outs = self.test_groups, ""
        if self.splits > 1:
            count, hold_outs = count + len(self.train), f" in {self.splits} hold-outs"
            groups = groups if self.pool_groups is None else np.concatenate([self.pool_groups, self.test_groups])
        if self.test.y.ndim > 1 or not (self.num_classes or self.has_numeric_targets) or not count:
            return ""
        what, spread, unit = "an error rate of 20 % has a standard error", math.sqrt(0.2 * 0.8), "points"
        if self.has_numeric_targets:
            what, spread, unit = "a root-mean-square error has a relative standard error", math.sqrt(0.5), "%"
        stderr = 100 * spread / math.sqrt(count)
        text = f"Held out {count:,} of {total:,} examples for testing{hold_outs}: {what} of {stderr:.2g} {unit}"
        if groups is None:
            return f"{text}."
        sizes = np.unique(groups, return_counts=True)[1]
        most = 100 * spread * math.sqrt(np.sum(sizes**2)) / count
        return f"{text}; up to {most:.2g} {unit} if the examples of a group ({len(sizes):,} groups) are wrong together."

    @property
    def has_numeric_targets(self) -> bool:
        """Whether targets are real numbers, not classes or tokens."""
        return self.train.y.dtype.kind == "f"


def num_held_out(total: int, count: float, name: str) -> int:
    """Number of examples to hold out. Raises UsageError unless held-out examples and rest are both non-empty."""
    number = round(count * total) if 0 < count < 1 else int(count)
    if not 0 < number < total or (count > 1 and number != count):
        raise UsageError(
            f"{name}={count} does not fit {total} examples; choose 1 to {total - 1}, or a share between 0 and 1"
        )
    return number


def hold_out_order(pool: Split) -> np.ndarray:
    """The stratified order by content in which examples are held out. int32 [N]."""
    return stratified_order(row_digests(pool.x, pool.y), pool.strata, HOLD_OUT_SEED)


def hold_out(pool: Split, count: float, name: str) -> tuple[Split, Split]:
    """(held-out examples, the rest). `count`: a number of examples, or a share if below 1; stratified, by content.

    Raises UsageError unless both are non-empty; `name` is the setting in the message.
    """
    number, order = num_held_out(len(pool), count, name), hold_out_order(pool)
    return pool.take(order[:number]), pool.take(np.sort(order[number:]))


def hold_out_both(examples: Split, validation: float, test: float) -> tuple[Split, Split, Split]:
    """Pool, validation and test: the test examples are held out first, see `hold_out`."""
    test_split, rest = hold_out(examples, test, "data.test")
    validation_split, pool = hold_out(rest, validation, "data.validation")
    return pool, validation_split, test_split


def check_train_sizes(dataset: Dataset, train_sizes: tuple[int, ...]) -> None:
    """Raises UsageError for a size above the pool or below the number of classes."""
    for size in train_sizes:
        if size > len(dataset.train):
            raise UsageError(
                f"train_size={size} exceeds the {len(dataset.train)} examples in the training pool of "
                f"{dataset.name!r}{f' with splits={dataset.splits}' if dataset.splits > 1 else ''}; choose at most "
                f"{len(dataset.train)}"
            )
        if size < dataset.num_classes:
            raise UsageError(
                f"train_size={size} is below the {dataset.num_classes} classes of {dataset.name!r}; "
                f"choose at least {dataset.num_classes}"
            )
