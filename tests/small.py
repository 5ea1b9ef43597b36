"""A study that takes seconds, and a record, for whoever needs one."""

import contextlib
import dataclasses

from dlm import Budget, Hyper, Learner, Study
from dlm.baselines import LogisticRegression
from dlm.data import Digits
from dlm.execution import executor
from dlm.models import MLP
from dlm.storage.record_log import Record
from dlm.storage.workdir import Workdir
from dlm.study.names import Status, Unit
from dlm.tasks import Classification
from dlm.train.population import population_of
from dlm.train.trainer import CohortRun

ROW = Record(
    study="toy",
    trial_id="0123456789abcdef",
    learner="mlp",
    train_size=32,
    subset_seed=0,
    init_seed=0,
    hyper='{"lr": 0.1}',
    step=100,
    split="test",
    metric="error",
    value=0.25,
    unit=Unit("error rate"),
    num_examples=360,
    status=Status.DONE,
    subset_hash="fedcba9876543210",
    data="toy@00",
    packing="exact",
    precision="float32",
    seconds=1.5,
    device="cpu",
    versions="dlm=0",
)


def small(**changes):
    """Three sizes, two seeds, an MLP and logistic regression on the digits."""
    base = Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(MLP((16,)), Hyper(lr=0.01)), "logreg": LogisticRegression()},
        train_sizes=(32, 64, 128),
        seeds=2,
        budget=Budget(steps=40),
        name="small",
    )
    return dataclasses.replace(base, **changes)


def claimed(folder, study=None):
    """The folder as a workdir with a study.json, for tests that write its records themselves."""
    with Workdir.create_or_resume(folder) as workdir:
        workdir.claim(study or small(), data={"name": "digits", "fingerprint": "00"})
    return folder


def interrupted(monkeypatch, study, folder, rounds, **options):
    """Run a study until its members have been advanced so many times, then as by Ctrl-C: what is saved stays."""
    left, advance = iter(range(rounds)), CohortRun.advance

    def advanced(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return advance(self, *arguments)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(CohortRun, "advance", advanced)
        executor.run_trials(study, folder, executor.RunOptions(save_seconds=0.0, **options))
        raise AssertionError("the study ended before it was interrupted")


def started(cohort, placed, packing="exact"):
    """A cohort's members before their first update."""
    return CohortRun(cohort, population_of(cohort, placed, packing), placed)
