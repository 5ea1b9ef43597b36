"""--mode=compare: two workdirs on the terminal, as a page and as data; what cannot be compared is refused."""

import dataclasses
import json

import pytest
from small import ROW, claimed, small

from dlm.execution import executor
from dlm.report.comparison import short_names
from dlm.storage import record_log


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The small study, and the same with a fifth of its updates."""
    folder = tmp_path_factory.mktemp("two")
    executor.run_trials(small(seeds=3), folder / "long")
    executor.run_trials(
        dataclasses.replace(small(seeds=3), budget=dataclasses.replace(small().budget, steps=8)), folder / "short"
    )
    return folder


def test_it_answers_in_words_and_writes_a_page_and_data(two, launch):
    code, out, err = launch("--mode=compare", f"--workdirs={two}/short,{two}/long")
    assert (code, err) == (0, "")
    told = " ".join(out.split())
    assert "The error ratio of short: net to long: net is" in told
    assert "paired over 3 seeds and 3 sizes" in told
    assert "budget.steps: 8 → 40" in told
    assert "; no difference is shown" in told
    page = (two / "short-vs-long/compare.html").read_text()
    assert "Data requirement" in page
    data = json.loads((two / "short-vs-long/compare.json").read_text())
    assert [(one["a"], one["b"]) for one in data] == [("short: net", "long: net"), ("short: logreg", "long: logreg")]
    assert all(each["num_seeds"] == 3 for one in data for each in one["differences"])


def test_what_cannot_be_compared_is_refused_and_nothing_written(two, launch, tmp_path):
    for flags, message in (
        (["--workdirs=" + str(two / "long")], "needs --workdirs=A,B"),
        ([f"--workdirs={two}/long,{two}/long"], "twice"),
        ([f"--workdirs={two}/long,{tmp_path}/nowhere"], "holds no study"),
        ([], "needs --workdirs=A,B"),
        ([f"--workdirs={two}/long,{two}/short", "--train_sizes=3"], "--train_sizes has no effect with --mode=compare"),
    ):
        code, out, err = launch("--mode=compare", *flags)
        assert (code, out) == (2, "")
        assert message in err
    record_log.append(claimed(tmp_path), [dataclasses.replace(ROW, unit="RMSE")])
    code, _, err = launch("--mode=compare", f"--workdirs={two}/long,{tmp_path}", f"--workdir={tmp_path}/out")
    assert code == 2
    assert "several units" in err
    assert not (tmp_path / "out").exists()


def test_workdirs_of_one_name_are_told_apart(tmp_path):
    assert short_names([tmp_path / "a/x", tmp_path / "b/x"]) == ["a/x", "b/x"]
    assert short_names([tmp_path / "a/x", tmp_path / "b/y"]) == ["x", "y"]
