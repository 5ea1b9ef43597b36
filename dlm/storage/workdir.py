"""The folder of one run of one study: its description, its lock, and its records in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dlm.storage import description as descriptions
from dlm.storage import record_log
from dlm.storage.description import (
    FORMAT,
    STUDY,
    DamagedDescription,
    StudyDescription,
    differences,
    provenance_changes,
)
from dlm.storage.lock import hold_lock
from dlm.storage.record_log import Record
from dlm.study.config import canonical
from dlm.study.names import ChanceLevel, Status
from dlm.utils.display import encodable
from dlm.utils.errors import UsageError
from dlm.utils.files import DAMAGED, local_folder, set_aside

if TYPE_CHECKING:
    import pyarrow as pa

    from dlm.study.study import Study


class Workdir:
    """One workdir, opened once per run or report and passed to everything that reads or writes it.

    Readers call `Workdir.open(path)`. A run calls `Workdir.create_or_resume(path)`, which takes the lock, then
    `claim(study, ...)`, then `append(rows)` as numbers arrive. The record log is parsed once, at the first use of
    `records`; `append` updates the file and the memory. A reader does not see what another process appends later.
    """

    def __init__(
        self, path: Path, description: StudyDescription | None, lock: contextlib.ExitStack | None = None
    ) -> None:
        self.path = path
        self._description = description
        self._lock = lock or contextlib.ExitStack()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Workdir:
        """A workdir for reading; nothing is locked or written.

        Raises UsageError for a folder without a study.json, with a damaged one, or with one of another format.
        """
        folder = local_folder(path, "workdir")
        try:
            description = descriptions.read(folder)
        except DamagedDescription:
            raise _damaged(folder) from None
        if description is None:
            raise UsageError(
                f"workdir={str(path)!r} holds no study; name the folder of a run, such as runs/digits, or run a study "
                "there first"
            )
        return cls(folder, description)

    @classmethod
    def create_or_resume(
        cls, path: str | os.PathLike[str], report: Callable[[str], None] = lambda message: None
    ) -> Workdir:
        """A workdir whose lock this process holds until `close`; the folder is made if there is none.

        A damaged study.json of a workdir with records is moved aside, which is reported. Raises UsageError if another
        process holds the lock, if the folder cannot be written, or if it has a study.json that `open` would refuse.
        """
        folder = local_folder(path, "workdir")
        with contextlib.ExitStack() as lock:
            lock.enter_context(hold_lock(folder))
            try:
                description = descriptions.read(folder)
            except DamagedDescription:
                if not (folder / record_log.FILE).exists():
                    raise _damaged(folder) from None
                report(f"{folder / STUDY} is damaged; it is moved to {set_aside(folder / STUDY)} and written anew")
                description = None
            return cls(folder, description, lock.pop_all())

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def close(self) -> None:
        """Release the lock, if this object holds it."""
        self._lock.close()

    def __enter__(self) -> Workdir:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def claim(
        self,
        study: Study,
        *,
        data: Mapping[str, str],
        provenance: Mapping[str, Mapping[str, str]] | None = None,
        question: str = "",
        command: str = "",
        chance: ChanceLevel | None = None,
        pool_size: int = 0,
        remarks: Sequence[str] = (),
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Write study.json for a study, and move damaged lines of the record log aside, which is reported.

        Args:
            study: may differ from the workdir's study in its sizes, seeds, axes and learners only.
            data: `name` and `fingerprint` of the data read; the fingerprints of several hold-outs, with commas.
            provenance: of the trials that remain, from `dlm.storage.description.provenance`.
            question, command: the study's question and the command line, for reports.
            chance, pool_size: the chance level of the task on the data, and the size of the training pool.
            remarks: sentences on how the data were read, for reports.
            report: receives messages about damaged files.

        UsageError, without a change, if the workdir holds another study, or numbers of other code or data.
        """
        now = StudyDescription(
            question=question,
            study=canonical(study),
            data=dict(data),
            provenance={key: dict(value) for key, value in (provenance or {}).items()},
            versions=descriptions.versions(),
            command=encodable(command),
            format=FORMAT,
            chance=chance,
            pool_size=pool_size,
            remarks=tuple(remarks),
        )
        if self._description is None:
            self._check_data(data)
        else:
            self._check_same(self._description, now)
            now = dataclasses.replace(now, provenance={**self._description.provenance, **now.provenance})
        descriptions.write(self.path, now)
        self._description = now
        log = self.path / record_log.FILE
        for line in record_log.mend(self.path):
            report(f"line {line} of {log} is damaged; it is moved to {log.name}{DAMAGED}")

    def _check_same(self, before: StudyDescription, now: StudyDescription) -> None:
        if changes := differences(before, now):
            raise UsageError(
                f"--workdir={self.path} holds another study: {'; '.join(changes[:5])}. "
                "Choose another --workdir, or undo the change"
            )
        if changes := provenance_changes(before.provenance, now.provenance):
            raise UsageError(
                f"--workdir={self.path} was made with other code: {'; '.join(changes[:5])}. New numbers would not "
                "compare with those there; choose another --workdir, or go back to the code that made it"
            )

    def _check_data(self, data: Mapping[str, str]) -> None:
        """UsageError for records of other data, in a workdir without a study.json."""
        name = f"{data['name']}@{data['fingerprint']}"
        known = {f"{data['name']}@{fingerprint}" for fingerprint in data["fingerprint"].split(",")}
        others = {row.data for row in self.records} - known
        if others:
            raise UsageError(
                f"--workdir={self.path} holds records of {', '.join(sorted(others))}, and the study reads {name}; "
                "choose another --workdir"
            )

    @property
    def description(self) -> StudyDescription:
        """Content of study.json. RuntimeError before `claim` in a new workdir."""
        if self._description is None:
            raise RuntimeError(f"{self.path} has no study yet; call claim() first")
        return self._description

    @property
    def study_name(self) -> str:
        """Name of the study."""
        return self.description.study_name

    @property
    def question(self) -> str:
        """Question of the study, the first line of its experiment's docstring."""
        return self.description.question

    @property
    def records(self) -> list[Record]:
        """All records, in the order of the log; of rows with the same key the last."""
        return list(self._by_key.values())

    @cached_property
    def _by_key(self) -> dict[tuple[str, int, str, str], Record]:
        return {record.key: record for record in record_log.rows(self.path)}

    @property
    def table(self) -> pa.Table:
        """All records as a pyarrow Table with the columns of docs/records.md, sorted by learner, size and seed."""
        from dlm.storage.records import table_of  # pyarrow is slow to import

        return table_of(self.records)

    def ends(self) -> dict[str, Record]:
        """The final test error of each finished trial, by trial id."""
        return record_log.ends(self.records)

    def finished(self) -> dict[str, Status]:
        """Final status of each finished trial, by trial id."""
        return record_log.finished(self.records)

    def measured_steps(self) -> dict[str, set[int]]:
        """Steps of each trial (by id) at which all rows that were written together are present."""
        return record_log.measured_steps(self.records)

    def append(self, rows: Sequence[Record]) -> None:
        """Append rows to the log, on disk on return, and to `records`. OSError if the disk is full or gone."""
        self.check_exists()
        for record in record_log.append(self.path, rows):
            self._by_key[record.key] = record

    def check_exists(self) -> None:
        """FileNotFoundError if the folder was deleted or moved during the run; a writer would make half of it anew."""
        if not (self.path / STUDY).exists():
            raise FileNotFoundError(errno.ENOENT, "the workdir was deleted or moved", str(self.path))


def _damaged(folder: Path) -> UsageError:
    if (folder / record_log.FILE).exists():
        return UsageError(f"{folder / STUDY} is damaged; run its study again in this workdir, which writes it anew")
    return UsageError(f"{folder / STUDY} is not a study's description; choose another --workdir")
