"""Names written at the right end of their curves, moved apart where they would overlap."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FONT_SIZE = 9.0
_AXES_HEIGHT = 230.0  # points, roughly: only the least distance between labels depends on it


@dataclasses.dataclass(frozen=True)
class CurveEnd:
    """Where a curve ends, in sizes and errors."""

    name: str
    colour: str
    size: float
    error: float


def label_curves(axes: Axes, ends: Sequence[CurveEnd]) -> None:
    """Writes the name of each curve outside the right edge. The limits of the axes must be set before."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    right = axes.get_xlim()[1]
    ordered = sorted(ends, key=lambda end: end.error)
    wanted = [(math.log(end.error) - low) / (high - low) for end in ordered]
    heights = spread_apart(wanted, 1.35 * _FONT_SIZE / _AXES_HEIGHT)
    for end, start, height in zip(ordered, wanted, heights, strict=True):
        # From a curve that ends early, dots lead to the edge.
        axes.plot([end.size, right], [end.error] * 2, ":", color=end.colour, linewidth=0.7, alpha=0.7, zorder=1)
        axes.annotate(
            end.name.replace("$", r"\$"),  # a dollar sign is no formula here
            xy=(1.0, start),
            xytext=(1.04, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=end.colour,
            fontsize=_FONT_SIZE,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0.0, 0.5),
                "color": end.colour,
                "linewidth": 0.7,
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def spread_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights moved as little as needed so that neighbours are at least `gap` apart.

    Overlapping labels form a block around their mean wish; a block that meets the next one joins it.
    """
    blocks: list[list[float]] = []
    for height in heights:
        blocks.append([height])
        while len(blocks) > 1 and _top(blocks[-2], gap) + gap > _bottom(blocks[-1], gap):
            last = blocks.pop()
            blocks[-1] += last
    return [_bottom(block, gap) + k * gap for block in blocks for k in range(len(block))]


def _bottom(block: list[float], gap: float) -> float:
    return sum(block) / len(block) - gap * (len(block) - 1) / 2


def _top(block: list[float], gap: float) -> float:
    return sum(block) / len(block) + gap * (len(block) - 1) / 2
