"""Figures: files, text in the SVG, reproducible bytes, and unusual curves."""

import dataclasses
import itertools
import pathlib
import subprocess
import sys

import pytest

from dlm.curves.types import Curve, LearnerSummary, StudySummary
from dlm.report.figures import make_figure, save_learning_curves, spread_apart


def test_files_text_and_bytes(digits: StudySummary, tmp_path: pathlib.Path) -> None:
    first = save_learning_curves(digits, tmp_path / "a" / "curve.v1", title="Handwritten digits")
    second = save_learning_curves(digits, tmp_path / "b" / "curve.v1", title="Handwritten digits")
    assert [path.name for path in first] == ["curve.v1.png", "curve.v1.svg"]
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    svg = first[1].read_text()
    for text in (
        "mlp",
        "cnn",
        "logreg",
        "Handwritten digits",
        "measured",
        "forecast",
        "8 a size",
        ">10k<",
        ">5%<",
    ):
        assert text in svg


def test_one_size_one_seed_zeros_and_no_forecast(tmp_path: pathlib.Path) -> None:
    plain = LearnerSummary(Curve("a$b$", (64,), ((0.0,),), num_test=100), "", (), (), ())
    lost = LearnerSummary(Curve("lost", (64,), ((0.0,),)), "", (), (), ())
    known = save_learning_curves(StudySummary((plain,), (), (), 0.95), tmp_path / "known")[1].read_text()
    assert "zero drawn at half a test example" in known
    assert "a$b$" in known
    assert (
        "zeros left out"
        in save_learning_curves(StudySummary((plain, lost), (), (), 0.95), tmp_path / "mixed")[1].read_text()
    )
    assert save_learning_curves(StudySummary((lost,), (), (), 0.95), tmp_path / "lost")[1].stat().st_size > 0
    empty = LearnerSummary(Curve("empty", (), (), num_failed=3), "", (), (), ())
    assert save_learning_curves(StudySummary((empty, plain), (), (), 0.95), tmp_path / "empty")[1].stat().st_size > 0
    assert save_learning_curves(StudySummary((empty,), (), (), 0.95), tmp_path / "empty")[1].stat().st_size > 0
    assert save_learning_curves(StudySummary((), (), (), 0.95), tmp_path / "none") == []


def test_an_interval_that_reaches_zero_is_drawn(digits: StudySummary, tmp_path: pathlib.Path) -> None:
    learner = digits.learners[0]
    fitted = tuple(dataclasses.replace(item, low=0.0) for item in learner.fitted)
    answer = StudySummary((dataclasses.replace(learner, fitted=fitted),), (), (), 0.95)
    assert save_learning_curves(answer, tmp_path / "zero")[0].stat().st_size > 0


def test_nothing_heavy_is_loaded_with_the_package() -> None:
    code = "import dlm.report.figures, sys; print([m for m in ('matplotlib', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("low", "high"), [(32, 12570), (1, 1.3), (1, 1e9), (1000, 1001), (1100, 2400), (3, 11), (7, 7)]
)
def test_ticks_are_few_and_round(low: int, high: float) -> None:
    learner = LearnerSummary(Curve("a", (low, int(high) + 1), ((0.3,), (0.25,))), "", (), (), ())
    (axes,) = make_figure(StudySummary((learner,), (), (), 0.95)).axes
    for axis in (axes.xaxis, axes.yaxis):
        first, last = axis.get_view_interval()
        ticks = [tick for tick in axis.get_majorticklocs() if first <= tick <= last]
        assert 2 <= len(ticks) <= 12
        labels = axis.get_major_formatter().format_ticks(ticks)
        assert len(set(labels)) == len(ticks)


def test_labels_that_overlap_are_moved_apart() -> None:
    assert spread_apart([0.1, 0.9], 0.2) == pytest.approx([0.1, 0.9])
    assert spread_apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    heights = spread_apart([0.1, 0.15, 0.22, 0.8], 0.1)
    assert all(b - a > 0.0999 for a, b in itertools.pairwise(heights))


@pytest.mark.parametrize(
    "name", ["gain $x^$", "$5-$10", "a$", "模型 中文", "\U0001f600 \U00013000", r"\frac{", "two\nlines"]
)
@pytest.mark.filterwarnings("error")
def test_names_are_plain_text_and_need_no_glyphs(name: str, tmp_path: pathlib.Path) -> None:
    curve = Curve(name, (64, 128), ((0.2,), (0.1,)), unit=f"{name} loss", bound=(0.0, None))
    summary = StudySummary((LearnerSummary(curve, "", (), (), ()),), (), (), 0.95)
    assert all(path.stat().st_size for path in save_learning_curves(summary, tmp_path / "curve", title=name))
