"""What a section of the report is computed from and what it contributes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlm.analysis.measures import Trials
from dlm.analysis.predictions import TestSet, read_test_sets
from dlm.curves.from_records import selected_rows
from dlm.curves.types import StudySummary
from dlm.report.html.elements import PageSection
from dlm.report.tables import Table
from dlm.storage.record_log import Record

if TYPE_CHECKING:
    from dlm.storage.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class ReportContext:
    """A loaded study: the records of the reported trials, their summary, and what sections share, computed once.

    `folder` holds the report and its figures; `workdir` is None for curves that another program measured, `remarks` are
    sentences about how those were read, by heading. `targets` are the errors that groups are compared with.
    """

    summary: StudySummary
    folder: Path
    workdir: Workdir | None = None
    records: Sequence[Record] = ()
    targets: Sequence[float] = ()
    remarks: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    @property
    def learners(self) -> list[str]:
        """The curves' names in the order of the summary."""
        return [learner.curve.learner for learner in self.summary.learners]

    @property
    def unit(self) -> str:
        """The unit of the errors."""
        return self.summary.learners[0].curve.unit if self.summary.learners else ""

    @functools.cached_property
    def trials(self) -> Trials:
        """The trials that the summary's curves are made of."""
        trials = selected_rows(self.records, order=self.learners)
        return {name: trials[name] for name in self.learners if name in trials}

    @functools.cached_property
    def test_sets(self) -> list[TestSet]:
        """The saved test sets, one a hold-out."""
        return read_test_sets(self.workdir.path) if self.workdir else []


@dataclasses.dataclass(frozen=True)
class SectionContent:
    """One topic: `tables` and `sentences` by heading for the terminal, `page` for report.html.

    `top`: sentences for the top of the page. Everything is empty where the study has nothing on the topic.
    """

    sentences: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    tables: Sequence[Table] = ()
    page: PageSection | None = None
    top: Sequence[str] = ()


def section_content(name: str, heading: str, blocks: Iterable[Any], *, note: str = "", **other: Any) -> SectionContent:
    """The content of a topic with a page section of the blocks that are neither None nor empty, if there are any."""
    nonempty = tuple(filter(None, blocks))
    return SectionContent(page=PageSection(name, heading, nonempty, note) if nonempty else None, **other)


Section = Callable[[ReportContext], SectionContent]  # computes a topic's tables, sentences and page section


def evenly_spaced(items: Sequence[int], most: int) -> list[int]:
    """At most `most` items at evenly spaced indices, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]
