"""A plan counts what the run will do, and keeps nothing."""

import dataclasses
import io
import time

import pytest
from rich.console import Console
from small import small

from dlm.baselines import LogisticRegression
from dlm.execution import executor, planner


@pytest.fixture(scope="module")
def study():
    return small()


def test_a_plan_counts_trials_programs_and_updates(study, tmp_path):
    cost = planner.plan(study, tmp_path / "new")
    net, logreg = cost.parts
    assert (net.name, net.trials, net.programs, net.updates) == ("net", 6, 3, 240)
    assert (logreg.name, logreg.trials, logreg.programs, logreg.updates) == ("logreg", 6, 0, 0)
    # Forward and backward pass take six operations a weight and example, the optimizer a few more a weight.
    weights = 64 * 16 + 16 * 10
    assert net.flops == pytest.approx(240 * 6 * weights * 64, rel=0.25)
    assert cost.seconds > cost.start_seconds + cost.report_seconds > 0
    assert not (tmp_path / "new").exists()
    assert str(cost).endswith(
        "Held out 360 of 1,797 examples for testing: an error rate of 20 % has a standard error of 2.1 points."
    )


def test_a_plan_leaves_out_what_the_workdir_holds(study, tmp_path):
    executor.run_trials(small(train_sizes=(32, 64)), tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    cost = planner.plan(study, tmp_path)
    assert [part.trials for part in cost.parts] == [2, 2]
    assert cost.trials_done == 8 == len(study.trials) - 4
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_memory_grows_with_members_and_their_weights(study, tmp_path):
    few, many = (planner.plan(small(seeds=seeds), tmp_path).parts[0].memory for seeds in (2, 8))
    assert many > few


@dataclasses.dataclass(frozen=True)
class SlowStart(LogisticRegression):
    """A learner whose first fit is slow, as if it imported a library."""

    def fit(self, x, y, num_outputs, seed):
        if not STARTED:
            STARTED.append(True)
            time.sleep(2)
        return super().fit(x, y, num_outputs, seed)


STARTED: list[bool] = []


def test_the_first_fit_is_not_taken_for_the_others(tmp_path):
    study = small(learners={"slow start [/b]": SlowStart()}, tuning={})
    cost = planner.plan(study, tmp_path)
    assert STARTED
    assert cost.parts[0].work_seconds < 2
    console = Console(file=io.StringIO(), width=200)
    console.print(cost)
    assert "slow start [/b]" in console.file.getvalue()
