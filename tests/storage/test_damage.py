"""Damaged files of a workdir are detected, reported and moved aside, and the next run restores the numbers."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from small import small

from dlm import Budget, UsageError
from dlm.execution import executor
from dlm.storage import record_log
from dlm.storage.description import STUDY
from dlm.train.population import Population
from dlm.utils.files import DAMAGED

pytestmark = pytest.mark.slow
STUDY_ON_ITS_WAY = small(
    train_sizes=(32, 64), learners={"net": small().learners["net"]}, budget=Budget(steps=40, eval_every=10)
)


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


HARM = {
    "truncated": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "bit-flipped": flip,
    "emptied": lambda data: b"",
}
by_harm = pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())


def numbers(folder):
    return {row.key: (row.value, row.status, row.subset_hash) for row in record_log.rows(folder)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished workdir, not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    executor.run_trials(STUDY_ON_ITS_WAY, folder)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "copy")


@pytest.mark.parametrize("line", [0, 2, -1])
@by_harm
def test_a_damaged_line_is_reported_moved_aside_and_measured_again(whole, copy, capsys, line, harm):
    path = copy / record_log.FILE
    lines = path.read_bytes().splitlines(keepends=True)
    lost = lines[line]
    lines[line] = harm(lost[:-1]) + b"\n"
    path.write_bytes(b"".join(lines))
    outcome = executor.run_trials(STUDY_ON_ITS_WAY, copy)
    assert outcome.trained == 1, "only the trial that lost a number is trained again"
    assert numbers(copy) == numbers(whole)
    kept = copy / (record_log.FILE + DAMAGED)
    if lines[line] != b"\n":  # an empty line holds nothing that could be kept
        assert kept.read_bytes() == lines[line]
        assert f"line {range(1, len(lines) + 1)[line]} of {path} is damaged" in capsys.readouterr().err
    assert record_log.mend(copy) == []


@by_harm
@pytest.mark.parametrize("part", ["states", "rows"])
def test_a_damaged_checkpoint_is_moved_aside_and_the_previous_one_used(whole, copy, capsys, monkeypatch, part, harm):
    (folder,) = (copy / "cohorts").glob("*/checkpoints")
    newest = max(folder.iterdir(), key=lambda path: int(path.name))
    shutil.copytree(newest, folder / "1")
    for path in (newest / part).rglob("*"):
        if path.is_file() and path.stat().st_size > 0:
            path.write_bytes(harm(path.read_bytes()))
    unfinished = [row for row in record_log.rows(copy) if row.step < 40]
    (copy / record_log.FILE).unlink()
    record_log.append(copy, unfinished)
    monkeypatch.setattr(Population, "advance", None)  # nothing is trained: the earlier one holds it all
    executor.run_trials(STUDY_ON_ITS_WAY, copy)
    assert f"{newest} is damaged" in capsys.readouterr().err
    assert (folder.parent / "damaged" / f"{newest.name}{DAMAGED}").is_dir()
    assert numbers(copy) == numbers(whole)


@by_harm
def test_a_damaged_description_is_moved_aside_and_rewritten(copy, capsys, harm):
    path = copy / STUDY
    before = json.loads(path.read_bytes())
    path.write_bytes(harm(path.read_bytes()))
    assert executor.run_trials(STUDY_ON_ITS_WAY, copy).trained == 0
    assert f"{path} is damaged" in capsys.readouterr().err
    assert (copy / (STUDY + DAMAGED)).exists()
    after = json.loads(path.read_bytes())
    assert {**after, "provenance": {}, "crc32": ""} == {**before, "provenance": {}, "crc32": ""}


def test_records_of_other_data_are_refused_without_a_description(copy):
    (copy / STUDY).write_bytes(b"")
    path = copy / record_log.FILE
    rows = [dataclasses.replace(row, data="other@00") for row in record_log.rows(copy)]
    path.unlink()
    record_log.append(copy, rows)
    with pytest.raises(UsageError, match="holds records of other@00"):
        executor.run_trials(STUDY_ON_ITS_WAY, copy)


def test_a_line_with_any_flipped_bit_is_not_read(whole):
    line = (whole / record_log.FILE).read_bytes().splitlines()[0]
    right = record_log._parse(line)
    rng = np.random.default_rng(0)
    for place in range(len(line)):
        changed = line[:place] + bytes([line[place] ^ (1 << int(rng.integers(8)))]) + line[place + 1 :]
        assert record_log._parse(changed) in (None, right)
