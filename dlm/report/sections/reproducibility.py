"""All that is needed to have the same numbers again: command, study, versions, data, subsets, devices."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dlm.report.html.elements import Listing, Section
from dlm.report.tables import Table
from dlm.storage.record_log import Record, ends

MOST_SUBSETS = 300


def reproduce_section(about: Mapping[str, Any], records: Iterable[Record]) -> Section:
    """`about`: what study.json says; empty where there is none."""
    finished = list(ends(records).values())
    blocks: list[Any] = []
    if about.get("command"):
        blocks.append(Listing("Command", str(about["command"])))
    blocks.append(Table("What the numbers are of", ("what", "value"), tuple(_facts(about, finished)), text_columns=2))
    if about.get("study"):
        blocks.append(Listing("The study, as it was resolved", json.dumps(about["study"], indent=1)))
    subsets = sorted({(row.train_size, row.subset_seed, row.subset_hash) for row in finished})
    if subsets:
        more = f"; the first {MOST_SUBSETS} of {len(subsets):,}" if len(subsets) > MOST_SUBSETS else ""
        rows = tuple((f"{size:,}", str(seed), name) for size, seed, name in subsets[:MOST_SUBSETS])
        blocks.append(
            Table(f"Subsets{more}", ("examples", "seed", "hash of the subset's content"), rows, text_columns=3)
        )
    return Section("reproduce", "To have the same numbers again", tuple(blocks))


def _facts(about: Mapping[str, Any], finished: list[Record]) -> Iterator[tuple[str, str]]:
    for name, value in about.get("versions", {}).items():
        yield f"version of {name}", str(value)
    for field, called in (
        ("data", "data, with the hash of their content"),
        ("device", "device"),
        ("packing", "packing"),
    ):
        for value in sorted({str(getattr(row, field)) for row in finished} - {"none", ""}):
            yield called, value
    for key, made in about.get("provenance", {}).items():
        told = made.get("program") or made.get("code")
        if told:
            yield f"hash of what {made.get('learner', key)} computes", str(told)
