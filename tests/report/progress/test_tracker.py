"""Progress events: phases, speed, remaining time, and the last status of a run."""

import io

import pytest
from rich.console import Console

from dlm.report.progress import status
from dlm.report.progress.display import ProgressDisplay
from dlm.report.progress.status import SizeProgress
from dlm.report.progress.tracker import ProgressTracker, RemainingTime


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_log_gets_a_line_per_interval_and_a_last_line():
    file, clock = io.StringIO(), Clock()
    tracker, display = ProgressTracker("toy", clock=clock), ProgressDisplay(Console(file=file, width=60), clock=clock)
    tracker.work.expect_updates("cnn", 36_000, 1.0)
    tracker.phase("train", "cnn, 56 members")
    for _ in range(120):
        display.show(tracker.status())
        clock.now += 0.5
        tracker.add_updates("cnn", 300, 64)
    display.close(tracker.status("done"))
    lines = file.getvalue().splitlines()
    assert lines[0] == "train · 0 of 0 trials · cnn, 56 members"
    assert lines[1] == "train 16 % · 0 of 0 trials · 38,000 examples/s · about 50 s left · cnn, 56 members"
    assert lines[-1] == "done 100 % · 0 of 0 trials · 1 min 00 s: train 100 %"
    assert len(lines) == 7


def test_progress_is_on_standard_error(capsys):
    with ProgressTracker("toy") as tracker:
        tracker.phase("train")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("done")


def test_time_is_assigned_to_phases():
    clock = Clock()
    tracker = ProgressTracker(clock=clock)
    for phase, seconds in [("compile", 3), ("train", 10), ("evaluate", 2), ("train", 4), ("save", 1)]:
        tracker.phase(phase)
        clock.now += seconds
    assert tracker.status().phase_seconds == {"start": 0, "compile": 3, "train": 14, "evaluate": 2, "save": 1}


def test_the_last_status_is_written_and_a_missing_folder_is_not_an_error(tmp_path):
    with ProgressTracker("toy", {"a": ("mlp", 10)}, workdir=tmp_path):
        pass
    last = status.read(tmp_path)
    assert (last.study, last.state, last.rows) == ("toy", "done", (SizeProgress("mlp", 10, 1),))
    with pytest.raises(RuntimeError, match="inside"), ProgressTracker("toy", workdir=tmp_path):
        raise RuntimeError("inside")
    assert status.read(tmp_path).state == "failed"
    with ProgressTracker("toy", workdir=tmp_path / "missing"):
        pass


def test_updates_of_an_earlier_run_do_not_count_towards_the_speed():
    remaining = RemainingTime()
    remaining.expect_updates("mlp", 1000, 1.0)
    remaining.add_updates("mlp", 900)
    assert remaining.seconds() is None
    remaining.add_updates("mlp", 10, 1.0)
    assert remaining.seconds() == pytest.approx((91, 9))


def test_speed_follows_changes_and_includes_pauses():
    remaining = RemainingTime()
    remaining.expect_updates("mlp", 100_000, 1.0)
    for seconds_per_report, speed in ((1, 100), (10, 10)):
        for _ in range(50):
            remaining.add_updates("mlp", 100, seconds_per_report)
        assert remaining.speed("mlp") == pytest.approx(speed)
    for _ in range(50):
        remaining.add_updates("mlp", 100, 1)
        remaining.add_updates("mlp", 0, 1)
    assert remaining.speed("mlp") == pytest.approx(50)


def fit_seconds(learner, size):
    return {"logreg": 0.02 + 1e-5 * size, "forest": 0.05 + 3e-5 * size**1.4}[learner]


def mixed_run(speed_ratio):
    """(elapsed, estimated remaining) seconds of a run: fits, then two cohorts whose speeds were measured with an error.

    The second cohort makes four times as many operations per second.
    """
    remaining, now, estimates = RemainingTime(), 0.0, []
    cohorts = {"mlp": (60_000, 1.0, 2000.0), "cnn": (20_000, 40.0, 200.0)}
    for name, (updates, flops, speed) in cohorts.items():
        remaining.expect_updates(name, updates, flops, speed * speed_ratio)
    fits = [(name, size) for _ in range(8) for size in (32, 128, 512, 2048) for name in ("logreg", "forest")]
    remaining.expect_fits(fits)
    for number, fit in enumerate(fits):
        seconds = fit_seconds(*fit) + (number < 2) * 1.0  # imports
        remaining.add_fit(*fit, seconds)
        now += seconds
        estimates.append((now, remaining.seconds()))
    for name, (updates, _, speed) in cohorts.items():
        for _ in range(updates // 200):
            remaining.add_updates(name, 200, 200 / speed)
            now += 200 / speed
            estimates.append((now, remaining.seconds()))
    return estimates


@pytest.mark.parametrize("speed_ratio", [0.85, 1.0, 1.15])
def test_remaining_time_is_accurate_after_a_tenth_of_a_mixed_run(speed_ratio):
    estimates = mixed_run(speed_ratio)
    total = estimates[-1][0]
    late = [(total - now, estimate[1]) for now, estimate in estimates if 0.1 * total <= now <= 0.99 * total]
    assert len(late) > 100
    for truth, estimate in late:
        assert estimate == pytest.approx(truth, rel=0.25, abs=1.0)


def test_a_cohort_of_unknown_speed_takes_the_time_of_its_operations():
    remaining = RemainingTime()
    remaining.expect_updates("mlp", 100, 1.0)
    remaining.expect_updates("cnn", 100, 5.0)
    remaining.add_updates("mlp", 100, 10.0)
    assert remaining.seconds() == pytest.approx((10, 50))


def test_fits_are_divided_among_the_workers():
    remaining = RemainingTime()
    remaining.expect_updates("mlp", 100, 1.0, 10.0)
    remaining.expect_fits([("forest", 100)] * 5, workers=2)
    remaining.add_fit("forest", 100, 8.0)
    assert remaining.seconds() == pytest.approx((4, 10.0 + 4 * 8.0 / 2))
    remaining.add_fit("forest", 100, 8.0)
    assert remaining.seconds() == pytest.approx((8, 10.0 + 3 * 8.0 / 2))
