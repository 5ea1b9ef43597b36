"""A workdir belongs to one study, and is left as it was when that says no."""

import dataclasses
import json
import os

import pytest

from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.storage import workdir
from dlm.storage.workdir import STUDY


@dataclasses.dataclass(frozen=True)
class Data:
    rows: int = 100

    def load(self, data_dir=None):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Other(Data):
    pass


@dataclasses.dataclass(frozen=True)
class Task:
    smooth: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    widths: tuple[int, ...] = (8,)


@dataclasses.dataclass(frozen=True)
class Ridge:
    c: float = 1.0


MADE = Study(
    data=Data(),
    task=Task(),
    learners={"net": Learner(Model()), "ridge": Ridge()},
    train_sizes=(10, 20),
    seeds=2,
    budget=Budget(steps=5),
    name="toy",
)
READ = {"name": "toy", "fingerprint": "00ff"}


def changed(**changes):
    return dataclasses.replace(MADE, **changes)


def claim(folder, study=MADE, read=READ):
    workdir.claim(folder, study, read, "How much?")


def test_the_first_claim_says_what_the_study_is(tmp_path):
    claim(tmp_path)
    about = json.loads((tmp_path / STUDY).read_text())
    assert about["question"] == "How much?"
    assert about["read"] == READ
    assert about["study"]["train_sizes"] == [10, 20]
    assert about["study"]["learners"]["net"]["model"]["widths"] == [8]
    assert {"dlm", "python", "jax", "numpy"} <= about["versions"].keys()
    assert list(tmp_path.iterdir()) == [tmp_path / STUDY]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train_sizes": (40,)},
        {"seeds": 9},
        {"targets": (0.1,), "level": 0.5, "name": "other"},
        {"learners": {"net": Learner(Model())}},
        {"learners": {**MADE.learners, "more": Ridge(3)}},
        {"learners": {"net": Learner(Model()), "ridge": Ridge(1)}},
    ],
)
def test_what_adds_or_leaves_out_cells_is_the_same_study(tmp_path, changes):
    claim(tmp_path)
    claim(tmp_path, changed(**changes))
    assert len(json.loads((tmp_path / STUDY).read_text())["study"]["train_sizes"]) == len(
        changed(**changes).train_sizes
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": Data(101)}, r"data\.rows: 100 → 101"),
        ({"task": Task(True)}, r"task\.smooth: False → True"),
        ({"budget": Budget(steps=6)}, r"budget\.steps: 5 → 6"),
        ({"learners": {"ridge": Ridge(2)}}, r"learners\.ridge\.c: 1 → 2"),
        ({"learners": {"net": Learner(Model((9,)))}}, r"learners\.net\.model\.widths: \[8\] → \[9\]"),
        ({"learners": {"net": Learner(Model(), Hyper(lr=1.0))}}, r"learners\.net\.hyper\.lr: 0\.001 → 1"),
        (
            {"learners": {"net": Learner(Model(), budget=Budget(steps=9))}},
            r"learners\.net\.budget\.steps: absent → 9",
        ),
        ({"learners": {"net": Ridge()}}, r"learners\.net\.type: .*Learner → .*Ridge"),
        ({"data": Other()}, r"data\.type: .*Data → .*Other"),
    ],
)
def test_another_study_is_refused_with_what_differs(tmp_path, changes, message):
    claim(tmp_path)
    before = (tmp_path / STUDY).read_bytes()
    with pytest.raises(UsageError, match=f"holds another study: .*{message}.*Choose another --workdir"):
        claim(tmp_path, changed(**changes))
    assert (tmp_path / STUDY).read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / STUDY]


def test_other_data_under_the_same_name_is_another_study(tmp_path):
    claim(tmp_path)
    with pytest.raises(UsageError, match=r"read\.fingerprint: 00ff → 1234"):
        claim(tmp_path, read={**READ, "fingerprint": "1234"})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"{}",
        b'{"study": {}}',
        b'{"study": [], "read": {}}',
        b"[" * 100_000,
    ],
)
def test_a_study_json_that_says_nothing_is_refused_and_kept(tmp_path, text):
    (tmp_path / STUDY).write_bytes(text)
    with pytest.raises(UsageError, match="is not a study's description"):
        claim(tmp_path)
    assert (tmp_path / STUDY).read_bytes() == text


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    workdir.write_atomically(path, "old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("cut short")))
    with pytest.raises(OSError, match="cut short"):
        workdir.write_atomically(path, "new")
    assert path.read_text() == "old"
