"""TFDS data sets are read as columns without TensorFlow; unsupported ones give usage errors."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data import Tfds
from dlm.data.columns import Ragged
from dlm.data.tfds import reader
from dlm.data.tfds.reader import read, read_metadata

pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds: tensorflow-datasets")
ROOT = Path(__file__).resolve().parents[3]
TRAIN, TEST = 23, 7
BOTH = {"train": "train", "test": "test"}
LARGE = ("fashion_mnist", "movielens/latest-small-ratings", "multi30k", "daily_dialog")  # seconds to minutes each
SHARED = {
    "fashion_mnist": {"train": 60_000, "test": 10_000},
    "fsdd": {"train": 2700, "test": 300},
    "tiny_shakespeare": {"train": 1, "validation": 1, "test": 1},
    "daily_dialog": {"train": 11_118, "validation": 1000, "test": 1000},
    "ett/h1": {"train": 8640, "validation": 2880, "test": 2880, "remainder": 3020},
    "exchange_rate": {"train": 4552, "validation": 1518, "test": 1518},
    "multi30k": {"train": 29_000, "validation": 1014, "test": 1000, "test_2017_flickr": 1000, "test_2017_mscoco": 461},
    "busi": {"train": 617, "validation": 81, "test": 82},
    "jsb_chorales": {"train": 229, "validation": 76, "test": 77},
    "movielens/latest-small-ratings": {"train": 100_836},
    "movielens/latest-small-movies": {"train": 9742},
    "vehicle_fraud": {"train": 11_337, "test": 4083},
    "german_credit_numeric": {"train": 1000},
    "camvid": {"train": 367, "validation": 101, "test": 233},
    "bsds300_sr": {"train": 200, "test": 100, "set5": 5},
    "sms_spam": {"train": 5574},
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """One for all tests, away from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("DLM_CACHE_DIR", str(folder))
        yield folder / "data"


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def pixels(number, *shape):
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def example(i):
    """One example with every kind of feature; sequences of i % 3 elements."""
    size, few = (3 + i % 2, 5), i % 3
    return {
        "byte": i % 5 - 2,
        "deep": io.BytesIO(encoded(pixels(i, 4, 4).astype(np.uint16) * 257)),
        "float_image": io.BytesIO(encoded(np.full((2, 3), i, np.float32).view(np.uint8).reshape(2, 3, 4))),
        "frames": [io.BytesIO(encoded(pixels(i + 9, 2, 3))) for _ in range(few)],
        "flag": i % 2 == 0,
        "huge": 2**64 - 1 - i,
        "image": io.BytesIO(encoded(pixels(i, 6, 4))),
        "label": i % 4 - 1,
        "many": [i, 1] * few,
        "nested": {"deeper": {"count": i}, "word": f"w{i}"},
        "no_names": i % 3,
        "objects": [{"bbox": np.full(4, i / 100, np.float32), "label": "cat"} for _ in range(few)],
        "photo": io.BytesIO(encoded(pixels(i, *size, 3), "JPEG", quality=95)),
        "pair": [i, -i],
        "precise": i / 8,
        "sound": np.arange(i, dtype=np.int64),
        "tags": [i % 2] * few,
        "tensor": np.full((2, 2), i, np.float32),
        "text": b"caf\xc3\xa9 \x00 \xff" if i % 2 else "",
        "texts": ["a", "b c", ""][:few],
        "track": np.full((few, 3), i, np.int16),
        "translations": {"de": f"de {i}", "fr": f"fr {i}"},
        "two": ["x", f"y{i}"],
        "within": [{"a": i}, {"a": 1}],
        "zipped": np.full((few, i % 4), i, np.float32),
        "zipped_many": [np.full(2, i, np.int16)] * few,
    }


def feature_specs(tfds):
    core = tfds.features
    label = core.ClassLabel(names=["cat", "dog", "cow"])
    return {
        "byte": np.int8,
        "deep": core.Image(shape=(4, 4, 1)),
        "float_image": core.Image(shape=(2, 3, 4)),
        "frames": core.Sequence(core.Image(shape=(2, 3, 1))),
        "flag": np.bool_,
        "huge": np.uint64,
        "image": core.LabeledImage(labels=["sky", "road"], shape=(6, 4, 1)),
        "label": label,
        "many": core.Sequence(np.int32),
        "nested": {"deeper": {"count": np.int64}, "word": core.Text()},
        "no_names": core.ClassLabel(num_classes=3),
        "objects": core.Sequence({"bbox": core.BBoxFeature(), "label": label}),
        "photo": core.Image(),
        "pair": core.Sequence(np.int16, length=2),
        "precise": np.float64,
        "sound": core.Tensor(shape=(None,), dtype=np.int64),
        "tags": core.Sequence(core.ClassLabel(names=["no", "yes"])),
        "tensor": core.Tensor(shape=(2, 2), dtype=np.float32),
        "text": core.Text(),
        "texts": core.Sequence(core.Text()),
        "track": core.Tensor(shape=(None, 3), dtype=np.int16),
        "translations": core.TranslationVariableLanguages(languages=["de", "fr"]),
        "two": core.Tensor(shape=(2,), dtype=np.str_),
        "within": core.Dataset({"a": np.int32}),
        "zipped": core.Tensor(shape=(None, None), dtype=np.float32, encoding="zlib"),
        "zipped_many": core.Sequence(core.Tensor(shape=(2,), dtype=np.int16, encoding="bytes")),
    }


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """A folder with a set that TFDS prepared: every kind of feature, in two files a split."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class Varied(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(feature_specs(tfds)))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(0, TRAIN), "test": self._generate_examples(50, TEST)}

        def _generate_examples(self, start, count):
            for i in range(start, start + count):
                yield i, example(i)

    folder = tmp_path_factory.mktemp("tfds")
    config = tfds.download.DownloadConfig(num_shards=2)
    Varied(data_dir=folder, file_format="array_record").download_and_prepare(download_config=config)
    return folder


@pytest.fixture
def copied(varied, tmp_path):
    """A copy of the set whose files can be changed: `copied("features.json", change)`."""
    folder = tmp_path / "varied" / "1.2.0"
    shutil.copytree(varied / "varied" / "1.2.0", folder)

    def copied(name, change=lambda content: None):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(content) or content))
        return tmp_path

    return copied


@pytest.fixture(scope="module")
def columns(varied):
    return read("varied", BOTH, data_dir=varied)[1]


def by_tfds(folder, split):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder / "varied" / "1.2.0")
    return list(builder.as_data_source(split))


def flat(example):
    found = {}
    for name, value in example.items():
        inner = flat(value) if isinstance(value, dict) else None
        found |= {f"{name}/{key}": each for key, each in inner.items()} if inner else {name: value}
    return found


def as_stored(value):
    """What TFDS gives, as a column has it: texts joined, flags as numbers."""
    value = np.asarray(value)
    if value.dtype.kind in "OSU":
        return b"\n".join(map(bytes, value.reshape(-1)))
    return value.astype(np.uint8) if value.dtype == bool else value


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_feature_equals_what_tfds_decodes(varied, columns, split):
    expected = [flat(each) for each in by_tfds(varied, split)]
    found = columns[split]
    assert {*found} == {*expected[0]} - {"within"}
    assert {len(column) for column in found.values()} == {len(expected)} == {TRAIN if split == "train" else TEST}
    for name, column in found.items():
        for row, each in enumerate(expected):
            ours, theirs = column.values[row], as_stored(each[name])
            if isinstance(theirs, np.ndarray) and not theirs.size:
                assert not ours.size, name
            elif column.kind == "text":
                assert ours.tobytes() == theirs, name
            elif name != "deep":
                assert ours.shape == theirs.shape, name
                assert np.array_equal(ours, theirs), name


def test_columns_have_the_kind_type_and_names_of_their_features(columns):
    found = {name: (each.kind, each.names) for name, each in columns["train"].items()}
    assert found["label"] == ("class", ("cat", "dog", "cow"))
    assert found["no_names"] == ("class", ("0", "1", "2"))
    assert found["tags"] == ("number", ("no", "yes"))
    assert found["objects/label"] == ("number", ("cat", "dog", "cow"))
    assert found["image"] == ("image", ("sky", "road"))
    assert found["photo"] == ("image", ())
    assert found["frames"] == ("number", ())
    assert found["nested/word"] == found["texts"] == found["two"] == ("text", ())
    types = {"byte": "i1", "flag": "u1", "huge": "u8", "label": "i4", "precise": "f8", "tensor": "f4", "pair": "i2"}
    assert {name: columns["train"][name].values.dtype.str[1:] for name in types} == types
    assert columns["train"]["label"].values.min() == -1
    for name in ("photo", "sound", "zipped", "objects/bbox"):
        assert isinstance(columns["train"][name].values, Ragged)


def test_metadata_gives_splits_and_features(varied):
    about = read_metadata("varied", data_dir=varied)
    assert about.full_name == "varied/1.2.0"
    assert about.sizes == {"train": TRAIN, "test": TEST}
    features = {feature.name: feature for feature in about.features}
    assert features["label"].names == ("cat", "dog", "cow")
    assert features["photo"].shape == (None, None, 3)
    assert about.unsupported == {"within": "a data set within each example"}
    with pytest.raises(UsageError, match=r"feature 'within' of 'varied/1\.2\.0' has a data set within each example"):
        Tfds("varied", inputs=("within",)).load(varied)


def test_nested_sequences_are_unsupported(copied):
    def deeper(content):
        inner = content["featuresDict"]["features"]
        inner["many"] = inner["many"] | {"sequence": {"feature": inner["many"], "length": "-1"}}

    folder = copied("features.json", deeper)
    assert read_metadata("varied", data_dir=folder).unsupported["many"] == "nested sequences"
    assert "many" not in read("varied", BOTH, data_dir=folder)[1]["train"]


def images_as(**kinds):
    def change(content):
        for name, (shape, dtype) in kinds.items():
            image = content["featuresDict"]["features"][name]["image"]
            image |= {"shape": {"dimensions": [str(size) for size in shape]}, "dtype": dtype}

    return change


def test_deep_and_float_images_are_numbers(copied):
    folder = copied("features.json", images_as(deep=((4, 4, 1), "uint16"), float_image=((2, 3, 1), "float32")))
    found = read("varied", {"train": "train"}, data_dir=folder)[1]["train"]
    order = found["nested/deeper/count"].values
    assert found["deep"].kind == found["float_image"].kind == "number"
    assert found["deep"].values.dtype == np.uint16
    assert found["float_image"].values.dtype == np.float32
    for row, i in enumerate(order):
        assert np.array_equal(found["deep"].values[row, ..., 0], pixels(i, 4, 4).astype(np.uint16) * 257)
        assert np.all(found["float_image"].values[row] == i)


def audio_and_video(**settings):
    core = "tensorflow_datasets.core.features"

    def change(content):
        given = content["featuresDict"]["features"]
        audio = {
            "shape": {"dimensions": ["-1"]},
            "dtype": "int64",
            "encoding": "NONE",
            "sampleRate": "16000",
            **settings,
        }
        given["sound"] = {"pythonClassName": f"{core}.audio_feature.Audio", "audio": audio}
        shape = {"dimensions": ["-1", "2", "3", "1"]}
        video = {"shape": shape, "dtype": "uint8", "encodingFormat": "png"}
        given["frames"] = {"pythonClassName": f"{core}.video_feature.Video", "video": video}

    return change


def test_audio_and_video_need_no_tensorflow(copied, columns):
    folder = copied("features.json", audio_and_video())
    found = read("varied", {"train": "train"}, data_dir=folder)[1]["train"]
    sound, before = found["sound"], columns["train"]["sound"]
    assert (sound.kind, sound.rate, sound.values.values.dtype) == ("audio", 16000, np.float32)
    assert np.array_equal(sound.values.values * 32768, before.values.values)
    assert np.array_equal(found["frames"].values.values, columns["train"]["frames"].values.values)
    assert "tensorflow" not in sys.modules


def test_audio_of_16_bits_is_kept(copied, columns):
    folder = copied("features.json", audio_and_video(dtype="int16"))
    sound = read("varied", {"train": "train"}, data_dir=folder)[1]["train"]["sound"].values
    assert sound.values.dtype == np.int16
    assert np.array_equal(sound.values, columns["train"]["sound"].values.values)


def test_audio_stored_as_files_is_unsupported(copied):
    about = read_metadata("varied", data_dir=copied("features.json", audio_and_video(lazyDecode=True)))
    assert about.unsupported["sound"] == "audio stored as files, which TFDS decodes with TensorFlow"
    assert [each.shape for each in about.features if each.name == "frames"] == [(None, 2, 3, 1)]


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("train[:5]", range(5)),
        ("train[-4:]", range(TRAIN - 4, TRAIN)),
        ("train[50%:]", range(12, TRAIN)),
        ("train[20%:40%]", range(5, 9)),
        ("train[3:4] + train[:2]", [3, 0, 1]),
        ("train[1shard]", range(12, TRAIN)),
    ],
)
def test_slices_equal_those_of_tfds(varied, columns, expression, rows):
    import tensorflow_datasets as tfds

    found = read("varied", {"some": expression}, data_dir=varied)[1]["some"]
    builder = tfds.builder_from_directory(varied / "varied" / "1.2.0")
    theirs = [each["nested"]["deeper"]["count"] for each in builder.as_data_source(expression)]
    assert found["nested/deeper/count"].values.tolist() == theirs
    for name in ("photo", "text", "label", "zipped"):
        expected = columns["train"][name].take(np.array([*rows]))
        assert len(found[name]) == len(expected)
        assert all(np.array_equal(found[name].values[row], expected.values[row]) for row in range(len(expected)))


def test_splits_are_added_and_a_slice_is_not_copied(varied, columns):
    found = read(
        "varied", {"all": "all", "sum": "test+train", "part": "train[2:9]", "train": "train"}, data_dir=varied
    )[1]
    assert len(found["all"]["label"]) == len(found["sum"]["label"]) == TRAIN + TEST
    assert np.array_equal(found["sum"]["tensor"].values[:TEST], columns["test"]["tensor"].values)
    assert np.shares_memory(found["part"]["tensor"].values, found["train"]["tensor"].values)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("dev", r"'varied/1\.2\.0' has no split 'dev'; available: \{'train': 23, 'test': 7\}"),
        ("train+dev[:3]", r"has no split 'dev'; available:"),
        ("train[", r"invalid split 'train\[' of 'varied/1\.2\.0'"),
        ("train[:200%]", r"examples of valid expressions: 'train', 'train\[:80%\]'"),
        ("train[:24]", r"\(Requested slice .* incompatible with 23 examples"),
        ("train[7:7]", r"has no examples in split 'train\[7:7\]'"),
        ("train[9:3]", r"has no examples in split 'train\[9:3\]'"),
        ("", r"invalid split '' of 'varied/1\.2\.0'"),
    ],
)
def test_unknown_splits_are_usage_errors_with_the_available_ones(varied, expression, message):
    with pytest.raises(UsageError, match=message):
        read("varied", {"train": expression}, data_dir=varied)


def test_a_cached_split_is_read_without_tfds(varied, cache, columns, monkeypatch):
    before = sorted(cache.iterdir())

    def refuse(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(reader.Feature, "column", refuse)
    again = read("varied", BOTH, data_dir=varied)[1]
    assert np.array_equal(again["train"]["image"].values, columns["train"]["image"].values)
    code = f"""
import sys
from pathlib import Path
from dlm.data.tfds.reader import read
read("varied", {{"train": "train"}}, data_dir=Path({str(varied)!r}))
assert "tensorflow_datasets" not in sys.modules and "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert sorted(cache.iterdir()) == before


def test_tensorflow_is_not_imported_if_installed(varied, tmp_path):
    package = tmp_path / "packages" / "tensorflow" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("from pathlib import Path\nPath(__file__).with_name('imported').touch()\n")
    code = f"""
from pathlib import Path
from dlm.data.tfds.reader import read_metadata, read
read_metadata("varied", data_dir=Path({str(varied)!r}))
assert len(read("varied", {{"train": "train[:50%]"}}, data_dir=Path({str(varied)!r}))[1]["train"]["label"]) == 12
"""
    path = os.pathsep.join([str(ROOT), str(package.parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "DLM_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not package.with_name("imported").exists()


def test_cache_entries_depend_on_content_not_on_location(copied, varied, cache, columns):
    before = {*cache.iterdir()}
    folder = copied("dataset_info.json")
    read("varied", BOTH, data_dir=folder)
    assert {*cache.iterdir()} == before
    labels = folder / "varied" / "1.2.0" / "label.labels.txt"
    labels.write_text("cat\ndog\nhen\n")
    assert read("varied", BOTH, data_dir=folder)[1]["train"]["label"].names == ("cat", "dog", "hen")
    assert len({*cache.iterdir()} - before) == 2


def files_of(folder, split):
    return sorted((folder / "varied" / "1.2.0").glob(f"varied-{split}*"))


def test_a_changed_data_file_is_another_entry(copied, cache):
    folder = copied("dataset_info.json")
    read("varied", {"test": "test"}, data_dir=folder)
    before = {*cache.iterdir()}
    first, second = files_of(folder, "train")
    swapped = first.read_bytes(), second.read_bytes()
    first.write_bytes(swapped[1])
    second.write_bytes(swapped[0])

    def lengths(content):
        for split in content["splits"]:
            split["shardLengths"] = split["shardLengths"][:: -1 if split["name"] == "train" else 1]

    found = read("varied", BOTH, data_dir=copied("dataset_info.json", lengths))[1]
    assert sorted(found["train"]["nested/deeper/count"].values) == list(range(TRAIN))
    assert len({*cache.iterdir()} - before) == 1


def test_a_damaged_file_is_a_usage_error_and_not_cached(copied, cache):
    folder, before = copied("dataset_info.json"), {*cache.iterdir()}
    file = files_of(folder, "train")[1]
    content = bytearray(file.read_bytes())
    content[100:300] = bytes(200)
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot read split 'train' of 'varied/1.2.0' in .* after \d+ examples"):
        read("varied", {"train": "train"}, data_dir=folder)
    assert {*cache.iterdir()} == before


def test_missing_files_are_a_usage_error(copied):
    folder = copied("dataset_info.json")
    file = files_of(folder, "train")[1]
    file.unlink()
    with pytest.raises(UsageError, match=rf"cannot read .*{file.name} of split 'train'.*; copy it there"):
        read("varied", {"train": "train"}, data_dir=folder)
    assert len(read("varied", {"test": "test"}, data_dir=folder)[1]["test"]["label"]) == TEST


def test_values_of_another_shape_than_declared_are_a_usage_error(copied):
    folder = copied("features.json", images_as(image=((6, 5, 1), "uint8")))
    with pytest.raises(UsageError, match=r"feature 'image': .*\(6, 5, 1\)"):
        read("varied", {"train": "train"}, data_dir=folder)


def test_features_that_tfds_cannot_construct_are_a_usage_error(copied):
    def unknown(content):
        content["featuresDict"]["features"]["byte"] = {"pythonClassName": "no_such_package.Feature", "jsonFeature": {}}

    with pytest.raises(
        UsageError, match=r"TFDS cannot construct the features of 'varied/1\.2\.0' without TensorFlow \(.*no_such"
    ):
        read_metadata("varied", data_dir=copied("features.json", unknown))


def test_an_alternative_file_format_is_read(copied, columns):
    def converted(content):
        content["fileFormat"], content["alternativeFileFormats"] = "tfrecord", ["array_record"]

    found = read("varied", BOTH, data_dir=copied("dataset_info.json", converted))[1]
    assert np.array_equal(found["train"]["label"].values, columns["train"]["label"].values)


def test_a_format_that_needs_tensorflow_is_a_usage_error(copied):
    folder = copied("dataset_info.json", lambda content: content | {"fileFormat": "tfrecord"})
    with pytest.raises(UsageError) as raised:
        read("varied", BOTH, data_dir=folder)
    text, path = str(raised.value), folder / "varied" / "1.2.0"
    assert "'varied/1.2.0' is stored as tfrecord, which only TensorFlow reads" in text
    assert f"tfds convert_format --dataset_version_dir={path} --out_file_format=array_record" in text
    assert (
        f"tfds.builder('varied:1.2.0', data_dir='{folder}', file_format='array_record').download_and_prepare()" in text
    )


def test_an_absent_data_set_is_a_usage_error_with_the_command(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(UsageError) as raised:
        read("mnist", BOTH, version="3.0.1", data_dir=tmp_path / "nowhere")
    text, folder = str(raised.value), tmp_path / "nowhere"
    assert f"'mnist' version 3.0.1 is not in {folder / 'mnist'}" in text
    assert "--data_dir" in text
    assert "TFDS_DATA_DIR" in text
    assert "--download" in text
    command = f"tfds.builder('mnist:3.0.1', data_dir='{folder}', file_format='array_record').download_and_prepare()"
    assert command in text
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("varid", r"Did you mean 'varied'\?"),
        ("varied:9.0.0", r"version 9\.0\.0 is not in .*The newest version there is 1\.2\.0"),
        ("configured", r"Did you mean 'configured/large' or 'configured/small'\?"),
        ("half", r"incomplete\.AB_1\.0\.0 is an interrupted preparation"),
        ("torn", r"cannot read .*dataset_info\.json .*the preparation was interrupted, or the file is damaged; delete"),
        ("../varied", r"'\.\./varied' is not a TFDS name"),
        ("", r"'' is not a TFDS name"),
    ],
)
def test_an_absent_data_set_lists_similar_ones(copied, name, message):
    folder = copied("dataset_info.json")
    for config in ("small", "large"):
        shutil.copytree(folder / "varied" / "1.2.0", folder / "configured" / config / "1.0.0")
    (folder / "half" / "incomplete.AB_1.0.0").mkdir(parents=True)
    (folder / "torn" / "1.0.0").mkdir(parents=True)
    (folder / "torn" / "1.0.0" / "dataset_info.json").write_text('{"name": "torn", ')
    with pytest.raises(UsageError, match=message):
        read(name, BOTH, data_dir=folder)


def test_the_newest_version_is_read_unless_one_is_named(copied):
    folder = copied("dataset_info.json")
    for version in ("1.10.0", "1.9.0"):
        shutil.copytree(folder / "varied" / "1.2.0", folder / "varied" / version)
        info = folder / "varied" / version / "dataset_info.json"
        info.write_text(json.dumps(json.loads(info.read_text()) | {"version": version}))
    for name, version, found in (
        ("varied", "", "1.10.0"),
        ("varied", "1.9.0", "1.9.0"),
        ("varied:1.2.0", "", "1.2.0"),
        ("varied/1.9.0", "", "1.9.0"),
        ("varied:1.*.*", "", "1.10.0"),
    ):
        assert read_metadata(name, version=version, data_dir=folder).full_name == f"varied/{found}"


@pytest.mark.parametrize("file_format", ["array_record", "parquet"])
def test_missing_optional_numbers_are_nan(tmp_path, file_format):
    tfds = pytest.importorskip("tensorflow_datasets")
    number = {kind: tfds.features.Tensor(shape=(), dtype=kind, optional=True) for kind in (np.float32, np.int32)}

    class Gappy(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"row": np.int32, "real": number[np.float32], "whole": number[np.int32]}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i in range(6):
                yield i, {"row": i, "real": None if i % 2 else i / 4, "whole": None if i % 3 else i}

    Gappy(data_dir=tmp_path, file_format=file_format).download_and_prepare()
    found = read("gappy", {"train": "train"}, data_dir=tmp_path)[1]["train"]
    row = found["row"].values
    assert np.array_equal(found["real"].values, np.where(row % 2, np.nan, row / 4).astype(np.float32), equal_nan=True)
    assert np.array_equal(found["whole"].values, np.where(row % 3, np.nan, row), equal_nan=True)


def test_download_prepares_an_absent_data_set(varied, tmp_path):
    """TFDS knows the set by name: its builder was defined in this process."""
    name, found = read("varied", {"test": "test"}, data_dir=tmp_path / "new", download=True)
    assert name == "varied/1.2.0"
    assert len(found["test"]["label"]) == TEST
    assert (tmp_path / "new" / "varied" / "1.2.0" / "dataset_info.json").is_file()


def test_a_failed_download_is_a_usage_error_with_the_reason(varied, tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Unreachable(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"a": np.int32}))

        def _split_generators(self, dl_manager):
            raise ConnectionError("no route to host")

        def _generate_examples(self):
            yield from ()

    for name, reason in (("unreachable", "ConnectionError: no route to host"), ("no_such_set", "DatasetNotFoundError")):
        with pytest.raises(UsageError, match=rf"TFDS could not download and prepare '{name}' in .*{reason}"):
            read(name, BOTH, data_dir=tmp_path, download=True)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in SHARED]
)
def test_shared_data_sets_are_read_completely(shared_tfds, name):
    splits = SHARED[name]
    full_name, found = read(name, {split: split for split in splits}, data_dir=shared_tfds)
    assert full_name.startswith(f"{name}/")
    about = read_metadata(name, data_dir=shared_tfds)
    assert dict(about.sizes) == splits
    assert not about.unsupported
    for split, count in splits.items():
        assert [*found[split]] == [feature.name for feature in about.features]
        assert {len(column) for column in found[split].values()} == {count}
