"""Files of a workdir are data: a crafted one is refused or set aside, and nothing outside the workdir is touched."""

import contextlib
import dataclasses
import json
import pickle
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import ROW, small

from dlm import Budget, UsageError
from dlm.execution import executor
from dlm.storage import record_log, records
from dlm.storage.description import STUDY
from dlm.storage.workdir import Workdir

STUDY_OF_TWO = small(train_sizes=(32,), learners={"net": small().learners["net"]}, budget=Budget(steps=20))
READ = {"name": "toy", "fingerprint": "00"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished workdir, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    executor.run_trials(STUDY_OF_TWO, folder)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of it whose numbers are forgotten, so that the checkpoint is read."""
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / record_log.FILE).unlink()
    return folder


def numbers(folder):
    return {row.key: (row.value, row.status) for row in record_log.rows(folder)}


def checkpoint_files(folder, pattern):
    (found,) = (folder / "cohorts").glob("*/checkpoints")
    return [path for path in found.rglob(pattern) if path.is_file()]


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/b", "..", "nul\0l"])
def test_an_id_with_a_path_in_it_is_only_a_text(tmp_path, name):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    record_log.append(folder, [dataclasses.replace(RECORD, trial_id=name, learner=name)])
    records.write(records.read(folder), folder)
    assert {row.trial_id for row in record_log.rows(folder)} == {name}
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["a", "b", record_log.FILE, "records.csv", "records.parquet"]
    )


RECORD = dataclasses.replace(ROW, step=1)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 200_000,
        json.dumps({"trial_ids": ["../../x"] * 3, "seconds": [0.0] * 3, "crc32": [], "check": 0}).encode(),
        json.dumps({"trial_ids": 10**9, "seconds": [], "crc32": [], "check": 0}).encode(),
        pickle.dumps({"trial_ids": []}),
        b"null",
    ],
    ids=["deep", "path", "huge", "pickle", "null"],
)
def test_a_crafted_table_of_rows_is_set_aside(finished, copy, text):
    (table,) = [
        path for path in checkpoint_files(copy, "*") if path.parent.name == "rows" and b"trial_ids" in path.read_bytes()
    ]
    table.write_bytes(text)
    executor.run_trials(STUDY_OF_TWO, copy)
    assert list((copy / "cohorts").glob("*/damaged/*"))
    assert numbers(copy) == numbers(finished)


def test_an_array_that_claims_to_be_huge_is_set_aside(finished, copy):
    changed = 0
    for path in checkpoint_files(copy, "*"):
        data = path.read_bytes()
        if b'"shape"' in data or b"chunk" in data:
            path.write_bytes(data.replace(b"[2,", b"[999999999,").replace(b"[2]", b"[999999999]"))
            changed += path.read_bytes() != data
    for path in checkpoint_files(copy, "*"):
        if path.parent.parent.name.startswith("ocdbt") or path.parent.name == "d":
            path.write_bytes(path.read_bytes()[:-8] + b"\xff" * 8)
            changed += 1
    assert changed
    executor.run_trials(STUDY_OF_TWO, copy)
    assert list((copy / "cohorts").glob("*/damaged/*"))
    assert numbers(copy) == numbers(finished)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DESCRIPTIONS = st.one_of(
    st.binary(max_size=200),
    ANYTHING.map(json.dumps).map(str.encode),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("study", "data", "versions", "provenance", "crc32", "question", "format"), ANYTHING)
    ).map(lambda told: json.dumps(told).encode()),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=DESCRIPTIONS, with_records=st.booleans())
def test_whatever_study_json_says_it_is_refused_or_set_aside(tmp_path_factory, text, with_records):
    folder = tmp_path_factory.mktemp("described")
    (folder / STUDY).write_bytes(text)
    if with_records:
        record_log.append(folder, [dataclasses.replace(RECORD, data="toy@00")])
    with contextlib.suppress(UsageError):
        Workdir.open(folder)
    try:
        with Workdir.create_or_resume(folder) as workdir:
            workdir.claim(STUDY_OF_TWO, data=READ)
    except UsageError:
        assert (folder / STUDY).read_bytes() == text, "what is refused stays as it is"
    else:
        assert (folder / f"{STUDY}.damaged").read_bytes() == text
