"""The search for examples that are in two places, as a run makes it: once for each content, and told in few numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import psutil

from dlm.data.arrays import Arrays
from dlm.data.leaks import find_leaks
from dlm.data.subsets import row_digests
from dlm.files import replacing, user_cache
from dlm.leak_counts import LeakCounts

VERSION = 1  # of the search: a changed one looks again
MEMORY_FACTOR = 8  # bytes that the search takes for each of the data


def searched(arrays: Arrays) -> tuple[Arrays, LeakCounts]:
    """The data with its leaked test rows known, and the counts; found once for the same rows, and kept in a cache."""
    counts = LeakCounts(len(arrays.train), len(arrays.test), 0, 0, 0, 0)
    if arrays.in_time:
        return arrays, dataclasses.replace(counts, note="windows of one history overlap, as they are meant to")
    if arrays.overlap:
        return arrays, dataclasses.replace(counts, note=arrays.overlap)
    if MEMORY_FACTOR * arrays.train.nbytes > psutil.virtual_memory().available:
        return arrays, dataclasses.replace(counts, note="the data are too large to look for leaks in memory")
    path = user_cache() / "leaks" / f"{arrays.fingerprint}-{_order_of_test(arrays)}-{VERSION}.npz"
    found = _kept(path)
    if found is None:
        found = _search(arrays)
        with contextlib.suppress(OSError):  # a cache that cannot be written costs the time of the search, no more
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.savez(file, **found)  # type: ignore[arg-type]
    near, rows = found["near"], found["test_rows"]
    counts = dataclasses.replace(
        counts,
        leaked=len(rows),
        leaked_near=int(near[0]),
        repeated=int(near[1]),
        repeated_near=int(near[2]),
        note=str(found["note"]),
    )
    return arrays.with_leaked(rows if len(rows) else None), counts


def _search(arrays: Arrays) -> dict[str, np.ndarray]:
    kind = "tokens" if arrays.vocabulary else "numbers"
    leaks = find_leaks(np.asarray(arrays.train.x), np.asarray(arrays.test.x), kind=kind)  # type: ignore[arg-type]
    exact = [np.unique(pairs.second[pairs.exact]) for pairs in (leaks.across, leaks.within)]
    rows, repeated = leaks.test_rows, leaks.repeated_rows
    near = np.array([len(rows) - len(exact[0]), len(repeated), len(repeated) - len(exact[1])])
    return {"test_rows": rows, "near": near, "note": np.array("" if leaks.near_searched else leaks.note)}


def _order_of_test(arrays: Arrays) -> str:
    """The fingerprint does not tell the order of the rows, which the answer is in."""
    return hashlib.sha256(row_digests(arrays.test.x).tobytes()).hexdigest()[:16]


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ("test_rows", "near", "note")}
    except Exception:  # absent or damaged, in whatever way: it is made again
        return None
