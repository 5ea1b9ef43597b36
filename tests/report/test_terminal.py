"""The printed answer: width, plain text, and every odd case."""

import dataclasses
import io

import pytest
from rich.console import Console

from dlm.curves.types import Curve, LearnerSummary, Prediction, RequiredSize, StudySummary
from dlm.report.formatting import forecast_text, required_size_cell
from dlm.report.sentences import sentences
from dlm.report.terminal import print_summary

LONE = LearnerSummary(Curve("mlp", (64,), ((0.125,),)), "", (), (), (), "one size is too few for a law")


def printed(answer: StudySummary, width: int = 80, encoding: str = "utf-8", **options: str) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    print_summary(answer, Console(file=file, width=width), **options)
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_keep_to_the_width_and_are_plain(digits: StudySummary, width: int) -> None:
    text = printed(digits, width, title="digits " * 20, question="Which learner wins? " * 9)
    assert max(map(len, text.splitlines())) <= width
    assert not any(ord(letter) < 32 and letter != "\n" for letter in text)
    assert "\u00a0" not in text


def test_no_colour_leaves_no_colour_codes(digits: StudySummary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    print_summary(digits, Console(file=file, width=80, force_terminal=True))
    assert "\x1b[3" not in file.getvalue()


def test_a_terminal_without_unicode_gets_ascii(digits: StudySummary) -> None:
    text = printed(digits, encoding="ascii", title="naïve")
    assert "26.9 [22.8-29.2] (8)" in text
    assert "na?ve" in text


def test_every_measured_cell_has_its_median_spread_and_number_of_seeds(digits: StudySummary) -> None:
    text = printed(digits)
    assert "mean [min–max] (number of seeds)" in text
    assert text.count("] (8)") == 3 * 7
    assert "1,257" in text


def test_the_tables_say_what_the_sentences_say(digits: StudySummary) -> None:
    text = printed(digits, 100)
    spoken = " ".join(sentences(digits))
    for learner in digits.learners:
        assert learner.law in text
        for prediction in learner.predictions:
            phrase = forecast_text(prediction, learner.curve.unit)
            assert phrase in text
            assert phrase in spoken
        for need in learner.required_sizes:
            assert required_size_cell(need) in text
    for sentence in (one for one in sentences(digits) if "crossovers" in one or "behind" in one or "left out" in one):
        assert sentence in text


def test_many_seeds_show_the_central_80_percent() -> None:
    curve = Curve("mlp", (32,), (tuple(k / 100 for k in range(21)),))
    text = printed(StudySummary((LearnerSummary(curve, "", (), (), ()),), (), (), 0.95))
    assert "mean [central 80 %]" in text
    assert "10.0 [2.0–18.0] (21)" in text


def test_one_seed_one_size_no_forecast() -> None:
    text = printed(StudySummary((LONE,), (), (2.0,), 0.95))
    assert "12.5 (1)" in text
    assert "No forecast is given for any learner." in text
    assert "one size is too few for a law." in text
    assert "no law was fitted" in text
    assert "Examples needed" not in text


def test_learners_measured_at_different_sizes() -> None:
    ahead = (Prediction(1000, 0.02, 0.01, 0.03),)
    other = LearnerSummary(Curve("cnn", (128, 500), ((0.1, 0.2), (0.05,))), "law", (), ahead, ())
    both = StudySummary((LONE, other), (), (2.0,), 0.9)
    text = printed(both)
    assert "–" in text
    assert "no forecast" in text
    assert "2x the data, n=1,000" in text
    assert "90 % intervals" in text
    third = dataclasses.replace(other, predictions=(Prediction(256, 0.02, 0.01, 0.03),))
    assert "n=256: 2.0 % [1.0, 3.0]" in printed(StudySummary((other, third), (), (2.0,), 0.9))


def test_other_units_are_plain_and_named() -> None:
    curve = Curve("lstm", (10, 20), ((2.345, 2.5), (1.2345, 1.3)), unit="nats per byte", bound=(0.0, None))
    needs = (RequiredSize(1.25, "reached", None, 18.0, None, 1.0),)
    text = printed(StudySummary((LearnerSummary(curve, "", (), (), needs),), (), (), 0.95))
    assert "Test nats per byte" in text
    assert "1.27 [1.23–1.30] (2)" in text
    assert "1.25 nats per byte" in text
    assert "%" not in text.replace("95 %", "")


def test_brackets_in_a_law_are_not_markup() -> None:
    odd = dataclasses.replace(LONE, law="error = [bold]2[/bold] [1, 2]")
    assert "error = [bold]2[/bold] [1, 2]" in printed(StudySummary((odd,), (), (), 0.95))


def test_nothing_finished_yet() -> None:
    assert "No trial has finished yet" in printed(StudySummary((), (), (), 0.95))


def test_a_learner_without_a_finished_trial(digits: StudySummary) -> None:
    empty = LearnerSummary(Curve("empty", (), (), num_failed=56), "", (), (), ())
    text = printed(StudySummary((digits.learners[0], empty), (), (), 0.95))
    assert "empty: 56 trials failed or diverged and are excluded." in text
    assert "empty has no finished trial." in sentences(StudySummary((empty,), (), (), 0.95))
    assert "no law was fitted" in printed(StudySummary((empty,), (), (), 0.95))


def test_of_very_many_sizes_some_are_shown_and_it_is_said() -> None:
    train_sizes = tuple(range(10, 1010))
    text = printed(
        StudySummary((LearnerSummary(Curve("mlp", train_sizes, ((0.1,),) * 1000), "", (), (), ()),), (), (), 0.95)
    )
    rows = [line for line in text.splitlines() if line.endswith("(1)")]
    assert 30 <= len(rows) <= 40
    assert f", {len(rows)} of 1,000 sizes" in text
    assert rows[0].split()[0] == "10"
    assert rows[-1].split()[0] == "1,009"


def test_a_mean_is_shown_with_its_standard_error_and_not_with_seeds() -> None:
    curve = Curve("mlp", (64,), ((0.125,),), stderr=(0.0131,))
    text = printed(StudySummary((LearnerSummary(curve, "", (), (), ()),), (), (), 0.95))
    assert "the mean error is 12.5 %" in text
    assert "12.5 ± 1.3" in text
    assert "seed" not in text
