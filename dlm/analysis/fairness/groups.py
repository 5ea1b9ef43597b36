"""Columns that tell groups of test examples apart, and which examples are compared with which."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

LEAST_EXAMPLES = 10  # of a group, and of everyone else, to compare them

Places = NDArray[np.intp]


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """A group of a column: places of its own test examples, and those of everyone else whose group is known."""

    column: str
    group: str
    own: Places
    others: Places


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """A column that tells groups apart: `codes` [N] of the test examples, -1 where not known; `pool`: how many of each
    group the training pool holds, where that is known."""

    name: str
    groups: tuple[str, ...]
    codes: NDArray[np.integer]
    pool: tuple[int, ...] = ()

    def known(self) -> NDArray[np.bool_]:
        """Examples whose group is known [N]."""
        return self.codes >= 0

    def sides(self) -> list[Side]:
        """Each group that has enough test examples, and enough of others; none where there is one group."""
        known, found = self.known(), []
        for code, group in enumerate(self.groups):
            own = self.codes == code
            if own.sum() >= LEAST_EXAMPLES and (known & ~own).sum() >= LEAST_EXAMPLES:
                found.append(Side(self.name, group, np.flatnonzero(own), np.flatnonzero(known & ~own)))
        return found
