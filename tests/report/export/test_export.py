"""--mode=export: files and output, and usage errors before anything is written."""

import pytest
from command import assert_refused, contents

from dlm.storage import record_log
from dlm.storage.description import STUDY
from dlm.utils import optional_imports


def test_default_exports_are_the_tables(launch, workdir, monkeypatch):
    monkeypatch.setattr("dlm.report.export.export.installed", lambda _: False)
    code, out, err = launch("--mode=export", f"--workdir={workdir}")
    folder = workdir / "export"
    names = ["records.csv", "records.parquet", "tables.tex", "tables.md"]
    assert (code, out, err) == (0, "wrote\n" + "".join(f"  {folder / name}\n" for name in names), "")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert "| 64 | **15.0 [10.0–20.0] (2)** | – |" in (folder / "tables.md").read_text(encoding="utf-8")


def test_named_exports_are_written_to_the_given_folder(launch, workdir, tmp_path):
    code, _, _ = launch(
        "--mode=export", f"--workdir={workdir}", "--to=markdown,csv, markdown", f"--out={tmp_path / 'a/b'}"
    )
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["records.csv", "tables.md"]
    assert sorted(path.name for path in workdir.iterdir()) == sorted([record_log.FILE, STUDY])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to=csv,tensorbord"], "--to=tensorbord is not an export; did you mean 'tensorboard'?"),
        (["--to=html"], "choose one of csv, latex, markdown, mlflow, parquet, tensorboard, trackio, wandb"),
        (["--to="], "--to= is empty"),
        (["--to=csv,wandb"], "--to=wandb needs wandb, which is not installed; run: python -m pip install"),
        (["--to=csv", "--out=gs://a/b"], "--out=gs://a/b is not a local folder"),
        (["--to=csv,latex"], "is not a forecast"),
        (["--learners=mlp"], "--learners has no effect with --mode=export"),
    ],
)
def test_usage_errors_write_nothing(launch, workdir, monkeypatch, arguments, message):
    monkeypatch.setattr(optional_imports, "installed", lambda name: name != "wandb")
    (workdir / "forecast.json").write_text("{")
    before = contents(workdir)
    assert_refused(launch("--mode=export", f"--workdir={workdir}", *arguments), message)
    assert contents(workdir) == before


def test_workdirs_without_a_study_or_records_raise(launch, workdir, tmp_path):
    assert_refused(launch("--mode=export"), "--mode=export needs --workdir=DIR")
    assert_refused(launch("--mode=export", f"--workdir={tmp_path / 'none'}"), "holds no study")
    (workdir / record_log.FILE).unlink()
    assert_refused(launch("--mode=export", f"--workdir={workdir}"), "holds no records; run the study first")
    assert_refused(launch("--to=csv"), "--to has no effect with --mode=run; use it with --mode=export")
