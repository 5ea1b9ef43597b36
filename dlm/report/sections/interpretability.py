"""Inside networks: what each layer has learnt against n, how alike networks are, maps of what counts, first filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dlm.analysis.interpretability.results import FOLDER, Inside, Similarity, read
from dlm.report.formatting import error_number, error_text, is_rate, unit_text
from dlm.report.html.elements import (
    Card,
    Cards,
    Chart,
    Choice,
    Marked,
    PageSection,
    Sentences,
    error_axis,
    size_axis,
)
from dlm.report.html.media import png, signed_png
from dlm.report.sections.base import ReportContext, SectionContent
from dlm.report.tables import Table
from dlm.report.terminal import print_list, print_table, say

METHODS = {"integrated_gradients": "integrated gradients", "smooth_grad": "SmoothGrad", "occlusion": "occlusion"}
MAX_TERMINAL_COLUMNS = 5  # that are named
DEPENDS, SAME = 0.3, 0.6  # rank correlations with untrained weights, below and above which a map is judged


def print_inside(inside: Inside, workdir: Path, console: Console) -> None:
    """Prints what each layer has learnt, how alike the networks are, and what the maps are worth."""
    console.print()
    say(console, f"Inside {inside.learner}, n={inside.train_size:,}, seed {inside.seed}", style="bold")
    for sentence in lead(inside):
        say(console, sentence)
    print_table(console, probe_table(inside))
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


def probe_table(inside: Inside) -> Table:
    """Sizes x layers: the test error of a linear probe of each layer, and of the network itself."""
    rows = []
    for own in inside.own:
        probes = [inside.probe(layer, own.train_size) for layer in inside.layers]
        errors = [error_number(probe.error, inside.unit) if probe else "–" for probe in probes]
        rows.append((f"{own.train_size:,}", *errors, error_number(own.error, inside.unit)))
    title = f"Test {inside.unit}{' in %' if is_rate(inside.unit) else ''} of a linear probe of each layer"
    return Table(title, ("examples", *inside.layers, "network"), tuple(rows), text_columns=0)


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
        train_sizes = ", ".join(f"{size:,}" for size in inside.missing)
        lines.append(f"No parameters are kept of n={train_sizes}: not trained yet, or beyond --keep_mib.")
    return lines


def similarity_sentences(inside: Inside) -> list[str]:
    """How alike networks of other sizes and other seeds are, layer by layer."""
    return [line for each in inside.similarities if len(each.values) > 1 for line in _similar(inside, each)]


def _similar(inside: Inside, similarity: Similarity) -> Iterator[str]:
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
    first = np.argsort(-values, kind="stable")[:MAX_TERMINAL_COLUMNS]
    names = inside.feature_names
    return ", ".join(f"{names[at] if names else f'column {at + 1}'} {values[at]:.2g}" for at in first)


def _judged(control: float) -> str:
    if control >= SAME:
        return "where it is strong says more of the input than of what was learnt."
    if control > DEPENDS:
        return "it depends in part on what was learnt."
    return "it depends on what was learnt."


MOST_FILTERS, MOST_COLUMNS, MOST_TOKENS = 32, 12, 240


def interpretability_section(context: ReportContext) -> SectionContent:
    """The surveyed trials; empty where none was surveyed."""
    return survey_content(read(context.workdir.path) if context.workdir else [])


def survey_content(found: Sequence[Inside]) -> SectionContent:
    """A choice of the surveyed trials."""
    if not found:
        return SectionContent()
    options = tuple((f"{one.learner}, n={one.train_size:,}, seed {one.seed}", tuple(_blocks(one))) for one in found)
    page = PageSection("interpretability", "Interpretability", (Choice("interpretability-of", "Trial", options),))
    return SectionContent(page=page)


def _blocks(one: Inside) -> Iterator[Any]:
    yield Sentences(tuple(lead(one)))
    yield _probe_chart(one)
    yield Sentences(tuple(probe_notes(one)))
    yield from _similarities(one)
    yield Sentences(tuple(map_sentences(one)), heading="What counted for each example")
    if one.kind == "image":
        yield from _image_maps(one)
        yield from _filters(one)
    elif one.kind == "text":
        yield from _text_maps(one)
    else:
        yield Sentences(tuple(column_sentences(one)))
        yield _column_table(one)


def _probe_chart(one: Inside) -> Chart:
    train_sizes = [own.train_size for own in one.own]
    traces: list[dict[str, Any]] = [
        {
            "x": [size for size in train_sizes if one.probe(layer, size)],
            "y": [probe.error for size in train_sizes if (probe := one.probe(layer, size))],
            "name": layer,
            "hovertemplate": f"{layer}<br>n=%{{x:,}}<br>%{{y}}<extra></extra>",
            "mode": "lines+markers",
            "showlegend": True,
            "meta": {"colour": place, "role": "line"},
        }
        for place, layer in enumerate(one.layers)
    ]
    own: dict[str, Any] = {
        "x": train_sizes,
        "y": [each.error for each in one.own],
        "name": "the network itself",
        "hovertemplate": "the network itself<br>n=%{x:,}<br>%{y}<extra></extra>",
        "mode": "lines+markers",
        "line": {"dash": "dash"},
        "showlegend": True,
        "meta": {"colour": len(one.layers), "role": "line"},
    }
    positive = all(min(trace["y"]) > 0 for trace in (*traces, own))
    return Chart(
        f"probes-{one.trial_id}",
        "What each layer has learnt: test error of a linear reader of it",
        " ".join(lead(one)),
        (*traces, own),
        {
            "xaxis": size_axis("training examples of the network"),
            "yaxis": error_axis(one.unit, positive_only=positive),
            "height": 420,
        },
        table=probe_table(one),
        scales="xy",
    )


def _similarities(one: Inside) -> Iterator[Any]:
    shown = [each for each in one.similarities if len(each.values) > 1]
    if not shown:
        return
    yield Sentences(
        tuple(similarity_sentences(one)), heading="How alike networks are (CKA: 1 the same, 0 nothing in common)"
    )
    for each in shown:
        options = tuple((layer, (_alike(each, place),)) for place, layer in enumerate(each.layers))
        yield Choice(f"cka-{one.trial_id}-{each.of}", "Layer", options, each.layers[-1])


def _alike(each: Similarity, place: int) -> Table:
    names = tuple(f"n={value:,}" if each.of == "train_size" else f"seed {value}" for value in each.values)
    values = each.cka[place]
    rows = tuple((name, *(f"{value:.2f}" for value in row)) for name, row in zip(names, values, strict=True))
    shades = tuple((None, *(float(np.clip(value, 0, 1)) for value in row)) for row in values)
    of = "sizes, same seed" if each.of == "train_size" else "seeds, same size"
    return Table(f"{each.layers[place]}, between {of}", ("CKA", *names), rows, shades=shades)


def _image_maps(one: Inside) -> Iterator[Cards]:
    cards = []
    for k, row in enumerate(one.rows):
        cards.append(Card((f"test example {row}", *_told(one, k)), png(_flat(one.examples[k])), f"test example {row}"))
        for method, values in one.maps.items():
            name = METHODS.get(method, method)
            card = signed_png(values[k]) if values.min() < 0 else png(_flat(values[k]))
            cards.append(Card((name,), card, f"{name} of test example {row}"))
    yield Cards("Maps (blue speaks for the class that was said, red against it)", tuple(cards), 1 + len(one.maps))


def _told(one: Inside, k: int) -> list[str]:
    if np.ndim(one.targets[k]) or one.targets.dtype.kind not in "iu":
        return []
    label, said_class = (int(each[k]) for each in (one.targets, one.predicted))
    names = one.class_names
    return [f"label {names[label]}, said {names[said_class]}" if names else f"label {label}, said {said_class}"]


def _flat(values: np.ndarray) -> np.ndarray:
    return values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values


def _filters(one: Inside) -> Iterator[Cards]:
    if one.filters is None or one.filters.ndim < 3:
        return
    order = np.argsort(-np.abs(one.filters).reshape(len(one.filters), -1).max(axis=1), kind="stable")[:MOST_FILTERS]
    cards = tuple(Card((f"filter {k}",), signed_png(_flat(one.filters[k])), f"filter {k}") for k in order)
    yield Cards("Filters of the first layer, the strongest first", cards)


def _text_maps(one: Inside) -> Iterator[Marked]:
    for k, row in enumerate(one.rows):
        text = np.asarray(one.examples[k], np.uint8).tobytes().rstrip(b"\x00").decode("latin-1")[:MOST_TOKENS]
        for method, values in one.maps.items():
            weights = np.asarray(values[k], float)[: len(text)]
            most = float(np.abs(weights).max()) or 1.0
            pieces = tuple((letter, round(float(w) / most, 2)) for letter, w in zip(text, weights, strict=False))
            heading = f"Test example {row}, {METHODS.get(method, method)}"
            yield Marked("; ".join([heading, *_told(one, k)]), pieces)


def _column_table(one: Inside) -> Table:
    weights = one.column_weights
    occluded = np.abs(one.maps["occlusion"]).mean(axis=0)
    gradients = np.abs(one.maps["integrated_gradients"]).mean(axis=0)
    names = one.feature_names or tuple(f"column {k + 1}" for k in range(len(occluded)))
    rows = tuple(
        (
            names[k],
            f"{occluded[k]:.3g}",
            f"{gradients[k]:.3g}",
            "–" if weights is None else f"{weights[k]:.3g}",
        )
        for k in np.argsort(-occluded, kind="stable")[:MOST_COLUMNS]
    )
    caption = f"The columns that count most; means of absolute values over {len(one.rows)} test examples"
    return Table(
        caption, ("column", "lost without it (occlusion)", "integrated gradients", "weight in the first layer"), rows
    )
