"""What language models wrote at each size."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dlm.samples import Sample

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
