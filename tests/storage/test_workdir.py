"""A workdir belongs to one study and format; a refused study leaves it unchanged."""

import dataclasses
import json
import math
import shutil

import pytest
from small import ROW

import dlm
from dlm import Budget, Hyper, Learner, Study, UsageError
from dlm.storage import record_log
from dlm.storage.description import FORMAT, STUDY
from dlm.storage.workdir import Workdir
from dlm.study.names import Status


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


def claim(folder, study=MADE, data=READ):
    with Workdir.create_or_resume(folder) as workdir:
        workdir.claim(study, data=data, question="How much?")
        return workdir


def test_the_first_claim_writes_the_description(tmp_path):
    workdir = claim(tmp_path)
    assert Workdir.open(tmp_path).description == workdir.description
    assert (workdir.study_name, workdir.question) == ("toy", "How much?")
    about = json.loads((tmp_path / STUDY).read_text())
    assert about["question"] == "How much?"
    assert about["data"] == READ
    assert about["format"] == FORMAT
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
def test_other_sizes_seeds_or_learners_are_the_same_study(tmp_path, changes):
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
def test_another_study_is_refused_with_its_differences(tmp_path, changes, message):
    claim(tmp_path)
    before = (tmp_path / STUDY).read_bytes()
    with pytest.raises(UsageError, match=f"holds another study: .*{message}.*Choose another --workdir"):
        claim(tmp_path, changed(**changes))
    assert (tmp_path / STUDY).read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / STUDY]


def test_other_data_under_the_same_name_is_another_study(tmp_path):
    claim(tmp_path)
    with pytest.raises(UsageError, match=r"read\.fingerprint: 00ff → 1234"):
        claim(tmp_path, data={**READ, "fingerprint": "1234"})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"3",
        b"[" * 100_000,
    ],
)
def test_a_foreign_study_json_is_refused_and_unchanged(tmp_path, text):
    (tmp_path / STUDY).write_bytes(text)
    for refuse in (claim, Workdir.open):
        with pytest.raises(UsageError, match="is not a study's description"):
            refuse(tmp_path)
    assert (tmp_path / STUDY).read_bytes() == text


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": None}, {"study": []}])
def test_another_format_is_refused_with_a_remedy(tmp_path, change):
    claim(tmp_path)
    about = json.loads((tmp_path / STUDY).read_text()) | change
    del about["crc32"]
    text = json.dumps({name: value for name, value in about.items() if value is not None}).encode()
    for data in (text, record_log.seal(text)):
        (tmp_path / STUDY).write_bytes(data)
        for refuse in (claim, Workdir.open, dlm.records.read):
            with pytest.raises(UsageError, match=rf"does not have format {FORMAT}.*choose another --workdir"):
                refuse(tmp_path)
        assert (tmp_path / STUDY).read_bytes() == data


def test_a_folder_without_a_study_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="holds no study; name the folder of a run"):
            Workdir.open(folder)


def test_appended_records_are_in_memory_and_on_disk(tmp_path):
    claim(tmp_path)
    with Workdir.create_or_resume(tmp_path) as workdir:
        workdir.claim(MADE, data=READ)
        assert workdir.records == []
        first = dataclasses.replace(ROW, status=Status.RUNNING, step=1)
        workdir.append([first, dataclasses.replace(ROW, value=math.inf)])
        workdir.append([dataclasses.replace(ROW, value=None, status=Status.DIVERGED)])
        assert workdir.records == Workdir.open(tmp_path).records
        assert workdir.table == dlm.records.read(tmp_path)
        assert workdir.finished() == {ROW.trial_id: Status.DIVERGED}
        assert workdir.measured_steps() == {ROW.trial_id: {1, ROW.step}}


def test_the_record_log_is_parsed_once(tmp_path, monkeypatch):
    workdir = claim(tmp_path)
    assert workdir.records == []
    monkeypatch.setattr(record_log, "rows", None)
    workdir.append([ROW])
    assert workdir.ends() == {ROW.trial_id: ROW}


def test_only_one_holder_at_a_time(tmp_path):
    with Workdir.create_or_resume(tmp_path) as workdir:
        with pytest.raises(UsageError, match="is in use by process"):
            Workdir.create_or_resume(tmp_path)
        workdir.close()
        Workdir.create_or_resume(tmp_path).close()


def test_nothing_is_appended_to_a_deleted_workdir(tmp_path):
    folder = tmp_path / "run"
    workdir = claim(folder)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="deleted or moved"):
        workdir.append([ROW])
    assert not folder.exists()
