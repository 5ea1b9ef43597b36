"""Examples: hard test examples, labels that look wrong, and generated samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dlm.analysis.predictions import HardExample, TestSet, hardest_examples, predictions, suspicious_labels
from dlm.report.formatting import percent
from dlm.report.html.elements import Card, Cards, PageSection, Sentences
from dlm.report.html.media import picture, sound, text, values
from dlm.report.sections.base import ReportContext, SectionContent
from dlm.storage.artifacts import Sample, read_samples

MOST_CHARACTERS = 100  # of a sample
MOST_LEARNERS = 4  # whose predictions a card lists


def examples_section(context: ReportContext) -> SectionContent:
    """Cards of test examples, by predictions at the largest size that all learners have; samples as text."""
    if context.workdir is None:
        return SectionContent()
    trial_ids = {row.trial_id for row in context.records}
    samples = sample_sentences(sample for sample in read_samples(context.workdir.path) if sample.trial_id in trial_ids)
    cards = _hard_example_cards(context)
    blocks = (*cards, *((Sentences(tuple(samples), heading="Generated samples"),) if samples else ()))
    note = (
        "From the test set. Hardest: the greatest loss, mean over learners and seeds. A label looks wrong where the "
        "mean prediction of all learners gives another class a probability above one half; check the example."
    )
    page = PageSection("examples", "Examples", blocks, note=note if cards else "") if blocks else None
    return SectionContent({"Generated samples": samples}, page=page)


def sample_sentences(samples: Iterable[Sample]) -> list[str]:
    """A line for each learner and size, of its first seed; line breaks as ⏎."""
    first: dict[tuple[str, int], Sample] = {}
    for sample in sorted(samples, key=lambda sample: (sample.learner, sample.train_size, sample.seed)):
        first.setdefault((sample.learner, sample.train_size), sample)
    return [f"{name}, n={size:,}: {_printable(sample.text)}" for (name, size), sample in first.items()]


def _printable(text: str) -> str:
    letters = (letter if letter.isprintable() or letter == "\n" else "·" for letter in text[:MOST_CHARACTERS])
    return "".join(letters).replace("\n", "⏎")


def _hard_example_cards(context: ReportContext) -> list[Cards]:
    test, trials = context.test_set, context.trials
    shared = set.intersection(*(set(by_size) for by_size in trials.values())) if trials else set()
    if test is None or context.workdir is None or not shared:
        return []
    size, folder = max(shared), context.workdir.path
    saved = {name: predictions(folder, by_size[size], len(test.y)) for name, by_size in trials.items()}
    saved = {name: seeds for name, seeds in saved.items() if seeds}
    if not saved:
        return []
    unit = next((row.unit for row in context.records if (row.split, row.metric) == ("test", "loss")), "")
    suspicious = suspicious_labels(saved, test.y) if test.has_classes else []
    return [
        *([_cards("Labels that look wrong", suspicious, test, unit)] if suspicious else []),
        _cards(f"Hardest examples, with {size:,} training examples", hardest_examples(saved, test.y), test, unit),
    ]


def _cards(heading: str, examples: Sequence[HardExample], test: TestSet, loss_unit: str) -> Cards:
    return Cards(heading, tuple(_card(example, test, loss_unit) for example in examples))


def _card(example: HardExample, test: TestSet, loss_unit: str) -> Card:
    row, label = example.row, example.label
    lines = [f"test example {row:,}"]
    alt = f"test example {row}"
    if label is not None:
        names = test.class_names
        lines.append(f"label: {names[label]}")
        alt += f", labelled {names[label]}"
        for learner, (predicted, p_predicted, p_label) in list(example.predicted.items())[:MOST_LEARNERS]:
            of_label = "" if predicted == label else f", label {percent(round(p_label, 2))}"
            lines.append(f"{learner} predicts {names[predicted]} ({percent(round(p_predicted, 2))}{of_label})")
    lines.append(f"mean loss {example.loss:.3g} {loss_unit}".strip())
    return Card(
        (*lines, *values(test, row)), image=picture(test, row), alt=alt, audio=sound(test, row), text=text(test, row)
    )
