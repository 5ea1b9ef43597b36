"""A workdir belongs to one study and one living process, and is left as it was when either says no."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from dlm import Budget, Hyper, Learner, Study, UsageError, workdir
from dlm.workdir import LOCK, STUDY


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
    sizes=(10, 20),
    seeds=2,
    budget=Budget(steps=5),
    name="toy",
)
READ = {"name": "toy", "fingerprint": "00ff"}


def changed(**changes):
    return dataclasses.replace(MADE, **changes)


def claim(folder, study=MADE, read=READ):
    workdir.claim(folder, study, read, "How much?")


def holder(**changes):
    fields = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": workdir._born(os.getpid()),
        "since": "noon",
    }
    return json.dumps({**fields, **changes})


@pytest.fixture(scope="module")
def dead():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_folder_is_made_held_and_let_go(tmp_path):
    folder = tmp_path / "a" / "b"
    with workdir.occupied(folder):
        assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()
    assert list(folder.iterdir()) == []


def test_it_is_let_go_when_the_run_fails(tmp_path):
    with pytest.raises(RuntimeError, match="in training"), workdir.occupied(tmp_path):
        raise RuntimeError("in training")
    assert not (tmp_path / LOCK).exists()


def test_a_living_process_keeps_others_out(tmp_path):
    with workdir.occupied(tmp_path):
        held = f"in use by process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(UsageError, match=held), workdir.occupied(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()


def test_another_process_is_seen(tmp_path):
    code = (
        "import sys; from pathlib import Path; from dlm import workdir\nwith workdir.occupied(Path(sys.argv[1])): pass"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    with workdir.occupied(tmp_path):
        refused = subprocess.run(run, capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in refused.stderr
    assert subprocess.run(run, check=False).returncode == 0


def test_what_a_dead_process_left_is_taken_over(tmp_path, dead):
    (tmp_path / LOCK).write_text(holder(pid=dead))
    with workdir.occupied(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="tells the birth of a process by /proc")
def test_a_process_number_used_again_is_not_the_process(tmp_path):
    (tmp_path / LOCK).write_text(holder(born="1"))
    with workdir.occupied(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["born"] != "1"


def test_the_lock_of_another_host_is_left_to_its_owner(tmp_path, dead):
    (tmp_path / LOCK).write_text(holder(host="elsewhere", pid=dead))
    with (
        pytest.raises(UsageError, match=r"on elsewhere since noon.*delete .*lock\.json"),
        workdir.occupied(tmp_path),
    ):
        pass
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        "{",
        "[]",
        "3",
        "{}",
        '{"host": 1}',
        "[" * 100_000,
        holder(pid="4"),
        holder(pid=None),
        holder(host=[]),
        holder(more=1),
    ],
)
def test_a_lock_that_says_nothing_is_not_taken(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(UsageError, match=r"an unknown host.*delete .*lock\.json"), workdir.occupied(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == text


def test_a_process_number_beyond_all_is_of_no_process(tmp_path):
    (tmp_path / LOCK).write_text(holder(pid=10**30))
    with workdir.occupied(tmp_path):
        pass


def test_a_lock_that_someone_else_took_is_not_removed(tmp_path):
    with workdir.occupied(tmp_path):
        (tmp_path / LOCK).write_text(holder(host="elsewhere"))
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"


def test_of_many_who_find_a_dead_lock_one_gets_it(tmp_path, dead):
    for _ in range(20):
        (tmp_path / LOCK).write_text(holder(pid=dead))
        start, end, taken, refused = threading.Barrier(8), threading.Barrier(8), [], []

        def take(start=start, end=end, taken=taken, refused=refused):
            start.wait()
            try:
                with workdir.occupied(tmp_path):
                    taken.append(1)
                    end.wait()
            except UsageError:
                refused.append(1)
                end.wait()

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(taken), len(refused)) == (1, 7)


def test_what_cannot_be_written_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for path, reason in ((file, "it is a file"), (file / "below", "Not a directory")):
        with (
            pytest.raises(UsageError, match=rf"--workdir=.* cannot be written \({reason}\)"),
            workdir.occupied(path),
        ):
            pass
    assert file.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    for path in (tmp_path, tmp_path / "below"):
        with (
            pytest.raises(UsageError, match=r"cannot be written \(Permission denied\)"),
            workdir.occupied(path),
        ):
            pass
    tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


def test_the_first_claim_says_what_the_study_is(tmp_path):
    claim(tmp_path)
    about = json.loads((tmp_path / STUDY).read_text())
    assert about["question"] == "How much?"
    assert about["read"] == READ
    assert about["study"]["sizes"] == [10, 20]
    assert about["study"]["learners"]["net"]["model"]["widths"] == [8]
    assert {"dlm", "python", "jax", "numpy"} <= about["versions"].keys()
    assert list(tmp_path.iterdir()) == [tmp_path / STUDY]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sizes": (40,)},
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
    assert len(json.loads((tmp_path / STUDY).read_text())["study"]["sizes"]) == len(changed(**changes).sizes)


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
