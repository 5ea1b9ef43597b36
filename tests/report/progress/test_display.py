"""The live view at several terminal sizes, and lines in logs and notebooks."""

import dataclasses
import io
import sys
import types

import pytest
from rich.console import Console

from dlm.report.progress.display import ProgressDisplay, status_line, view
from dlm.report.progress.status import RunStatus, SizeProgress


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def status(num_learners, num_sizes, name="learner"):
    counts = {"trained": 4, "running": 3, "failed": 1}
    rows = tuple(
        SizeProgress(f"{name}{k}", 100 * (s + 1), 8, **counts, mean=0.5 / (s + 1), unit="error rate")
        for k in range(num_learners)
        for s in range(num_sizes)
    )
    return RunStatus(
        "digits", "running", "train", "cnn, 56 members", rows, 0.42, 120.0, 200.0, 41_234.0,
        {"train": 70.0, "compile": 30.0}, 2**30, 3 * 2**30, "host", 1,
    )  # fmt: skip


def rendered(status, width, height):
    console = Console(width=width, height=height, color_system=None, file=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(view(status, width, height))
    return [text.rstrip() for text in captured.get().splitlines()]


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (3, 7), (10, 20), (40, 20), (1, 60)])
@pytest.mark.parametrize("size", [(79, 23), (59, 23), (39, 11), (199, 49)])
def test_view_fits_and_contains_the_progress(shape, size):
    lines = rendered(status(*shape), *size)
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    text = "\n".join(lines)
    trials = shape[0] * shape[1]
    for part in ("digits · train · cnn", "42 %", "about 3 min 20 s left", f"{4 * trials:,} of {8 * trials:,} trials"):
        assert part in text
    assert "41,000 examples/s" in text
    assert "train 70 %, compile 30 %" in text
    assert "learner0" in text


def test_a_learner_has_its_counts_and_the_largest_sizes_that_fit():
    lines = rendered(status(3, 7), 79, 23)
    (head,) = [text for text in lines if text.startswith("learner ")]
    assert head.split() == ["learner", "trained", "running", "failed", "n=400", "n=500", "n=600", "n=700"]
    (row,) = [text for text in lines if text.startswith("learner2 ")]
    errors = ["4/8 12.5%", "4/8 10.0%", "4/8 8.3%", "4/8 7.1%"]
    assert row.split() == ["learner2", "28", "of", "56", "21", "7", *" ".join(errors).split()]


def test_of_more_learners_than_fit_running_ones_are_first():
    full = status(40, 20)
    rows = [dataclasses.replace(row, running=int(row.learner == "learner39")) for row in full.rows]
    lines = rendered(dataclasses.replace(full, rows=tuple(rows)), 79, 23)
    learners = [text.split()[0] for text in lines if text.startswith("learner") and " of " in text]
    assert len(learners) > 10
    assert learners[:2] == ["learner39", "learner0"]
    assert f"{40 - len(learners)} more" in lines


def test_names_are_not_markup():
    assert "[bold]0" in "\n".join(rendered(status(1, 2, name="[bold]"), 79, 23))


def test_notebook_line_is_replaced(monkeypatch):
    lines = []

    def display(data, raw, display_id):
        lines.append(data["text/plain"])
        return types.SimpleNamespace(update=lambda data, raw: lines.__setitem__(-1, data["text/plain"]))

    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    file, now = io.StringIO(), [0.0]
    screen = ProgressDisplay(Console(file=file, force_jupyter=True), clock=lambda: now[0])
    for phase in ("compile", "train"):
        screen.show(RunStatus("toy", "running", phase))
        now[0] += 2
        assert lines == [f"{phase} · 0 of 0 trials"]
    screen.close(RunStatus("toy", "done", "train"))
    assert lines == ["done · 0 of 0 trials"]
    assert file.getvalue() == ""


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR"])
def test_logs_have_no_control_codes(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    file = io.StringIO()
    screen = ProgressDisplay(Console(file=file))
    screen.show(RunStatus("toy", "running", "train"))
    screen.close(RunStatus("toy", "done", "train"))
    assert file.getvalue() == "train · 0 of 0 trials\ndone · 0 of 0 trials\n"


def test_dumb_terminal_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    file = Terminal()
    ProgressDisplay(Console(file=file)).show(RunStatus("toy", "running", "train"))
    assert file.getvalue() == "train · 0 of 0 trials\n"


def test_no_color_disables_colours_and_the_cursor_stays_visible(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    screen = ProgressDisplay(Console(file=file, width=70, height=20))
    screen.show(RunStatus("toy", "running", "train", rows=(SizeProgress("mlp", 10, 3),), fraction=0.5))
    text = file.getvalue()
    screen.close(RunStatus("toy", "done"))
    assert "mlp" in text
    assert "\x1b[3" not in text.replace("\x1b[3m", "")
    assert "\x1b[?25h" in text, "a killed process could not restore the cursor"


def test_final_line_has_the_time_by_phase():
    phases = {"start": 0.0, "compile": 3.0, "train": 14.0, "evaluate": 2.0, "save": 1.0}
    line = status_line(RunStatus("toy", "stopped", elapsed=20.0, phase_seconds=phases))
    assert line == "stopped · 0 of 0 trials · 20 s: train 70 %, compile 15 %, evaluate 10 %, save 5 %"
