"""Samples that a language model generates after training are saved with the run and listed by size."""

import pytest

from dlm import Budget, Hyper, Learner, Study
from dlm.data import StdlibText
from dlm.execution import executor
from dlm.models import Transformer
from dlm.report.sections.examples import MOST_SAMPLE_CHARACTERS, sample_sentences
from dlm.storage import artifacts
from dlm.storage.artifacts import Sample
from dlm.tasks import LanguageModelling


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    study = Study(
        data=StdlibText(length=32, max_bytes=300_000),
        task=LanguageModelling(),
        learners={"net": Learner(Transformer(dim=16, depth=1, heads=2), Hyper(lr=1e-2))},
        train_sizes=(64, 256),
        seeds=2,
        budget=Budget(steps=10, batch_size=8),
        name="lm",
    )
    executor.run_trials(study, folder)
    return folder


def test_each_size_writes_a_text_once_by_its_first_seed(run):
    kept = artifacts.read_samples(run)
    assert [(each.learner, each.train_size, each.seed) for each in kept] == [("net", 64, 0), ("net", 256, 0)]
    assert all(each.text for each in kept)
    lines = sample_sentences(kept)
    assert [line.partition(":")[0] for line in lines] == ["net, n=64", "net, n=256"]


def test_what_is_shown_fits_on_lines_and_a_later_text_of_a_trial_replaces_the_earlier(tmp_path):
    artifacts.append_samples(tmp_path, Sample("a", "net", 10, 0, "old"))
    artifacts.append_samples(tmp_path, Sample("a", "net", 10, 0, "one\ntwo\x00" + "x" * 500))
    with open(tmp_path / artifacts.SAMPLES_FILE, "a") as file:
        file.write("{broken\n")
    (line,) = sample_sentences(artifacts.read_samples(tmp_path))
    assert line.startswith("net, n=10: one⏎two·xxx")
    assert len(line) == len("net, n=10: ") + MOST_SAMPLE_CHARACTERS
