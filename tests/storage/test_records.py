"""Records as tables: the fast way reads what the careful one reads, in every library, and the columns are described."""

import dataclasses
import json
import re

import pyarrow.parquet as pq
import pytest
from command import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from small import ROW

from dlm import UsageError
from dlm.storage import record_log, records
from dlm.storage.record_log import FILE, Record

TEXT = st.text(max_size=4) | st.sampled_from(['"value": null', "😀", "\\"])
VALUES = {
    "str": TEXT,
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "float | None": st.none() | st.floats(),
}
ROWS = st.builds(
    Record, **{field.name: VALUES[str(field.type)] for field in dataclasses.fields(Record) if field.name != "trial_id"},
    trial_id=st.sampled_from(["a", "b"]),
)  # fmt: skip


@settings(deadline=None)
@given(rows=st.lists(ROWS, max_size=6))
def test_the_table_of_a_file_is_that_of_its_rows(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("table")
    record_log.append(folder, rows)
    assert records.of_workdir(folder) == records.table_of(record_log.rows(folder))


WRONG = [
    {"value": "0.25"}, {"value": True}, {"value": 10**400}, {"train_size": 32.0}, {"step": None}, {"step": 2**63},
    {"seconds": None}, {"learner": 3}, {"unknown": 1}, {"trial_id": ["a"]}, {"note": None},
]  # fmt: skip
ODD = [
    *(json.dumps({**dataclasses.asdict(ROW), **wrong}) for wrong in WRONG),
    *(json.dumps({name: value for name, value in dataclasses.asdict(ROW).items() if name != gone})
      for gone in ("value", "note", "precision", "study")),
    json.dumps(dataclasses.asdict(ROW)).replace("0.25", "NaN"),
    json.dumps(dataclasses.asdict(ROW)).replace('"mlp"', '"\\ud800"'),
    json.dumps(dataclasses.asdict(ROW)).replace('"mlp"', '"é"'),
    json.dumps(dataclasses.asdict(ROW)) * 2,
    '{"a": 1}', "{}", '{"study": ' + "[" * 9000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_a_line_with_a_right_checksum_must_be_a_record_all_the_same(tmp_path, text):
    record_log.append(tmp_path, [dataclasses.replace(ROW, step=1)])
    with open(tmp_path / FILE, "ab") as file:
        file.write(record_log.seal(text.encode()) + b"\n")
    rows = record_log.rows(tmp_path)
    assert records.of_workdir(tmp_path) == records.table_of(rows)
    # Rows of before a field was there count; so do whole numbers where a number is wanted, and any letter.
    accepted = text in (ODD[len(WRONG) + 1], ODD[len(WRONG) + 2], ODD[len(WRONG) + 6])
    assert len(rows) == 1 + accepted


def test_damaged_lines_are_passed_over_and_later_rows_win(tmp_path):
    first, second = (dataclasses.replace(ROW, value=value) for value in (0.5, 0.125))
    record_log.append(tmp_path, [first, dataclasses.replace(ROW, step=1), second])
    lines = (tmp_path / FILE).read_bytes().splitlines(True)
    lines[1] = lines[1].replace(b'"step": 1', b'"step": 2')
    (tmp_path / FILE).write_bytes(b"".join(lines))
    assert records.of_workdir(tmp_path)["value"].to_pylist() == [0.125]


def test_rows_as_append_writes_them_are_parsed_in_one_go(tmp_path, monkeypatch):
    record_log.append(tmp_path, [ROW, dataclasses.replace(ROW, step=1, value=None, note='"value": null, é')])
    monkeypatch.setattr(record_log, "_parse", None)
    assert records.of_workdir(tmp_path).num_rows == 2


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_records_are_read_into_a_frame(tmp_path, library):
    pytest.importorskip(library, reason=f"{library} is not installed")
    record_log.append(tmp_path, [ROW, dataclasses.replace(ROW, step=200, value=None)])
    frame = records.read(tmp_path, library=library)
    assert type(frame).__module__.startswith(library)
    assert list(frame.columns) == [field.name for field in dataclasses.fields(Record)]
    assert frame["step"].to_list() == [100, 200]
    assert frame["value"].to_list()[0] == 0.25
    nulls = frame["value"].is_null() if library == "polars" else frame["value"].isna()
    assert nulls.to_list() == [False, True]


def test_several_workdirs_are_told_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        record_log.append(tmp_path / name, [dataclasses.replace(ROW, study=name)])
    table = records.read([tmp_path / "b", str(tmp_path / "a")])
    assert table["study"].to_pylist() == ["b", "a"]
    assert table["workdir"].to_pylist() == [str(tmp_path / "b"), str(tmp_path / "a")]


def test_what_cannot_be_read_is_told(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="there is no such workdir"):
        records.read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="library='panda' is unknown; choose one of arrow, pandas, polars"):
        records.read(tmp_path, library="panda")
    with pytest.raises(UsageError, match="names no workdir"):
        records.read([])
    monkeypatch.setattr("dlm.utils.optional_imports.installed", lambda _: False)
    with pytest.raises(UsageError, match="needs polars, which is not installed; run: python -m pip install"):
        records.read(tmp_path, library="polars")


def test_every_field_is_described():
    described = [(column.name, column.kind) for column in records.COLUMNS]
    assert described == [(field.name, str(field.type)) for field in dataclasses.fields(Record)]
    optional = {column.name for column in records.COLUMNS if column.empty != "never"}
    assert optional >= {column.name for column in records.COLUMNS if column.kind == "float | None"}


def test_the_docs_describe_the_columns_as_the_program_does():
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    assert records.as_markdown() in text
    assert re.search(rf"version is {records.VERSION}\b", text)


def test_a_parquet_file_describes_itself(tmp_path):
    record_log.append(tmp_path, [ROW])
    schema = pq.read_schema(records.export(tmp_path)[0])
    assert schema.metadata[b"dlm.records.version"] == str(records.VERSION).encode()
    told = json.loads(schema.metadata[b"dlm.records.columns"])
    assert [one["name"] for one in told] == schema.names
    assert schema.field("value").metadata[b"unit"] == b"see `unit`"
