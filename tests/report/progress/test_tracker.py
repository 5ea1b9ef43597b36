"""What a run tells of itself, with a clock made by hand."""

import io
import sys
import types

import pytest
from rich.console import Console
from small import ROW

from dlm.report.progress import status
from dlm.report.progress.eta import Left, Speed, duration
from dlm.report.progress.screen import Screen, line
from dlm.report.progress.status import Row, Status
from dlm.report.progress.tracker import Cell, Progress


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def shown(progress, screen):
    screen.show(progress.status())


def test_one_line_an_interval_the_first_at_once_and_the_last_at_the_end():
    file, clock = io.StringIO(), Clock()
    progress, screen = Progress("toy", clock=clock), Screen(Console(file=file, width=60), clock=clock)
    progress.expect_updates("cnn", 36_000, 1.0)
    progress.phase("train", "cnn, 56 members")
    for _ in range(120):
        shown(progress, screen)
        clock.now += 0.5
        progress.updated("cnn", 300, 64)
    screen.close(progress.status("done"))
    lines = file.getvalue().splitlines()
    assert lines[0] == "train · 0 of 0 cells · cnn, 56 members"
    assert lines[1] == "train 16 % · 0 of 0 cells · 38,000 examples/s · about 50 s left · cnn, 56 members"
    assert lines[-1] == "done 100 % · 0 of 0 cells · 1 min 00 s: train 100 %"
    assert len(lines) == 7


def test_in_a_notebook_it_is_one_line_written_anew(monkeypatch):
    lines = []

    def display(told, raw, display_id):
        lines.append(told["text/plain"])
        return types.SimpleNamespace(update=lambda told, raw: lines.__setitem__(-1, told["text/plain"]))

    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    file, clock = io.StringIO(), Clock()
    screen = Screen(Console(file=file, force_jupyter=True), clock=clock)
    for phase in ("compile", "train"):
        screen.show(Status("toy", "running", phase))
        clock.now += 2
        assert lines == [f"{phase} · 0 of 0 cells"]
    screen.close(Status("toy", "done", "train"))
    assert lines == ["done · 0 of 0 cells"]
    assert file.getvalue() == ""


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR"])
def test_never_a_control_code_in_a_log(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    file = io.StringIO()
    screen = Screen(Console(file=file))
    screen.show(Status("toy", "running", "train"))
    screen.close(Status("toy", "done", "train"))
    assert file.getvalue() == "train · 0 of 0 cells\ndone · 0 of 0 cells\n"


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    Screen(Console(file=file)).show(Status("toy", "running", "train"))
    assert file.getvalue() == "train · 0 of 0 cells\n"


def test_no_color_means_a_view_without_colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    screen = Screen(Console(file=file, width=70, height=20))
    screen.show(Status("toy", "running", "train", rows=(Row("mlp", 10, 3),), share=0.5))
    text = file.getvalue()
    screen.close(Status("toy", "done"))
    assert "mlp" in text
    assert "\x1b[3" not in text.replace("\x1b[3m", "")
    assert "\x1b[?25h" in text, "whoever kills the process keeps the cursor"


def test_standard_error_is_the_place(capsys):
    with Progress("toy") as progress:
        progress.phase("train")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("done")


def test_time_goes_to_the_phase_it_passed_in():
    clock = Clock()
    progress = Progress(clock=clock)
    for phase, seconds in [("compile", 3), ("train", 10), ("evaluate", 2), ("train", 4), ("save", 1)]:
        progress.phase(phase)
        clock.now += seconds
    told = progress.status()
    assert dict(told.spent) == {"start": 0, "compile": 3, "train": 14, "evaluate": 2, "save": 1}
    assert line(progress.status("stopped")).endswith("20 s: train 70 %, compile 15 %, evaluate 10 %, save 5 %")


def test_cells_are_counted_by_learner_and_size_with_their_median_and_spread():
    cells = [Cell(f"{size}-{seed}", "mlp", size) for size in (32, 64) for seed in range(4)]
    progress = Progress(cells=cells)

    def row(trial_id, value, state="done"):
        return ROW.__class__(**{**vars(ROW), "trial_id": trial_id, "train_size": 32, "value": value, "status": state})

    progress.running([cell.trial_id for cell in cells[:6]])
    progress.wrote([row("32-0", 0.3), row("32-1", 0.1), row("32-2", 0.2), row("32-3", None, "diverged")])
    progress.wrote([row("of another study", 0.9)])
    first, second = progress.status().rows
    assert first == Row("mlp", 32, 4, trained=3, running=0, failed=1, median=0.2, low=0.1, high=0.3)
    assert second == Row("mlp", 64, 4, running=2)


def test_a_law_is_fitted_again_only_where_an_error_came():
    cells = [Cell(f"{size}", "mlp", size) for size in (32, 64, 128, 256)]
    progress = Progress(cells=cells)

    def measured(size):
        fields = {**vars(ROW), "trial_id": str(size), "train_size": size, "value": size**-0.5}
        progress.wrote([ROW.__class__(**fields)])
        progress.fit_law()
        return progress.status().about[0].law

    assert measured(32) == measured(64) == ""
    law = measured(128)
    assert law.startswith("error ≈ ")
    assert progress.status().about[0].law == law


def test_the_last_status_is_in_the_workdir_and_a_full_disk_is_no_error(tmp_path, capsys):
    with Progress("toy", [Cell("a", "mlp", 10)], workdir=tmp_path):
        pass
    told = status.read(tmp_path)
    assert (told.study, told.state, told.rows) == ("toy", "done", (Row("mlp", 10, 1),))
    with pytest.raises(RuntimeError, match="inside"), Progress("toy", workdir=tmp_path):
        raise RuntimeError("inside")
    assert status.read(tmp_path).state == "failed"
    with Progress("toy", workdir=tmp_path / "gone"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"study": 3}', '{"study": "\\u001b[2J", "state": "done"}'])
def test_a_damaged_status_is_none(text, tmp_path):
    (tmp_path / status.FILE).write_text(text)
    assert status.read(tmp_path) is None


def test_a_status_is_read_as_it_was_written(tmp_path):
    told = Status(
        "toy", "running", rows=(Row("mlp", 10, 3, 1, 1, 1, 0.5, 0.25, 1.0),), spent=(("train", 3.0),), left=4.0
    )
    status.write(tmp_path, told)
    assert status.read(tmp_path) == told
    status.write(tmp_path, Status("toy\n", "running"))
    assert status.read(tmp_path) is None, "what would move the cursor"


def test_a_resumed_run_does_not_count_what_was_done_before():
    left = Left()
    left.expect_updates("mlp", 1000, 1.0)
    left.updated("mlp", 900)
    assert left.seconds() is None
    left.updated("mlp", 10, 1.0)
    assert left.seconds() == pytest.approx(9)


def test_speed_follows_a_lasting_change_and_counts_pauses():
    speed = Speed()
    for _ in range(50):
        speed.add(100, 1)
    assert speed.value == pytest.approx(100, rel=0.05)
    for _ in range(50):
        speed.add(100, 10)
    assert speed.value == pytest.approx(10, rel=0.05)
    for _ in range(200):
        speed.add(100, 1)
        speed.add(0, 1)
    assert speed.value == pytest.approx(50, rel=0.05)
    speed.add(100, 3600)
    assert speed.value > 40, "an hour's sleep is none of its speed"


def fit_seconds(learner, size):
    """Fits as they are: a constant, and a growth."""
    return {"logreg": 0.02 + 1e-5 * size, "trees": 0.05 + 3e-5 * size**1.4}[learner]


def mixed_run(tried):
    """(seconds passed, said to be left) through a run: fits, then a cheap and a dear cohort as fast as they were tried.

    The second one makes four times as many operations a second.
    """
    left, now, said = Left(), 0.0, []
    cohorts = {"mlp": (60_000, 1.0, 2000.0), "cnn": (20_000, 40.0, 200.0)}
    for name, (updates, flops, speed) in cohorts.items():
        left.expect_updates(name, updates, flops, speed * tried)
    fits = [(name, size) for _ in range(8) for size in (32, 128, 512, 2048) for name in ("logreg", "trees")]
    left.expect_fits(fits)
    for number, fit in enumerate(fits):
        seconds = fit_seconds(*fit) + (number < 2) * 1.0  # the first imports
        left.fitted(*fit, seconds)
        now += seconds
        said.append((now, left.seconds()))
    for name, (updates, _, speed) in cohorts.items():
        for _ in range(updates // 200):
            left.updated(name, 200, 200 / speed)
            now += 200 / speed
            said.append((now, left.seconds()))
    return said


@pytest.mark.parametrize("tried", [0.85, 1.0, 1.15])
def test_time_left_of_a_mixed_study_is_right_after_its_first_tenth(tried):
    said = mixed_run(tried)
    whole = said[-1][0]
    late = [(whole - now, left) for now, left in said if 0.1 * whole <= now <= 0.99 * whole]
    assert len(late) > 100
    for truth, left in late:
        assert left == pytest.approx(truth, rel=0.25, abs=1.0)


def test_a_cohort_that_was_not_tried_is_judged_by_its_operations():
    left = Left()
    left.expect_updates("mlp", 100, 1.0)
    left.expect_updates("cnn", 100, 5.0)
    left.updated("mlp", 100, 10.0)
    assert left.seconds() == pytest.approx(50)
    assert left.share() == pytest.approx(1 / 6)


def test_fits_beside_the_training_are_shared_out_among_the_processes():
    left = Left()
    left.expect_updates("mlp", 100, 1.0, 10.0)
    left.expect_fits([("trees", 100)] * 5, workers=2)
    left.fitted("trees", 100, 8.0)
    assert left.seconds() == pytest.approx(10.0 + 4 * 8.0 / 2)
    left.fitted("trees", 100, 8.0)
    assert left.seconds() == pytest.approx(10.0 + 3 * 8.0 / 2)


def test_durations():
    assert [duration(s) for s in (0, 24.8, 60, 200, 7500, 273_600)] == [
        "0 s", "25 s", "1 min 00 s", "3 min 20 s", "2 h 05 min", "3 d 4 h",
    ]  # fmt: skip
