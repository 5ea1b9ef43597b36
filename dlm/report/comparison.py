"""Several workdirs held against each other: on the terminal, as a page, and as data."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from dlm.curves.data_efficiency.study_comparison import SeedError, SeedErrors, StudyComparison, compare_studies
from dlm.curves.from_records import learning_curves, selected_rows
from dlm.curves.summary import summarize
from dlm.curves.types import Curve
from dlm.report.html.page import page_html
from dlm.report.sections.study_comparison import comparison_page, comparison_sentences
from dlm.report.study_report import default_targets
from dlm.report.terminal import print_list, say
from dlm.storage import description, record_log
from dlm.storage.description import Description, differences
from dlm.utils.errors import UsageError
from dlm.utils.files import write_atomically

PAGE, DATA = "compare.html", "compare.json"
MOST_PAIRS = 60


@dataclasses.dataclass(frozen=True)
class Read:
    """A workdir as it is compared: a short name, curves and their cells by learner, and what study.json says."""

    name: str
    curves: Mapping[str, Curve]
    cells: Mapping[str, SeedErrors]
    about: Description | None
    data: frozenset[str]


def report_compare(workdirs: Sequence[Path], console: Console, *, folder: Path | None = None) -> list[StudyComparison]:
    """Compare workdirs, earlier ones with later ones, and write a page and data. UsageError leaves nothing written."""
    read = [_read(path, name) for path, name in zip(workdirs, short_names(workdirs), strict=True)]
    _check_units(read)
    level = max((one.about.study["level"] for one in read if one.about), default=0.95)
    found = [
        compare_studies((_named(one, a), one.cells[a]), (_named(other, b), other.cells[b]), level=level)
        for one, other, a, b in pairs(read)
    ]
    remarks, title = list(_remarks(read)), " against ".join(one.name for one in read)
    folder = folder or workdirs[0].absolute().parent / "-vs-".join(one.name.replace("/", "-") for one in read)
    together = [_named(one, learner) for one in read for learner in one.curves]
    told = summarize(together, targets=default_targets(together), level=level)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PAGE, page_html(comparison_page(told, found, folder, title=title, remarks=remarks)))
    write_atomically(folder / DATA, json.dumps([dataclasses.asdict(one) for one in found], indent=1) + "\n")
    _print(found, remarks, console, title)
    console.print(f"\nWritten: {folder / PAGE}, {folder / DATA}", soft_wrap=True, highlight=False)
    return found


def pairs(read: Sequence[Read]) -> list[tuple[Read, Read, str, str]]:
    """(one, other, learner of the one, of the other): learners of one name; where no name is shared, all with all."""
    found = []
    for one, other in itertools.combinations(read, 2):
        shared = [name for name in one.curves if name in other.curves]
        both = [(name, name) for name in shared] or list(itertools.product(one.curves, other.curves))
        found += [(one, other, a, b) for a, b in both]
    if len(found) > MOST_PAIRS:
        raise UsageError(
            f"--workdirs hold {len(found)} pairs of learners to compare; choose fewer, at most {MOST_PAIRS}"
        )
    return found


def short_names(workdirs: Sequence[Path]) -> list[str]:
    """The ends of the paths, as long as needed to tell them apart."""
    parts = [path.absolute().parts for path in workdirs]
    if len(set(parts)) < len(parts):
        twice = next(path for path in workdirs if list(map(Path.absolute, workdirs)).count(path.absolute()) > 1)
        raise UsageError(f"--workdirs names {twice} twice; a study is not compared with itself")
    for length in range(1, max(map(len, parts)) + 1):
        names = [os.path.join(*one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in workdirs]


def _read(path: Path, name: str) -> Read:
    rows, about = record_log.rows(path), description.read(path)
    found = {
        curve.learner: curve
        for curve in learning_curves(rows, order=about.learners if about else ())
        if curve.train_sizes
    }
    if not found:
        raise UsageError(f"--workdirs: {path} holds no finished trial; run a study there first, with --mode=run")
    own: dict[str, SeedErrors] = {
        learner: {
            size: [SeedError(row.subset_seed, row.subset_hash, row.value) for row in each if row.value is not None]
            for size, each in by_size.items()
        }
        for learner, by_size in selected_rows(rows).items()
    }
    return Read(name, found, own, about, frozenset(row.data for row in rows))


def _named(one: Read, learner: str) -> Curve:
    return dataclasses.replace(one.curves[learner], learner=f"{one.name}: {learner}")


def _check_units(read: Sequence[Read]) -> None:
    units = {curve.unit: one.name for one in read for curve in one.curves.values()}
    if len(units) > 1:
        told = ", ".join(f"{unit!r} in {name}" for unit, name in units.items())
        raise UsageError(f"--workdirs hold errors of several units ({told}); compare studies of one task")


def _remarks(read: Sequence[Read]) -> Iterator[str]:
    """What differs between the studies besides their learners' numbers."""
    for one, other in itertools.combinations(read, 2):
        if one.data != other.data:
            yield (
                f"{one.name} and {other.name} read different data ({', '.join(sorted(one.data))} and "
                f"{', '.join(sorted(other.data))}): test sets and subsets differ, and so may the errors for that alone."
            )
        changes = differences(one.about, other.about) if one.about and other.about else []
        if changes:
            yield f"From {one.name} to {other.name}: {'; '.join(changes[:8])}{' …' if len(changes) > 8 else ''}."


def _print(found: Sequence[StudyComparison], remarks: Sequence[str], console: Console, title: str) -> None:
    console.print()
    say(console, title, style="bold")
    for one in found:
        print_list(console, f"{one.a} and {one.b}", comparison_sentences(one))
    print_list(console, "What differs between the studies", remarks)
