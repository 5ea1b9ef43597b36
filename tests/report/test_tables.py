"""Tables for papers and pages: the numbers, the best of each size, and names with characters that mean something."""

import re
import shutil
import subprocess

import pytest

from dlm.curves.types import Curve, LearnerSummary, Prediction, RequiredSize, StudySummary
from dlm.report.tables import forecast_table, latex, markdown, measured_table, required_size_table

CURVES = (
    Curve("a_b & 50% #1", (32, 64), ((0.3, 0.2, 0.4), (0.1,))),
    Curve("x|y {~^\\}$", (32,), ((0.1, 0.2, 0.3),)),
)
ANSWER = StudySummary(
    learners=tuple(
        LearnerSummary(
            curve,
            "law",
            (),
            (Prediction(128, 0.05, 0.02, 0.08),),
            (RequiredSize(0.05, "interval", 100.0, 130.0, None, 0.9),),
        )
        for curve in CURVES
    ),
    crossovers=(),
    multiples=(2.0,),
    level=0.95,
)
MADE = [measured_table(CURVES), forecast_table(ANSWER), required_size_table(ANSWER)]


def test_a_table_has_a_row_a_size_and_the_best_in_bold():
    assert markdown(MADE[:1]).splitlines()[2:] == [
        r"| examples | a\_b & 50% \#1 | x\|y {~^\\}$ |",
        "| ---: | ---: | ---: |",
        "| 32 | 30.0 [20.0–40.0] (3) | **20.0 [10.0–30.0] (3)** |",
        "| 64 | **10.0 (1)** | – |",
    ]


def test_learners_of_different_units_are_not_held_against_each_other():
    text = markdown([measured_table([CURVES[0], Curve("lm", (32,), ((1.5,),), unit="nats per byte")])])
    assert "**" not in text
    assert "lm (nats per byte)" in text


def test_forecasts_and_needs_come_with_their_intervals():
    text = markdown(MADE[1:])
    assert "| learner | 2x the data or 4x the data, n=128 |" in text
    assert r"| a\_b & 50% \#1 | 5.0 % [2.0, 8.0] |" in text
    assert r"| 5 % | a\_b & 50% \#1 | about 130 [100 or more], probability 90 % |" in text


def test_latex_is_balanced_and_nothing_is_left_that_would_mean_something():
    text = latex(MADE)
    assert text.count(r"\begin{table}") == text.count(r"\end{tabular}") == 3
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 3
    assert r"a\_b \& 50\% \#1" in text
    assert r"x\textbar{}y \{\textasciitilde{}\textasciicircum{}\textbackslash{}\}\$" in text
    assert r"\textbf{20.0 {[}10.0--30.0] (3)}" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} <= {1, 2}
    assert not re.search(r"(?<!\\)[%#_]", text.partition("\n")[2])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    (tmp_path / "page.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + latex(MADE) + "\\end{document}\n",
        encoding="utf-8",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:]
