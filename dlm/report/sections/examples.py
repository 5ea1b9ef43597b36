"""Examples: hard test examples, labels that look wrong, and generated samples."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np

from dlm.analysis.predictions import (
    MOST_EXAMPLES,
    HardExample,
    TestSet,
    hardest_examples,
    predictions,
    suspicious_labels,
)
from dlm.report.formatting import percent
from dlm.report.html.elements import Card, Cards, Sentences
from dlm.report.html.page import png
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.storage.artifacts import Sample, read_samples
from dlm.study.names import LOSS, TEST

MOST_SAMPLE_CHARACTERS = 100
MOST_CHARACTERS, MOST_VALUES = 240, 6  # of a text, and of a table's row
MOST_LEARNERS = 4  # whose predictions a card lists


def examples_section(context: ReportContext) -> SectionContent:
    """Cards of test examples, by predictions at the largest size that all learners have; samples as text."""
    if context.workdir is None:
        return SectionContent()
    trial_ids = {row.trial_id for row in context.records}
    samples = sample_sentences(sample for sample in read_samples(context.workdir.path) if sample.trial_id in trial_ids)
    cards = _hard_example_cards(context)
    blocks, sentences = (*cards, Sentences(samples, "Generated samples")), {"Generated samples": samples}
    note = (
        "From the test set. Hardest: the greatest loss, mean over learners and seeds. A label looks wrong where the "
        "mean prediction of all learners gives another class a probability above one half; check the example."
    )
    return section_content("examples", "Examples", blocks, note=note if cards else "", sentences=sentences)


def sample_sentences(samples: Iterable[Sample]) -> list[str]:
    """A line for each learner and size, of its first seed; line breaks as ⏎."""
    first: dict[tuple[str, int], Sample] = {}
    for sample in sorted(samples, key=lambda sample: (sample.learner, sample.train_size, sample.seed)):
        first.setdefault((sample.learner, sample.train_size), sample)
    return [f"{name}, n={size:,}: {_printable(sample.text)}" for (name, size), sample in first.items()]


def _printable(text: str) -> str:
    letters = (letter if letter.isprintable() or letter == "\n" else "·" for letter in text[:MOST_SAMPLE_CHARACTERS])
    return "".join(letters).replace("\n", "⏎")


def _hard_example_cards(context: ReportContext) -> list[Cards]:
    trials = context.trials
    shared = set.intersection(*(set(by_size) for by_size in trials.values())) if trials else set()
    if context.workdir is None or not shared:
        return []
    size, folder = max(shared), context.workdir.path
    suspicious, hardest = [], []
    for test in context.test_sets:
        saved = {name: predictions(folder, by_size[size], test) for name, by_size in trials.items()}
        if saved := {name: seeds for name, seeds in saved.items() if seeds}:
            suspicious += [(each, test) for each in (suspicious_labels(saved, test.y) if test.has_classes else [])]
            hardest += [(each, test) for each in hardest_examples(saved, test.y)]
    unit = next((row.unit for row in context.records if (row.split, row.metric) == (TEST, LOSS)), "")
    headings = {"Labels that look wrong": suspicious, f"Hardest examples, with {size:,} training examples": hardest}
    several = len(context.test_sets) > 1
    cards = []
    for heading, examples in headings.items():
        first = sorted(examples, key=lambda pair: -pair[0].rank)[:MOST_EXAMPLES]
        if first:
            cards.append(Cards(heading, [_card(each, test, unit, several) for each, test in first]))
    return cards


def _card(example: HardExample, test: TestSet, loss_unit: str, name_hold_out: bool = False) -> Card:
    row, label = example.row, example.label
    where = f" of hold-out {test.hold_out}" if name_hold_out else ""
    lines = [f"test example {row:,}{where}"]
    alt = f"test example {row}{where}"
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


def picture(test: TestSet, row: int) -> str:
    """The example as a PNG data URI if it is an image or a spectrogram; empty otherwise."""
    if test.x is None or test.has_tokens:
        return ""
    x = np.asarray(test.x[row])
    if x.ndim == 3 and x.shape[2] == 1:
        x = x[..., 0]
    is_picture = (x.ndim == 2 and min(x.shape) >= 4) or (x.ndim == 3 and x.shape[2] == 3)
    if x.ndim == 2 and x.dtype != np.uint8:
        x = x.T[::-1]  # a spectrogram [time, band]: low frequencies at the bottom, time to the right
    return png(x) if is_picture else ""


def sound(test: TestSet, row: int) -> str:
    """The example as a WAV data URI; empty where the test set has no sounds."""
    if "sounds" not in test.content:
        return ""
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(test.content["rate"]))
        file.writeframes(np.trim_zeros(test.content["sounds"][row], "b").astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()


def text(test: TestSet, row: int) -> str:
    """The beginning of a text, or the last of other tokens; empty for other inputs."""
    if test.x is None or not test.has_tokens:
        return ""
    if not test.has_bytes:
        return "tokens " + " ".join(str(token) for token in np.asarray(test.x[row]).ravel()[-MOST_VALUES:])
    words = np.asarray(test.x[row], np.uint8).tobytes().rstrip(b"\x00").decode(errors="replace")
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 1] + "…"


def values(test: TestSet, row: int) -> list[str]:
    """The values of a table's row that are farthest from the mean, in standard deviations, by column name."""
    if test.x is None or test.has_tokens or np.asarray(test.x).ndim != 2:
        return []
    own, (mean, spread) = np.asarray(test.x[row], float), test.feature_stats
    far = np.abs(own - mean) / np.where(spread > 0, spread, np.inf)
    names = test.feature_names or tuple(f"column {k}" for k in range(len(own)))
    order = np.argsort(-np.nan_to_num(far), kind="stable")[:MOST_VALUES]
    return [f"{names[k]}: {own[k]:.4g}" for k in order]
