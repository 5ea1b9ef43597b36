"""What was found inside a network, in words and tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dlm.inside.results import FOLDER, Inside, Similarity
from dlm.report.phrases import error_number, error_text, unit_text
from dlm.report.terminal import print_list, say, section, tables

METHODS = {"integrated_gradients": "integrated gradients", "smooth_grad": "SmoothGrad", "occlusion": "occlusion"}
MOST_COLUMNS = 5  # that are named
DEPENDS, SAME = 0.3, 0.6  # rank correlations with untrained weights, below and above which a map is judged


def print_inside(inside: Inside, workdir: Path, console: Console) -> None:
    """Prints what each layer has learnt, how alike the networks are, and what the maps are worth."""
    console.print()
    say(console, f"Inside {inside.learner}, n={inside.train_size:,}, seed {inside.seed}", style="bold")
    for sentence in lead(inside):
        say(console, sentence)
    unit = f"{inside.unit} in %" if unit_text(inside.unit) == "%" else inside.unit
    section(console, f"Test {unit} of a linear reader of each layer, seed {inside.seed}", _probes(inside, console))
    print_list(console, "How to read it", probe_notes(inside))
    print_list(
        console, "How alike the networks are (CKA: 1 the same, 0 nothing in common)", similarity_sentences(inside)
    )
    print_list(console, "What the maps are worth", map_sentences(inside))
    print_list(console, "What the columns count for", column_sentences(inside))
    path = workdir / FOLDER / f"{inside.trial_id}.json"
    console.print()
    say(console, f"Written: {path}, .npz; {inside.seconds:.0f} s")


def lead(inside: Inside) -> list[str]:
    """What the layers of the network itself tell a linear reader."""
    sign = " %" if unit_text(inside.unit) == "%" else ""
    told = [
        f"{error_number(probe.error, inside.unit)}{sign} at {_named(probe.layer)}"
        for probe in inside.probes
        if probe.train_size == inside.train_size
    ]
    own = next(each.error for each in inside.own if each.train_size == inside.train_size)
    return [
        f"{inside.learner}, n={inside.train_size:,}: the test error of a linear reader is {', '.join(told)}; that of "
        f"the network itself is {error_text(own, inside.unit)}."
    ]


def _named(layer: str) -> str:
    return f"the {layer}" if layer in ("input", "stem", "embedding", "patches", "last hidden") else layer


def _probes(inside: Inside, console: Console) -> Iterator[Table]:
    columns = []
    for layer in inside.layers:
        found = [inside.probe(layer, own.train_size) for own in inside.own]
        columns.append((layer, [Text(error_number(each.error, inside.unit) if each else "–") for each in found]))
    columns.append(("the network itself", [Text(error_number(own.error, inside.unit)) for own in inside.own]))
    return tables(console, "examples", [f"{own.train_size:,}" for own in inside.own], columns)


def probe_notes(inside: Inside) -> list[str]:
    """What the probes' errors are of."""
    seen = [f"{100 * own.seen:.0f} % at n={own.train_size:,}" for own in inside.own if own.seen > 0]
    lines = [
        f"The reader learns from the same {inside.num_probe:,} examples at every n, and is tested on "
        f"{inside.num_test:,}; the network's own output layer had n, so at small n its layers may look better than it."
    ]
    if seen:
        lines.append(f"Of those {inside.num_probe:,} the network itself has learnt from {', '.join(seen)}.")
    if inside.missing:
        sizes = ", ".join(f"{size:,}" for size in inside.missing)
        lines.append(f"No parameters are kept of n={sizes}: not trained yet, or beyond --keep_mib.")
    return lines


def similarity_sentences(inside: Inside) -> list[str]:
    """How alike networks of other sizes and other seeds are, layer by layer."""
    return [line for each in inside.similarities if len(each.values) > 1 for line in _alike(inside, each)]


def _alike(inside: Inside, similarity: Similarity) -> Iterator[str]:
    if similarity.of == "train_size":
        own = similarity.values.index(inside.train_size)
        other = 0 if own else len(similarity.values) - 1
        pair = f"n={similarity.values[other]:,} and n={inside.train_size:,}"
        values = similarity.cka[:, own, other]
    else:
        pair = f"{len(similarity.values)} seeds at n={inside.train_size:,}, the mean of pairs"
        count = len(similarity.values)
        values = (similarity.cka.sum(axis=(1, 2)) - count) / (count * (count - 1))
    layers = ", ".join(f"{layer} {value:.2f}" for layer, value in zip(similarity.layers, values))
    chance = max((abs(value) for value in similarity.control), default=0.0)
    yield f"{pair}: {layers}; with the examples shuffled {chance:.2f} at most."


def map_sentences(inside: Inside) -> list[str]:
    """Whether the maps depend on what was learnt."""
    lines = []
    for each in inside.attributions:
        line = METHODS.get(each.method, each.method)
        line = f"{line[:1].upper()}{line[1:]}: "
        if each.control is None:
            lines.append(f"{line}too few places to compare.")
            continue
        line += f"rank correlation with the maps of untrained weights {each.control:.2f}"
        if each.signed_control is not None and abs(each.signed_control - each.control) >= 0.005:
            line += f" in size, {each.signed_control:.2f} with sign"
        line += f"; {_judged(each.control)}"
        if each.completeness is not None:
            line += f" Sums differ from the outputs they should add up to by {100 * each.completeness:.2g} % at most."
        lines.append(line)
    return lines


def column_sentences(inside: Inside) -> list[str]:
    """Of a table, the columns that the first layer weighs most, and those that outputs rest on."""
    if inside.column_weights is None:
        return []
    occluded = np.abs(inside.maps["occlusion"]).mean(axis=0)
    return [
        f"Weight in the first layer: {_heaviest(inside, inside.column_weights)}.",
        f"What is lost without it (occlusion, mean of {len(inside.rows)} examples): {_heaviest(inside, occluded)}.",
    ]


def _heaviest(inside: Inside, values: np.ndarray) -> str:
    first = np.argsort(-values, kind="stable")[:MOST_COLUMNS]
    names = inside.feature_names
    return ", ".join(f"{names[at] if names else f'column {at + 1}'} {values[at]:.2g}" for at in first)


def _judged(control: float) -> str:
    if control >= SAME:
        return "where it is strong says more of the input than of what was learnt."
    if control > DEPENDS:
        return "it depends in part on what was learnt."
    return "it depends on what was learnt."
