"""What the best of k settings is expected to reach: how far an error rests on how much was tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def expected_best(ranks: Sequence[tuple[float, ...]], values: Sequence[float]) -> Array:
    """Mean value [N] of the best ranked of k of N settings, k = 1 … N, over all ways to draw k different ones.

    `ranks` order the settings, least first; of equals the first. `values` are what is reported of
    each: the error that ranks it, or the test error of what validation chose. A value that is not finite, of a setting
    that diverged, is never reported: where k draws may hold no other, there is no mean, and NaN stands there.

    Drawn without replacement, so that the best of N is the chosen setting. With replacement (Dodge et al. 2019, "Show
    Your Work") it is not, and the mean is biased (Tang et al. 2020, "Showing Your Work Doesn't Always Work").
    """
    found = np.asarray(values, dtype=float)
    order = sorted(range(len(found)), key=lambda place: (not math.isfinite(found[place]), ranks[place]))
    count, usable = len(order), int(np.isfinite(found).sum())
    out = np.full(count, np.nan)
    for k in range(count - usable + 1, count + 1):
        # The setting at a place is the best of k where the other k − 1 are of those after it.
        ways = np.array([float(math.comb(count - 1 - place, k - 1)) for place in range(usable)])
        out[k - 1] = ways @ found[order[:usable]] / math.comb(count, k)
    return out
