"""Draws learning curves with matplotlib: seeds, means and forecasts, as PNG and SVG."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import math
import pathlib
import typing
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dlm.curves.seed_spread import describe_spread, seed_spread
from dlm.curves.types import Curve, LearnerSummary, Prediction, StudySummary
from dlm.report.formatting import is_rate, percent
from dlm.study.names import ChanceLevel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter


# Okabe and Ito's colours without yellow, which is hard to see on white; markers distinguish learners in greyscale.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_DOTS = 1000  # more are rasterized
_INK, _GREY, _GRID = "#444444", "#6b6b6b", "#e6e6e6"
_STYLE: typing.Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": _INK,
    "axes.linewidth": 0.8,
    "text.usetex": False,
    "svg.fonttype": "none",  # text remains text: searchable and restyled by the page
    "svg.hashsalt": "dlm",  # the same figure gives the same bytes
}


@dataclasses.dataclass(frozen=True)
class _Line:
    """What is drawn of one learner. Errors are positive_error, as a logarithmic axis needs."""

    learner: str
    colour: str
    marker: str
    train_sizes: list[int]
    points: list[tuple[int, float]]
    means: list[float]
    lows: list[float]
    highs: list[float]
    forecast: list[Prediction]

    @property
    def end(self) -> tuple[int, float] | None:
        """Size and error of the curve's last point."""
        if self.forecast:
            return self.forecast[-1].train_size, self.forecast[-1].median
        return (self.train_sizes[-1], self.means[-1]) if self.train_sizes else None


def save_learning_curves(answer: StudySummary, stem: pathlib.Path, *, title: str = "") -> list[pathlib.Path]:
    """Draws every learner's curve with its forecast and writes `stem`.png and `stem`.svg; returns the paths.

    Dots are seeds, solid lines means with their spread, dashed lines forecasts with their interval. An
    error of zero stands at half of one test example, or is left out where their number is unknown; the
    caption says which. Nothing is written for an answer without learners.
    """
    if not answer.learners:
        return []
    figure = make_figure(answer, title=title)
    stem.parent.mkdir(parents=True, exist_ok=True)
    # Not `with_suffix`: a stem may hold a dot. As bytes, so that a path of an object store works too.
    png, svg = stem.parent / f"{stem.name}.png", stem.parent / f"{stem.name}.svg"
    png.write_bytes(_saved(figure, "png", dpi=150))
    svg.write_bytes(svg_of(figure))
    return [png, svg]


def make_figure(answer: StudySummary, *, title: str = "", inches: tuple[float, float] = (6.4, 4.2)) -> Figure:
    """The learning curves as a matplotlib figure, which a notebook displays."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        _draw(figure, answer, title)
        _set_plain_texts(figure)
    figure._repr_png_ = lambda: _saved(figure, "png", dpi=110)  # type: ignore[attr-defined]
    return figure


def svg_of(figure: Figure) -> bytes:
    """A figure as SVG; the same figure gives the same bytes."""
    return _saved(figure, "svg", metadata={"Date": None})


def _saved(figure: Figure, kind: str, **options: typing.Any) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _set_plain_texts(figure: Figure) -> None:
    """Let no text be read as mathematics, and give characters that the font lacks another font, or their code."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.text import Text

    known = get_font(findfont(FontProperties(family=_STYLE["font.family"]))).get_charmap()
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        missing = {letter for letter in text.get_text() if letter != "\n" and ord(letter) not in known}
        if not missing:
            continue
        family, there = _family_with(frozenset(missing))
        if family:
            text.set_fontfamily([_STYLE["font.family"], family])
        codes = {letter: letter.encode("ascii", "backslashreplace").decode() for letter in missing - there}
        text.set_text("".join(codes.get(letter, letter) for letter in text.get_text()))


@functools.cache
def _family_with(letters: frozenset[str]) -> tuple[str, frozenset[str]]:
    """The installed font that has most of the letters, and which; an empty name if none has any."""
    from matplotlib.font_manager import fontManager, get_font

    best, most = "", frozenset[str]()
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        with contextlib.suppress(OSError, RuntimeError):
            known = get_font(font.fname).get_charmap()
            there = frozenset(letter for letter in letters if ord(letter) in known)
            best, most = (font.name, there) if len(there) > len(most) else (best, most)
    return best, most


def _draw(figure: Figure, answer: StudySummary, title: str) -> None:
    axes = figure.add_subplot()
    lines = [_line(learner, k) for k, learner in enumerate(answer.learners)]
    # Thousands of dots are smaller as pixels, also inside an SVG.
    in_pixels = sum(len(line.points) for line in lines) > MOST_DOTS
    for line in lines:
        _draw_line(axes, line, in_pixels)
    _set_axes(axes, lines, answer.learners[0].curve, answer.chance)
    _mark_ends(axes, lines)
    _mark_chance(axes, answer.chance)
    _label_curves(axes, lines)
    if title:
        # Higher if the labels "measured" and "forecast" are below it.
        pad = 16 if any(line.forecast for line in lines) else 8
        axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=pad)
    # Below the axes, where the constrained layout reserves space.
    figure.supxlabel(" · ".join(_caption(answer)), fontsize=6.8, color=_GREY)


def _line(learner: LearnerSummary, index: int) -> _Line:
    curve = learner.curve
    drawable = [
        (size, [drawn_error for e in errors if (drawn_error := positive_error(e, curve))])
        for size, errors in zip(curve.train_sizes, curve.errors, strict=True)
    ]
    spreads = [(size, seed_spread(errors)) for size, errors in drawable if errors]
    return _Line(
        learner=curve.learner,
        colour=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        train_sizes=[size for size, _ in spreads],
        points=[(size, error) for size, errors in drawable for error in errors],
        means=[spread.mean for _, spread in spreads],
        lows=[spread.low for _, spread in spreads],
        highs=[spread.high for _, spread in spreads],
        forecast=forecast_part(learner),
    )


def positive_error(error: float, curve: Curve) -> float:
    """The error, with zero replaced by half of one test example if the number of test examples is known."""
    return error if error > 0 or not curve.num_test else 0.5 / curve.num_test


def forecast_part(learner: LearnerSummary) -> list[Prediction]:
    """The expected error from the largest measured size on."""
    if learner.current is None:
        return []
    after = [item for item in learner.fitted if item.train_size > learner.current.train_size]
    return [item for item in [learner.current, *after] if item.median > 0] if after else []


def _draw_line(axes: Axes, line: _Line, in_pixels: bool) -> None:
    axes.fill_between(line.train_sizes, line.lows, line.highs, alpha=0.16, zorder=2, color=line.colour, linewidth=0)
    train_sizes, errors = [size for size, _ in line.points], [error for _, error in line.points]
    dots: typing.Any = {"marker": line.marker, "markersize": 3, "alpha": 0.35, "markeredgewidth": 0}
    axes.plot(train_sizes, errors, color=line.colour, linestyle="none", zorder=3, rasterized=in_pixels, **dots)
    marks: typing.Any = {"marker": line.marker, "markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
    axes.plot(line.train_sizes, line.means, color=line.colour, linewidth=1.5, zorder=5, **marks)
    ahead, medians = [item.train_size for item in line.forecast], [item.median for item in line.forecast]
    # A lower end of zero cannot be drawn on a logarithmic axis; it lies far below the figure.
    lows, highs = [max(item.low, 1e-12) for item in line.forecast], [item.high for item in line.forecast]
    axes.fill_between(ahead, lows, highs, alpha=0.11, zorder=1, color=line.colour, linewidth=0)
    for edge in (lows, highs):  # edges distinguish overlapping bands
        axes.plot(ahead, edge, color=line.colour, linewidth=0.6, alpha=0.45, zorder=1.5)
    axes.plot(ahead, medians, color=line.colour, linewidth=1.5, linestyle=(0, (4, 2)), zorder=4)


def _set_axes(axes: Axes, lines: list[_Line], curve: Curve, chance: ChanceLevel | None) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    forecasts = [item for line in lines for item in line.forecast]
    train_sizes = [size for line in lines for size in line.train_sizes] + [item.train_size for item in forecasts]
    low, high = error_limits([error for line in lines for _, error in line.points], forecasts, chance)
    axes.set_xlim(min(train_sizes, default=1) / 1.12, max(train_sizes, default=10) * 1.12)
    axes.set_ylim(low, high)
    rate, plain = is_rate(curve.unit), curve.unit == "error"
    _set_ticks(axes.xaxis, EngFormatter(sep=""))
    _set_ticks(axes.yaxis, FuncFormatter(lambda error, _: f"{100 * error:.6g}%" if rate else f"{error:.6g}"))
    axes.minorticks_off()
    axes.grid(True, color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("training examples")
    axes.set_ylabel("test error rate" if rate else "test error" if plain else f"test error ({curve.unit})")


def _set_ticks(axis: Axis, formatter: Formatter) -> None:
    """A few ticks at round values of a logarithmic axis whose limits are set."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    low, high = axis.get_view_interval()
    powers = LogLocator(subs=(1,) if high > 1e4 * low else (1, 2, 5))
    axis.set_major_locator(MaxNLocator(6) if high < 10 * low else powers)
    axis.set_major_formatter(formatter)


def error_limits(
    points: list[float], forecasts: list[Prediction], chance: ChanceLevel | None = None
) -> tuple[float, float]:
    """Limits that show all measured points, forecast medians and the chance level; wide intervals are cut off."""
    known = [chance.error] if chance else []
    core = [error for error in (*points, *known, *(item.median for item in forecasts)) if error > 0]
    if not core:
        return 0.01, 1.0
    lows = [item.low for item in forecasts if item.low > 0]
    highs = [item.high for item in forecasts]
    low = max(min(core + lows), min(core) / 4)
    high = min(max(core + highs), max(core) * 4)
    # The same margin on paper whether the errors span two decades or a tenth of one.
    margin = max((high / low) ** 0.04, 1.01)
    return low / margin, high * margin


def _mark_chance(axes: Axes, chance: ChanceLevel | None) -> None:
    """A dotted line at the chance level."""
    if chance is None or chance.error <= 0:
        return
    axes.axhline(chance.error, color=_GREY, linewidth=0.9, linestyle=":", zorder=0.5)
    style: typing.Any = {"textcoords": "offset points", "va": "bottom", "fontsize": 7, "color": _GREY}
    axes.annotate(
        f"chance: {chance.prediction}", (0, chance.error), (3, 1), xycoords=("axes fraction", "data"), **style
    )


def _mark_ends(axes: Axes, lines: list[_Line]) -> None:
    """A thin line where the measurements end, if there is a forecast."""
    ends = sorted({line.train_sizes[-1] for line in lines if line.train_sizes and line.forecast})
    for end in ends:
        axes.axvline(end, color=_GREY, linewidth=0.7, zorder=0.5)
    if ends:
        style: typing.Any = {"textcoords": "offset points", "va": "bottom", "fontsize": 7.5, "color": _GREY}
        for name, side, offset in (("measured", "right", -4), ("forecast", "left", 4)):
            axes.annotate(name, (ends[-1], 1.0), (offset, 2), xycoords=("data", "axes fraction"), ha=side, **style)


def _caption(answer: StudySummary) -> Iterator[str]:
    curves = [learner.curve for learner in answer.learners]
    counts = [len(errors) for curve in curves for errors in curve.errors]
    means = all(curve.stderr for curve in curves)
    if counts and not means:
        number = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}–{max(counts)}"
        yield f"dots: seeds ({number} a size)"
    words = describe_spread(curves)
    yield "solid: mean" + (f", {words}" if words else "")
    if any(forecast_part(learner) for learner in answer.learners):
        yield f"dashed: forecast, {percent(answer.level)} interval"
    if any(error == 0 for curve in curves for errors in curve.errors for error in errors):
        known = all(curve.num_test for curve in curves)
        yield "zero drawn at half a test example" if known else "zeros left out"


_FONT_SIZE = 9.0
_AXES_HEIGHT = 230.0  # points, roughly: only the least distance between labels depends on it


def _label_curves(axes: Axes, lines: Sequence[_Line]) -> None:
    """Writes the name of each curve outside the right edge. The axes' limits must be set before."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    right = axes.get_xlim()[1]
    ordered = sorted(((line, *line.end) for line in lines if line.end), key=lambda item: item[2])
    wanted = [(math.log(error) - low) / (high - low) for _, _, error in ordered]
    heights = spread_apart(wanted, 1.35 * _FONT_SIZE / _AXES_HEIGHT) if wanted else []
    for (line, size, error), start, height in zip(ordered, wanted, heights, strict=True):
        # A dotted line connects a curve that ends early.
        axes.plot([size, right], [error] * 2, ":", color=line.colour, linewidth=0.7, alpha=0.7, zorder=1)
        arrow = {"arrowstyle": "-", "relpos": (0.0, 0.5), "color": line.colour, "linewidth": 0.7}
        axes.annotate(
            line.learner,
            xy=(1.0, start),
            xytext=(1.04, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=line.colour,
            fontsize=_FONT_SIZE,
            va="center",
            arrowprops={**arrow, "shrinkA": 1, "shrinkB": 0},
        )


def spread_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights moved as little as possible, in least squares, so that neighbours are at least `gap` apart."""
    from scipy.optimize import isotonic_regression

    offsets = gap * np.arange(len(heights))
    moved: list[float] = (isotonic_regression(np.subtract(heights, offsets)).x + offsets).tolist()
    return moved
