"""A survey of a study's network, from its workdir to what is kept and said: images, a table, texts."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from small import small

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.analysis.interpretability import results
from dlm.analysis.interpretability.survey import look
from dlm.data.dataset import Dataset, Split
from dlm.execution import executor
from dlm.models import MLP, Transformer
from dlm.report.sections.interpretability import lead, print_inside
from dlm.storage import artifacts
from dlm.tasks import LanguageModelling, Regression


def said(inside, folder, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_inside(inside, folder, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory, digits):
    """(study, its workdir, what was found inside the largest network of its first seed)."""
    study, folder = small(budget=Budget(steps=300)), tmp_path_factory.mktemp("digits")
    executor.run_trials(study, folder, executor.RunOptions(dataset=digits))
    return study, folder, next(look(study, folder, [], digits))


def test_what_each_layer_has_learnt_is_told_against_n(of_digits):
    study, _, inside = of_digits
    assert (inside.learner, inside.train_size, inside.seed, inside.kind) == ("net", 128, 0, "image")
    assert inside.layers == ("input", "hidden 1")
    assert [(each.layer, each.train_size) for each in inside.probes] == [
        (layer, size) for layer in inside.layers for size in study.train_sizes
    ]
    errors = [inside.probe("hidden 1", size).error for size in study.train_sizes]
    assert 0 < errors[-1] < errors[0] < 0.5  # sixteen features: what they are of has to be learnt
    assert len({inside.probe("input", size).error for size in study.train_sizes}) == 1
    assert [own.seen for own in inside.own] == pytest.approx([size / 1257 for size in study.train_sizes])


def test_the_network_s_own_error_is_that_of_its_record(of_digits):
    from dlm.storage import record_log

    study, folder, inside = of_digits
    for own in inside.own:
        trial = next(
            one for one in study.trials if (one.name, one.train_size, one.subset_seed) == ("net", own.train_size, 0)
        )
        row = record_log.ends(record_log.rows(folder))[trial.trial_id]
        assert own.error == pytest.approx(row.value, abs=1 / 360 + 1e-6)


def test_networks_of_near_sizes_are_more_alike_than_those_of_far_ones(of_digits):
    _, _, inside = of_digits
    by_size, by_seed = inside.similarities
    assert (by_size.values, by_seed.values) == ((32, 64, 128), (0, 1))
    assert by_size.cka[0, 1, 2] > by_size.cka[0, 0, 2] > 0.3
    assert np.all(np.abs([*by_size.control, *by_seed.control]) < 0.1)
    np.testing.assert_allclose(np.diagonal(by_size.cka, axis1=1, axis2=2), 1)


def test_maps_have_their_places_and_their_control(of_digits):
    _, _, inside = of_digits
    count = len(inside.rows)
    assert {name: of.shape for name, of in inside.maps.items()} == dict.fromkeys(
        ("integrated_gradients", "smooth_grad", "occlusion"), (count, 8, 8)
    )
    about = {each.method: each for each in inside.attributions}
    assert about["integrated_gradients"].completeness < 0.1
    assert about["smooth_grad"].control < 0.5
    assert inside.filters.shape == (16, 8, 8, 1)
    assert {*inside.targets[inside.targets == inside.predicted]} >= set(range(7))


def test_it_is_read_as_it_was_written(of_digits):
    _, folder, inside = of_digits
    (again,) = results.read(folder)
    for field in dataclasses.fields(inside):
        one, other = (getattr(each, field.name) for each in (inside, again))
        if field.name in ("maps", "similarities"):
            continue
        np.testing.assert_array_equal(one, other) if isinstance(one, np.ndarray) else pytest.approx(one) == other
    np.testing.assert_array_equal(again.similarities[0].cka, inside.similarities[0].cka)
    np.testing.assert_array_equal(again.maps["occlusion"], inside.maps["occlusion"])
    (folder / "inside" / f"{inside.trial_id}.npz").write_bytes(b"cut")
    assert results.read(folder) == []
    results.write(folder, inside)


@pytest.mark.parametrize("width", [80, 30])
def test_it_is_said_in_sentences_that_fit(of_digits, width):
    _, folder, inside = of_digits
    text = said(inside, folder, width)
    assert "% at hidden 1; that of the network itself is" in lead(inside)[0]
    assert "seeds at n=128" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines() if str(folder)[:10] not in line) <= width


def test_sizes_without_parameters_are_told_and_the_others_surveyed(of_digits, digits):
    study, folder, _ = of_digits
    more = dataclasses.replace(study, train_sizes=(*study.train_sizes, 200))
    inside = next(look(more, folder, ["net:128:1"], digits))
    assert (inside.seed, inside.missing, [own.train_size for own in inside.own]) == (1, (200,), [32, 64, 128])
    assert "No parameters are kept of n=200" in said(inside, folder)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("logreg", "classical learner, which has no layers"),
        ("nett", "did you mean 'net'"),
        ("net:100:0", "the sizes are 32, 64, 128"),
        ("net:a", "give learner:size:seed"),
        ("net:32:0:1", "give learner:size:seed"),
    ],
)
def test_what_is_no_network_of_the_study_is_refused(of_digits, digits, asked, complaint):
    study, folder, _ = of_digits
    with pytest.raises(UsageError, match=complaint):
        next(look(study, folder, [asked], digits))


def test_a_trial_is_found_by_the_beginning_of_its_id(of_digits, digits):
    study, folder, inside = of_digits
    assert next(look(study, folder, [inside.trial_id[:9]], digits)).trial_id == inside.trial_id


def test_cells_that_are_not_trained_or_not_kept_are_told_apart(of_digits, digits, tmp_path):
    study, folder, inside = of_digits
    with pytest.raises(UsageError, match="not trained yet"):
        next(look(dataclasses.replace(study, seeds=3), folder, ["net:128:2"], digits))
    with pytest.raises(UsageError, match="holds no study"):
        next(look(study, tmp_path, [], digits))
    with pytest.raises(UsageError, match="other data"):
        next(look(study, folder, [], dataclasses.replace(digits, train=digits.train.take(np.arange(1000)))))
    kept = folder / artifacts.TRIALS / inside.trial_id / "params.npz"
    kept.rename(kept.with_suffix(".away"))
    try:
        with pytest.raises(UsageError, match="keep_mib"):
            next(look(study, folder, [], digits))
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


def test_of_a_table_columns_are_told_by_what_they_decide(tmp_path):
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
    inside = next(look(study, tmp_path, [], study.data.load()))
    assert (inside.kind, inside.unit, inside.feature_names) == ("table", "RMSE", tuple("abcdef"))
    for method, of in inside.maps.items():
        strength = np.abs(of).mean(axis=0)
        assert strength[0] > 2 * strength[1] > 4 * strength[2:].max(), method
    assert inside.column_weights.argmax() == 0
    assert "without it (occlusion, mean of 12 examples): a " in " ".join(said(inside, tmp_path).split())
    assert inside.probe("input", 400).error < 2
    assert inside.own[-1].error < 15 < 63  # 63: the spread of what is told


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
def test_of_a_language_model_each_token_has_its_share(tmp_path):
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
    inside = next(look(study, tmp_path, [], study.data.load()))
    assert (inside.kind, inside.layers) == ("text", ("input", "embedding", "block 1", "last hidden"))
    assert inside.filters is None
    for method, of in inside.maps.items():
        strength = np.abs(of).mean(axis=0)
        assert of.shape == (12, 12)
        assert strength[-1] > 2 * strength[:-1].max(), method
    best = -(0.9 + 0.1 / 7) * np.log(0.9 + 0.1 / 7) - 6 / 70 * np.log(0.1 / 7)
    assert {probe.num_features for probe in inside.probes} == {8, 16}
    assert all(best - 0.2 < probe.error < best + 0.4 < np.log(7) for probe in inside.probes)
    assert inside.own[0].error == pytest.approx(best, abs=0.2)
    assert "nats per byte" in said(inside, tmp_path)
