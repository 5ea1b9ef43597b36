"""Network analyses of images, a table and texts: computed from a workdir, saved, read and printed."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from small import small

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.analysis.interpretability import results
from dlm.analysis.interpretability.analysis import analyze_trials
from dlm.data.dataset import Dataset, Split
from dlm.execution import executor
from dlm.models import MLP, Transformer
from dlm.report.sections.interpretability import print_analysis, probe_sentences
from dlm.storage import artifacts
from dlm.storage.workdir import Workdir
from dlm.tasks import LanguageModelling, Regression


def printed(analysis, folder, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_analysis(analysis, folder, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory, digits):
    """(study, its workdir, what was found analysis the largest network of its first seed)."""
    study, folder = small(budget=Budget(steps=300)), tmp_path_factory.mktemp("digits")
    executor.run_trials(study, folder, executor.RunOptions(dataset=digits))
    return study, folder, next(analyze_trials(study, Workdir.open(folder), [], [digits]))


def test_probe_errors_of_each_layer_by_size(of_digits):
    study, _, analysis = of_digits
    assert (analysis.learner, analysis.train_size, analysis.seed, analysis.kind) == ("net", 128, 0, "image")
    assert analysis.layers == ("input", "hidden 1")
    assert [(each.layer, each.train_size) for each in analysis.probes] == [
        (layer, size) for layer in analysis.layers for size in study.train_sizes
    ]
    errors = [analysis.probe("hidden 1", size).error for size in study.train_sizes]
    assert 0 < errors[-1] < errors[0] < 0.5  # sixteen features: what they are of has to be learnt
    assert len({analysis.probe("input", size).error for size in study.train_sizes}) == 1
    assert [network.share_trained_on for network in analysis.networks] == pytest.approx(
        [size / 1257 for size in study.train_sizes]
    )


def test_the_network_s_error_equals_its_record(of_digits):
    from dlm.storage import record_log

    study, folder, analysis = of_digits
    for network in analysis.networks:
        trial = next(
            one for one in study.trials if (one.name, one.train_size, one.subset_seed) == ("net", network.train_size, 0)
        )
        row = record_log.ends(record_log.rows(folder))[trial.trial_id]
        assert network.error == pytest.approx(row.value, abs=1 / 360 + 1e-6)


def test_networks_of_near_sizes_are_more_similar(of_digits):
    _, _, analysis = of_digits
    by_size, by_seed = analysis.similarities
    assert (by_size.values, by_seed.values) == ((32, 64, 128), (0, 1))
    assert by_size.cka[0, 1, 2] > by_size.cka[0, 0, 2] > 0.3
    assert np.all(np.abs([*by_size.control, *by_seed.control]) < 0.1)
    np.testing.assert_allclose(np.diagonal(by_size.cka, axis1=1, axis2=2), 1)


def test_maps_have_the_shape_of_inputs_and_a_control(of_digits):
    _, _, analysis = of_digits
    count = len(analysis.rows)
    assert {name: of.shape for name, of in analysis.maps.items()} == dict.fromkeys(
        ("integrated_gradients", "smooth_grad", "occlusion"), (count, 8, 8)
    )
    about = {each.method: each for each in analysis.attributions}
    assert about["integrated_gradients"].completeness < 0.1
    assert about["smooth_grad"].control < 0.5
    assert analysis.filters.shape == (16, 8, 8, 1)
    assert {*analysis.targets[analysis.targets == analysis.predicted]} >= set(range(7))


def test_an_analysis_is_read_as_written(of_digits):
    _, folder, analysis = of_digits
    (again,) = results.read_analyses(folder)
    for field in dataclasses.fields(analysis):
        one, other = (getattr(each, field.name) for each in (analysis, again))
        if field.name in ("maps", "similarities"):
            continue
        np.testing.assert_array_equal(one, other) if isinstance(one, np.ndarray) else pytest.approx(one) == other
    np.testing.assert_array_equal(again.similarities[0].cka, analysis.similarities[0].cka)
    np.testing.assert_array_equal(again.maps["occlusion"], analysis.maps["occlusion"])
    (folder / results.FOLDER / f"{analysis.trial_id}.json").write_bytes(b"cut")
    assert results.read_analyses(folder) == []
    results.write_analysis(folder, analysis)


@pytest.mark.parametrize("width", [80, 30])
def test_printed_lines_fit_the_width(of_digits, width):
    _, folder, analysis = of_digits
    text = printed(analysis, folder, width)
    assert "% at hidden 1; that of the network is" in probe_sentences(analysis)[0]
    assert "seeds at n=128" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines() if str(folder)[:10] not in line) <= width


def test_sizes_without_parameters_are_reported(of_digits, digits):
    study, folder, _ = of_digits
    more = dataclasses.replace(study, train_sizes=(*study.train_sizes, 200))
    analysis = next(analyze_trials(more, Workdir.open(folder), ["net:128:1"], [digits]))
    assert (analysis.seed, analysis.missing, [network.train_size for network in analysis.networks]) == (
        1,
        (200,),
        [32, 64, 128],
    )
    assert "No parameters are saved for n=200" in printed(analysis, folder)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("logreg", "classical learner without layers"),
        ("nett", "did you mean 'net'"),
        ("net:100:0", "sizes are 32, 64, 128"),
        ("net:a", "give learner:size:seed"),
        ("net:32:0:1", "give learner:size:seed"),
    ],
)
def test_an_invalid_trial_is_refused(of_digits, digits, asked, complaint):
    study, folder, _ = of_digits
    with pytest.raises(UsageError, match=complaint):
        next(analyze_trials(study, Workdir.open(folder), [asked], [digits]))


def test_a_prefix_of_the_trial_id_selects_a_trial(of_digits, digits):
    study, folder, analysis = of_digits
    assert (
        next(analyze_trials(study, Workdir.open(folder), [analysis.trial_id[:9]], [digits])).trial_id
        == analysis.trial_id
    )


def test_untrained_trials_and_unsaved_parameters_are_refused(of_digits, digits, tmp_path):
    study, folder, analysis = of_digits
    with pytest.raises(UsageError, match="not trained yet"):
        next(analyze_trials(dataclasses.replace(study, seeds=3), Workdir.open(folder), ["net:128:2"], [digits]))
    with pytest.raises(UsageError, match="holds no study"):
        next(analyze_trials(study, Workdir.open(tmp_path), [], [digits]))
    with pytest.raises(UsageError, match="other data"):
        next(
            analyze_trials(
                study, Workdir.open(folder), [], [dataclasses.replace(digits, train=digits.train.take(np.arange(1000)))]
            )
        )
    kept = folder / artifacts.TRIALS / analysis.trial_id / "params.npz"
    kept.rename(kept.with_suffix(".away"))
    try:
        with pytest.raises(UsageError, match="keep_mib"):
            next(analyze_trials(study, Workdir.open(folder), [], [digits]))
    finally:
        kept.with_suffix(".away").rename(kept)


@dataclasses.dataclass(frozen=True)
class Table:
    """A number that the first of six columns decides, and the second a little."""

    def load(self, data_dir=None):
        x = np.random.default_rng(0).normal(10, 3, (700, 6)).astype(np.float32)
        y = (100 + 20 * x[:, 0] + 5 * x[:, 1]).astype(np.float32)
        parts = [Split(x[rows], y[rows]) for rows in (slice(400), slice(400, 500), slice(500, 700))]
        return Dataset("table", *parts, standardize=True, feature_names=tuple("abcdef"))


def test_important_columns_of_a_table(tmp_path):
    study = Study(
        data=Table(),
        task=Regression(),
        learners={"net": Learner(MLP((16,)), Hyper(lr=1e-2))},
        train_sizes=(50, 400),
        seeds=1,
        budget=Budget(steps=400),
        name="table",
    )
    executor.run_trials(study, tmp_path)
    analysis = next(analyze_trials(study, Workdir.open(tmp_path), [], [study.data.load()]))
    assert (analysis.kind, analysis.unit, analysis.feature_names) == ("table", "RMSE", tuple("abcdef"))
    for method, of in analysis.maps.items():
        strength = np.abs(of).mean(axis=0)
        assert strength[0] > 2 * strength[1] > 4 * strength[2:].max(), method
    assert analysis.column_weights.argmax() == 0
    assert "Effect of occlusion, mean over 12 examples: a " in " ".join(printed(analysis, tmp_path).split())
    assert analysis.probe("input", 400).error < 2
    assert analysis.networks[-1].error < 15 < 63  # 63: the spread of what is told


@dataclasses.dataclass(frozen=True)
class Counting:
    """Texts of seven tokens that count up from one to the next, but for one in ten."""

    def load(self, data_dir=None):
        draw = np.random.default_rng(0)
        steps = np.where(draw.random((700, 13)) < 0.9, 1, draw.integers(0, 7, (700, 13)))
        text = (1 + np.cumsum(steps, axis=1) % 7).astype(np.uint8)
        x, y = text[:, :-1], text[:, 1:]
        parts = [Split(x[rows], y[rows]) for rows in (slice(400), slice(400, 500), slice(500, 700))]
        return Dataset("counting", *parts, vocabulary=8)


@pytest.mark.slow
def test_attributions_of_a_language_model(tmp_path):
    net = Transformer(dim=16, depth=1, heads=2, vocabulary=8)
    study = Study(
        data=Counting(),
        task=LanguageModelling(),
        learners={"net": Learner(net, Hyper(lr=1e-2))},
        train_sizes=(400,),
        seeds=1,
        budget=Budget(steps=150, batch_size=32),
        name="counting",
    )
    executor.run_trials(study, tmp_path)
    analysis = next(analyze_trials(study, Workdir.open(tmp_path), [], [study.data.load()]))
    assert (analysis.kind, analysis.layers) == ("text", ("input", "embedding", "block 1", "last hidden"))
    assert analysis.filters is None
    for method, of in analysis.maps.items():
        strength = np.abs(of).mean(axis=0)
        assert of.shape == (12, 12)
        assert strength[-1] > 2 * strength[:-1].max(), method
    best = -(0.9 + 0.1 / 7) * np.log(0.9 + 0.1 / 7) - 6 / 70 * np.log(0.1 / 7)
    assert {probe.num_features for probe in analysis.probes} == {8, 16}
    assert all(best - 0.2 < probe.error < best + 0.4 < np.log(7) for probe in analysis.probes)
    assert analysis.networks[0].error == pytest.approx(best, abs=0.2)
    assert "nats per byte" in printed(analysis, tmp_path)
