"""Progress lines with a clock made by hand."""

import io

import pytest
from rich.console import Console

from dlm.report import Progress
from dlm.report.speed import Speed, duration


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def log(file: io.StringIO) -> Console:
    return Console(file=file, width=60)


def test_one_line_an_interval_the_first_at_once_and_the_last_at_the_end() -> None:
    file, clock = io.StringIO(), Clock()
    with Progress(36_000, log(file), clock=clock) as progress:
        for step in range(0, 36_001, 300):
            progress.update(step, phase="train", detail="cnn, 56 members", examples_done=64 * step)
            clock.now += 0.5
    lines = file.getvalue().splitlines()
    assert lines[0] == "train 0 % · 0 of 36,000 updates · cnn, 56 members"
    assert lines[1] == ("train 16 % · 6,000 of 36,000 updates · 38,000 examples/s · about 50 s left · cnn, 56 members")
    assert lines[-1] == "train 100 % · 36,000 of 36,000 updates · 38,000 examples/s · cnn, 56 members"
    assert len(lines) == 7


def test_never_a_bar_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    with Progress(10, Console(file=file), clock=Clock()) as progress:
        progress.update(1, phase="train")
    assert file.getvalue() == "train 10 % · 1 of 10 updates\n"


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file, clock = Terminal(), Clock()
    with Progress(10, Console(file=file, width=70, force_terminal=True), clock=clock) as progress:
        progress.update(0, phase="train", detail="[mlp]")
        clock.now = 5.0
        progress.update(5, phase="train", detail="[mlp]", examples_done=1)
    text = file.getvalue()
    assert "\x1b[?25l" in text
    assert "train" in text
    assert "50 %" in text
    assert "[mlp]" in text
    assert "about 5 s left" in text


def test_standard_error_is_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2) as progress:
        progress.update(1, phase="train")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "train 50 %" in captured.err


def test_compilation_names_itself_and_does_not_stretch_the_time_left() -> None:
    file, clock = io.StringIO(), Clock()
    with Progress(1000, log(file), interval_seconds=0.0, clock=clock) as progress:
        progress.update(0, phase="compile")
        clock.now += 40
        progress.update(0, phase="train")
        for step in (100, 200, 300, 400, 500):
            clock.now += 1
            progress.update(step, phase="train", examples_done=step)
        progress.update(500, phase="compile", examples_done=500)
        clock.now += 60
        progress.update(500, phase="train", examples_done=500)
        clock.now += 1
        progress.update(600, phase="train", examples_done=600)
    lines = file.getvalue().splitlines()
    assert "left" not in lines[0]
    assert lines[6].endswith("100 examples/s · about 5 s left")
    assert lines[7] == "compile 50 % · 500 of 1,000 updates · about 5 s left"
    left = int(lines[9].split("about ")[1].split(" s")[0])
    assert 4 <= left <= 6


def test_a_resumed_run_does_not_count_what_was_done_before() -> None:
    speed = Speed()
    assert not speed.report(12_000, 0.0, "train")
    assert speed.value is None
    assert speed.report(12_010, 1.0, "train")
    assert speed.value == pytest.approx(10)


def test_speed_follows_a_lasting_change_and_counts_pauses() -> None:
    speed, done, now = Speed(), 0.0, 0.0
    for _ in range(50):
        speed.report(done := done + 100, now := now + 1, "train")
    assert speed.value == pytest.approx(100, rel=0.05)
    for _ in range(50):
        speed.report(done := done + 100, now := now + 10, "train")
    assert speed.value == pytest.approx(10, rel=0.05)
    for _ in range(200):
        speed.report(done := done + 100, now := now + 1, "train")
        speed.report(done, now, "evaluate")
        speed.report(done, now := now + 1, "train")
    assert speed.value == pytest.approx(50, rel=0.05)


def test_no_updates_at_all() -> None:
    file = io.StringIO()
    with Progress(0, log(file), clock=Clock()) as progress:
        progress.update(0, phase="fit")
    assert file.getvalue() == "fit · 0 of 0 updates\n"


def test_durations() -> None:
    assert [duration(s) for s in (0, 24.8, 60, 200, 7500, 273_600)] == [
        "0 s", "25 s", "1 min 00 s", "3 min 20 s", "2 h 05 min", "3 d 4 h",
    ]  # fmt: skip
