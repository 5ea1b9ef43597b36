"""Forecasts of series: classical ones equal what is computed by hand, and a study of all learners ends with numbers."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.baselines import AutoRegressive, LinearSeries, SeasonalNaive
from dlm.baselines.time_series import segments
from dlm.data import Dataset, TfdsSeries
from dlm.data.sources.time_series import windowed_dataset
from dlm.execution import executor
from dlm.models import DLinear, PatchTST
from dlm.storage import record_log
from dlm.tasks import Classification, Forecasting

L, H, C = 12, 5, 2


@pytest.fixture(scope="module")
def dataset():
    """Two noisy waves of period 6."""
    rng, steps = np.random.default_rng(0), np.arange(220.0)
    wave = np.stack([np.sin(steps * np.pi / 3), np.cos(steps * np.pi / 3) + steps / 50], axis=1)
    return windowed_dataset("waves", wave + 0.1 * rng.normal(size=wave.shape), L, H, validation=40, test=40)


def latest(dataset, size):
    rows = dataset.order(0)[:size]
    return dataset.train.x[rows], dataset.train.y[rows]


def forecast(learner, dataset, size=60):
    """[M, H, C] of the test split."""
    fitted = learner.fit(*latest(dataset, size), H * C, 0)
    return fitted.outputs(dataset.test.x).reshape(-1, H, C)


def test_the_naive_forecast_is_the_last_period_again(dataset):
    assert np.array_equal(forecast(SeasonalNaive(), dataset), np.repeat(dataset.test.x[:, -1:], H, axis=1))
    three = forecast(SeasonalNaive(3), dataset)
    assert np.array_equal(three, dataset.test.x[:, [-3, -2, -1, -3, -2]])
    assert SeasonalNaive(3).fit(*latest(dataset, 2), H * C, 0).iterations == 0


def test_the_linear_forecast_is_ridge_regression_on_windows_less_their_last_value(dataset):
    x, y = latest(dataset, 60)
    rows, wanted = ((part - x[:, -1:]).astype(float).swapaxes(1, 2).reshape(60 * C, -1) for part in (x, y))
    model = Ridge(alpha=3.0, solver="svd").fit(rows, wanted)
    last = dataset.test.x[:, -1:].astype(float)
    inputs = (dataset.test.x - last).swapaxes(1, 2).reshape(-1, L)
    by_hand = model.predict(inputs).reshape(-1, C, H).swapaxes(1, 2) + last
    assert np.allclose(forecast(LinearSeries(alpha=3.0), dataset), by_hand, atol=1e-6)


def test_autoregression_is_least_squares_on_the_history_and_iterates(dataset):
    order, size = 3, 60
    x, y = latest(dataset, size)
    history = np.concatenate([x[::-1, 0], x[0, 1:], y[0]]).astype(float)
    assert len(history) == size + L + H - 1
    by_hand = np.empty((len(dataset.test), H, C))
    for series in range(C):
        lags = np.lib.stride_tricks.sliding_window_view(history[:, series], order + 1)
        design = np.column_stack([np.ones(len(lags)), lags[:, :-1]])
        weights = np.linalg.lstsq(design, lags[:, -1], rcond=None)[0]
        for window in range(len(dataset.test)):
            steps = list(dataset.test.x[window, :, series].astype(float))
            for step in range(H):
                steps.append(weights[0] + np.dot(weights[1:], steps[-order:]))
                by_hand[window, step, series] = steps[-1]
    assert np.allclose(forecast(AutoRegressive(order), dataset, size), by_hand, atol=1e-6)


def test_history_is_joined_where_windows_follow_and_nowhere_else():
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(10.0), 4)[:, :, None]
    found = [segment[:, 0].tolist() for segment in segments(windows[[6, 5, 4, 1, 0, 3]])]
    assert found == [[4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4], [3, 4, 5, 6]]


def test_a_flat_series_is_forecast_flat():
    flat = windowed_dataset("flat", np.ones((60, C)), L, H, validation=10, test=10)
    for learner in (SeasonalNaive(2), LinearSeries(alpha=0.0), AutoRegressive(3)):
        assert np.allclose(forecast(learner, flat, 20), 0, atol=1e-9)


def test_what_does_not_fit_is_refused_in_words(dataset):
    x, y = latest(dataset, 5)
    with pytest.raises(UsageError, match="period=13 exceeds the 12 steps"):
        SeasonalNaive(13).check(dataset)
    AutoRegressive(12).check(dataset)
    with pytest.raises(UsageError, match=r"need windows \[N, L, C\] and targets \[N, H, C\]"):
        LinearSeries().fit(x, y.reshape(5, -1), H * C, 0)
    table = Dataset("table", *[dataclasses.replace(dataset.test, y=dataset.test.y[:, 0, 0])] * 3)
    with pytest.raises(UsageError, match=r"Forecasting\(\) needs inputs \[N, context, C\]"):
        Forecasting().check(table)
    with pytest.raises(UsageError, match=r"need windows \[N, L, C\] and targets \[N, H, C\]"):
        LinearSeries().check(table)
    with pytest.raises(UsageError, match=r"Classification\(\) needs classes"):
        Classification().check(dataset)


@dataclasses.dataclass(frozen=True)
class Waves:
    """A source of what the test made."""

    def load(self, data_dir=None):
        raise AssertionError("it is given")


def test_a_study_of_all_learners_ends_with_the_errors_of_their_forecasts(dataset, tmp_path):
    study = Study(
        data=Waves(),
        task=Forecasting(),
        learners={
            "last": SeasonalNaive(),
            "season": SeasonalNaive(6),
            "linear": LinearSeries(),
            "ar": AutoRegressive(6),
            "dlinear": Learner(DLinear(5, "last"), Hyper(lr=0.02)),
            "patchtst": Learner(PatchTST(4, 4, 8, 1, 2, 8), Hyper(lr=0.01, dropout=0.1)),
        },
        train_sizes=(40, 100),
        seeds=2,
        budget=Budget(steps=150, batch_size=16),
    )
    outcome = executor.run_trials(study, tmp_path, executor.RunOptions(dataset=dataset))
    assert (outcome.trained, outcome.failed, outcome.diverged) == (24, 0, 0)
    rows = record_log.rows(tmp_path)
    found = {row.learner: row for row in record_log.ends(rows).values() if row.train_size == 100}
    season = np.square(forecast(SeasonalNaive(6), dataset) - dataset.test.y).mean()
    assert found["season"].value == pytest.approx(season, rel=1e-5)
    assert {row.unit for row in found.values()} == {"MSE"}
    for name in ("linear", "ar", "dlinear", "patchtst"):
        assert found[name].value < found["last"].value / 4
    mae = np.abs(forecast(SeasonalNaive(6), dataset) - dataset.test.y).mean()
    (told,) = {r.value for r in rows if (r.learner, r.train_size, r.split, r.metric) == ("season", 100, "test", "mae")}
    assert told == pytest.approx(mae, rel=1e-5)
    assert max(file.stat().st_size for file in (tmp_path / "trials").rglob("predictions.npz")) < 2000


@pytest.mark.parametrize(
    ("source", "period", "windows"),
    [
        (TfdsSeries("ett/h1", 96, 96, index="time_index"), 24, (8449, 2785, 2785)),
        (TfdsSeries("exchange_rate", 96, 96, index="time_index"), 1, (4361, 1423, 1423)),
    ],
    ids=["electricity", "exchange"],
)
def test_naive_errors_on_real_data_are_those_of_plain_numpy(shared_tfds, source, period, windows):
    if not (shared_tfds / source.name).is_dir():
        pytest.skip(f"no {source.name} in {shared_tfds}")
    from dlm.data.tfds.reader import read

    _, columns = read(source.name, {"train": "train", "all": "train+validation+test"}, data_dir=shared_tfds)
    past, values = (np.asarray(columns[part]["values"].values, float) for part in ("train", "all"))
    values = (values - past.mean(axis=0)) / past.std(axis=0)
    dataset = source.load(shared_tfds)
    assert tuple(map(len, (dataset.train, dataset.validation, dataset.test))) == windows
    squares = [
        np.square(values[start + np.arange(96)] - values[start - period + np.arange(96) % period]).mean()
        for start in range(len(values) - windows[2] - 95, len(values) - 95)
    ]
    fitted = SeasonalNaive(period).fit(dataset.train.x[:1], dataset.train.y[:1], dataset.train.y[0].size, 0)
    error = np.square(fitted.outputs(dataset.test.x) - dataset.test.y.reshape(len(dataset.test), -1)).mean()
    assert error == pytest.approx(np.mean(squares), rel=1e-5)
