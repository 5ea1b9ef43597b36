"""Output streams and remarks: encodings without some characters, readers that end early, and how the data were read."""

import os
import subprocess
import sys

import numpy as np
import pytest
from command import ROOT, SCRIPT

import dlm
from dlm.storage.workdir import Workdir

STUDY = ("--target=kind", "--learners=logreg", "--seeds=1", "--train_sizes=16,32,64")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table with a column that is not an input."""
    path = tmp_path_factory.mktemp("data") / "größe.csv"
    x = np.random.default_rng(0).normal(size=300).round(3)
    rows = [f"{value},{'ab'[int(value > 0)]},same" for value in x]
    path.write_text("\n".join(["width,kind,always", *rows]))
    return path


def launch(*flags, shell="", **environment):
    environment = {**os.environ, "COLUMNS": "200", **environment}
    command = [sys.executable, str(SCRIPT), *map(str, flags)]
    if shell:
        command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "bash", *command]
    return subprocess.run(command, capture_output=True, check=False, cwd=ROOT, env=environment)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_any_encoding_of_the_output_works(table, tmp_path, environment):
    data = tmp_path / "t.csv"
    data.write_text(table.read_text().replace("width", "größe"), encoding="utf-8")
    for flags in (["--help"], [f"--data={data}", *STUDY, "--mode=plan", f"--workdir={tmp_path}/w"]):
        done = launch(*flags, **environment)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    curve = tmp_path / "größe ≤ 模型 $x^$.csv"
    curve.write_text("size,error,learner\n100,0.3,模型 é\n200,0.2,模型 é\n400,0.1,模型 é\n", encoding="utf-8")
    done = launch("--mode=forecast", f"--curve={curve}", f"--workdir={tmp_path}/f", **environment)
    assert done.returncode == 0, done.stderr
    assert b"Glyph" not in done.stderr
    assert "模型" in (tmp_path / "f" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", ["| head -n 1", "2>&1 | true"])
def test_the_report_is_written_although_the_reader_ends(table, tmp_path, shell):
    done = launch(f"--data={table}", *STUDY, f"--workdir={tmp_path}/w", shell=shell)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr + done.stdout
    assert (tmp_path / "w" / "report.html").exists()
    assert len(dlm.load(tmp_path / "w").answer.learners[0].curve.train_sizes) == 3


def test_remarks_on_the_data_are_reported_wherever_the_study_is(table, tmp_path):
    module, workdir = tmp_path / "mine.py", tmp_path / "w"
    saved = launch(f"--data={table}", *STUDY, f"--save_experiment={module}")
    assert b"always" in saved.stdout, saved.stderr
    for _ in range(2):
        done = launch(f"--experiment={module}", f"--workdir={workdir}")
        assert b"always" in done.stdout, done.stderr
        assert "always" in (workdir / "report.html").read_text(encoding="utf-8")
    assert any("always" in remark for remark in Workdir.open(workdir).description.remarks)
    result = dlm.load(workdir)
    assert all("always" in text for text in (str(result), result._repr_html_(), result._repr_markdown_()))
    assert b"always" in launch(f"--experiment={module}", "--mode=plan", f"--workdir={tmp_path}/new").stdout


def test_given_train_sizes_replace_a_proposal_that_would_be_refused(table, tmp_path):
    small = tmp_path / "small.csv"
    small.write_text("\n".join(table.read_text().splitlines()[:80]))
    assert launch(f"--data={small}", "--target=kind", "--mode=plan").returncode == 2
    for flag in ("--train_sizes=10,20", "--set=train_sizes=10,20"):
        done = launch(f"--data={small}", "--target=kind", flag, "--learners=logreg", "--mode=plan")
        assert done.returncode == 0, done.stderr
