"""What a run leaves in its workdir beside the numbers: the test set, each cell's predictions of it, and its parameters.

All of it can be made again by training again, so it is kept only as far as a limit goes, and a file that cannot be read
is as good as absent.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlm.utils.files import replacing, write_atomically

LEAKS_FILE = "leaks.json"
WITHOUT_LEAKS = "error_without_leaks"  # the measure of test examples that are not in the pool too


@dataclasses.dataclass(frozen=True)
class LeakCounts:
    """How many examples are in two places: test examples that are in the pool, pool examples that an earlier one is.

    `near` are those among them that are not equal in every number; `note` says what could not be looked for.
    """

    pool: int
    test: int
    leaked: int
    leaked_near: int
    repeated: int
    repeated_near: int
    note: str = ""


def write_leak_counts(workdir: Path, counts: LeakCounts) -> None:
    """Keep the counts with the run, for its report."""
    write_atomically(workdir / LEAKS_FILE, json.dumps(dataclasses.asdict(counts)) + "\n")


def read_leak_counts(workdir: Path) -> LeakCounts | None:
    """The counts of a run; None if nobody looked, or they cannot be read."""
    try:
        return LeakCounts(**json.loads((workdir / LEAKS_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


SAMPLES_FILE = "samples.jsonl"


@dataclasses.dataclass(frozen=True)
class Sample:
    """A text that a trial's model wrote at its end."""

    trial_id: str
    learner: str
    train_size: int
    seed: int
    text: str


def append_samples(workdir: Path, sample: Sample) -> None:
    """Add a text. One that is lost in a crash is not drawn again: it is there to be looked at, no number."""
    with open(workdir / SAMPLES_FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(sample)) + "\n")


def read_samples(workdir: Path) -> list[Sample]:
    """All texts, of each trial the last; what cannot be read is passed over."""
    found: dict[str, Sample] = {}
    path = workdir / SAMPLES_FILE
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            sample = Sample(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[sample.trial_id] = sample
    return list(found.values())


ENSEMBLES_FILE = "ensembles.json"
CALIBRATION = "calibration_error"


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """The mean of several members' predictions, measured on the test set.

    `examples`: distinct training examples that they have seen together, for each has a subset of its own. `values`:
    the task's measures of their mean; `single`: the mean of each member's own. `unit` is the error's.
    """

    learner: str
    train_size: int
    members: int
    examples: int
    unit: str
    values: dict[str, float]
    single: dict[str, float]


def write_ensembles(workdir: Path, found: Sequence[Ensemble]) -> None:
    """Write them beside the records; in place of those of before."""
    write_atomically(workdir / ENSEMBLES_FILE, json.dumps([dataclasses.asdict(one) for one in found], indent=1) + "\n")


def read_ensembles(workdir: Path) -> list[Ensemble]:
    """The ensembles of a workdir; none where there are none, or they cannot be read."""
    try:
        return [Ensemble(**one) for one in json.loads((workdir / ENSEMBLES_FILE).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


CELLS = "cells"
PREDICTIONS, PARAMS = "predictions", "params"
TEST_SET = "test_set.npz"
MEBIBYTE = 2**20

Arrays = Mapping[str, np.ndarray]


def write(workdir: Path, trial_id: str, name: str, arrays: Arrays) -> None:
    """Keep arrays of a cell, in place of those of that name before."""
    folder = workdir / CELLS / trial_id
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{name}.npz", arrays)


def read(workdir: Path, trial_id: str, name: str) -> dict[str, np.ndarray] | None:
    """The arrays of a cell; None if there are none, or they are damaged."""
    return _read(workdir / CELLS / trial_id / f"{name}.npz")


def write_test_set(workdir: Path, arrays: Arrays) -> None:
    """Keep what the predictions are of: targets, names and, if they are not too many bytes, inputs."""
    _write(workdir / TEST_SET, arrays)


def read_test_set(workdir: Path) -> dict[str, np.ndarray] | None:
    """What the predictions of a workdir are of; None if it is not there or damaged."""
    return _read(workdir / TEST_SET)


def flattened(tree: Any) -> dict[str, np.ndarray]:
    """The leaves of nested mappings, by their keys joined with `/`."""
    return {path: np.asarray(leaf) for path, leaf in _leaves(tree, ())}


def nested(leaves: Arrays) -> dict[str, Any]:
    """The nested mappings that `flattened` made flat."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = leaf
    return tree


def within(limit: int, train_sizes: Iterable[tuple[str, int]]) -> frozenset[str]:
    """The first trial ids whose bytes, added up, do not exceed the limit; one too large does not stop the next."""
    kept, used = set(), 0
    for trial_id, size in train_sizes:
        if used + size <= limit:
            kept.add(trial_id)
            used += size
    return frozenset(kept)


def seeds_first(cells: Sequence[tuple[str, int, int]]) -> list[str]:
    """Trial ids of (trial id, train size, seed) in the order in which they are worth keeping.

    The first seed of every size, the largest sizes first; then the second seed, and so on.
    """
    rank = {seed: place for place, seed in enumerate(dict.fromkeys(seed for *_, seed in cells))}
    return [trial_id for trial_id, size, seed in sorted(cells, key=lambda cell: (rank[cell[2]], -cell[1]))]


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for name, inner in tree.items():
            yield from _leaves(inner, (*path, str(name)))
    else:
        yield "/".join(path), tree


def _write(path: Path, arrays: Arrays) -> None:
    with replacing(path, durable=False) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.zlib.error):  # type: ignore[attr-defined]
        return None
