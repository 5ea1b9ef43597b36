"""The record log survives truncated and damaged lines, and reads back as a table."""

import csv
import dataclasses
import json
import math
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import ROW

from dlm.storage import record_log, records
from dlm.storage.record_log import FILE, Record


def row(**changes):
    return dataclasses.replace(ROW, **changes)


def line(**changes):
    return record_log.seal(json.dumps({**dataclasses.asdict(ROW), **changes}).encode()) + b"\n"


def test_rows_are_read_in_the_order_of_appending(tmp_path):
    first, second = row(), row(step=200, note='é, "quoted"\n\u2028\x85 and\tmore')
    record_log.append(tmp_path, [first])
    record_log.append(tmp_path, [second])
    assert record_log.rows(tmp_path) == [first, second]
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 2


def test_without_a_file_there_are_no_rows(tmp_path):
    assert record_log.rows(tmp_path) == []
    assert records.read(tmp_path).num_rows == 0


def test_a_later_row_of_the_same_key_replaces_the_earlier(tmp_path):
    record_log.append(tmp_path, [row(value=0.5), row(split="validation"), row(value=0.1)])
    assert record_log.rows(tmp_path) == [row(value=0.1), row(split="validation")]
    distinct = [row(trial_id="x"), row(step=1), row(split="train"), row(metric="loss")]
    record_log.append(tmp_path, distinct)
    assert len(record_log.rows(tmp_path)) == 2 + len(distinct)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_absent(tmp_path, value):
    record_log.append(tmp_path, [row(value=value)])
    assert record_log.rows(tmp_path) == [row(value=None)]
    assert json.loads((tmp_path / FILE).read_text())["value"] is None


def test_a_truncated_line_loses_only_itself(tmp_path):
    record_log.append(tmp_path, [row(step=1)])
    whole = (tmp_path / FILE).read_bytes()
    second = line(step=2)
    for length in range(len(second) - 1):
        (tmp_path / FILE).write_bytes(whole + second[:length])
        assert record_log.rows(tmp_path) == [row(step=1)]
        record_log.append(tmp_path, [row(step=3)])
        assert record_log.rows(tmp_path) == [row(step=1), row(step=3)]


@settings(deadline=None)
@given(garbage=st.one_of(st.binary(), st.text().map(str.encode), st.sampled_from([b"[" * 100_000, b"\0" * 4096])))
def test_garbage_at_the_end_breaks_neither_reading_nor_appending(tmp_path_factory, garbage):
    folder = tmp_path_factory.mktemp("records")
    record_log.append(folder, [row(step=1)])
    with open(folder / FILE, "ab") as file:
        file.write(garbage)
    assert record_log.rows(folder) == [row(step=1)]
    record_log.append(folder, [row(step=2)])
    assert record_log.rows(folder) == [row(step=1), row(step=2)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@settings(deadline=None)
@given(changes=st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Record)]), JSON, max_size=3))
def test_rows_with_arbitrary_fields_have_the_declared_types(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("records")
    (folder / FILE).write_bytes(line(step=1) + line(**changes))
    for read in record_log.rows(folder):
        for field in dataclasses.fields(Record):
            kinds = {"int": int, "float": float, "float | None": float | None}.get(field.type, str)
            assert isinstance(getattr(read, field.name), kinds)
    assert records.read(folder).num_rows in (1, 2)
    assert len(record_log.finished(record_log.rows(folder))) in (1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "0.25"},
        {"value": True},
        {"value": math.nan},
        {"value": math.inf},
        {"value": 10**400},
        {"train_size": "32"},
        {"train_size": 32.0},
        {"step": None},
        {"seconds": None},
        {"trial_id": ["a"]},
        {"learner": 3},
        {"learner": "\ud800"},
    ],
)
def test_a_row_with_a_field_of_another_type_is_skipped(tmp_path, changes):
    (tmp_path / FILE).write_bytes(line(step=1) + line(**changes))
    assert record_log.rows(tmp_path) == [row(step=1)]


def test_lines_that_are_not_records_are_skipped(tmp_path):
    fields = dataclasses.asdict(ROW)
    del fields["step"]
    damaged = line(step=2).replace(b"mlp", b"\xff\xfe")
    for text in (json.dumps(fields).encode(), b"[1, 2]", b"3", b"null", b'"text"', b"", b" ", b"{}", damaged):
        (tmp_path / FILE).write_bytes(text + b"\n" + line(step=1))
        assert record_log.rows(tmp_path) == [row(step=1)]


def test_a_trial_is_finished_by_its_final_test_error():
    running = row(trial_id="a", split="validation", status="running")
    assert record_log.finished([running]) == {}
    assert record_log.finished([running, row(trial_id="a", split="validation")]) == {}
    assert record_log.finished([row(trial_id="a", metric="loss")]) == {}
    assert record_log.finished([row(trial_id="a", status="running")]) == {}
    written = [row(trial_id=status, status=status, value=None) for status in ("done", "diverged", "failed")]
    assert record_log.finished(written) == {status: status for status in ("done", "diverged", "failed")}


def test_a_retried_trial_has_the_status_of_its_successful_attempt():
    failed, done = row(status="failed", step=0, value=None), row()
    assert record_log.finished([failed, done]) == record_log.finished([done, failed]) == {ROW.trial_id: "done"}
    assert record_log.ends([done, failed]) == {ROW.trial_id: done}
    assert (
        record_log.ends([failed, row(status="failed", step=0, value=None, note="again")])[ROW.trial_id].note == "again"
    )


def test_the_table_has_one_column_per_field_and_a_fixed_order(tmp_path):
    written = [
        row(train_size=size, subset_seed=seed, trial_id=f"{size}-{seed}") for size in (64, 32) for seed in (1, 0)
    ]
    record_log.append(tmp_path, written)
    table = records.read(str(tmp_path))
    assert table.column_names == [field.name for field in dataclasses.fields(Record)]
    assert table.schema.field("value").type == pa.float64()
    assert table.schema.field("train_size").type == pa.int64()
    assert table["train_size"].to_pylist() == [32, 32, 64, 64]
    assert records.table_of(written[::-1]) == table


def test_writing_twice_gives_equal_files(tmp_path):
    written = [row(note='a "quoted", note\nin two lines'), row(step=5, value=None, status="diverged")]
    record_log.append(tmp_path, written)
    paths = records.write(records.read(tmp_path), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["records.csv", FILE, "records.parquet"]
    table = pq.read_table(paths[0])
    assert table == records.read(tmp_path)
    with open(paths[1], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["note"] for r in rows] == table["note"].to_pylist()
    assert [float(r["value"]) if r["value"] else None for r in rows] == table["value"].to_pylist()
    first = [path.read_bytes() for path in paths]
    record_log.append(tmp_path, written[::-1])
    assert [path.read_bytes() for path in records.write(records.read(tmp_path), tmp_path)] == first


def test_an_append_is_on_disk_when_it_returns(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size) or real(handle))
    record_log.append(tmp_path, [row()])
    assert synced == [(tmp_path / FILE).stat().st_size]


def test_a_partial_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:100]))
    record_log.append(tmp_path, [row(step=1), row(step=2)])
    assert record_log.rows(tmp_path) == [row(step=1), row(step=2)]


def test_a_follower_reads_each_complete_line_once_and_restarts_with_a_new_file(tmp_path):
    follower = record_log.Follower(tmp_path)
    assert follower() == []
    first, second, third = (dataclasses.replace(ROW, step=step) for step in (1, 2, 3))
    record_log.append(tmp_path, [first])
    assert follower() == [first]
    assert follower() == []
    record_log.append(tmp_path, [second])
    path = tmp_path / FILE
    with open(path, "ab") as file:
        file.write(b'{"half a line')
    assert follower() == [second]
    record_log.append(tmp_path, [third])
    assert follower() == [third]
    assert record_log.mend(tmp_path) == [3]
    assert follower() == [first, second, third]
