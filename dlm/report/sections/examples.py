"""Examples to look at: the hardest ones, and those whose label looks wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from dlm.analysis.hard_examples import Hard, doubtful, hardest
from dlm.analysis.predictions import TestSet, predictions
from dlm.report.formatting import percent
from dlm.report.html.elements import Card, Cards, Section
from dlm.report.html.media import picture, sound, text, values
from dlm.report.sections.learning_curve import Cells
from dlm.storage.artifacts import Sample

SHOWN = 100  # characters


def writings(samples: Iterable[Sample], trial_ids: Collection[str] | None = None) -> list[str]:
    """A line for each learner and size, of its first seed; ends of lines as ⏎."""
    first: dict[tuple[str, int], Sample] = {}
    for sample in sorted(samples, key=lambda sample: (sample.learner, sample.train_size, sample.seed)):
        if trial_ids is None or sample.trial_id in trial_ids:
            first.setdefault((sample.learner, sample.train_size), sample)
    return [f"{name}, n={size:,}: {_shown(sample.text)}" for (name, size), sample in first.items()]


def _shown(text: str) -> str:
    kept = "".join(character if character.isprintable() or character == "\n" else "·" for character in text[:SHOWN])
    return kept.replace("\n", "⏎")


MOST_LEARNERS = 4  # that a card quotes


def examples_section(workdir: Path, cells: Cells, test: TestSet, loss_unit: str) -> Section | None:
    """Of predictions at the largest size that all learners have; None where none were kept."""
    shared = set.intersection(*(set(by_size) for by_size in cells.values())) if cells else set()
    if not shared:
        return None
    size = max(shared)
    kept = {name: predictions(workdir, by_size[size], len(test.y)) for name, by_size in cells.items()}
    kept = {name: seeds for name, seeds in kept.items() if seeds}
    if not kept:
        return None
    blocks = [_cards(f"Hardest, with {size:,} training examples", hardest(kept, test.y), test, loss_unit)]
    if test.has_classes and (found := doubtful(kept, test.y)):
        blocks.insert(0, _cards("Labels that look wrong", found, test, loss_unit))
    return Section(
        "examples",
        "Examples to look at",
        tuple(blocks),
        note="Of the test set. Hardest: the greatest loss, mean over learners and seeds. A label looks wrong where the "
        "learners together find another class likelier than not; whether it is wrong is for you to see.",
    )


def _cards(heading: str, found: Sequence[Hard], test: TestSet, loss_unit: str) -> Cards:
    return Cards(heading, tuple(_card(one, test, loss_unit) for one in found))


def _card(one: Hard, test: TestSet, loss_unit: str) -> Card:
    lines = [f"test example {one.row:,}"]
    if one.label is not None:
        names = test.class_names
        lines.append(f"label: {names[one.label]}")
        for name, (said, likely, of_label) in list(one.said.items())[:MOST_LEARNERS]:
            if said == one.label:
                lines.append(f"{name}: {names[said]}, {percent(round(likely, 2))}")
            else:
                lines.append(f"{name}: {names[said]}, {percent(round(likely, 2))}; label {percent(round(of_label, 2))}")
    lines.append(f"mean loss {one.loss:.3g} {loss_unit}".strip())
    image = picture(test, one.row)
    alt = f"test example {one.row}" + (f", labelled {test.class_names[one.label]}" if one.label is not None else "")
    about = (*lines, *values(test, one.row))
    return Card(about, image=image, alt=alt, audio=sound(test, one.row), text=text(test, one.row))
