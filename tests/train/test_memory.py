"""A cohort that does not fit is trained in memory_chunks, with the same numbers."""

import pytest
from small import small

from dlm import Interrupted, UsageError
from dlm.data.subset_orders import SubsetOrders
from dlm.execution import executor, trial_runner
from dlm.storage import record_log
from dlm.study.trial import group_cohorts
from dlm.train.device_data import put_on_devices
from dlm.train.population import population_of
from dlm.train.profiling import memory_chunks, memory_usage

LEARNER = "net"


@pytest.fixture(scope="module")
def study():
    base = small()
    return small(learners={LEARNER: base.learners[LEARNER]}, seeds=3)


@pytest.fixture(scope="module")
def parts(study, digits):
    """(programs, cohort, data) of the small study's network."""
    data = put_on_devices(SubsetOrders(digits, range(3)))
    (cohort,) = group_cohorts(study.trials)
    return population_of(cohort, data, "exact"), cohort, data


def values(folder):
    return {(row.trial_id, row.split, row.metric): row.value for row in record_log.rows(folder) if row.status == "done"}


def test_a_cohort_is_cut_into_as_few_parts_as_fit_the_longest_first(parts):
    run, cohort, data = parts
    fixed, each = memory_usage(run, cohort, data)
    assert memory_chunks(run, cohort, data, int(fixed + 100 * each)) == [cohort]
    cut = memory_chunks(run, cohort, data, int(fixed + 4.5 * each))
    assert [len(wave.trials) for wave in cut] == [3, 3, 3]
    together = [trial for wave in cut for trial in wave.trials]
    assert set(together) == set(cohort.trials)
    assert [t.num_steps for t in together] == sorted((t.num_steps for t in together), reverse=True)
    assert {wave.cohort_id for wave in cut} == {cohort.cohort_id}


def test_memory_a_member_is_that_of_its_state_and_grows_with_its_weights(parts):
    run, cohort, data = parts
    weights = 64 * 16 + 16 + 16 * 10 + 10
    assert memory_usage(run, cohort, data)[1] == pytest.approx(3 * 3 * 4 * weights, rel=0.1)


def test_no_room_for_one_member_is_said_before_anything_is_trained(study, tmp_path):
    with pytest.raises(UsageError, match=r"learners\.net: .* of memory, and 0 MiB are free; choose a smaller model"):
        executor.run_trials(study, tmp_path / "new", executor.RunOptions(memory_limit=1000))
    assert not record_log.rows(tmp_path / "new")


@pytest.mark.exact
def test_waves_give_the_same_records_as_one_cohort_and_go_on_after_a_stop(study, parts, tmp_path, monkeypatch):
    fixed, each = memory_usage(*parts)
    limit = int(fixed + 4.5 * each)
    executor.run_trials(study, tmp_path / "whole")
    seen = []
    train = trial_runner.TrialRunner._train

    def stopping(self, members, *rest):
        seen.append(len(members.cohort.trials))
        if len(seen) == 2:
            raise Interrupted("stopped", 75)
        train(self, members, *rest)

    monkeypatch.setattr(trial_runner.TrialRunner, "_train", stopping)
    with pytest.raises(Interrupted):
        executor.run_trials(study, tmp_path / "waves", executor.RunOptions(memory_limit=limit))
    assert 0 < len(values(tmp_path / "waves")) < len(values(tmp_path / "whole"))
    executor.run_trials(study, tmp_path / "waves", executor.RunOptions(memory_limit=limit))
    assert max(seen) < 9
    assert values(tmp_path / "waves") == values(tmp_path / "whole")
