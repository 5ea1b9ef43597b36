"""Learner comparison: deep against classical learners, and learners that are no better than a naive baseline."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from dlm.analysis.learner_comparison import (
    CLASSICAL,
    DEEP,
    ErrorRatio,
    Family,
    FamilyComparison,
    NaiveComparison,
    compare_families,
    compare_with_naive_baseline,
)
from dlm.analysis.tuning import TuningBudget, tuning_budgets
from dlm.curves.types import Crossover
from dlm.report.formatting import error_text, listed, percent
from dlm.report.html.elements import Sentences
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.sentences import crossover_sentence


def learner_comparison_section(context: ReportContext) -> SectionContent:
    """Sentences; those on deep against classical learners also lead the page."""
    if context.workdir is None:
        return SectionContent()
    level, folder = context.summary.level, context.workdir.path
    tests, pool_size = context.test_sets, context.workdir.description.pool_size
    families = compare_families(folder, context.records, tests, level, pool_size)
    naive = compare_with_naive_baseline(folder, context.records, tests, level)
    budgets = tuning_budgets(context.records)
    deep = family_sentences(families, level, budgets, context.summary.crossovers) if families else []
    sentences = {
        "Deep against classical learners": deep,
        "Learners against the naive baseline": naive_sentences(naive, level) if naive else [],
    }
    blocks = (Sentences(lines, heading) for heading, lines in sentences.items())
    return section_content("learner-comparison", "Learner comparison", blocks, sentences=sentences, top=deep[:1])


def ratio_text(ratio: ErrorRatio) -> str:
    """ "0.40 [0.13, 0.83]"; ends are rounded outwards."""
    low = math.floor(100 * ratio.low) / 100
    high = f"{math.ceil(100 * ratio.high) / 100:.2f}" if math.isfinite(ratio.high) else "∞"
    return f"{ratio.ratio:.2f} [{low:.2f}, {high}]"


def _paired_text(ratio: ErrorRatio, level: float) -> str:
    blocks = f"blocks of {ratio.block_size:,} test windows" if ratio.block_size > 1 else "test examples"
    return f"{percent(level)} interval, paired over {ratio.num_blocks:,} {blocks}"


def family_sentences(
    comparison: FamilyComparison,
    level: float,
    budgets: Sequence[TuningBudget] = (),
    crossovers: Sequence[Crossover] = (),
) -> list[str]:
    """Where deep learning becomes better, the ratio of errors at the largest size, and which learners were selected.

    `budgets`: the tuning budgets, which are named unless all are equal and above 1. `crossovers` of the learners: if
    each family is one learner, the sentence is that of the two learners.
    """
    classical, deep = comparison.classical, comparison.deep
    names = {CLASSICAL: f"{CLASSICAL} ({_names(classical)})", DEEP: f"{DEEP} ({_names(deep)})"}
    named = dataclasses.replace(comparison.crossover, incumbent=names[CLASSICAL], challenger=names[DEEP])
    if len({*classical.selected}) == len({*deep.selected}) == 1:
        names = {classical.selected[0]: names[CLASSICAL], deep.selected[0]: names[DEEP]}
        pairs = [pair for pair in crossovers if {pair.incumbent, pair.challenger} == set(names)]
        for pair in pairs[:1]:
            named = dataclasses.replace(pair, incumbent=names[pair.incumbent], challenger=names[pair.challenger])
    sentence = crossover_sentence(named)
    lines = [sentence[0].upper() + sentence[1:]]
    if ratio := comparison.ratio:
        includes_1 = " It includes 1: another test set may reverse the order." if ratio.low <= 1 <= ratio.high else ""
        lines.append(
            f"At {deep.curve.train_sizes[-1]:,} examples the error ratio of {deep.selected[-1]} to "
            f"{classical.selected[-1]} is {ratio_text(ratio)} ({_paired_text(ratio, level)}).{includes_1}"
        )
    return [*lines, *_selections(classical), *_selections(deep), *_tuning(comparison, budgets)]


def _tuning(comparison: FamilyComparison, budgets: Sequence[TuningBudget]) -> Iterator[str]:
    """How the selected learners were tuned."""
    counts = {budget.learner: budget.num_settings for budget in budgets}
    families = comparison.deep, comparison.classical
    names = [[name for name in dict.fromkeys(family.selected) if name in counts] for family in families]
    compared = {counts[name] for family in names for name in family}
    if all(names) and (len(compared) > 1 or compared == {1}):
        texts = {name: f"best of {count} settings" if count > 1 else "not tuned" for name, count in counts.items()}
        deep, classical = (listed([f"{name} ({texts[name]})" for name in family]) for family in names)
        yield f"This compares {deep} with {classical}."


def _names(family: Family) -> str:
    """The learners that were selected, that of the largest size first."""
    return " or ".join(dict.fromkeys(family.selected[::-1]))


def _selections(family: Family) -> Iterator[str]:
    """Which learner was selected where, if that changes with size."""
    if len(set(family.selected)) > 1:
        pairs = zip(family.curve.train_sizes, family.selected)
        runs = [(name, [size for size, _ in run]) for name, run in itertools.groupby(pairs, key=lambda pair: pair[1])]
        parts = ", ".join(f"{name} at {_size_range(train_sizes)}" for name, train_sizes in runs)
        yield f"By validation error {family.curve.learner} is {parts} examples."


def _size_range(train_sizes: Sequence[int]) -> str:
    return f"{train_sizes[0]:,}" if len(train_sizes) == 1 else f"{train_sizes[0]:,} to {train_sizes[-1]:,}"


def naive_sentences(comparison: NaiveComparison, level: float) -> list[str]:
    """Which learners are not shown to err less than the best baseline that learns nothing from data."""
    count, total = len(comparison.ratios), comparison.num_learners
    who = f"{count} of {total} trained learners are not" if count < total else "no trained learner is"
    return [
        f"At {comparison.size:,} examples {who} shown to err less than the naive baseline {comparison.baseline} "
        f"({error_text(comparison.error, comparison.unit)}).",
        *(
            f"{name}: error ratio {ratio_text(ratio)} to {comparison.baseline} ({_paired_text(ratio, level)})."
            for name, ratio in comparison.ratios.items()
        ),
    ]
