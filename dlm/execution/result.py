"""What a study found, as one object: `dlm.run` trains what is missing and gives it, `dlm.load` reads it again."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dlm.curves.types import StudySummary
from dlm.execution.preemption import EXIT_INTERRUPTED, Watch
from dlm.report import notebook, sentences
from dlm.report.figures import drawn
from dlm.report.progress.screen import announce
from dlm.report.study_report import PAGE, answered, declared, report
from dlm.report.terminal import print_answer
from dlm.storage import record_log, records
from dlm.storage.workdir import STUDY
from dlm.study.study import Study
from dlm.utils.errors import Interrupted, UsageError
from dlm.utils.files import local_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlm.execution.executor import Outcome

_PRINTED = 100  # columns of the answer as text


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """The answer of a study, and the workdir that holds every number behind it; a notebook shows it by itself.

    `answer` holds the curves, forecasts, needs and overtakes as plain dataclasses. `outcome` counts the cells that a
    run trained; None for a result that was loaded.
    """

    workdir: Path
    answer: StudySummary
    title: str = ""
    question: str = ""
    outcome: Outcome | None = None

    @property
    def sentences(self) -> list[str]:
        """The whole answer in words."""
        return sentences.sentences(self.answer)

    @property
    def records(self) -> Any:
        """Every number of the workdir, as a pyarrow Table; `dlm.records.read` gives pandas and polars too."""
        return records.read(self.workdir)

    @property
    def page(self) -> Path:
        """The report as one HTML file. UsageError if none was written, which happens to a run that was cut short."""
        path = self.workdir / PAGE
        if not path.is_file():
            raise UsageError(f"{path} is not there; python launch.py --mode=report --workdir={self.workdir} writes it")
        return path

    def figure(self) -> Figure:
        """The learning curves as a figure of matplotlib, to show, to change or to save."""
        return drawn(self.answer, title=self.title)

    def __repr__(self) -> str:
        return "\n".join([f"Result of {self.title or 'a study'} in {self.workdir}", *sentences.lead(self.answer)])

    def __str__(self) -> str:
        """The answer as the command line prints it."""
        text = Console(file=io.StringIO(), width=_PRINTED)
        print_answer(self.answer, text, title=self.title, question=self.question)
        assert isinstance(text.file, io.StringIO)
        return text.file.getvalue().strip("\n")

    def _repr_html_(self) -> str:
        return notebook.answer_html(self.answer, title=self.title, question=self.question, foot=self._foot())

    def _repr_markdown_(self) -> str:
        return notebook.answer_markdown(self.answer, title=self.title, question=self.question, foot=self._foot())

    def _foot(self) -> str:
        page = f"; the whole report: {self.workdir / PAGE}" if (self.workdir / PAGE).is_file() else ""
        return f"Every number: {self.workdir}{page}"


def run(
    study: Study,
    workdir: str | os.PathLike[str] | None = None,
    *,
    question: str = "",
    watch: Watch | None = None,
    **options: Any,
) -> Result:
    """Train the cells of a study that `workdir` does not hold yet, write the report there, and give the result.

    `workdir`: `runs/<study.name>` by default. `options`: those of `executor.run`, such as `data_dir`, `download` and
    `packing`. Called again it trains nothing and gives the same. Progress goes to standard error.

    UsageError for wrong usage, before anything is trained. Interrupted at Ctrl-C, which a notebook's stop button is:
    what is done is saved, and the same call goes on from there. OSError where the disk is full or gone.
    """
    from dlm.execution import executor

    folder = _folder_of(study, workdir)
    try:
        with contextlib.nullcontext(watch) if watch else Watch(hosted=True) as heard:
            outcome = executor.run(study, folder, question=question, watch=heard, **options)
        announce(_counts(outcome, folder))
        answer = report(
            folder,
            Console(quiet=True),
            targets=study.targets,
            level=study.level,
            title=study.name,
            question=question,
            trial_ids={trial.trial_id for trial in study.trials},
        )
    except (Interrupted, KeyboardInterrupt) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else EXIT_INTERRUPTED
        raise Interrupted(f"stopped; {folder} holds what was saved, and running this again goes on", code) from None
    return Result(folder, answer, study.name, question, outcome)


def load(workdir: str | os.PathLike[str]) -> Result:
    """The result of a run, from what its workdir holds by now; nothing is trained or written.

    UsageError for a folder without a study, or without a finished cell.
    """
    folder = local_folder(workdir, "workdir")
    if not (folder / STUDY).is_file():
        raise UsageError(f"workdir={str(workdir)!r} holds no study; name the folder of a run, such as 'runs/digits'")
    about = declared(folder)
    title, question = about.pop("title"), about.pop("question")
    return Result(folder, answered(folder, record_log.rows(folder), **about), title, question)


def _folder_of(study: Study, workdir: str | os.PathLike[str] | None) -> Path:
    if workdir is None and not study.name:
        raise UsageError("the study has no name, which names its folder; give Study(name=…), or a workdir")
    return local_folder(f"runs/{study.name}" if workdir is None else workdir, "workdir")


def _counts(outcome: Outcome, folder: Path) -> str:
    parts = [f"dlm: {outcome.trained} cells trained now, {outcome.before} before; all in {folder}"]
    if outcome.diverged:
        parts.append(f"{outcome.diverged} diverged and are left out")
    if outcome.failed:
        parts.append(f"{outcome.failed} failed and are tried again by the next run")
    return "; ".join(parts)
