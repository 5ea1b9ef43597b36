"""Groups of examples by columns, to compare their errors or to keep them in one split; and folds for hold-outs."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
import warnings
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from dlm.data.columns import Column, Columns, find_column
from dlm.data.dataset import Dataset, Groups, LazyRows, Split, hold_out_order, num_held_out
from dlm.utils.errors import UsageError

MAX_VALUES = 12  # a column of numbers with more distinct values is divided at the pool's quartiles
MAX_NAMES = 20  # groups of a column of texts; rarer values form one group
OTHERS = "others"
MAX_FOLDS = 10  # from which a share is put together; more for shares below 1/10
MAX_STRATIFIED_GROUPS = 2000  # more are held out in the order of a hash, which keeps class shares nearly
DISJOINT = "no group is in two splits."

Coded = tuple[tuple[str, ...], dict[str, np.ndarray]]  # names of the groups; group of each row by split, −1 unknown


def groups_of(splits: Mapping[str, Columns], wanted: tuple[str, ...]) -> tuple[Groups, dict[str, np.ndarray]]:
    """Names of each column's groups, and the groups of each split's rows, int32 [N, G], −1 where unknown.

    wanted: column names, `name[3]` for one element of a column, or `age<=25` for two groups of a numeric column. Raises
    UsageError for columns that do not define groups.
    """
    names, codes = [], {part: [] for part in splits}  # type: ignore[var-annotated]
    for column in wanted:
        name, threshold = _parsed(column, splits["train"])
        by_split = {part: find_column(columns, name, "groups") for part, columns in splits.items()}
        labels, coded = _coded(name, by_split) if threshold is None else _divided(name, by_split, threshold)
        names.append((name, labels))
        for part in splits:
            codes[part].append(coded[part])
    return tuple(names), {part: np.stack(each, axis=1).astype(np.int32) for part, each in codes.items()}


def _parsed(wanted: str, columns: Columns) -> tuple[str, float | None]:
    """(column, threshold) of `age<=25`; threshold None for any other name."""
    match = re.fullmatch(r"(.+?)\s*<=\s*(-?\d+(?:\.\d+)?)", wanted)
    return (match[1], float(match[2])) if match and wanted not in columns else (wanted, None)


def _divided(name: str, splits: Mapping[str, Column], threshold: float) -> Coded:
    """Two groups of a column of numbers: up to the threshold, and above."""
    if any(column.kind != "number" or not column.is_scalar for column in splits.values()):
        raise UsageError(f"groups={name!r} with a threshold needs a column of single numbers; choose another column")
    codes = {part: np.where(np.isfinite(x := column.array), x > threshold, -1) for part, column in splits.items()}
    return (f"{_short(name)} ≤ {threshold:g}", f"{_short(name)} > {threshold:g}"), codes


def _coded(name: str, splits: Mapping[str, Column]) -> Coded:
    column = splits["train"]
    if column.kind == "class":
        number = max(int(each.array.max(initial=0)) for each in splits.values()) + 1
        return column.names or tuple(map(str, range(number))), {part: each.array for part, each in splits.items()}
    if column.kind == "text":
        return _by_name({part: np.array(each.texts()) for part, each in splits.items()})
    if column.kind == "number" and column.is_scalar:
        return _by_value(name, {part: each.array.astype(np.float64) for part, each in splits.items()})
    raise UsageError(f"groups={name!r} has kind {column.kind}; choose a column of classes, texts or single numbers")


def _by_name(splits: Mapping[str, np.ndarray]) -> Coded:
    """One group per text that is frequent in the pool, and one for all others."""
    values, counts = np.unique(splits["train"], return_counts=True)
    frequent = np.sort(values[np.argsort(-counts, kind="stable")[:MAX_NAMES]])
    codes = {
        part: np.where(np.isin(x, frequent), np.searchsorted(frequent, x), len(frequent)) for part, x in splits.items()
    }
    others = [OTHERS] if any((x == len(frequent)).any() for x in codes.values()) else []
    return (*map(str, frequent), *others), codes


def _by_value(name: str, splits: Mapping[str, np.ndarray]) -> Coded:
    """One group per value if there are few, else the quarters of the pool."""
    known = {part: np.isfinite(x) for part, x in splits.items()}
    values = np.unique(np.concatenate([x[known[part]] for part, x in splits.items()]))
    if len(values) <= MAX_VALUES:
        labels = tuple(f"{value:g}" for value in values)
        codes = {part: np.searchsorted(values, x) for part, x in splits.items()}
    else:
        pool = splits["train"][known["train"]]
        cuts = np.unique(np.quantile(pool, [0.25, 0.5, 0.75], method="inverted_cdf"))
        ends = ["", *(f"{cut:g}" for cut in cuts), ""]
        short = _short(name)
        labels = tuple(
            f"{short} ≤ {high}" if not low else f"{short} > {low}" if not high else f"{low} < {short} ≤ {high}"
            for low, high in itertools.pairwise(ends)
        )
        codes = {part: np.searchsorted(cuts, x, side="left") for part, x in splits.items()}
    return labels, {part: np.where(known[part], x, -1) for part, x in codes.items()}


def _short(name: str) -> str:
    return name if len(name) <= 12 else "value"


@dataclasses.dataclass(frozen=True)
class SplitGroups:
    """The group of each example by one column, for splits that share no group.

    names: [G], in the order of a hash, so that the held-out groups do not depend on the order of rows. codes: int [N]
    of each split, indices into `names`.
    """

    column: str
    names: np.ndarray
    codes: dict[str, np.ndarray]

    @classmethod
    def of(cls, column: str, splits: Mapping[str, Columns]) -> SplitGroups:
        """The groups of a column. Raises UsageError for an unsuitable column, and for a group that is in two splits."""
        values = {part: _group_names(column, find_column(of, column, "data.group")) for part, of in splits.items()}
        names, codes = np.unique(np.concatenate(list(values.values())), return_inverse=True)
        order = np.array(sorted(range(len(names)), key=lambda k: hashlib.blake2b(str(names[k]).encode()).digest()))
        ends = np.cumsum([len(rows) for rows in values.values()])[:-1]
        parts = np.split(np.argsort(order)[codes], ends)
        result = cls(column, names[order], dict(zip(values, parts)))
        result._check()
        return result

    def _check(self) -> None:
        required, number = 4 - len(self.codes), len(np.unique(self.codes["train"]))
        if len(self.names) == 1:
            raise UsageError(f"data.group={self.column!r} has one group, {str(self.names[0])!r}; choose another column")
        if number < required:
            raise UsageError(
                f"data.group={self.column!r} has {number} groups for {required} splits; provide at least {required}"
            )
        for first, second in itertools.combinations(self.codes, 2):
            shared = np.intersect1d(self.codes[first], self.codes[second])
            if len(shared):
                raise UsageError(
                    f"data.group={self.column!r} has groups in both {first} and {second}: {len(shared):,}, for example "
                    f"{str(self.names[shared[0]])!r}; give all rows as one split, from which dlm holds out whole groups"
                )

    def hold_out(self, part: str, pool: Split, count: float) -> tuple[Split, Split, SplitGroups]:
        """(held-out examples, the rest, groups of both): whole groups of train, about `count` (number or share).

        The rest has every class, and class shares are those of scikit-learn's StratifiedGroupKFold. Raises UsageError
        if that is not possible.
        """
        groups, strata, number = self.codes["train"], pool.strata, len(np.unique(self.codes["train"]))
        share = num_held_out(len(pool), count, f"data.{part}") / len(pool)
        folds = _hashed_fold if number > MAX_STRATIFIED_GROUPS else _stratified_folds
        candidates = [_without_whole_classes(rows, strata, groups) for rows in folds(strata, groups, share)]
        reserve = 3 - len(self.codes)  # groups that the splits still to be held out and the pool need
        candidates = [rows for rows in candidates if rows.any() and len(np.unique(groups[~rows])) >= reserve]
        if not candidates:
            raise UsageError(
                f"data.{part}={count} is not possible with {number} groups by data.group={self.column!r}, since every "
                f"split needs a group and the pool every class; choose another data.{part}, or merge rare classes"
            )
        held = min(candidates, key=lambda rows: _distance(rows, strata, share))
        order = hold_out_order(pool)
        rows, rest = order[held[order]], np.flatnonzero(~held)
        codes = {**self.codes, "train": groups[rest], part: groups[rows]}
        return pool.take(rows), pool.take(rest), dataclasses.replace(self, codes=codes)

    def remark(self) -> str:
        """How many groups each split has."""
        counts = {part: len(np.unique(codes)) for part, codes in self.codes.items()}
        return (
            f"Groups by {self.column}: {counts['train']:,} in the training pool, {counts['validation']:,} in "
            f"validation and {counts['test']:,} in test; {DISJOINT}"
        )


def _group_names(name: str, column: Column) -> np.ndarray:
    """The value of each row as text [N]. Raises UsageError for missing values, and for arrays, images and sounds."""
    if column.kind != "text" and not column.is_scalar:
        raise UsageError(f"data.group={name!r} has kind {column.kind}; choose a column of names or single numbers")
    missing = int((~column.is_known()).sum())
    if missing:
        raise UsageError(
            f"data.group={name!r} has no value in {missing:,} of {len(column):,} rows; fill or remove them"
        )
    if column.kind == "text":
        return np.array(column.texts())
    if column.kind == "class" and column.names:
        return np.array(column.names)[column.array]
    return np.array([f"{value:.15g}" for value in column.array.tolist()])


def _stratified_folds(strata: np.ndarray, groups: np.ndarray, share: float) -> list[np.ndarray]:
    """Candidates for the held-out rows, bool [N]: consecutive folds of whole groups that have about `share`."""
    from sklearn.model_selection import StratifiedGroupKFold

    number, ends = len(np.unique(groups)), (round(1 / share), round(1 / (1 - share)))
    ratio = Fraction(share).limit_denominator(min(number, max(MAX_FOLDS, *ends)))
    count = min(max(ratio.numerator, 1), ratio.denominator - 1) or 1
    num_folds = max(ratio.denominator, 2)
    if np.unique(strata, return_counts=True)[1].max() < num_folds:
        strata = np.zeros_like(strata)  # scikit-learn cannot stratify classes that all have fewer rows than folds
    fold = np.zeros(len(groups), int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        for index, (_, rows) in enumerate(StratifiedGroupKFold(num_folds).split(groups, strata, groups)):
            fold[rows] = index
    return [(fold - start) % num_folds < count for start in range(num_folds)]


def _hashed_fold(strata: np.ndarray, groups: np.ndarray, share: float) -> list[np.ndarray]:
    """The first groups in the order of their hash, which have about `share` of the rows. One candidate, bool [N]."""
    sizes = np.cumsum(np.bincount(groups)) / len(groups)
    return [groups <= np.abs(sizes - share).argmin()]


def _without_whole_classes(held: np.ndarray, strata: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The held-out rows, bool [N], without a group of each class that the other rows lack."""
    held = held.copy()
    for label in np.setdiff1d(strata[held], strata[~held]):
        if not np.any(strata[~held] == label):
            held[groups == groups[strata == label].min()] = False
    return held


def _distance(held: np.ndarray, strata: np.ndarray, share: float) -> float:
    """How far held-out rows, bool [N], are from the share of rows and from the share of each class."""
    _, each = np.unique(strata, return_inverse=True)
    of_held, of_all = np.bincount(each[held], minlength=each.max() + 1), np.bincount(each)
    return float(abs(held.mean() - share) + np.abs(of_held / held.sum() - of_all / len(held)).sum() / 2)


def hold_outs(dataset: Dataset, splits: int) -> tuple[Dataset, ...]:
    """The hold-outs of a dataset: its pool and test split together are divided into `splits` folds.

    Fold k is the test split of hold-out k, the other folds are its pool; validation is the same for all. Folds depend
    on content, are stratified by class, and keep groups together. Raises UsageError for data that follow time or
    documents, for too few examples or groups, and if a pool would lack a class.
    """
    if splits == 1:
        return (dataset,)
    by = dataset.split_by or ("time" if dataset.time_ordered else "history" if dataset.expected_overlap else "")
    if by:
        raise UsageError(
            f"splits={splits} holds out examples at random, and {dataset.name!r} is split by {by}; set splits=1"
        )
    examples, groups = _joined(dataset.train, dataset.test), None
    if dataset.test_groups is not None:
        if dataset.pool_groups is None:
            raise UsageError(
                f"splits={splits} needs the group of each pool example, and {dataset.name!r} has test_groups only; set "
                "Dataset(pool_groups=…) too, or splits=1"
            )
        groups = np.concatenate([dataset.pool_groups, dataset.test_groups])
    order = hold_out_order(examples)
    fold = np.zeros(len(examples), int)
    fold[order] = _folds(examples.strata[order], None if groups is None else groups[order], splits)
    _check_folds(dataset, examples, fold, splits)
    result = []
    for number in range(splits):
        rows, rest = order[fold[order] == number], np.flatnonzero(fold != number)
        test = examples.take(rows)
        result.append(
            dataclasses.replace(
                dataset,
                train=examples.take(rest),
                test=dataclasses.replace(test, x=np.asarray(test.x)),
                pool_groups=None if groups is None else groups[rest],
                test_groups=None if groups is None else groups[rows],
                splits=splits,
            )
        )
    remarks = _remarks(dataset, result[0], groups)
    return tuple(dataclasses.replace(each, remarks=remarks) for each in result)


def _joined(pool: Split, test: Split) -> Split:
    """Pool and test examples; splits that are taken from them share one array of inputs."""
    x = np.concatenate([np.asarray(pool.x), np.asarray(test.x)])
    pairs = ((pool.groups, test.groups), (pool.sounds, test.sounds))
    extras = [None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs]
    return Split(LazyRows(x, np.arange(len(x))), np.concatenate([pool.y, test.y]), *extras)


def _folds(strata: np.ndarray, groups: np.ndarray | None, splits: int) -> np.ndarray:
    """The fold of each row by scikit-learn, int [N]: stratified where some class has a row for each fold."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    number = len(strata) if groups is None else len(np.unique(groups))
    if splits > number:
        what = "examples" if groups is None else "groups by data.group"
        raise UsageError(f"splits={splits} exceeds the {number} {what} in pool and test; choose at most {number}")
    counts = np.unique(strata, return_counts=True)[1]
    stratified = len(counts) > 1 and counts.max() >= splits
    if groups is None:
        kind = StratifiedKFold if stratified else KFold
    else:
        kind = StratifiedGroupKFold if stratified and number <= MAX_STRATIFIED_GROUPS else GroupKFold
    fold = np.zeros(len(strata), int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
        for index, (_, rows) in enumerate(kind(splits).split(strata, strata, groups)):
            fold[rows] = index
    return fold


def _check_folds(dataset: Dataset, examples: Split, fold: np.ndarray, splits: int) -> None:
    """UsageError for an empty fold, and for a class that is in one fold only, which its pool would lack."""
    for number in range(splits):
        inside = fold == number
        if not inside.any():
            raise UsageError(f"splits={splits} leaves hold-out {number} without test examples; choose fewer splits")
        lacking = np.setdiff1d(examples.strata, examples.strata[~inside])
        if len(lacking):
            name = dataset.class_names[lacking[0]] if dataset.class_names else str(lacking[0])
            raise UsageError(
                f"splits={splits} leaves the pool of hold-out {number} without class {name!r}, whose examples are all "
                "in one fold; choose another number of splits, or remove or merge rare classes"
            )


def _remarks(before: Dataset, hold_out: Dataset, groups: np.ndarray | None) -> tuple[str, ...]:
    """The remarks of a dataset, with those on its splits replaced by that on its hold-outs."""
    remarks = []
    for remark in before.remarks:
        if groups is not None and remark.endswith(DISJOINT):
            count = len(np.unique(groups))
            remark = (
                f"{remark.partition(':')[0]}: {count:,} in pool and test of {hold_out.splits} hold-outs; {DISJOINT}"
            )
        if not before.test_precision or not remark.startswith(before.test_precision):
            remarks.append(remark)
    return (*remarks, hold_out.test_precision) if hold_out.test_precision else tuple(remarks)
