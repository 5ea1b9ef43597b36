"""Inside networks: what each layer has learnt against n, how alike networks are, maps of what counts, first filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dlm.inside.results import Inside, Similarity
from dlm.report import inside as said
from dlm.report.page.axes import error_axis, size_axis
from dlm.report.page.parts import Card, Cards, Chart, Choice, Marked, Section, Sentences, Table
from dlm.report.phrases import error_number, is_rate
from dlm.report.shown import png, signed_png

MOST_FILTERS, MOST_COLUMNS, MOST_TOKENS = 32, 12, 240


def inside_section(found: Sequence[Inside]) -> Section | None:
    """A choice of the trials that were looked into; None where none was."""
    if not found:
        return None
    options = tuple((f"{one.learner}, n={one.train_size:,}, seed {one.seed}", tuple(_blocks(one))) for one in found)
    return Section("inside", "Inside the network", (Choice("inside-of", "Trial", options),))


def _blocks(one: Inside) -> Iterator[Any]:
    yield Sentences(tuple(said.lead(one)))
    yield _probe_chart(one)
    yield Sentences(tuple(said.probe_notes(one)))
    yield from _similarities(one)
    yield Sentences(tuple(said.map_sentences(one)), heading="What counted for each example")
    if one.kind == "image":
        yield from _image_maps(one)
        yield from _filters(one)
    elif one.kind == "text":
        yield from _text_maps(one)
    else:
        yield Sentences(tuple(said.column_sentences(one)))
        yield _column_table(one)


def _probe_chart(one: Inside) -> Chart:
    sizes = [own.train_size for own in one.own]
    traces: list[dict[str, Any]] = [
        {
            "x": [size for size in sizes if one.probe(layer, size)],
            "y": [probe.error for size in sizes if (probe := one.probe(layer, size))],
            "name": layer,
            "hovertemplate": f"{layer}<br>n=%{{x:,}}<br>%{{y}}<extra></extra>",
            "mode": "lines+markers",
            "showlegend": True,
            "meta": {"colour": place, "role": "line"},
        }
        for place, layer in enumerate(one.layers)
    ]
    own: dict[str, Any] = {
        "x": sizes,
        "y": [each.error for each in one.own],
        "name": "the network itself",
        "hovertemplate": "the network itself<br>n=%{x:,}<br>%{y}<extra></extra>",
        "mode": "lines+markers",
        "line": {"dash": "dash"},
        "showlegend": True,
        "meta": {"colour": len(one.layers), "role": "line"},
    }
    positive = all(min(trace["y"]) > 0 for trace in (*traces, own))
    in_percent = " in %" if is_rate(one.unit) else ""
    cells = [[one.probe(layer, size) for layer in one.layers] for size in sizes]
    rows = [
        (
            f"{size:,}",
            *(error_number(probe.error, one.unit) if probe else "–" for probe in row),
            error_number(each.error, one.unit),
        )
        for size, row, each in zip(sizes, cells, one.own, strict=True)
    ]
    return Chart(
        f"probes-{one.trial_id}",
        "What each layer has learnt: test error of a linear reader of it",
        " ".join(said.lead(one)),
        (*traces, own),
        {
            "xaxis": size_axis("training examples of the network"),
            "yaxis": error_axis(one.unit, positive_only=positive),
            "height": 420,
        },
        table=Table(("examples", *one.layers, "the network itself"), tuple(rows), f"Test {one.unit}{in_percent}"),
        scales="xy",
    )


def _similarities(one: Inside) -> Iterator[Any]:
    shown = [each for each in one.similarities if len(each.values) > 1]
    if not shown:
        return
    yield Sentences(
        tuple(said.similarity_sentences(one)), heading="How alike networks are (CKA: 1 the same, 0 nothing in common)"
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
    return Table(("CKA", *names), rows, f"{each.layers[place]}, between {of}", shades)


def _image_maps(one: Inside) -> Iterator[Cards]:
    cards = []
    for k, row in enumerate(one.rows):
        cards.append(Card((f"test example {row}", *_told(one, k)), png(_flat(one.examples[k])), f"test example {row}"))
        for method, values in one.maps.items():
            name = said.METHODS.get(method, method)
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
            heading = f"Test example {row}, {said.METHODS.get(method, method)}"
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
        ("column", "lost without it (occlusion)", "integrated gradients", "weight in the first layer"), rows, caption
    )
