"""Whole runs on the command line, each in its own process: a study and its report, export and comparison; own data."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, run
from sklearn.datasets import load_breast_cancer

import dlm
from dlm.report.forecast_file import read_forecast

pytestmark = pytest.mark.slow
CUT = ("--experiment=digits", "--train_sizes=32,64,128,256", "--seeds=2")
NUM_TRIALS = 24


def succeed(*arguments, **options):
    """The output of a command that exits with 0."""
    done = run(*map(str, arguments), **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_count(output):
    """The output of a run without the line that counts the trials."""
    return [line for line in output.splitlines() if not line.startswith("trained ")]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The workdir of a cut of digits, and the output of its first run."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    return workdir, succeed(*CUT, f"--workdir={workdir}")


def test_a_plan_counts_the_trials_and_writes_nothing(tmp_path):
    assert f"{NUM_TRIALS}" in succeed(*CUT, "--mode=plan", f"--workdir={tmp_path / 'digits'}")
    assert not (tmp_path / "digits").exists()


def test_a_second_run_trains_nothing_and_reports_the_same(digits):
    workdir, first = digits
    assert f"trained {NUM_TRIALS} trials (0 were complete)" in first
    second = succeed(*CUT, f"--workdir={workdir}")
    assert f"trained 0 trials ({NUM_TRIALS} were complete)" in second
    assert without_count(first) == without_count(second)


def test_a_run_writes_records_forecast_figure_and_page(digits):
    workdir, _ = digits
    summary = read_forecast(workdir)
    assert {learner.curve.learner for learner in summary.learners} == {"mlp", "cnn", "logreg"}
    assert all(learner.predictions for learner in summary.learners)
    records = dlm.records.read(workdir)
    assert len(set(records.column("trial_id").to_pylist())) == NUM_TRIALS
    assert (workdir / "figures" / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"
    page = (workdir / "report.html").read_text(encoding="utf-8")
    assert "Calibration" in page
    assert len(page) < 15e6


def test_report_export_interpret_and_watch_read_the_workdir(digits):
    workdir, _ = digits
    succeed("--mode=report", f"--workdir={workdir}")
    succeed("--mode=export", f"--workdir={workdir}")
    assert (workdir / "export").is_dir()
    assert "linear probe" in succeed(*CUT, "--mode=interpret", "--trial=cnn", f"--workdir={workdir}")
    done = run("--mode=watch", f"--workdir={workdir}")
    assert "100 %" in done.stdout + done.stderr


def test_two_studies_are_compared_by_their_pairs_of_seeds(digits, tmp_path):
    workdir, _ = digits
    shorter = ("--learners=mlp", "--set=budget.epochs=4", "--set=budget.min_steps=40")
    succeed(*CUT, *shorter, f"--workdir={tmp_path / 'short'}")
    pair = f"--workdirs={tmp_path / 'short'},{workdir}"
    assert "2 seeds" in succeed("--mode=compare", pair, f"--workdir={tmp_path / 'both'}")
    assert (tmp_path / "both" / "compare.html").is_file()


def test_a_csv_file_is_studied_and_written_as_an_experiment(tmp_path):
    data = load_breast_cancer()
    with open(tmp_path / "own.csv", "w", newline="") as file:
        rows = [[*row, data.target_names[label]] for row, label in zip(data.data, data.target)]
        csv.writer(file).writerows([[*data.feature_names, "diagnosis"], *rows])
    own = (f"--data={tmp_path / 'own.csv'}", "--target=diagnosis")
    output = succeed(*own, "--seeds=1", f"--workdir={tmp_path / 'own'}")
    assert "2 classes" in output
    assert "trained 25 trials (0 were complete)" in output
    succeed(*own, f"--save_experiment={tmp_path / 'mine.py'}")
    assert "25" in succeed(f"--experiment={tmp_path / 'mine.py'}", "--seeds=1", "--mode=plan")


def test_an_installed_dlm_runs_from_an_empty_folder(tmp_path):
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def execute(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=environment).stdout

    folder = tmp_path / "empty"
    folder.mkdir()
    execute(sys.executable, "-m", "venv", tmp_path / "venv")
    execute(scripts / "python", "-m", "pip", "install", "-q", ROOT)
    listed = execute(scripts / "dlm", "--list")
    assert {line.split()[0] for line in listed.splitlines()} == {
        path.stem for path in Path(ROOT / "experiments").glob("*.py")
    }
    assert "--experiment" in execute(scripts / "python", "-m", "dlm", "--help")
    assert "digits" in execute(scripts / "python", "-c", "import dlm; print(dlm.experiment.load('digits').name)")
    output = execute(scripts / "dlm", *CUT)
    assert f"trained {NUM_TRIALS} trials (0 were complete); results in runs/digits" in output
    assert (folder / "runs" / "digits" / "report.html").is_file()
