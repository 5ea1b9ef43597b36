"""The backtest end to end on a small folder, and coverage on real curves."""

import json
import pathlib

import numpy as np
import pytest

from benchmarks.forecasting import protocols
from benchmarks.forecasting.archives import number, read_folder
from benchmarks.forecasting.backtest import diagnostics, required_size
from benchmarks.forecasting.backtest.__main__ import main
from benchmarks.forecasting.backtest.calibration import tasks
from benchmarks.forecasting.backtest.settings import Setting, Table
from benchmarks.forecasting.scored_tasks import forecast_tasks, score_tasks
from benchmarks.forecasting.scores import coverage

CURVES = pathlib.Path(__file__).parents[4] / "shared" / "curves"
needs_curves = pytest.mark.skipif(not (CURVES / "lcdb10.csv.gz").exists(), reason="needs ../shared/curves")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A user's table: six learners on three data sets, single runs, sizes in factors of two."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("history")
    rows = ["curve,dataset,learner,size,error"]
    for index in range(6):
        for size in 32 * 2 ** np.arange(9):
            error = (0.05 + (1 + index) * size**-0.5) * np.exp(0.02 * rng.standard_normal())
            rows.append(f"run{index},d{index % 3},net,{size},{min(error, 0.9):.4f}")
    (folder / "mine.csv").write_text("\n".join(rows) + "\n")
    law = [f"a,{n},{0.1 + n**-0.5:.5f},{'fit' if n < 300 else 'extrapolate'}" for n in 8 * 2 ** np.arange(8)]
    (folder / "known.csv").write_text("\n".join(["curve,size,error,part", *law]) + "\n")
    return folder


@pytest.mark.slow
def test_the_backtest_runs_on_a_users_history(history, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([f"--curves={history}", "--half=both", f"--out={out}", "--jobs=1", "--limit=3"]) == 0
    printed = capsys.readouterr().out
    for title in (
        "Calibration",
        "Lowest coverage",
        "Sharpness",
        "Mean RMSLE",
        "Required size for a target error",
        "Warnings",
        "P(better at n_max)",
    ):
        assert title in printed
    report = json.loads((out / "backtest.json").read_text())
    assert list(report["parts"]) == [
        "calibration",
        "sharpness",
        "accuracy",
        "published-laws",
        "required-size",
        "warnings",
        "crossover",
        "collecting",
    ]
    by_k = report["parts"]["calibration"]["tables"][1]
    assert [row[0] for row in by_k["rows"]] == ["2", "4", "8", "16"]
    assert {row[1] for row in by_k["rows"]} == {3}
    assert (out / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "reliability.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--curves=nowhere"], "curves=nowhere is not a folder"),
        (["--curves={}", "--only=speed"], "only=speed is not a part; choose from calibration"),
        (["--curves={}", "--out={}/mine.csv"], "is a file; name a folder"),
    ],
)
def test_bad_input_is_an_error_of_one_line(history, capsys, arguments, message):
    assert main([argument.format(history) for argument in arguments]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_bad_flags_exit_with_2(history, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([f"--curves={history}", "--limit=few"])
    assert "'few' is not a whole number" in capsys.readouterr().err


def test_a_refused_curve_does_not_fail_the_others(history):
    cuts = protocols.cuts(read_folder(history), (2,))[:2]
    cuts[0].errors[0] = -1.0
    refused, accepted = forecast_tasks(cuts)
    assert isinstance(refused, str)
    assert "negative" in refused
    row = score_tasks([cuts[1]])[0]
    assert not row.refused
    assert 0 < row.low < row.high < 1
    assert accepted.samples.shape[1] == 1


def test_the_first_size_that_reaches_a_target_is_interpolated():
    train_sizes = np.array([10.0, 20, 40, 80])
    errors = np.array([0.4, 0.2, 0.1, 0.1])
    assert required_size.first_reached(train_sizes, errors, 0.2) == pytest.approx(20)
    assert required_size.first_reached(train_sizes, errors, 0.15) == pytest.approx(
        20 * 2 ** (np.log(4 / 3) / np.log(2))
    )
    assert required_size.first_reached(train_sizes, errors, 0.05) == np.inf


def test_tables_are_markdown():
    text = Table("T", ("a", "b", "c"), [["x", 3, 0.12345], ["y", 4, float("nan")]]).text()
    assert "| x | 3 | 0.123 |" in text
    assert "| y | 4 | – |" in text


def test_coverage_on_simulated_curves():
    """Laws, bumps, plateaus and noise, forecast at 8x the largest visible size."""
    rows = score_tasks([case.task for case in diagnostics.simulated_tasks(20)])
    pits = [row.pit for row in rows]
    assert coverage(pits, 0.95) > 0.85
    assert 0.65 < coverage(pits, 0.8) < 0.97
    assert 0.3 < coverage(pits, 0.5) < 0.85


@pytest.mark.slow
def test_warnings_are_correct_on_simulated_curves():
    cases = diagnostics.simulated_tasks(12)
    raised = diagnostics.raised_warnings([case.task for case in cases])
    correct = [
        (name in names) == expected for case, names in zip(cases, raised) for name, expected in case.expected.items()
    ]
    assert np.mean(correct) > 0.8


@needs_curves
def test_coverage_on_real_curves():
    """Tolerances are wide enough for different forecasters; the delta-method interval of a law covers a fifth."""
    sample = sorted(tasks(Setting(CURVES, limit=40)), key=lambda task: number(task.key))[:40]
    rows = score_tasks(sample)
    pits = [row.pit for row in rows]
    assert coverage(pits, 0.95) > 0.75
    assert coverage(pits, 0.8) > 0.55
    assert np.median([row.half_width for row in rows]) < 0.12
    assert not any(row.refused for row in rows)


@needs_curves
def test_a_published_law_reproduces_its_published_error():
    """M1 on the open image classification curves is exact: its fit has a closed form."""
    curves = [curve for curve in read_folder(CURVES) if curve.dataset.startswith("IC|")]
    from benchmarks.forecasting.published_laws import m1, read
    from benchmarks.forecasting.scores import rmsle

    errors = []
    for curve in curves:
        task = protocols.published(curve)
        data = read(task)
        errors.append(rmsle(task.targets, data.scale * np.exp(m1(data)(data.log_sizes(task.at)))))
    assert np.mean(errors) == pytest.approx(0.1116, abs=2e-4)
