"""A forecast of a table, scored with later errors, on the command line."""

import json
import os
import shutil
import time

import pytest
from command import assert_refused, contents, run

from dlm.report.forecast_file import FORECAST, from_json
from dlm.storage.record_log import FILE

LAW = {n: round(0.04 + 1.5 * n**-0.6, 4) for n in (50, 100, 200, 400, 800, 1600, 3200)}


def write(path, train_sizes, head="size,error", scale=1.0):
    path.write_text(f"{head}\n" + "".join(f"{n},{scale * LAW[n]:.5f}\n" for n in train_sizes))
    return path


@pytest.fixture
def table(tmp_path):
    """A curve of five sizes."""
    return write(tmp_path / "my.csv", (50, 100, 200, 400, 800))


def test_a_table_is_answered_drawn_and_written_beside_itself(launch, table, tmp_path):
    code, out, err = launch("--mode=forecast", f"--curve={table}", "--target_error=0.08,0.06")
    assert (code, err) == (0, "")
    for words in (
        "2x the data, n=1,600",
        "10x the data, n=8,000",
        "6 %",
        "read as a rate",
        "Laws of the measured sizes",
    ):
        assert words in out
    folder = tmp_path / "my-forecast"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        FORECAST,
        "figures/learning_curve.png",
        "figures/learning_curve.svg",
        "report.html",
    }
    assert str(folder / FORECAST) in out
    told = from_json((folder / FORECAST).read_text())
    assert told.learners[0].predictions[0].low < LAW[1600] < told.learners[0].predictions[0].high
    assert list((tmp_path / "cwd").iterdir()) == []


def test_flags_reach_the_answer(launch, tmp_path):
    lines = [f"{name},{n},{error}" for name in ("a", "b") for n, error in LAW.items()]
    (tmp_path / "my.csv").write_text("model,n,loss\n" + "\n".join(lines) + "\n")
    flags = ["--multiples=3", "--level=0.8", "--bound=0,9", "--learners=b", f"--workdir={tmp_path / 'out'}"]
    code, out, _ = launch("--mode=forecast", f"--curve={tmp_path / 'my.csv'}", *flags)
    assert code == 0
    told = from_json((tmp_path / "out" / FORECAST).read_text())
    assert (told.multiples, told.level) == ((3.0,), 0.8)
    (learner,) = told.learners
    assert (learner.curve.learner, learner.curve.unit, learner.curve.bound) == ("b", "loss", (0.0, 9.0))
    assert "3x the data" in out


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("size,error\n50,0.2\n100,0.15\n", [], "has 2 distinct sizes, too few for a forecast; measure at least 3"),
        ("size,error\n50,0.2\n100,high\n", [], "line 3: error 'high' is not a number"),
        ("size,error\n", [], "no row follows"),
        ("", [], "is empty"),
        ("a,b\n1,2\n", [], "names no column size"),
        ("size,error\n50,0.2\n100,0.15\n200,0.1\n", ["--level=1"], "level=1.0 is not in (0, 1)"),
        ("size,error\n50,0.2\n100,0.15\n200,0.1\n", ["--target_error=-1"], "target=-1.0 is not a non-negative number"),
        ("size,error\n50,0.2\n100,0.15\n200,0.1\n", ["--learners=a"], "--learners=a is not a learner of this table"),
        ("size,error\n50,0.2\n100,0.15\n200,0.1\n", ["--bound=0,0.1"], "line 2: error 0.2 is outside the bound"),
    ],
)
def test_a_table_that_is_wrong_is_told_and_nothing_is_written(launch, tmp_path, text, flags, message):
    (tmp_path / "my.csv").write_text(text)
    before = contents(tmp_path)
    assert_refused(launch("--mode=forecast", f"--curve={tmp_path / 'my.csv'}", *flags), message)
    assert contents(tmp_path) == before


def test_a_folder_that_is_not_for_forecasts_is_left_alone(launch, table, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.json").write_text("{}")
    before = contents(tmp_path)
    for folder, message in ((study, "holds a study"), (table, "is a file"), (table / "below", "is a file")):
        assert_refused(launch("--mode=forecast", f"--curve={table}", f"--workdir={folder}"), message)
    assert contents(tmp_path) == before


@pytest.fixture
def forecast(launch, table, tmp_path):
    """The forecast.json of the five sizes."""
    assert launch("--mode=forecast", f"--curve={table}")[0] == 0
    return tmp_path / "my-forecast" / FORECAST


def test_a_forecast_is_scored_by_a_later_table(launch, forecast, tmp_path):
    later = write(tmp_path / "later.csv", LAW)
    code, out, err = launch("--mode=score", f"--forecast={forecast}", f"--curve={later}")
    assert (code, err) == (0, "")
    assert "2 of 2 measured means lie inside the 95 % interval (100 %)." in out
    assert "1,600" in out
    assert " 800 " not in out
    assert "|log error| is 0.0" in out
    _, out, _ = launch("--mode=score", f"--forecast={forecast}", f"--curve={write(tmp_path / 'w.csv', LAW, scale=3)}")
    assert "0 of 2 measured means lie inside" in out
    assert "differ from those of the forecast" in " ".join(out.split())


def test_a_forecast_made_after_the_data_is_refused(launch, forecast, table, tmp_path):
    assert_refused(
        launch("--mode=score", f"--forecast={forecast}", f"--curve={table}"),
        "no size above 800 examples is measured",
    )
    old = write(tmp_path / "old.csv", LAW)
    os.utime(old, (time.time() - 3600,) * 2)
    assert_refused(
        launch("--mode=score", f"--forecast={forecast}", f"--curve={old}"),
        "score a forecast made before the data",
    )


def test_a_forecast_that_was_touched_or_is_of_another_measure_is_refused(launch, forecast, tmp_path):
    later = write(tmp_path / "later.csv", LAW)
    losses = write(tmp_path / "losses.csv", LAW, "size,loss")
    assert_refused(launch("--mode=score", f"--forecast={forecast}", f"--curve={losses}"), "has loss, the forecast")
    data = json.loads(forecast.read_text())
    for change, message in (
        (lambda: data["stamp"].update(created="2020-01-01T00:00:00+00:00"), "was changed after it was made"),
        (lambda: data["learners"][0]["curve"]["errors"][0].append(0.1), "has measurements that do not match"),
        (lambda: data.pop("stamp"), "has no stamp"),
    ):
        change()
        forecast.write_text(json.dumps(data))
        assert_refused(launch("--mode=score", f"--forecast={forecast}", f"--curve={later}"), message)


def test_a_study_is_scored_when_it_has_grown(launch, tmp_path):
    def study(train_sizes, mode="run"):
        flags = [
            f"--mode={mode}",
            "--learners=logreg",
            f"--train_sizes={train_sizes}",
            "--seeds=2",
            f"--workdir={tmp_path / 'run'}",
        ]
        code, out, _ = launch("--experiment=digits", *flags)
        assert code == 0
        return " ".join(out.split())

    def score(forecast):
        return launch("--mode=score", f"--forecast={forecast}", f"--workdir={tmp_path / 'run'}")

    out = study("20,40,80,160")
    assert "by training (s.d. of 2 seeds)" in out
    assert "by the test set (s.e. of 360 examples)" in out
    assert_refused(score(tmp_path / "run"), "no size above 160 examples is measured")
    early = shutil.copy(tmp_path / "run" / FORECAST, tmp_path / "early.json")
    study("20,40,80,160,320")
    code, out, _ = score(early)
    assert code == 0
    assert "320" in out
    (previous,) = (tmp_path / "run" / "forecasts").iterdir()
    assert previous.read_bytes() == (tmp_path / "early.json").read_bytes(), "the earlier forecast is archived"
    study("20,40,80,160", "report")  # leaves out what is known by now
    assert_refused(score(tmp_path / "run"), "logreg: 320 examples were measured before the forecast was made")
    os.utime(tmp_path / "run" / FILE, (0, 0))
    assert_refused(score(early), "was last written at 1970-01-01T00:00:00+00:00, before")


def test_neither_answer_nor_score_brings_jax(table, tmp_path):
    later = write(tmp_path / "later.csv", LAW)
    code = (
        "import runpy, sys\n"
        "sys.argv = ['launch.py', *sys.argv[1:]]\n"
        "try:\n    runpy.run_path('launch.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print('heavy:', sorted({'jax', 'flax', 'optax', 'orbax', 'sklearn', 'pyarrow'} & set(sys.modules)))\n"
    )
    ended = run("--mode=forecast", f"--curve={table}", code=code)
    assert ended.stdout.endswith("heavy: []\n"), ended.stdout + ended.stderr
    later.touch()
    ended = run("--mode=score", f"--forecast={tmp_path / 'my-forecast'}", f"--curve={later}", code=code)
    assert ended.stdout.endswith("heavy: []\n"), ended.stdout + ended.stderr
