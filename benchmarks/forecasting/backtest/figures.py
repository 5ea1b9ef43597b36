"""Reliability plots: the share of measured values below each forecast quantile."""

from __future__ import annotations

import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.forecasting.scores import LEVELS

# Okabe and Ito's colours for colour-blind readers; markers distinguish the lines in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "dlm",  # the same picture gives the same bytes
}


def reliability(sets: Mapping[str, Mapping[str, Sequence[float]]], stem: pathlib.Path) -> list[pathlib.Path]:
    """Draws one panel per set and one line per K; writes PNG and SVG."""
    if not sets:
        return []
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(sets))
    rows = math.ceil(len(sets) / columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(2.3 * columns + 0.5, 2.4 * rows + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, (name, table) in zip(panels, sorted(sets.items())):
            _panel(axes, name, table)
        for axes in panels[len(sets) :]:
            axes.set_visible(False)
        figure.supxlabel("forecast quantile")
        figure.supylabel("share of measured values below")
        return [_write(figure, stem, kind) for kind in ("png", "svg")]


def _panel(axes: Any, name: str, table: Mapping[str, Sequence[float]]) -> None:
    axes.plot([0, 1], [0, 1], color="#6b6b6b", linewidth=0.8, linestyle=(0, (4, 2)))
    for index, ratio in enumerate(sorted(table, key=float)):
        axes.plot(
            LEVELS,
            table[ratio],
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=2.5,
            linewidth=1.1,
            label=f"K = {ratio}",
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_title(name, fontsize=8)
    axes.legend(frameon=False, fontsize=6.5, loc="upper left", handlelength=1.4)
    axes.spines[["top", "right"]].set_visible(False)


def _write(figure: Any, stem: pathlib.Path, kind: str) -> pathlib.Path:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **({"dpi": 150} if kind == "png" else {"metadata": {"Date": None}}))
    path = stem.parent / f"{stem.name}.{kind}"
    path.write_bytes(buffer.getvalue())
    return path
