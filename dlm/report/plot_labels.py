"""Axis ticks, tick labels, and names at the right ends of curves that do not overlap."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlm.report.formatting import is_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Steps within a decade, from coarse to fine.
_STEPS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_THOUSANDS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def log_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """At most `most` round values within [low, high], 0 < low < high."""
    best: list[float] = []
    for steps in _STEPS:
        ticks = _within(low, high, steps)
        if len(best) < len(ticks) <= most:
            best = ticks
    if len(best) >= 3:
        return best
    # Less than about a third of a decade: equal steps.
    step = 10.0 ** math.floor(math.log10(high - low))
    for part in (step / 5, step / 2, step, 2 * step):
        ticks = [k * part for k in range(math.ceil(low / part), math.floor(high / part) + 1)]
        if 3 <= len(ticks) <= most:
            return ticks
    # Wider than `most` decades: every second one, or every third …
    decades = _within(low, high, (1.0,))
    return decades[:: math.ceil(len(decades) / most)] if len(decades) > most else best


def error_label(value: float, unit: str) -> str:
    """The label of an error tick: "2%", "0.5%", "1.25"."""
    return f"{100 * value:.6g}%" if is_rate(unit) else f"{value:.6g}"


def size_label(value: float) -> str:
    """The label of a size tick: "50", "1k", "2.5M"."""
    for size, letter in _THOUSANDS:
        if value >= size:
            return f"{value / size:.6g}{letter}"
    return f"{value:.6g}"


def _within(low: float, high: float, steps: tuple[float, ...]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    # The slack keeps a tick that sits exactly on a limit.
    return [s * 10.0**d for d in decades for s in steps if low * (1 - 1e-9) <= s * 10.0**d <= high * (1 + 1e-9)]


_FONT_SIZE = 9.0
_AXES_HEIGHT = 230.0  # points, roughly: only the least distance between labels depends on it


@dataclasses.dataclass(frozen=True)
class CurveEnd:
    """The last point of a curve."""

    name: str
    colour: str
    size: float
    error: float


def label_curves(axes: Axes, ends: Sequence[CurveEnd]) -> None:
    """Writes the name of each curve outside the right edge. The axes' limits must be set before."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    right = axes.get_xlim()[1]
    ordered = sorted(ends, key=lambda end: end.error)
    wanted = [(math.log(end.error) - low) / (high - low) for end in ordered]
    heights = spread_apart(wanted, 1.35 * _FONT_SIZE / _AXES_HEIGHT)
    for end, start, height in zip(ordered, wanted, heights, strict=True):
        # A dotted line connects a curve that ends early.
        axes.plot([end.size, right], [end.error] * 2, ":", color=end.colour, linewidth=0.7, alpha=0.7, zorder=1)
        axes.annotate(
            end.name.replace("$", r"\$"),  # not mathtext
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
    """Ascending heights moved as little as possible so that neighbours are at least `gap` apart.

    Overlapping labels form a block around their mean; overlapping blocks are merged.
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
