"""What each column of the records is: the text of docs/records.md, and of the Parquet file's own description."""

from __future__ import annotations

import dataclasses
import json

VERSION = 1  # another one when a column changes its meaning or goes; new columns at the end leave it


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its name, the type and unit of its values, what they mean, and when there is none."""

    name: str
    kind: str
    unit: str
    meaning: str
    empty: str = "never"


COLUMNS = (
    Column("study", "str", "", "name of the study"),
    Column("trial_id", "str", "", "hash of everything that decides the trial's numbers"),
    Column("learner", "str", "", "name of the learner in the study"),
    Column("train_size", "int", "examples", "size of the training subset"),
    Column("subset_seed", "int", "", "which subset of that size"),
    Column("init_seed", "int", "", "which initial weights"),
    Column("hyper", "str", "", "the learner's config, as JSON"),
    Column("step", "int", "updates", "updates applied; iterations, for a classical learner"),
    Column("split", "str", "", "`train`, `validation` or `test`"),
    Column("metric", "str", "", "`error`, which falls as learning improves; `loss`; `error_without_leaks`, of test "
           "examples that are not in the pool too; and what else a task measures, see docs/decisions.md"),
    Column("value", "float | None", "see `unit`", "the number", "there was none: `status` and `note` say why"),
    Column("unit", "str", "", "unit of the value, such as `error rate` or `nats per byte`; losses are in nats"),
    Column("num_examples", "int", "examples", "examples behind the value; the last batch, for a training loss of a "
           "gradient-trained learner"),
    Column("status", "str", "", "`running`, a number on the way; `done`; `diverged`; `failed`"),
    Column("subset_hash", "str", "", "content of the training subset; the same for all learners of a cell"),
    Column("data", "str", "", "name and content hash of the data read"),
    Column("packing", "str", "", "`exact`, members one after another; `fast`, side by side; `none`, for a classical "
           "learner"),
    Column("precision", "str", "", "`float32` or `bfloat16`; `none`, for a classical learner"),
    Column("seconds", "float", "seconds", "the trial's share of training time, up to `step`"),
    Column("device", "str", "", "what it ran on"),
    Column("versions", "str", "", "of the libraries that decide numbers"),
    Column("note", "str", "", "why there is no number", "there is nothing to say"),
    Column("together", "int", "rows", "rows of the trial written at this step; where fewer are left, the trial is "
           "measured again; 0: not known"),
    Column("noise", "str", "", "what was wrong with the examples, such as `label=0.2, test missing=0.1`",
           "nothing was"),
    Column("flops", "float | None", "floating-point operations", "what the trial's updates up to `step` took, by the "
           "program's count", "not counted: classical learners, and workdirs of before"),
    Column("joules", "float | None", "joules", "what they took by the device's meter, shared out over the members that "
           "trained at once", "the device has no meter"),
    Column("inference_seconds", "float | None", "seconds an example", "what an answer for a test example takes: of "
           "the devices, in batches, for a network; of one processor, for a classical learner", "the trial is on its "
           "way, or there was no memory for it, and in workdirs of before"),
)  # fmt: skip


def as_json() -> str:
    """All columns as JSON: a list of objects with `name`, `kind`, `unit`, `meaning`, `empty`."""
    return json.dumps([dataclasses.asdict(column) for column in COLUMNS])


def as_markdown() -> str:
    """All columns as the table of docs/records.md."""
    types = {"str": "text", "int": "whole number", "float": "number", "float | None": "number"}
    rows = [f"| `{one.name}` | {types[one.kind]} | {one.unit} | {one.meaning} | {one.empty} |" for one in COLUMNS]
    return "\n".join(["| column | type | unit | meaning | empty when |", "|---|---|---|---|---|", *rows])
