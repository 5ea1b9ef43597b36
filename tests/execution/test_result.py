"""What `dlm.run` and `dlm.load` give, and how results, studies and forecasts show themselves."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree

import pytest
from small import small

import dlm
from dlm import Interrupted, Learner, UsageError, grid
from dlm.curves.summary import summarize
from dlm.curves.types import Curve, LearnerSummary, StudySummary
from dlm.execution.preemption import EXIT_INTERRUPTED, Watch
from dlm.models import MLP
from dlm.report import notebook
from dlm.train.trainer import CohortRun

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return dlm.run(small(), tmp_path_factory.mktemp("run") / "digits", question="How many?")


def svg(html):
    """The picture in some HTML, parsed: a browser would be as strict about what is inside."""
    (text,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    return xml.etree.ElementTree.fromstring(text)


def is_self_contained(html):
    outside = re.sub(r'xmlns(:xlink)?="[^"]*"', "", html)
    return "<script" not in html and "http" not in outside and "@import" not in html and 'href="/' not in html


def test_a_run_answers_and_a_second_one_trains_nothing_and_shows_the_same(result, capsys):
    assert (result.outcome.trained, result.outcome.before) == (12, 0)
    again = dlm.run(small(), result.workdir, question="How many?")
    assert (again.outcome.trained, again.outcome.before) == (0, 12)
    assert "trained 0 trials (12 were complete)" in capsys.readouterr().err
    assert again._repr_html_() == result._repr_html_()
    assert str(again) == str(result)
    assert again.page.read_text().startswith("<!doctype html>")


def test_a_run_is_loaded_without_being_trained_or_changed(result):
    before = {path: path.stat().st_mtime_ns for path in result.workdir.rglob("*") if path.is_file()}
    loaded = dlm.load(str(result.workdir))
    assert {path: path.stat().st_mtime_ns for path in result.workdir.rglob("*") if path.is_file()} == before
    assert loaded.sentences == result.sentences
    assert loaded._repr_html_() == result._repr_html_()
    assert (loaded.title, loaded.question, loaded.outcome) == ("small", "How many?", None)
    assert loaded.records.num_rows == dlm.records.read(result.workdir).num_rows > 0


def test_loading_needs_no_jax(result):
    code = f"import dlm, sys; dlm.load({str(result.workdir)!r})._repr_html_(); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_more_seeds_train_only_the_new_cells_and_stay_where_they_are_asked_to(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = dlm.run(small(train_sizes=(32,), seeds=1))
    assert str(first.workdir) == os.path.join("runs", "small")
    assert first.page.is_file()
    more = dlm.run(small(train_sizes=(32,), seeds=2))
    assert (more.outcome.trained, more.outcome.before) == (2, 2)


@pytest.mark.parametrize(
    ("study", "workdir", "match"),
    [
        ({"name": ""}, None, "no name"),
        ({}, "gs://bucket/run", "not a local folder"),
        ({"train_sizes": (99_999,)}, None, "at most"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_made(study, workdir, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=match) as told:
        dlm.run(small(**study), workdir)
    assert list(tmp_path.iterdir()) == []
    # What IPython prints in place of a traceback.
    assert told.value._render_traceback_() == [f"UsageError: {told.value}"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no study; name the folder of a run"):
        dlm.load(tmp_path)


def test_a_stopped_cell_says_so_in_a_line_and_goes_on_when_run_again(tmp_path, monkeypatch):
    advance = CohortRun.advance

    def stopped(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return advance(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(CohortRun, "advance", stopped)
        with pytest.raises(Interrupted, match="run again to resume") as told:
            dlm.run(small(), tmp_path / "run", save_seconds=0.0)
    assert told.value.exit_code == EXIT_INTERRUPTED
    assert len(told.value._render_traceback_()) == 1
    assert not (tmp_path / "run" / "lock.json").exists()
    assert dlm.run(small(), tmp_path / "run").outcome.failed == 0


def test_ctrl_c_does_not_end_a_process_that_is_somebody_elses():
    with Watch(hosted=True) as watch:
        os.kill(os.getpid(), signal.SIGINT)
        assert watch() == EXIT_INTERRUPTED
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_works_in_a_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(dlm.run(small(train_sizes=(32,), seeds=1), tmp_path / "run")))
    thread.start()
    thread.join()
    assert found[0].outcome.trained == 2


def test_what_is_shown_begins_with_the_words_and_asks_for_nothing(result):
    html = result._repr_html_()
    places = [html.index(part) for part in (result.sentences[0].split(",")[0], "<svg", "<table")]
    assert places == sorted(places)
    assert is_self_contained(html)
    assert len(html) < 200_000
    assert svg(html).get("role") == "img"
    # Ink takes the colour of the text around it, and there is no paper: any theme can be behind it.
    assert "currentColor" in html
    assert not re.search(r"#000000|#444444|fill: #ffffff\"/>\s*</g>\s*<g id=\"axes", html)
    markdown = result._repr_markdown_()
    assert re.search(r"\| examples \| (net \| logreg|logreg \| net) \|", markdown)
    assert "<" not in re.sub(r"<[\d.]+ %", "", markdown)
    assert result.figure()._repr_png_().startswith(b"\x89PNG")
    assert "At 128 examples" in repr(result)
    assert len(repr(result).splitlines()) == 2


def test_names_and_questions_are_escaped():
    curve = Curve(HOSTILE, (10, 20, 40, 80), ((0.5,), (0.4,), (0.3,), (0.25,)), num_test=100)
    html = notebook.summary_html(summarize([curve]), title=HOSTILE, question=HOSTILE, footer=HOSTILE)
    assert "<img" not in html
    assert html.count("&lt;img") > 4
    svg(html)
    study = small(learners={"<img src onerror>": Learner(MLP((4,)))}, name="<b>")
    assert "<img" not in study._repr_html_()
    assert "<b><b>" not in study._repr_html_()


def test_ten_thousand_cells_are_shown_in_200_kb():
    train_sizes = tuple(range(10, 10_010, 100))
    learners = [
        Curve(f"learner {k}", train_sizes, tuple((0.9 * n**-0.3 + k / 100,) * 20 for n in train_sizes), num_test=1000)
        for k in range(5)
    ]
    told = StudySummary(tuple(LearnerSummary(curve, "", (), (), ()) for curve in learners), (), (), 0.95)
    html = notebook.summary_html(told)
    assert len(html) < 200_000
    assert re.search(r"\d\d of 100 sizes", html)


def test_an_answer_without_a_finished_cell_is_shown_too():
    lost = StudySummary((LearnerSummary(Curve("net", (), (), num_failed=2), "", (), (), ()),), (), (), 0.95)
    assert "No trial has finished yet" in notebook.summary_html(lost)
    assert "No trial has finished yet" in notebook.summary_markdown(lost)


def test_a_forecast_shows_numbers_law_curve_and_whether_to_rely_on_it():
    made = dlm.forecast([100, 200, 400, 800], [0.31, 0.24, 0.19, 0.152], at=[1600, 80_000])
    html = made._repr_html_()
    assert made.law in html
    assert ">80,000</td>" in html
    assert f">{made.median[0]:.3f}</td>" in html
    assert "Unreliable: 4 sizes" in html
    assert is_self_contained(html)
    marks = [use for use in svg(html).iter("{http://www.w3.org/2000/svg}use") if "stroke: #fff" in use.get("style", "")]
    assert len({round(float(use.get("y")), 3) for use in marks}) == 4  # the measured points are in the picture
    carried = dlm.forecast([100, 200, 400, 800, 1600], [0.31, 0.24, 0.19, 0.152, 0.12], at=3200)
    assert "Not to be relied on" not in carried._repr_html_()


def test_a_study_shows_what_it_will_run_without_a_device():
    study = small(axes=grid(lr=(0.01, 0.1)))
    html = study._repr_html_()
    assert "18 trials" in html  # the net at two learning rates
    assert "32, 64, 128 examples" in html
    assert re.findall(r">(12|6)</td>", html) == ["12", "6"]
    code = (
        "import sys\nfrom dlm import Study\nimport dataclasses\n"
        "@dataclasses.dataclass(frozen=True)\nclass Any:\n    load = fit = None\n"
        "study = Study(data=Any(), task=Any(), learners={'a': Any()}, train_sizes=(10,))\n"
        "assert '3 trials' in study._repr_html_(), study._repr_html_()\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_result_is_frozen(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.title = "another"
