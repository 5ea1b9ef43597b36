"""Compares the studies of several workdirs on the terminal, as a page and as JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from dlm.curves.data_efficiency.study_comparison import SeedErrors, StudyComparison, compare_studies
from dlm.curves.from_records import learning_curves, selected_rows
from dlm.curves.summary import summarize
from dlm.curves.types import Curve
from dlm.report.html.page import page_html
from dlm.report.sections.study_comparison import comparison_page, comparison_sentences
from dlm.report.study_report import default_targets
from dlm.report.terminal import print_list, say
from dlm.storage.description import StudyDescription, differences
from dlm.storage.workdir import Workdir
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

PAGE, DATA = "compare.html", "compare.json"
MAX_PAIRS = 60
_MAX_CHANGES = 8


@dataclasses.dataclass(frozen=True)
class ComparedStudy:
    """A workdir with a short name: curves and their seeds' errors by learner, study.json, and the data's names."""

    name: str
    curves: Mapping[str, Curve]
    errors: Mapping[str, SeedErrors]
    description: StudyDescription
    data: frozenset[str]

    def curve(self, learner: str) -> Curve:
        """A learner's curve, named after study and learner."""
        return dataclasses.replace(self.curves[learner], learner=f"{self.name}: {learner}")


def report_compare(workdirs: Sequence[Path], console: Console, *, folder: Path | None = None) -> list[StudyComparison]:
    """Compare each workdir with every later one, print the result, and write a page and JSON.

    UsageError before anything is written.
    """
    if len(workdirs) < 2:
        raise UsageError("--mode=compare needs --workdirs=A,B with at least two workdirs")
    studies = [_read(path, name) for path, name in zip(workdirs, short_names(workdirs), strict=True)]
    _check_units(studies)
    level = max(study.description.study["level"] for study in studies)
    comparisons = [
        compare_studies((one.curve(a), one.errors[a]), (other.curve(b), other.errors[b]), level=level)
        for one, other, a, b in learner_pairs(studies)
    ]
    remarks, title = list(_remarks(studies)), " and ".join(study.name for study in studies)
    folder = folder or workdirs[0].absolute().parent / "-vs-".join(study.name.replace("/", "-") for study in studies)
    curves = [study.curve(learner) for study in studies for learner in study.curves]
    summary = summarize(curves, targets=default_targets(curves), level=level)
    folder.mkdir(parents=True, exist_ok=True)
    page = comparison_page(summary, comparisons, folder, title=title, remarks=remarks)
    write_atomically(folder / PAGE, page_html(page))
    write_atomically(folder / DATA, json.dumps([dataclasses.asdict(pair) for pair in comparisons], indent=1) + "\n")
    console.print()
    say(console, title, style="bold")
    for pair in comparisons:
        print_list(console, f"{pair.a} and {pair.b}", comparison_sentences(pair))
    print_list(console, "Differences between the studies", remarks)
    console.print(
        f"\nWritten: {folder / PAGE}, {folder / DATA}", soft_wrap=True, highlight=False, markup=False, emoji=False
    )
    return comparisons


def learner_pairs(studies: Sequence[ComparedStudy]) -> list[tuple[ComparedStudy, ComparedStudy, str, str]]:
    """Two studies and a learner of each: learners of the same name, or all if the studies share no name."""
    pairs = []
    for one, other in itertools.combinations(studies, 2):
        shared = [(name, name) for name in one.curves if name in other.curves]
        pairs += [(one, other, a, b) for a, b in shared or itertools.product(one.curves, other.curves)]
    if len(pairs) > MAX_PAIRS:
        raise UsageError(f"--workdirs have {len(pairs)} pairs of learners; compare at most {MAX_PAIRS}")
    return pairs


def short_names(workdirs: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that are different."""
    parts = [path.absolute().parts for path in workdirs]
    for path, own in zip(workdirs, parts):
        if parts.count(own) > 1:
            raise UsageError(f"--workdirs names {path} twice; name different workdirs")
    names: list[str] = []
    length = 0
    while len(set(names)) < len(parts):
        length += 1
        names = [os.path.join(*own[-length:]) for own in parts]
    return names


def _read(path: Path, name: str) -> ComparedStudy:
    workdir = Workdir.open(path)
    rows = workdir.records
    curves = learning_curves(rows, order=workdir.description.learners)
    if not any(curve.train_sizes for curve in curves):
        raise UsageError(f"--workdirs: {path} has no finished trials; run a study there first, with --mode=run")
    errors: dict[str, dict[int, dict[tuple[int, str], float]]] = defaultdict(lambda: defaultdict(dict))
    for learner, by_size in selected_rows(rows).items():
        for row in itertools.chain(*by_size.values()):
            if row.value is not None:
                errors[learner][row.train_size][row.subset_seed, row.subset_hash] = row.value
    measured = {curve.learner: curve for curve in curves if curve.train_sizes}
    return ComparedStudy(name, measured, errors, workdir.description, frozenset(row.data for row in rows))


def _check_units(studies: Sequence[ComparedStudy]) -> None:
    units = {curve.unit: study.name for study in studies for curve in study.curves.values()}
    if len(units) > 1:
        listed = ", ".join(f"{unit!r} in {name}" for unit, name in units.items())
        raise UsageError(f"--workdirs have errors of several units ({listed}); compare studies of one task")


def _remarks(studies: Sequence[ComparedStudy]) -> Iterator[str]:
    """The differences between the studies' data and settings."""
    for one, other in itertools.combinations(studies, 2):
        if one.data != other.data:
            yield (
                f"{one.name} and {other.name} use different data ({', '.join(sorted(one.data))} and "
                f"{', '.join(sorted(other.data))}), so test sets and subsets differ."
            )
        if changes := differences(one.description, other.description):
            more = " …" if len(changes) > _MAX_CHANGES else ""
            yield f"From {one.name} to {other.name}: {'; '.join(changes[:_MAX_CHANGES])}{more}."
