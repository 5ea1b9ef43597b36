"""Texts that language models wrote, kept in the workdir beside the numbers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

FILE = "samples.jsonl"


@dataclasses.dataclass(frozen=True)
class Sample:
    """A text that a trial's model wrote at its end."""

    trial_id: str
    learner: str
    train_size: int
    seed: int
    text: str


def append(workdir: Path, sample: Sample) -> None:
    """Add a text. One that is lost in a crash is not drawn again: it is there to be looked at, no number."""
    with open(workdir / FILE, "a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(sample)) + "\n")


def read(workdir: Path) -> list[Sample]:
    """All texts, of each trial the last; what cannot be read is passed over."""
    found: dict[str, Sample] = {}
    path = workdir / FILE
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            sample = Sample(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[sample.trial_id] = sample
    return list(found.values())
