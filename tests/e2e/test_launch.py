"""The command line: what is wrong is said in a line with its remedy, before anything is trained or lost."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, SCRIPT, assert_refused, contents, run

from dlm import Interrupted
from dlm.baselines import LogisticRegression
from dlm.storage.lock import LOCK, hold_lock
from dlm.storage.record_log import FILE
from dlm.storage.workdir import Workdir
from dlm.study import experiment

NEEDS_TFDS = '''"""Asks for data that is not there."""
from dlm import Learner, Study
from dlm.data import Tfds
from dlm.models import MLP
from dlm.tasks import Classification


def study():
    learners = {"a": Learner(MLP())}
    return Study(data=Tfds("mnist"), task=Classification(), learners=learners, train_sizes=(10,))
'''


DIGITS = "--experiment=digits"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--experiment is missing; choose one of "),
        (["--experiment="], "--experiment= is empty"),
        (["--experiment=digit"], "did you mean 'digits'"),
        (["--experiment=nowhere/mine.py"], "the file does not exist"),
        ([DIGITS, "--siezs=10"], "Unknown command line flag 'siezs'. Did you mean: seeds"),
        ([DIGITS, "sizes=10"], "'sizes=10' is not a flag"),
        ([DIGITS, "--mode=rum"], "--mode=rum"),
        ([DIGITS, "--packing=tight"], "--packing=tight"),
        ([DIGITS, "--precision=float16"], "--precision=float16"),
        ([DIGITS, "--precision="], "--precision="),
        ([DIGITS, "--set=precision=half"], "precision='half' is not one of float32, bfloat16"),
        ([DIGITS, "--num_cpu_devices=-1"], "--num_cpu_devices=-1"),
        ([DIGITS, "--save_seconds=soon"], "--save_seconds=soon"),
        ([DIGITS, "--set=budget.epoch=3"], "did you mean 'budget.epochs'"),
        ([DIGITS, "--set=budget.epochs"], "does not have the form path=value"),
        ([DIGITS, "--set=budget.epochs=many"], "budget.epochs='many' is not a number"),
        ([DIGITS, "--set=budget.steps=10"], "exactly one must be above 0"),
        ([DIGITS, "--set=learners.mlp.budget.epochs=3"], "learners.mlp.budget is None"),
        (
            [DIGITS, "--set=learners.mlp.model.widths=64,x"],
            "comma-separated list, each an integer",
        ),
        ([DIGITS, "--set=learners.cnn.model.channels=12"], "model.channels=(12,)"),
        ([DIGITS, "--set=train_sizes="], "sizes=()"),
        ([DIGITS, "--set=name="], "leaves the study without a name"),
        ([DIGITS, "--set=name=../up"], "name='../up'"),
        ([DIGITS, "--set=data.test=5000"], "data.test=5000 does not fit 1797 examples; choose 1 to 1796"),
        ([DIGITS, "--train_sizes="], "--train_sizes= is empty"),
        ([DIGITS, "--train_sizes=,"], "--train_sizes=',' is not"),
        ([DIGITS, "--train_sizes=10,abc"], "--train_sizes='10,abc' is not"),
        ([DIGITS, "--train_sizes=0"], "sizes=(0,)"),
        ([DIGITS, "--train_sizes=9"], "train_size=9 is below the 10 classes of 'digits'; choose at least 10"),
        ([DIGITS, "--train_sizes=32,1258"], "train_size=1258 exceeds the 1257 examples"),
        ([DIGITS, "--seeds="], "--seeds= is empty"),
        ([DIGITS, "--seeds=x"], "--seeds='x' is not an integer"),
        ([DIGITS, "--seeds=()"], "seeds=()"),
        ([DIGITS, "--seeds=0"], "seeds=0"),
        ([DIGITS, "--seeds=-1"], "seeds=-1"),
        ([DIGITS, "--seeds=20261123"], "a single seed is written (20261123,)"),
        ([DIGITS, "--learners="], "--learners= is empty"),
        ([DIGITS, "--learners=mpl"], "did you mean 'mlp'?"),
        ([DIGITS, "--mode=report"], "holds no study"),
        ([DIGITS, "--mode=interpret"], "holds no study"),
        ([DIGITS, "--mode=interpret", "--trial="], "--trial= is empty"),
        ([DIGITS, "--trial=cnn"], "--trial has no effect with --mode=run; use it with --mode=interpret"),
        ([DIGITS, "--multiples=3"], "--multiples has no effect with --mode=run; use it with --mode=forecast"),
        ([DIGITS, "--target_error=5"], "targets=5 is not below 1, the largest error; 5 % is written 0.05"),
        (["--curve=x.csv"], "--curve has no effect with --mode=run; use it with --mode=forecast or --mode=score"),
        ([DIGITS, "--mode=forecast"], "--experiment has no effect with --mode=forecast"),
        (["--mode=forecast"], "--mode=forecast needs --curve=FILE"),
        (["--mode=forecast", "--curve="], "--curve= is empty"),
        (["--mode=forecast", "--curve=x.csv", "--multiples=1"], "--multiples=1 must be above 1"),
        (["--mode=forecast", "--curve=x.csv", "--multiples=2,x"], "--multiples='2,x' is not"),
        (["--mode=forecast", "--curve=x.csv", "--target_error=few"], "--target_error='few' is not"),
        (["--mode=forecast", "--curve=x.csv", "--level=high"], "--level=high"),
        (["--mode=forecast", "--curve=x.csv", "--bound=1,0"], "--bound=1,0 is not a range"),
        (["--mode=forecast", "--curve=x.csv", "--bound=-1,0"], "--bound=-1,0 is not a range"),
        (["--mode=forecast", "--curve=x.csv", "--bound=0,1,2"], "--bound=0,1,2 is not a range"),
        (["--mode=forecast", "--curve=x.csv"], "x.csv: there is no such file"),
        (["--mode=forecast", "--curve=x.csv", "--target=0.1"], "--target has no effect with --mode=forecast"),
        (["--mode=watch"], "holds no study; name the folder of a run"),
        ([DIGITS, "--mode=watch"], "--experiment has no effect with --mode=watch"),
        (["--mode=score"], "--mode=score needs --forecast=FILE"),
        (["--mode=score", "--forecast=x.json"], "x.json"),
    ],
)
def test_wrong_usage_is_told_and_no_workdir_is_made(launch, tmp_path, arguments, message):
    assert_refused(launch(*arguments, f"--workdir={tmp_path / 'new' / 'work'}"), message)
    assert contents(tmp_path) == {tmp_path / "cwd": None}


@pytest.mark.parametrize("mode", ["run", "plan"])
def test_data_that_is_absent_is_asked_for(launch, tmp_path, mode):
    path = tmp_path / "needs.py"
    path.write_text(NEEDS_TFDS)
    for place in ("nowhere", "cwd"):
        outcome = launch(f"--experiment={path}", f"--data_dir={tmp_path / place}", f"--mode={mode}")
        assert_refused(outcome, f"'mnist' is not in {tmp_path / place}")
    assert list((tmp_path / "cwd").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_module_that_raises_is_told_with_its_line(launch, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def study():\n    return 1 / 0\n")
    assert_refused(launch(f"--experiment={path}"), f"{path}:2 raised ZeroDivisionError: division by zero")
    code, _, err = launch(f"--experiment={path}", "--debug")
    assert code == 2
    assert "Traceback" in err
    assert "return 1 / 0" in err


def test_a_flag_that_is_unknown_beside_debug_is_told_too(launch):
    code, _, err = launch("--debug", "--siezs=3")
    assert code == 2
    assert "Did you mean: seeds" in err


@pytest.mark.parametrize("below", ["", "below"])
def test_a_workdir_that_cannot_be_written_is_told(launch, tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    assert_refused(launch(DIGITS, f"--workdir={file / below}"), "cannot be written")
    assert file.read_text() == "mine"


def test_a_bucket_is_not_taken_for_a_folder(launch, tmp_path):
    assert_refused(launch(DIGITS, "--workdir=gs://bucket/x"), "is not a local folder")
    assert list((tmp_path / "cwd").iterdir()) == []


def test_a_workdir_in_use_is_left_alone(launch, tmp_path):
    folder = tmp_path / "used"
    with hold_lock(folder):
        before = contents(folder)
        assert_refused(launch(DIGITS, f"--workdir={folder}"), "is in use by process")
        assert contents(folder) == before


def test_a_workdir_of_another_study_is_left_alone(launch, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    study = experiment.load("digits")
    other = dataclasses.replace(study, budget=dataclasses.replace(study.budget, epochs=7))
    with Workdir.create_or_resume(folder) as workdir:
        workdir.claim(other, data={"name": "digits", "fingerprint": "00"})
    (folder / FILE).write_text('{"kept": 1}\n')
    before = contents(folder)
    assert_refused(launch(DIGITS, f"--workdir={folder}"), f"budget.epochs: 7 → {study.budget.epochs:g}")
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a study's description"),
        ("[]", "is not a study's description"),
        ('{"study": {}}', "does not have format 1"),
    ],
)
def test_a_report_of_another_file_is_refused(launch, tmp_path, text, message):
    assert_refused(launch("--mode=report"), "--mode=report needs --workdir=DIR or --experiment=NAME")
    assert_refused(launch("--mode=report", f"--workdir={tmp_path}"), "holds no study")
    (tmp_path / "study.json").write_text(text)
    assert_refused(launch("--mode=report", f"--workdir={tmp_path}"), message)


def captured(monkeypatch, outcome):
    """Records the calls of dlm.run, which raises `outcome` in its place."""
    from dlm.execution import executor

    calls = []

    def run(study, folder, **more):
        calls.append((study, folder, more))
        raise outcome

    monkeypatch.setattr(executor, "run", run)
    return calls


STOPPED = Interrupted("stopped by a signal", 75)


def test_flags_reach_the_study(launch, monkeypatch, tmp_path):
    calls = captured(monkeypatch, STOPPED)
    launch(
        DIGITS,
        "--train_sizes=1_00,50",
        "--seeds=4,2",
        "--learners=logreg,mlp",
        "--set=budget.epochs=3",
        "--set",
        "learners.mlp.hyper.lr=1",
        "--packing=fast",
        "--save_seconds=7",
        "--data_dir=~/data",
        "-w",
        "~/work",
    )
    ((study, folder, more),) = calls
    assert (study.train_sizes, study.seeds, list(study.learners)) == ((50, 100), (4, 2), ["mlp", "logreg"])
    assert (study.budget.epochs, study.learners["mlp"].hyper.lr) == (3, 1)
    assert folder == Path.home() / "work"
    assert more["data_dir"] == "~/data"
    assert (more["packing"], more["save_seconds"]) == ("fast", 7)
    assert more["question"].startswith("How many handwritten digits")


def test_without_flags_the_study_is_as_declared(launch, monkeypatch):
    calls = captured(monkeypatch, STOPPED)
    launch(DIGITS)
    launch(DIGITS, "--seeds=2")
    launch(DIGITS, "--seeds=2,")
    studies = [study for study, _, _ in calls]
    assert studies[0] == experiment.load("digits")
    assert [study.seeds for study in studies[1:]] == [(0, 1), (2,)]
    assert [folder for _, folder, _ in calls] == [Path("runs/digits")] * 3


def test_precision_is_the_flags_then_the_assignments_then_the_studys(launch, monkeypatch):
    calls = captured(monkeypatch, STOPPED)
    launch(DIGITS)
    launch(DIGITS, "--precision=bfloat16")
    launch(DIGITS, "--set=precision=bfloat16")
    launch(DIGITS, "--set=precision=bfloat16", "--precision=float32")
    assert [study.precision for study, _, _ in calls] == ["float32", "bfloat16", "bfloat16", "float32"]


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (STOPPED, 75, "dlm: stopped by a signal\n"),
        (Interrupted("stopped by a signal", 130), 130, "dlm: stopped by a signal\n"),
        (KeyboardInterrupt(), 130, "dlm: interrupted; run the same command again to continue\n"),
    ],
)
def test_a_run_that_was_stopped_returns_the_signals_code(launch, monkeypatch, outcome, code, message):
    captured(monkeypatch, outcome)
    assert launch(DIGITS) == (code, "", message)


def test_a_mistake_of_the_program_itself_is_not_passed_off_as_the_users(launch, monkeypatch):
    captured(monkeypatch, RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        launch(DIGITS)


@pytest.mark.parametrize(("fault", "code", "told"), [("", 0, "trained 2 trials"), ("no luck", 1, "2 failed")])
def test_a_run_tells_its_end_by_code_and_words(launch, tmp_path, monkeypatch, fault, code, told):
    def fit(*_):
        raise RuntimeError(fault)

    if fault:
        monkeypatch.setattr(LogisticRegression, "fit", fit)
    arguments = [DIGITS, "--learners=logreg", "--train_sizes=20", "--seeds=2", f"--workdir={tmp_path / 'w'}"]
    ended, out, _ = launch(*arguments)
    assert ended == code
    assert told in out
    assert {"records.jsonl", "records.csv", "study.json"} <= {path.name for path in (tmp_path / "w").iterdir()}
    assert not (tmp_path / "w" / LOCK).exists()
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.parametrize("flag", ["--list", "--help", "-h"])
def test_list_and_help_import_nothing_heavy(flag):
    """Under a second, counted in modules: neither JAX nor NumPy, nor what brings them."""
    code = (
        "import runpy, sys\n"
        "sys.argv = ['launch.py', *sys.argv[1:]]\n"
        "try:\n    runpy.run_path('launch.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'jax', 'numpy', 'flax', 'optax', 'orbax', 'scipy', 'sklearn', 'pyarrow', 'rich'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)), len(sys.modules) < 400)\n"
    )
    ended = run(flag, code=code)
    assert ended.stdout.endswith("heavy: [] True\n"), ended.stdout + ended.stderr


def test_list_names_every_experiment_with_its_question():
    ended = run("--list")
    assert ended.returncode == 0
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert lines == {name: experiment.question(experiment.find(name)) for name in experiment.names()}


def test_help_tells_every_flag_and_exit_code():
    ended = run("--help")
    assert ended.returncode == 0
    for word in (
        "--experiment",
        "--workdir",
        "--set",
        "--train_sizes",
        "--seeds",
        "--precision",
        "--mode",
        "75",
        "130",
    ):
        assert word in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--experiment=digit"], ["--siezs=3"], [DIGITS, "--set=budget.epoch=3"], [DIGITS, "--train_sizes=10,abc"]],
)
def test_the_process_itself_returns_2_without_a_traceback(arguments):
    ended = run(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("dlm: ")
    assert "Traceback" not in ended.stderr


def test_ctrl_c_while_a_module_loads_is_no_traceback(tmp_path):
    path = tmp_path / "interrupted.py"
    path.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(9)\n")
    ended = run(f"--experiment={path}")
    assert (ended.returncode, ended.stderr.count("\n")) == (130, 1)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_while_the_interpreter_winds_up_changes_nothing(name):
    code = (
        "import os, runpy, signal, sys\n"
        "class Last:\n"
        f"    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.{name}):\n"
        "        kill(own, number)\n"
        "sys.last_of_all = Last()\n"
        f"sys.argv = [{str(SCRIPT)!r}, '--list']\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "digits" in ended.stdout
