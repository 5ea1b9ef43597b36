"""Groups of examples: compared with each other without changing anything, or kept in one split."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from dlm import UsageError, from_items
from dlm.data import BreastCancer, File, StdlibText
from dlm.data import groups as groups_module
from dlm.data.columns import Column, text_values
from dlm.data.dataset import Dataset, Split
from dlm.data.groups import SplitGroups, groups_of, hold_outs
from dlm.data.subsets import row_digests


def test_each_kind_of_column_defines_groups():
    columns = {
        "sex": Column(np.array([0, 1, 1, -1], np.int32), "class", ("f", "m")),
        "town": Column(text_values(["Ulm", "Bonn", "Ulm", "Kiel"]), "text"),
        "plan": Column(np.array([2.0, 1.0, np.nan, 2.0]), "number"),
        "codes": Column(np.array([[7, 1], [7, 3], [7, 1], [7, 1]]), "number"),
    }
    names, codes = groups_of({"train": columns}, ("sex", "town", "plan", "codes[1]"))
    assert names == (
        ("sex", ("f", "m")),
        ("town", ("Bonn", "Kiel", "Ulm")),
        ("plan", ("1", "2")),
        ("codes[1]", ("1", "3")),
    )
    assert codes["train"].tolist() == [[0, 2, 1, 0], [1, 0, 0, 1], [1, 2, -1, 0], [-1, 1, 1, 0]]


def test_many_numbers_are_divided_at_the_quartiles_of_the_pool():
    pool, test = np.arange(1.0, 101.0), np.array([25.0, 25.5, 500.0, -3.0, np.nan])
    names, codes = groups_of(
        {"train": {"age": Column(pool, "number")}, "test": {"age": Column(test, "number")}}, ("age",)
    )
    assert names == (("age", ("age ≤ 25", "25 < age ≤ 50", "50 < age ≤ 75", "age > 75")),)
    assert np.bincount(codes["train"][:, 0]).tolist() == [25, 25, 25, 25]
    assert codes["test"][:, 0].tolist() == [0, 1, 3, 0, -1]


def test_a_text_absent_from_the_pool_is_in_the_others():
    splits = {
        part: {"town": Column(text_values(rows), "text")} for part, rows in (("train", ["a", "b"]), ("test", ["c"]))
    }
    names, codes = groups_of(splits, ("town",))
    assert names == (("town", ("a", "b", "others")),)
    assert codes["test"].tolist() == [[2]]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("sexx", "groups='sexx' is not a column of the data"),
        ("sex[3]", "choose an existing element"),
        ("pic", "has kind image"),
    ],
)
def test_unsuitable_group_columns_are_usage_errors(wanted, message):
    columns = {
        "sex": Column(np.array([0, 1], np.int32), "class", ("f", "m")),
        "pic": Column(np.zeros((2, 4, 4, 1), np.uint8), "image"),
    }
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        groups_of({"train": columns}, (wanted,))


def test_groups_follow_their_rows_into_the_splits_and_change_no_example(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "height": rng.normal(size=200),
            "sex": rng.choice(["f", "m"], 200),
            "label": rng.choice(["yes", "no"], 200),
        }
    )
    pyarrow.csv.write_csv(table, tmp_path / "mine.csv")
    source = File(str(tmp_path / "mine.csv"), target="label")
    plain, grouped = source.load(), source.load(groups=("sex",))
    assert plain.fingerprint == grouped.fingerprint
    assert grouped.groups == (("sex", ("f", "m")),)
    assert grouped.feature_names == ("height", "sex=f", "sex=m", "sex: others")
    for part in ("train", "validation", "test"):
        split = getattr(grouped, part)
        np.testing.assert_array_equal(split.x[:, 2], split.groups[:, 0])  # the very column that tells them apart
        assert getattr(plain, part).groups is None
    assert dataclasses.replace(source).load().class_names == ("no", "yes")


def test_a_threshold_gives_two_groups():
    columns = {
        "age": Column(np.array([25.0, 26.0, np.nan, 19.0]), "number"),
        "codes": Column(np.array([[7, 1], [7, 3], [7, 1], [7, 2]]), "number"),
        "sex": Column(np.array([0, 1, 1, 0], np.int32), "class", ("f", "m")),
    }
    names, codes = groups_of({"train": columns}, ("age<=25", "codes[1] <= 1.5"))
    assert names == (("age", ("age ≤ 25", "age > 25")), ("codes[1]", ("codes[1] ≤ 1.5", "codes[1] > 1.5")))
    assert codes["train"].tolist() == [[0, 0], [1, 1], [-1, 0], [0, 1]]
    with pytest.raises(UsageError, match="needs a column of single numbers"):
        groups_of({"train": columns}, ("sex<=1",))


PARTS = ("train", "validation", "test")


def patients(num_patients=40, rows=10):
    """A table whose rows of one patient are near copies: the label is a property of the patient, a quarter is sick."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(num_patients), rows)
    of_patient = rng.normal(size=(num_patients, 6))[patient]
    measured = (of_patient + 0.01 * rng.normal(size=of_patient.shape)).round(5)
    order = rng.permutation(len(patient))
    columns = {"patient_id": np.array([f"P{number:03d}" for number in patient])[order]}
    columns |= {name: measured[order, k] for k, name in enumerate("abcdef")}
    return pa.table(columns | {"label": np.where(patient % 4 == 0, "sick", "well")[order]})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("groups") / "patients.csv"
    pyarrow.csv.write_csv(patients(), path)
    return str(path)


def patients_of(split):
    """The patients of a split's rows."""
    rows = patients().to_pylist()
    patient_of = {tuple(np.float32([row[name] for name in "abcdef"]).tolist()): row["patient_id"] for row in rows}
    return {patient_of[tuple(row)] for row in np.asarray(split.x).tolist()}


def test_examples_of_a_group_are_in_one_split_and_a_nearest_neighbour_gains_nothing(table):
    errors = {}
    for group in ("", "patient_id"):
        dataset = File(table, target="label", group=group).load()
        model = KNeighborsClassifier(1).fit(dataset.train.x, dataset.train.y)
        errors[group] = 1 - model.score(dataset.test.x, dataset.test.y)
        assert (len(dataset.test), len(dataset.train) + len(dataset.validation)) == (120, 280)
        assert all(abs(np.mean(getattr(dataset, part).y == 0) - 0.25) < 0.1 for part in PARTS)
    assert errors[""] < 0.02
    assert errors["patient_id"] > 0.25
    assert dataset.feature_names == tuple("abcdef")
    assert np.bincount(dataset.test_groups)[np.unique(dataset.test_groups)].tolist() == [10] * 12
    train, validation, test = (patients_of(getattr(dataset, part)) for part in PARTS)
    assert (len(train), len(validation), len(test), len(train | validation | test)) == (25, 3, 12, 40)
    remark = "Groups by patient_id: 25 in the training pool, 3 in validation and 12 in test; no group is in two splits."
    assert remark in dataset.remarks


def test_the_splits_depend_on_the_content_only(table, tmp_path):
    rows = patients().take(np.random.default_rng(1).permutation(400))
    pyarrow.parquet.write_table(rows, tmp_path / "patients.parquet")
    ways = [
        File(table, target="label", group="patient_id").load(),
        File(str(tmp_path / "patients.parquet"), target="label", group="patient_id").load(),
        from_items(rows.to_pylist(), name="items", target="label", group="patient_id"),
    ]
    assert len({dataset.fingerprint for dataset in ways}) == 1
    for dataset in ways[1:]:
        np.testing.assert_array_equal(dataset.test.x, ways[0].test.x)
        np.testing.assert_array_equal(dataset.test_groups, ways[0].test_groups)


@pytest.mark.parametrize("most", [2000, 10])
@pytest.mark.parametrize(("test", "expected"), [(0.3, 0.3), (0.5, 0.5), (40, 0.1), (0.04, 0.05)])
def test_the_held_out_share_is_near_the_requested_one(table, monkeypatch, test, expected, most):
    monkeypatch.setattr(groups_module, "MAX_STRATIFIED_GROUPS", most)
    dataset = File(table, target="label", group="patient_id", test=test, validation=0.2).load()
    assert abs(len(dataset.test) / 400 - expected) <= 0.025
    assert len(dataset.validation) / (400 - len(dataset.test)) == pytest.approx(0.2, abs=0.05)


def test_groups_of_very_different_sizes_and_numeric_targets(tmp_path):
    rng = np.random.default_rng(0)
    site = np.repeat(np.arange(30), rng.geometric(0.02, 30))
    rows = pa.table({"site": site, "x": rng.normal(size=len(site)), "y": rng.normal(size=len(site))})
    pyarrow.csv.write_csv(rows, tmp_path / "sites.csv")
    dataset = File(str(tmp_path / "sites.csv"), target="y", task="numbers", group="site", test=0.2).load()
    assert abs(len(dataset.test) / len(site) - 0.2) < 0.05
    assert dataset.feature_names == ("x",)
    assert "a root-mean-square error has a relative standard error of" in dataset.test_precision


def test_files_of_a_folder_inside_a_class_folder_and_of_a_table_are_groups(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for patient in range(12):
        for scan in range(4):
            path = tmp_path / "scans" / ("cat", "dog")[patient % 2] / f"p{patient}" / f"{scan}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (4, 4), np.uint8)).save(path)
            rows.append({"file": str(path.relative_to(tmp_path)), "label": path.parts[-3], "who": patient})
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "list.csv")
    for source in (
        File(str(tmp_path / "scans"), group="folder"),
        File(str(tmp_path / "list.csv"), target="label", group="who"),
    ):
        dataset = source.load()
        assert dataset.train.x.shape[1:] == (4, 4, 1)
        assert set(np.unique(dataset.test_groups, return_counts=True)[1]) == {4}
    with pytest.raises(
        UsageError, match="set data.group=folder, with a folder per group in each class".replace(".", r"\.")
    ):
        File(str(tmp_path / "scans"), group="patient").load()
    Image.new("L", (4, 4)).save(tmp_path / "scans" / "cat" / "alone.png")
    with pytest.raises(UsageError, match="'folder' has no value in 1 of 49 rows"):
        File(str(tmp_path / "scans"), group="folder").load()


def changed(**columns):
    rows = patients()
    for name, values in columns.items():
        rows = rows.drop_columns([name]) if name in rows.column_names else rows
        rows = rows.append_column(name, pa.array(values))
    return rows


MANY = [f"P{number % 40}" for number in range(400)]


@pytest.mark.parametrize(
    ("rows", "group", "message"),
    [
        (patients(), "patient", "data.group='patient' is not a column; did you mean 'patient_id'?"),
        (patients(), "label", "data.group='label' is also the target or an input; choose another column"),
        (changed(site=["x"] * 400), "site", "data.group='site' has one group, 'x'; choose another column"),
        (changed(site=["x", "y"] * 200), "site", "'site' has 2 groups for 3 splits; provide at least 3"),
        (changed(site=[None, *MANY[1:]]), "site", "'site' has no value in 1 of 400 rows; fill or remove them"),
        (
            changed(site=MANY, label=["a" if name == "P1" else "b" for name in MANY]).select(["site", "a", "label"]),
            "",
            "",
        ),
    ],
    ids=["unknown", "target", "one", "two", "missing", "none"],
)
def test_an_unsuitable_column_for_holding_out_is_a_usage_error(rows, group, message, tmp_path):
    pyarrow.parquet.write_table(rows, tmp_path / "rows.parquet")
    source = File(str(tmp_path / "rows.parquet"), target="label", group=group)
    if not message:
        assert source.load().test_groups is None
        return
    with pytest.raises(UsageError) as error:
        source.load()
    assert message in str(error.value)


def test_the_pool_keeps_every_class(tmp_path):
    """A class of one group stays in the pool; the greedy folds alone would hold it out for one of three tests."""
    label = ["rare" if name == "P1" else "usual" for name in MANY]
    pyarrow.csv.write_csv(changed(site=MANY, label=label), tmp_path / "rows.csv")
    dataset = File(str(tmp_path / "rows.csv"), target="label", group="site", inputs=("a", "b")).load()
    assert [int(np.sum(getattr(dataset, part).y == 0)) for part in PARTS] == [10, 0, 0]
    notes = "".join(f'{{"text": "A note of {k} words that are not classes.", "who": "{k % 9}"}}\n' for k in range(90))
    (tmp_path / "notes.jsonl").write_text(notes)
    for kind in ("auto", "texts"):
        with pytest.raises(UsageError, match="'who' needs a target; documents without one stay whole, remove it"):
            File(str(tmp_path / "notes.jsonl"), kind=kind, group="who").load()


def test_classes_of_few_rows_are_held_out_or_refused():
    items = [({"x": float(k), "who": f"{k // 4}"}, f"c{k // 4 % 30}") for k in range(240)]
    items = [{**inputs, "label": label} for inputs, label in items]
    dataset = from_items(items, name="items", group="who")
    assert all(len(np.unique(getattr(dataset, part).y)) > 3 for part in PARTS)
    assert set(np.unique(dataset.test.y)) <= set(np.unique(dataset.train.y))
    for k, item in enumerate(items):
        item["label"] = f"c{k // 4}"  # each class is one group
    with pytest.raises(UsageError, match="is not possible with 60 groups"):
        from_items(items, name="items", group="who")


def test_a_predefined_split_that_shares_a_group_is_a_usage_error():
    columns = {part: {"who": Column(np.array(ids), "number")} for part, ids in (("train", [1, 2, 3]), ("test", [4, 3]))}
    with pytest.raises(UsageError, match="has groups in both train and test: 1, for example '3'; give all rows as one"):
        SplitGroups.of("who", columns)
    columns["test"] = {"who": Column(np.array([4, 5]), "number")}
    assert {part: len(codes) for part, codes in SplitGroups.of("who", columns).codes.items()} == {"train": 3, "test": 2}


@pytest.mark.parametrize(
    ("rows", "test"), [(100, 20), (300, 90), (1500, 400), (3000, 600), (5000, 1000), (10_000, 1000), (40_000, 2000)]
)
def test_the_default_test_split_is_large_enough_where_the_data_allow(rows, test):
    items = [((k % 7, k % 5, k / rows), k % 2) for k in range(rows)]
    dataset = from_items(items, name="items")
    assert len(dataset.test) == test
    assert len(from_items(items, name="items", test=0.2).test) == rows // 5
    if rows == 3000:
        assert dataset.test_precision == (
            "Held out 600 of 3,000 examples for testing: an error rate of 20 % has a standard error of 1.6 points."
        )
        assert dataset.remarks[-1].startswith(dataset.test_precision)


def contents(*splits):
    return np.sort(np.concatenate([row_digests(split.x, split.y) for split in splits])).tolist()


def test_hold_outs_test_every_example_of_pool_and_test_once_with_the_shares_of_the_classes():
    dataset = BreastCancer().load()
    parts = hold_outs(dataset, 5)
    assert contents(*(part.test for part in parts)) == contents(dataset.train, dataset.test)
    for part in parts:
        assert contents(part.train, part.test) == contents(dataset.train, dataset.test)
        assert not set(contents(part.train)) & set(contents(part.test))
        assert part.validation is dataset.validation
        assert abs(len(part.test) - 489 / 5) < 1
        assert abs(part.test.y.sum() - sum(each.test.y.sum() for each in parts) / 5) < 1
    assert len({part.fingerprint for part in parts}) == 5
    assert hold_outs(dataset, 1) == (dataset,)
    assert parts[0].test_precision.startswith("Held out 489 of 569 examples for testing in 5 hold-outs: ")


@pytest.mark.parametrize("most", [2000, 10])
def test_hold_outs_depend_on_content_and_keep_groups_together(table, tmp_path, monkeypatch, most):
    monkeypatch.setattr(groups_module, "MAX_STRATIFIED_GROUPS", most)
    pyarrow.parquet.write_table(patients().take(np.random.default_rng(1).permutation(400)), tmp_path / "p.parquet")
    paths = (table, str(tmp_path / "p.parquet"))
    ours, others = (hold_outs(File(path, target="label", group="patient_id").load(), 3) for path in paths)
    assert [part.fingerprint for part in ours] == [part.fingerprint for part in others]
    tested = [patients_of(part.test) for part in ours]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 37
    for part, other, of_test in zip(ours, others, tested):
        np.testing.assert_array_equal(part.test.x, other.test.x)
        assert not of_test & patients_of(part.train)
        assert len(np.unique(part.test_groups)) == len(of_test)
        assert not set(part.pool_groups) & set(part.test_groups)
        assert abs(np.mean(part.test.y == 0) - 0.25) < (0.1 if most == 2000 else 0.3)
    assert "Groups by patient_id: 37 in pool and test of 3 hold-outs; no group is in two splits." in ours[0].remarks
    assert "37 groups" in ours[0].remarks[-1]


def some_dataset(y, **fields):
    x = np.arange(len(y), dtype=np.float32)[:, None]
    pool, validation, test = (Split(x[rows], y[rows]) for rows in np.split(np.arange(len(y)), [24, 27]))
    return Dataset("some", pool, validation, test, **fields)


@pytest.mark.parametrize(
    ("dataset", "splits", "message"),
    [
        (some_dataset(np.zeros(30, np.int32), split_by="time"), 2, "'some' is split by time; set splits=1"),
        (some_dataset(np.zeros(30, np.int32), time_ordered=True), 2, "'some' is split by time; set splits=1"),
        (StdlibText(max_bytes=300_000).load(), 2, "is split by file; set splits=1"),
        (some_dataset(np.zeros(30, np.int32)), 28, "splits=28 exceeds the 27 examples in pool and test"),
        (some_dataset(np.eye(30, dtype=np.int32)[0]), 3, "without class '1', whose examples are all in one fold"),
        (some_dataset(np.zeros(30, np.float32), test_groups=np.zeros(3, int)), 2, "set Dataset.pool_groups"),
        (
            some_dataset(np.zeros(30, np.float32), test_groups=np.zeros(3, int), pool_groups=np.ones(24, int)),
            3,
            "splits=3 exceeds the 2 groups by data.group in pool and test; choose at most 2",
        ),
    ],
)
def test_data_without_such_hold_outs_are_refused(dataset, splits, message):
    with pytest.raises(UsageError, match=message):
        hold_outs(dataset, splits)
