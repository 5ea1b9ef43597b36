"""Sources of columns, from the user's files and TFDS to a finished study; statistics use the training subset only."""

import csv
import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.baselines import HistGradientBoosting, LogisticRegression, Ridge, TfidfLogisticRegression
from dlm.curves.from_records import learning_curves
from dlm.data import File, Series, Tfds, from_items
from dlm.data.subset_orders import SubsetOrders
from dlm.execution import executor
from dlm.models import MLP
from dlm.storage import record_log
from dlm.tasks import Classification, Regression


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def mixed(folder):
    """400 rows with numbers, gaps, categories and dates; the target is a sum of them."""
    rng = np.random.default_rng(0)
    number, colour, day = rng.normal(size=400), rng.integers(0, 4, 400), rng.integers(0, 700, 400)
    dates = np.datetime64("2020-01-01") + day.astype("timedelta64[D]")
    target = 3 * number + colour + np.sin(2 * np.pi * day / 365.25)
    rows = [
        [
            "" if rng.random() < 0.1 else f"{n:.4f}",
            ["red", "green", "blue", "rare" if i < 3 else "red"][c],
            d,
            f"{t:.4f}",
        ]
        for i, (n, c, d, t) in enumerate(zip(number, colour, dates, target))
    ]
    return write_csv(folder / "mixed.csv", ["number", "colour", "day", "price"], rows)


@pytest.fixture(scope="module")
def diabetes(folder):
    data = load_diabetes(scaled=False)
    rows = [[*x, y] for x, y in zip(data.data, data.target)]
    return write_csv(folder / "diabetes.csv", [*data.feature_names, "progression"], rows)


def test_a_table_is_encoded_with_one_hot_categories_and_missing_flags(mixed):
    dataset = File(mixed, target="price", test=80, validation=40).load()
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (280, 40, 80)
    assert dataset.standardize
    assert dataset.has_numeric_targets
    number, missing, *_ = dataset.train.x.T
    assert np.array_equal(np.isnan(number), missing == 1)
    assert 0.05 < missing.mean() < 0.15
    one_hot = dataset.train.x[:, 2:-5]
    assert set(np.unique(one_hot)) == {0.0, 1.0}
    assert np.all(one_hot.sum(axis=1) == 1)
    assert dataset.train.x[:, -5].min() >= 2020
    assert any("price" in remark for remark in dataset.remarks)


def test_normalization_uses_the_training_subset_only(diabetes):
    """It equals scikit-learn's scaler fitted to the rows of the subset."""
    dataset = File(diabetes, target="progression").load()
    orders = SubsetOrders(dataset, (0, 1))
    for seed, size in ((0, 20), (1, 200)):
        subset, stats = orders.subset(seed, size), orders.normalization_stats(seed, size)
        scaler = StandardScaler().fit(subset.x)
        assert np.allclose(
            dataset.features(dataset.test.x, stats), np.clip(scaler.transform(dataset.test.x), -8, 8), atol=1e-5
        )
        assert np.allclose(stats.targets(subset.y).mean(), 0, atol=1e-5)
        assert np.allclose(stats.outputs(stats.targets(subset.y)), subset.y, rtol=1e-5)
    changed = dataset.train.x.copy()
    outside = orders[0][20:]
    changed[outside] += 1000
    other = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, x=changed))
    from dlm.data.normalization import normalization_stats as of_rows

    assert np.array_equal(of_rows(dataset, orders[0][:20]).mean, of_rows(other, orders[0][:20]).mean)


def test_a_category_absent_from_the_subset_is_zero(mixed):
    dataset = File(mixed, target="price").load()
    orders = SubsetOrders(dataset, (0,))
    stats, subset = orders.normalization_stats(0, 4), orders.subset(0, 4)
    constant = np.nanstd(subset.x, axis=0) == 0
    assert constant.any()
    assert np.all(dataset.features(dataset.test.x, stats)[:, constant] == 0)


def test_subsets_do_not_depend_on_the_file_format(folder):
    """CSV, Parquet and a list of items give the same rows and hashes."""
    import pyarrow.csv
    import pyarrow.parquet

    data = load_breast_cancer()
    rows = [[*np.float32(x), data.target_names[y]] for x, y in zip(data.data, data.target)]
    path = write_csv(folder / "cancer.csv", [*data.feature_names, "diagnosis"], rows)
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(path), folder / "cancer.parquet")
    order = np.random.default_rng(1).permutation(len(rows))
    items = [dict(zip([*data.feature_names, "diagnosis"], rows[row])) for row in order]
    ways = [
        File(path, target="diagnosis").load(),
        File(str(folder / "cancer.parquet"), target="diagnosis").load(),
        from_items(items, name="items", target="diagnosis"),
    ]
    assert len({dataset.fingerprint for dataset in ways}) == 1
    assert len({SubsetOrders(dataset, (3,)).hash(3, 50) for dataset in ways}) == 1


def test_regression_beats_the_mean_and_ridge_equals_scikit_learn(diabetes, tmp_path):
    study = Study(
        data=File(diabetes, target="progression", test=88),
        task=Regression(),
        learners={
            "mlp": Learner(MLP((32,)), Hyper(lr=0.01)),
            "ridge": Ridge(),
            "boosting": HistGradientBoosting(max_iter=30),
        },
        train_sizes=(50, 309),
        seeds=1,
        budget=Budget(steps=300),
        name="diabetes",
    )
    executor.run_trials(study, tmp_path)
    found = {curve.learner: curve for curve in learning_curves(record_log.rows(tmp_path))}
    dataset = study.data.load()
    spread = dataset.test.y.std()
    for curve in found.values():
        assert curve.unit == "RMSE"
        assert curve.bound == (0.0, None)
        assert curve.errors[-1][0] < 0.95 * spread
    subset = SubsetOrders(dataset, (0,)).subset(0, 309)
    scaler = StandardScaler().fit(subset.x)
    model = SklearnRidge(alpha=1.0).fit(scaler.transform(subset.x), (subset.y - subset.y.mean()) / subset.y.std())
    predicted = model.predict(scaler.transform(dataset.test.x)) * subset.y.std() + subset.y.mean()
    by_hand = np.sqrt(np.mean((predicted - dataset.test.y) ** 2))
    assert found["ridge"].errors[-1][0] == pytest.approx(by_hand, rel=1e-4)


def test_folders_of_images_sounds_and_texts_are_loaded(folder):
    digits, rng = load_digits(), np.random.default_rng(0)
    for name in ("pictures", "sounds", "texts"):
        for label in ("0", "1"):
            (folder / name / label).mkdir(parents=True)
    for place in range(60):
        label = int(digits.target[place] % 2)
        Image.fromarray((digits.images[place] * 15).astype(np.uint8)).save(folder / f"pictures/{label}/{place}.png")
        tone = np.sin(np.arange(2000 + 100 * place) * (0.2 + 0.5 * label)) * 8000 + rng.normal(
            0, 100, 2000 + 100 * place
        )
        wavfile.write(folder / f"sounds/{label}/{place}.wav", 8000, tone.astype(np.int16))
        (folder / f"texts/{label}/{place}.txt").write_text(
            f"{'good fine' if label else 'bad awful'} day number {place}"
        )
    pictures, sounds, texts = (File(str(folder / name)).load() for name in ("pictures", "sounds", "texts"))
    assert pictures.train.x.shape[1:] == (8, 8, 1)
    assert pictures.scale == 1 / 255
    assert sounds.train.x.shape[2] == 40
    assert np.allclose(sounds.train.x.mean(axis=(1, 2)), 0, atol=1e-3)
    assert texts.vocabulary == 256
    assert texts.train.x.dtype == np.uint8
    assert [dataset.num_classes for dataset in (pictures, sounds, texts)] == [2, 2, 2]
    resized = dataclasses.replace(File(str(folder / "pictures")), size=(4, 6)).load()
    assert resized.train.x.shape[1:] == (4, 6, 1)
    cell = Study(texts_source(folder), Classification(), {"words": TfidfLogisticRegression()}, (30,), 1, name="texts")
    executor.run_trials(cell, folder / "run")
    (curve,) = learning_curves(record_log.rows(folder / "run"))
    assert curve.errors[-1][0] == 0


def texts_source(folder):
    return File(str(folder / "texts"))


def test_documents_of_a_language_model_are_held_out_whole(folder):
    rng = np.random.default_rng(0)
    plain = folder / "plain"
    plain.mkdir()
    for place in range(40):
        (plain / f"{place}.txt").write_text(f"{place:03d}" + "".join(rng.choice(list("abcdef "), 700)))
    dataset = File(str(plain), length=64).load()
    assert dataset.vocabulary == 256
    parts = [{row.tobytes() for row in split.y} for split in (dataset.train, dataset.validation, dataset.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    sizes = np.array([len(split) for split in (dataset.train, dataset.validation, dataset.test)])
    assert np.allclose(sizes / sizes.sum(), (0.72, 0.08, 0.2), atol=0.05)
    first = {text.read_bytes()[:3] for text in plain.iterdir()}
    named = [
        {name for name in first if any(name in row.tobytes() for row in split.y)}
        for split in (dataset.train, dataset.test)
    ]
    assert not named[0] & named[1]


def test_a_series_is_split_in_order_of_time(folder):
    steps = np.arange(600)
    rows = [[f"{step}", f"{np.sin(step / 5):.5f}", f"{step * 0.01:.5f}"] for step in steps]
    path = write_csv(folder / "series.csv", ["time", "wave", "trend"], rows)
    dataset = Series(path, context=20, horizon=5, target="wave").load()
    assert dataset.train.x.shape[1:] == (20, 2)
    assert dataset.train.y.shape[1:] == (5,)
    last_of_train, first_of_test = dataset.train.x[:, -1, 1].max(), dataset.test.x[:, -1, 1].min()
    assert last_of_train < first_of_test
    stats = SubsetOrders(dataset, (0,)).normalization_stats(0, 100)
    assert stats.mean.shape == (20, 2)
    assert np.allclose(
        dataset.features(dataset.train.x[SubsetOrders(dataset, (0,))[0][:100]], stats).mean(axis=0), 0, atol=1e-4
    )
    with pytest.raises(UsageError, match=r"data\.target='wav' is not a numeric column; did you mean 'wave'"):
        Series(path, target="wav").load()


class Mapped:
    """Like a map-style data set of PyTorch."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, row):
        return np.full((4, 4), row % 7, np.float32), row % 2


def test_objects_with_length_and_items_are_sources():
    grain = pytest.importorskip("grain", reason="needs the extra stream: grain")

    listed = [Mapped(90)[row] for row in range(90)]
    ways = (Mapped(90), grain.MapDataset.source(Mapped(90)), listed)
    loaded = [from_items(way, name="mapped", validation=10, test=0.2) for way in ways]
    assert {dataset.fingerprint for dataset in loaded} == {loaded[0].fingerprint}
    assert loaded[0].train.x.shape == (62, 4, 4)
    assert (len(loaded[0].validation), len(loaded[0].test), loaded[0].num_classes) == (10, 18, 2)
    apart = from_items(Mapped(60), name="mapped", validation=10, test=Mapped(30))
    assert (len(apart.train), len(apart.validation), len(apart.test)) == (50, 10, 30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "prize"}, r"did you mean 'price'"),
        ({"inputs": ("numbr",)}, r"data\.inputs='numbr' is not a column of the data; did you mean 'number'"),
        ({"test": 400}, r"data\.test=400 does not fit 400 examples; choose 1 to 399"),
        ({"target": "colour", "task": "numbers"}, "colour"),
    ],
    ids=["target", "inputs", "test", "task"],
)
def test_invalid_settings_are_usage_errors_with_a_remedy(mixed, changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(File(mixed, target="price"), **changes).load()


def test_a_task_that_does_not_fit_the_targets_is_a_usage_error(mixed, tmp_path):
    study = Study(File(mixed, target="price"), Classification(), {"logreg": LogisticRegression()}, (50,), 1, name="x")
    with pytest.raises(UsageError, match=r"task=Classification\(\) needs classes.*Regression\(\)"):
        executor.run_trials(study, tmp_path / "new")
    labelled = dataclasses.replace(study, data=File(mixed, target="colour"), task=Regression())
    with pytest.raises(UsageError, match=r"task=Regression\(\) needs numeric targets"):
        executor.run_trials(labelled, tmp_path / "new")


TINY = Tfds("tiny", validation=6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a data set prepared by TFDS: 30 training and 9 test images of three classes."""
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = tmp_path_factory.mktemp("tfds")

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")

        def _info(self):
            image = tfds.features.Tensor(shape=(2, 2, 1), dtype=np.uint8)
            label = tfds.features.ClassLabel(num_classes=3)
            word = tfds.features.Text()
            features = tfds.features.FeaturesDict({"image": image, "label": label, "word": word})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(30, 0), "test": self._generate_examples(9, 100)}

        def _generate_examples(self, count, start):
            for i in range(count):
                yield (
                    i,
                    {"image": np.full((2, 2, 1), start + i, np.uint8), "label": i % 3, "word": f"w{(start + i) // 3}"},
                )

    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def test_a_tfds_data_set_is_read_from_its_folder(tiny, monkeypatch):
    dataset = TINY.load(tiny)
    assert dataset.name == "tiny/1.2.0"
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 6, 9)
    assert dataset.num_classes == 3
    assert sorted([*dataset.train.x[:, 0, 0, 0], *dataset.validation.x[:, 0, 0, 0]]) == list(range(30))
    assert sorted(dataset.test.x[:, 0, 0, 0]) == list(range(100, 109))
    assert all(
        label == (image - 100) % 3 for image, label in zip(dataset.test.x[:, 0, 0, 0].astype(int), dataset.test.y)
    )
    assert dataset.scale == 1 / 255
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny))
    assert TINY.load().fingerprint == dataset.fingerprint


def test_a_test_split_can_be_held_out(tiny):
    dataset = dataclasses.replace(TINY, test=9).load(tiny)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (15, 6, 9)
    assert dataset.test.x.max() < 30
    assert np.bincount(dataset.test.y).tolist() == [3, 3, 3]


def test_groups_of_a_tfds_data_set_are_held_out_whole(tiny):
    dataset = dataclasses.replace(TINY, group="word").load(tiny)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 6, 9)
    assert set((dataset.validation.x[:, 0, 0, 0] // 3).tolist()).isdisjoint((dataset.train.x[:, 0, 0, 0] // 3).tolist())
    assert len(np.unique(dataset.test_groups)) == 4
    with pytest.raises(UsageError, match="has groups in both train and test: 1, for example 'w3"):
        dataclasses.replace(TINY, group="word", train="train+test[:1]", test="test[1:]").load(tiny)


def test_data_dir_takes_precedence_over_the_environment(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tiny))
    with pytest.raises(UsageError, match=str(tmp_path)):
        TINY.load(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert TINY.load(tiny).num_classes == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inputs": ("picture",)},
            r"data\.inputs='picture' is not a column of the data; ",
        ),
        ({"group": "wrd"}, r"data\.group='wrd' is not a column of the data; did you mean 'word'"),
        ({"target": "absent"}, r"data\.target='absent' is not a column of the data; "),
        ({"test": "dev"}, r"has no split 'dev'"),
        ({"train": "train[:0]"}, r"train\[:0\]"),
        ({"validation": 30}, r"data\.validation=30 does not fit 30 examples; choose 1 to 29"),
        ({"test": 30}, r"data\.test=30 does not fit 30 examples; choose 1 to 29"),
    ],
)
def test_unknown_columns_and_splits_are_usage_errors(tiny, changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(TINY, **changes).load(tiny)


@pytest.fixture(scope="module")
def fashion(shared_tfds):
    return Tfds("fashion_mnist", validation=10_000).load(shared_tfds)


@pytest.mark.slow
def test_fashion_mnist_has_its_published_sizes(fashion):
    assert (len(fashion.train), len(fashion.validation), len(fashion.test)) == (50_000, 10_000, 10_000)
    assert fashion.train.x.shape[1:] == (28, 28, 1)
    assert np.all(np.bincount(fashion.train.y) == 5000)
    assert np.all(np.bincount(fashion.validation.y) == np.bincount(fashion.test.y))


@pytest.mark.slow
def test_fashion_mnist_has_balanced_nested_subsets(fashion):
    order = fashion.order(0)
    assert np.array_equal(np.sort(order), np.arange(50_000))
    for size in (10, 1000, 50_000):
        assert np.all(np.bincount(fashion.train.y[order[:size]], minlength=10) == size // 10)
    for size in (37, 12_345):
        assert np.ptp(np.bincount(fashion.train.y[order[:size]], minlength=10)) <= 1


def numeric_table(folder, x, y):
    rows = [[repr(float(a)), repr(float(b))] for a, b in zip(x, y)]
    return write_csv(folder / "numeric.csv", ["clock", "reading"], rows)


@pytest.mark.parametrize(("offset", "unit"), [(1.7e12, 1.0), (-3e9, 0.01), (0.0, 1e40), (0.0, 1e-40), (5e15, 1e4)])
def test_features_that_float32_would_round_are_centred_and_scaled(tmp_path, offset, unit):
    steps = np.random.default_rng(0).permutation(400).astype(float)
    dataset = File(numeric_table(tmp_path, offset + unit * steps, np.sin(steps)), target="reading").load()
    assert np.isfinite(dataset.train.x).all()
    assert len(np.unique(dataset.train.x)) == len(dataset.train)
    assert dataset.feature_names[0] != "clock"
    stats = SubsetOrders(dataset, (0,)).normalization_stats(0, 100)
    assert 0.5 < dataset.features(dataset.test.x, stats).std() < 2


def test_usual_features_are_stored_unchanged(tmp_path):
    x = np.random.default_rng(0).normal(50, 10, 400).round(2)
    dataset = File(numeric_table(tmp_path, x, x), target="reading").load()
    assert np.isin(dataset.train.x[:, 0], x.astype(np.float32)).all()
    assert dataset.feature_names == ("clock",)


def test_targets_that_float32_would_round_keep_their_differences(tmp_path):
    noise = np.random.default_rng(0).normal(0, 10, 400)
    dataset = File(numeric_table(tmp_path, noise, 1.2e9 + noise), target="reading").load()
    y = np.concatenate([split.y for split in (dataset.train, dataset.validation, dataset.test)])
    assert y.std() == pytest.approx(noise.std(), rel=1e-4)
    assert any("Target reading" in remark and "subtracted" in remark for remark in dataset.remarks)


@pytest.mark.parametrize("unit", [1e40, 6e23, 1e-20])
def test_targets_beyond_the_range_of_float32_are_refused(tmp_path, unit):
    noise = np.random.default_rng(0).normal(size=400)
    with pytest.raises(UsageError, match=r"data\.target='reading' has numbers of the order of .* divide them by"):
        File(numeric_table(tmp_path, noise, unit * noise), target="reading").load()


def test_outliers_that_hide_the_other_values_are_reported(tmp_path):
    x = np.random.default_rng(0).normal(size=400)
    x[7] = 1e12
    dataset = File(numeric_table(tmp_path, x, np.arange(400)), target="reading").load()
    assert any("stay distinct in float32" in remark and "clock" in remark for remark in dataset.remarks)


@pytest.mark.parametrize("inputs", [("label",), ("label", "a"), ("a", "label")])
def test_target_among_the_inputs_is_refused(tmp_path, inputs):
    path = write_csv(tmp_path / "t.csv", ["a", "b", "label"], [(k * k % 97, -k % 7, "yn"[k % 2]) for k in range(300)])
    with pytest.raises(UsageError, match="'label' is also among the inputs"):
        File(path, target="label", inputs=inputs).load()


@pytest.mark.parametrize("test", [1.5, 40.2])
def test_number_of_held_out_examples_is_an_integer_or_a_share(tmp_path, test):
    path = write_csv(tmp_path / "t.csv", ["a", "b", "label"], [(k * k % 97, -k % 7, "yn"[k % 2]) for k in range(300)])
    with pytest.raises(UsageError, match=f"data.test={test} does not fit 300 examples; choose 1 to 299, or a share"):
        File(path, target="label", test=test).load()


def rows_with(folder, **columns):
    return write_csv(folder / "named.csv", list(columns), list(zip(*columns.values())))


def test_a_usual_name_does_not_silence_other_columns(tmp_path):
    x, y, z = np.random.default_rng(0).normal(size=(3, 300)).round(3)
    path = rows_with(tmp_path, x=x, y=y, z=z, activity=np.where(y > 0, "walk", "rest"))
    dataset = File(path, target="activity").load()
    assert dataset.feature_names == ("x", "y", "z")
    assert any(remark.startswith("Inputs: x, y, z; data.inputs") for remark in dataset.remarks)


def test_a_short_text_does_not_silence_numbers_and_is_reported(tmp_path):
    a, b = np.random.default_rng(0).normal(size=(2, 300)).round(3)
    note = [f"called about item {k} and bill {k * k}" for k in range(300)]
    path = rows_with(tmp_path, note=note, a=a, b=b, label=np.where(a > 0, "yes", "no"))
    dataset = File(path, target="label").load()
    assert dataset.feature_names == ("a", "b")
    assert any("Not used: note (text)" in remark and "data.inputs" in remark for remark in dataset.remarks)
    assert File(path, target="label", inputs=("note",)).load().vocabulary == 256


def test_a_long_text_is_the_input_and_numbers_are_reported(tmp_path):
    a, b = np.random.default_rng(0).normal(size=(2, 300)).round(3)
    review = [f"the {k}th of many reviews, all of them written with care and at some length, " * 3 for k in range(300)]
    path = rows_with(tmp_path, review=review, a=a, b=b, label=np.where(a > 0, "yes", "no"))
    dataset = File(path, target="label").load()
    assert dataset.vocabulary == 256
    assert any("Not used: a (number), b (number)" in remark for remark in dataset.remarks)


def test_inputs_include_a_column_that_looks_like_an_identifier(tmp_path):
    order = np.random.default_rng(0).permutation(300)
    path = rows_with(tmp_path, rank=order, a=order % 7, label=np.where(order > 150, "yes", "no"))
    assert File(path, target="label").load().feature_names == ("a",)
    assert File(path, target="label", inputs=("rank", "a")).load().feature_names == ("rank", "a")


def test_items_follow_the_rules_of_tables():
    order = np.random.default_rng(0).permutation(300).tolist()
    items = [
        {"index": k, "price": f"${1000 + k % 9:,}.50", "label": ("yes", "yes ")[k % 2] if k > 99 else "no"}
        for k in order
    ]
    dataset = from_items(items, name="mine", target="label")
    assert dataset.feature_names == ("price",)
    assert dataset.class_names == ("no", "yes")
    assert dataset.train.x.max() == 1008.5
    assert any("number the rows: index" in remark for remark in dataset.remarks)
    assert any("Column price" in remark for remark in dataset.remarks)
    assert from_items(items, name="mine", target="label", inputs=("index",)).feature_names == ("index",)


def test_a_table_whose_inputs_are_all_dropped_is_refused_with_the_reasons(tmp_path):
    order = np.random.default_rng(0).permutation(300)
    path = rows_with(tmp_path, rank=order, same=["a"] * 300, label=np.where(order > 150, "yes", "no"))
    with pytest.raises(UsageError, match=r"no column except the target 'label' .*row numbers: rank.*constant: same"):
        File(path, target="label").load()
