"""Tables of records in every library, and the descriptions of their columns."""

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
from dlm.storage.record_log import Record
from dlm.study.names import Status

VALUES = {
    "str": st.text(max_size=4) | st.sampled_from(['"value": null', "😀", "\\"]),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "float | None": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}
ROWS = st.builds(
    Record,
    **{column.name: VALUES[column.kind] for column in records.COLUMNS}
    | {"trial_id": st.sampled_from(["a", "b"]), "status": st.sampled_from(Status)},
)


@settings(deadline=None)
@given(rows=st.lists(ROWS, max_size=6))
def test_a_table_holds_the_last_row_of_each_key(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("table")
    assert record_log.append(folder, rows) == rows
    last = {row.key: row for row in rows}
    table = records.read(folder)
    assert table == records.table_of(list(last.values()))
    read = [Record(**values) for values in table.to_pylist()]
    assert {row.key: row for row in read} == last


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


def test_the_workdir_column_names_each_workdir(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        record_log.append(tmp_path / name, [dataclasses.replace(ROW, study=name)])
    table = records.read([tmp_path / "b", str(tmp_path / "a")])
    assert table["study"].to_pylist() == ["b", "a"]
    assert table["workdir"].to_pylist() == [str(tmp_path / "b"), str(tmp_path / "a")]


def test_what_cannot_be_read_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="nowhere does not exist; name the folder of a run"):
        records.read(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="library='panda' is unknown; choose one of arrow, pandas, polars"):
        records.read(tmp_path, library="panda")
    with pytest.raises(UsageError, match="names no workdir"):
        records.read([])
    monkeypatch.setattr("dlm.utils.optional_imports.installed", lambda _: False)
    with pytest.raises(UsageError, match="needs polars, which is not installed; run: python -m pip install"):
        records.read(tmp_path, library="polars")


def test_every_field_is_described():
    kinds = {"Status": "str", "Unit": "str"}
    fields = [(field.name, kinds.get(str(field.type), str(field.type))) for field in dataclasses.fields(Record)]
    assert [(column.name, column.kind) for column in records.COLUMNS] == fields
    optional = {column.name for column in records.COLUMNS if column.empty != "never"}
    assert optional >= {column.name for column in records.COLUMNS if column.kind == "float | None"}


def test_the_docs_describe_the_columns_as_the_program_does():
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    types = {"str": "text", "int": "integer", "float": "number", "float | None": "number"}
    rows = [f"| `{c.name}` | {types[c.kind]} | {c.unit} | {c.meaning} | {c.empty} |" for c in records.COLUMNS]
    table = ["| column | type | unit | meaning | empty when |", "|---|---|---|---|---|", *rows]
    assert "\n".join(table) in text
    assert re.search(rf"version is {records.VERSION}\b", text)


def test_a_parquet_file_describes_itself(tmp_path):
    record_log.append(tmp_path, [ROW])
    schema = pq.read_schema(records.write(records.read(tmp_path), tmp_path)[0])
    assert schema.metadata[b"dlm.records.version"] == str(records.VERSION).encode()
    columns = json.loads(schema.metadata[b"dlm.records.columns"])
    assert [column["name"] for column in columns] == schema.names
    assert schema.field("value").metadata[b"unit"] == b"see `unit`"
