"""The result of a study as one object, returned by `dlm.run` and `dlm.load`; and its report."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dlm.report import notebook, sentences, study_report
from dlm.report.figures import make_figure
from dlm.report.study_report import PAGE, report_options, summarize
from dlm.report.terminal import print_list, print_summary
from dlm.storage.workdir import Workdir
from dlm.utils.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dlm.analysis.decision import Decision
    from dlm.curves.types import StudySummary
    from dlm.execution.executor import Outcome
    from dlm.study.study import Costs, Study

_PRINTED_WIDTH = 100  # columns


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """The result of a study. A notebook displays it.

    Attributes:
        workdir: the folder with every recorded number.
        answer: curves, forecasts, required sizes and crossovers as plain dataclasses.
        title: name of the study.
        question: its question.
        outcome: how many trials the run trained; None for a loaded result.
        notes: caveats beside those of the answer, by heading: overlap, failed trials, how the data were read.
    """

    workdir: Path
    answer: StudySummary
    title: str = ""
    question: str = ""
    outcome: Outcome | None = None
    notes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        workdir: Workdir,
        answer: StudySummary,
        title: str,
        question: str,
        trial_ids: Collection[str],
        outcome: Outcome | None = None,
    ) -> Result:
        """The result of some trials of a workdir, with its notes."""
        return cls(workdir.path, answer, title, question, outcome, study_report.notes(workdir, answer, trial_ids))

    @property
    def sentences(self) -> list[str]:
        """The result in sentences."""
        return sentences.sentences(self.answer)

    @property
    def records(self) -> Any:
        """All records of the workdir as a pyarrow Table; `dlm.records.read` also gives pandas and polars."""
        return Workdir.open(self.workdir).table

    @property
    def page(self) -> Path:
        """The report, one HTML file. UsageError if none was written because the run was stopped."""
        path = self.workdir / PAGE
        if not path.is_file():
            raise UsageError(f"{path} does not exist; `dlm --mode=report --workdir={self.workdir}` writes it")
        return path

    def figure(self) -> Figure:
        """The learning curves as a matplotlib figure."""
        return make_figure(self.answer, title=self.title)

    def __repr__(self) -> str:
        return "\n".join([f"Result of {self.title or 'a study'} in {self.workdir}", *sentences.headline(self.answer)])

    def __str__(self) -> str:
        """The report as the command line prints it."""
        text = Console(file=io.StringIO(), width=_PRINTED_WIDTH)
        print_summary(self.answer, text, title=self.title, question=self.question)
        for heading, lines in self.notes.items():
            print_list(text, heading, lines)
        assert isinstance(text.file, io.StringIO)
        return text.file.getvalue().strip("\n")

    def _repr_html_(self) -> str:
        return notebook.summary_html(self.answer, **self._labels())

    def _repr_markdown_(self) -> str:
        return notebook.summary_markdown(self.answer, **self._labels())

    def _labels(self) -> dict[str, Any]:
        page = f"; full report: {self.workdir / PAGE}" if (self.workdir / PAGE).is_file() else ""
        remarks = [line for lines in self.notes.values() for line in lines]
        footer = f"Records: {self.workdir}{page}"
        return {"title": self.title, "question": self.question, "footer": footer, "remarks": remarks}


def load(workdir: str | os.PathLike[str]) -> Result:
    """The result of a run from the records in its workdir so far; trains and writes nothing.

    Raises UsageError for a folder without a study, or without a finished trial.
    """
    opened = Workdir.open(workdir)
    options = report_options(opened)
    title, question = options.pop("title"), options.pop("question")
    summary = summarize(opened, **options)
    return Result.of(opened, summary, title, question, options["trial_ids"])


def decide(workdir: str | os.PathLike[str], console: Console | None = None, *, costs: Costs | str = "") -> Decision:
    """Whether to stop or to collect more examples, by expected cost, from the records of a workdir.

    `costs` are those of the workdir's study by default; a text such as "per_example=2,per_error=50000" changes them.
    The decision is printed to `console`, if given. Raises UsageError without prices, or without a forecast.
    """
    return study_report.report_decision(Workdir.open(workdir), console or Console(quiet=True), costs)


def write_report(
    workdir: str | os.PathLike[str],
    console: Console | None = None,
    study: Study | None = None,
    question: str = "",
    targets: Sequence[float] = (),
) -> StudySummary:
    """Write the report of a workdir and print it to `console`, if given.

    It covers the trials of `study`, by default of the study that ran last, and required sizes for `targets`, by default
    the study's. Raises UsageError without a finished trial.
    """
    opened = workdir if isinstance(workdir, Workdir) else Workdir.open(workdir)
    options = report_options(opened)
    if study is not None:
        trial_ids = {trial.trial_id for trial in study.trials}
        options = {"targets": study.targets, "level": study.level, "trial_ids": trial_ids}
        options |= {"title": study.name, "question": question}
    options["targets"] = tuple(targets) or options["targets"]
    return study_report.report(opened, console or Console(quiet=True), **options)


def interpret(study: Study, folder: Path, trials: Sequence[str], console: Console, **options: Any) -> None:
    """Analyse trained networks of a workdir, print the results and add them to the report page.

    `trials` are `learner:size:seed` or starts of trial ids; empty: the largest trial of the first network.
    """
    from dlm.analysis.interpretability.analysis import analyze_trials
    from dlm.execution.preparation import RunOptions, load_datasets
    from dlm.report.sections.interpretability import print_analysis
    from dlm.train import devices

    run_options = RunOptions(**options)
    devices.configure(run_options.num_cpu_devices)
    workdir = Workdir.open(folder)
    for analysis in analyze_trials(study, workdir, trials, load_datasets(study, run_options)):
        print_analysis(analysis, folder, console)
    write_report(workdir, None, study, run_options.question)
    console.print(
        f"The analysis is also in {folder / PAGE}.", soft_wrap=True, highlight=False, markup=False, emoji=False
    )
