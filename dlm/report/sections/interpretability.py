"""Interpretability of trained networks: linear probes of layers, similarity, attribution maps, first-layer filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dlm.analysis.interpretability.results import FOLDER, NetworkAnalysis, Similarity, read_analyses
from dlm.report.formatting import error_number, error_text, is_rate
from dlm.report.html.elements import (
    Card,
    Cards,
    Chart,
    Choice,
    Marked,
    Sentences,
    error_axis,
    plotly_text,
    size_axis,
    trace,
)
from dlm.report.html.page import png, signed_png
from dlm.report.sections.base import ReportContext, SectionContent, section_content
from dlm.report.tables import ABSENT, Table
from dlm.report.terminal import print_list, print_table, say

SIMILARITY = "Similarity of networks (CKA: 1 equal up to rotation and scale, 0 independent)"
METHODS = {"integrated_gradients": "integrated gradients", "smooth_grad": "SmoothGrad", "occlusion": "occlusion"}
MOST_NAMED_COLUMNS = 5
# Rank correlations with the maps of untrained networks, below and above which a map passes and fails.
PASSES, FAILS = 0.3, 0.6


def print_analysis(analysis: NetworkAnalysis, folder: Path, console: Console) -> None:
    """Prints probe errors, similarities of networks, and sanity checks of the attribution maps."""
    console.print()
    say(console, f"Interpretability of {_trial(analysis)}", style="bold")
    for sentence in probe_sentences(analysis):
        say(console, sentence)
    print_table(console, probe_table(analysis))
    print_list(console, "Notes on the probes", probe_notes(analysis))
    print_list(console, SIMILARITY, similarity_sentences(analysis))
    print_list(console, "Sanity checks of the attribution maps", map_sentences(analysis))
    print_list(console, "Importance of the columns", column_sentences(analysis))
    console.print()
    say(console, f"Written: {folder / FOLDER / analysis.trial_id}.json; {analysis.seconds:.0f} s")


def _trial(analysis: NetworkAnalysis) -> str:
    return f"{analysis.learner}, n={analysis.train_size:,}, seed {analysis.seed}"


def probe_sentences(analysis: NetworkAnalysis) -> list[str]:
    """The test errors of linear probes of the trial's network, and its own."""
    sign = " %" if is_rate(analysis.unit) else ""
    probes = [probe for probe in analysis.probes if probe.train_size == analysis.train_size]
    errors = [f"{error_number(probe.error, analysis.unit)}{sign} at {_named(probe.layer)}" for probe in probes]
    own = next(each.error for each in analysis.networks if each.train_size == analysis.train_size)
    return [
        f"{analysis.learner}, n={analysis.train_size:,}: the test error of a linear probe is {', '.join(errors)}; that "
        f"of the network is {error_text(own, analysis.unit)}."
    ]


def _named(layer: str) -> str:
    return f"the {layer}" if layer in ("input", "stem", "embedding", "patches", "last hidden") else layer


def probe_table(analysis: NetworkAnalysis) -> Table:
    """Sizes x layers: the test error of a linear probe of each layer, and of the network itself."""
    rows = []
    for own in analysis.networks:
        probes = [analysis.probe(layer, own.train_size) for layer in analysis.layers]
        errors = [error_number(probe.error, analysis.unit) if probe else ABSENT for probe in probes]
        rows.append((f"{own.train_size:,}", *errors, error_number(own.error, analysis.unit)))
    title = f"Test {analysis.unit}{' in %' if is_rate(analysis.unit) else ''} of a linear probe of each layer"
    return Table(title, ("examples", *analysis.layers, "network"), tuple(rows), text_columns=0)


def probe_notes(analysis: NetworkAnalysis) -> list[str]:
    """What limits the comparison of the probes."""
    seen = [own for own in analysis.networks if own.share_trained_on > 0]
    lines = [
        f"A probe is trained on the same {analysis.num_probe:,} examples at every n and tested on "
        f"{analysis.num_test:,}; the network's own output layer had n, so at small n the probes may be better than the "
        "network."
    ]
    if seen:
        shares = ", ".join(f"{100 * own.share_trained_on:.0f} % at n={own.train_size:,}" for own in seen)
        lines.append(f"The network was trained on {shares} of those {analysis.num_probe:,} examples.")
    if analysis.missing:
        train_sizes = ", ".join(f"{size:,}" for size in analysis.missing)
        lines.append(f"No parameters are saved for n={train_sizes}: not trained yet, or over the limit of --keep_mib.")
    return lines


def similarity_sentences(analysis: NetworkAnalysis) -> list[str]:
    """CKA between networks of other sizes and other seeds, by layer."""
    return [_similar(analysis, each) for each in analysis.similarities if len(each.values) > 1]


def _similar(analysis: NetworkAnalysis, similarity: Similarity) -> str:
    if similarity.of == "train_size":
        own = similarity.values.index(analysis.train_size)
        other = 0 if own else len(similarity.values) - 1
        pair = f"n={similarity.values[other]:,} and n={analysis.train_size:,}"
        values = similarity.cka[:, own, other]
    else:
        pair = f"{len(similarity.values)} seeds at n={analysis.train_size:,}, mean over pairs"
        count = len(similarity.values)
        values = (similarity.cka.sum(axis=(1, 2)) - count) / (count * (count - 1))
    layers = ", ".join(f"{layer} {value:.2f}" for layer, value in zip(similarity.layers, values))
    chance = max((abs(value) for value in similarity.control if value is not None), default=0.0)
    return f"{pair}: {layers}; at most {chance:.2f} with shuffled examples."


def map_sentences(analysis: NetworkAnalysis) -> list[str]:
    """Whether the maps depend on the learned weights."""
    lines = []
    for each in analysis.attributions:
        line = METHODS.get(each.method, each.method)
        line = f"{line[:1].upper()}{line[1:]}: "
        if each.control is None:
            lines.append(f"{line}too few positions to compare.")
            continue
        line += f"rank correlation with the maps of untrained networks {each.control:.2f}"
        if each.signed_control is not None and abs(each.signed_control - each.control) >= 0.005:
            line += f" of absolute values, {each.signed_control:.2f} of signed values"
        line += f"; {_verdict(each.control)}"
        if each.completeness is not None:
            line += f" Sums differ from the difference of outputs by at most {100 * each.completeness:.2g} %."
        lines.append(line)
    return lines


def column_sentences(analysis: NetworkAnalysis) -> list[str]:
    """The columns of a table with the largest first-layer weights, and those with the largest effect on outputs."""
    if analysis.column_weights is None:
        return []
    occluded = np.abs(analysis.maps["occlusion"]).mean(axis=0)
    weights, effects = (
        ", ".join(f"{name} {values[k]:.2g}" for k, name in _largest(analysis, values, MOST_NAMED_COLUMNS))
        for values in (analysis.column_weights, occluded)
    )
    return [
        f"RMS weight in the first layer: {weights}.",
        f"Effect of occlusion, mean over {len(analysis.rows)} examples: {effects}.",
    ]


def _largest(analysis: NetworkAnalysis, values: np.ndarray, most: int) -> list[tuple[int, str]]:
    """Indices and names of the columns with the largest values."""
    names = analysis.feature_names or [f"column {k + 1}" for k in range(len(values))]
    return [(k, names[k]) for k in np.argsort(-values, kind="stable")[:most]]


def _verdict(control: float) -> str:
    if control >= FAILS:
        return "the maps depend more on the input than on the learned weights."
    if control > PASSES:
        return "the maps depend partly on the learned weights."
    return "the maps depend on the learned weights."


MOST_FILTERS, MOST_COLUMNS, MOST_TOKENS = 32, 12, 240


def interpretability_section(context: ReportContext) -> SectionContent:
    """The analysed trials; empty where none was analysed."""
    return analysis_content(read_analyses(context.workdir.path) if context.workdir else [])


def analysis_content(analyses: Sequence[NetworkAnalysis]) -> SectionContent:
    """A choice of the analysed trials."""
    options = tuple((_trial(analysis), tuple(filter(None, _blocks(analysis)))) for analysis in analyses)
    choice = Choice("interpretability-of", "Trial", options) if options else None
    return section_content("interpretability", "Interpretability", [choice])


def _blocks(analysis: NetworkAnalysis) -> Iterator[Any]:
    yield Sentences(probe_sentences(analysis))
    yield _probe_chart(analysis)
    yield Sentences(probe_notes(analysis))
    yield Sentences(similarity_sentences(analysis), SIMILARITY)
    yield from _similarity_tables(analysis)
    yield Sentences(map_sentences(analysis), "Attribution maps")
    if analysis.kind == "image":
        yield from _image_maps(analysis)
        yield from _filters(analysis)
    elif analysis.kind == "text":
        yield from _text_maps(analysis)
    else:
        yield Sentences(column_sentences(analysis))
        yield _column_table(analysis)


def _probe_chart(analysis: NetworkAnalysis) -> Chart:
    train_sizes = [own.train_size for own in analysis.networks]
    errors = {
        layer: {size: probe.error for size in train_sizes if (probe := analysis.probe(layer, size))}
        for layer in analysis.layers
    }
    errors["network"] = {own.train_size: own.error for own in analysis.networks}
    traces = [
        trace(
            list(by_size),
            list(by_size.values()),
            hover=f"{plotly_text(name)}<br>n=%{{x:,}}<br>%{{y}}",
            colour=index,
            legend=name,
            line={"dash": "dash" if name == "network" else "solid"},
        )
        for index, (name, by_size) in enumerate(errors.items())
    ]
    return Chart(
        f"probes-{analysis.trial_id}",
        "Test error of a linear probe of each layer",
        " ".join(probe_sentences(analysis)),
        traces,
        size_axis("training examples of the network"),
        error_axis(analysis.unit, traces),
        probe_table(analysis),
        height=420,
    )


def _similarity_tables(analysis: NetworkAnalysis) -> Iterator[Choice]:
    for each in analysis.similarities:
        if len(each.values) > 1:
            options = tuple((layer, (_similarity_table(each, index),)) for index, layer in enumerate(each.layers))
            yield Choice(f"cka-{analysis.trial_id}-{each.of}", "Layer", options, each.layers[-1])


def _similarity_table(each: Similarity, index: int) -> Table:
    names = tuple(f"n={value:,}" if each.of == "train_size" else f"seed {value}" for value in each.values)
    values = each.cka[index]
    rows = tuple((name, *(f"{value:.2f}" for value in row)) for name, row in zip(names, values, strict=True))
    shades = tuple((None, *(float(np.clip(value, 0, 1)) for value in row)) for row in values)
    of = "sizes, same seed" if each.of == "train_size" else "seeds, same size"
    return Table(f"{each.layers[index]}, between {of}", ("CKA", *names), rows, shades=shades)


def _image_maps(analysis: NetworkAnalysis) -> Iterator[Cards]:
    cards = []
    for k, row in enumerate(analysis.rows):
        example = f"test example {row}"
        cards.append(Card((example, *_prediction_lines(analysis, k)), png(_flat(analysis.examples[k])), example))
        for method, values in analysis.maps.items():
            name = METHODS.get(method, method)
            image = signed_png(values[k]) if values.min() < 0 else png(_flat(values[k]))
            cards.append(Card((name,), image, f"{name} of {example}"))
    heading = "Attribution maps (blue: for the predicted class, red: against it)"
    yield Cards(heading, cards, 1 + len(analysis.maps))


def _prediction_lines(analysis: NetworkAnalysis, k: int) -> list[str]:
    if np.ndim(analysis.targets[k]) or analysis.targets.dtype.kind not in "iu":
        return []
    label, predicted = (int(each[k]) for each in (analysis.targets, analysis.predicted))
    names = analysis.class_names
    return [f"label {names[label]}, predicted {names[predicted]}" if names else f"label {label}, predicted {predicted}"]


def _flat(values: np.ndarray) -> np.ndarray:
    return values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values


def _filters(analysis: NetworkAnalysis) -> Iterator[Cards]:
    if analysis.filters is None or analysis.filters.ndim < 3:
        return
    largest = np.abs(analysis.filters).reshape(len(analysis.filters), -1).max(axis=1)
    order = np.argsort(-largest, kind="stable")[:MOST_FILTERS]
    cards = [Card((f"filter {k}",), signed_png(_flat(analysis.filters[k])), f"filter {k}") for k in order]
    yield Cards("Filters of the first layer, largest first", cards)


def _text_maps(analysis: NetworkAnalysis) -> Iterator[Marked]:
    for k, row in enumerate(analysis.rows):
        text = np.asarray(analysis.examples[k], np.uint8).tobytes().rstrip(b"\x00").decode("latin-1")[:MOST_TOKENS]
        for method, values in analysis.maps.items():
            weights = np.asarray(values[k], float)[: len(text)]
            most = float(np.abs(weights).max()) or 1.0
            pieces = tuple((letter, round(float(w) / most, 2)) for letter, w in zip(text, weights, strict=False))
            heading = f"Test example {row}, {METHODS.get(method, method)}"
            yield Marked("; ".join([heading, *_prediction_lines(analysis, k)]), pieces)


def _column_table(analysis: NetworkAnalysis) -> Table:
    weights = analysis.column_weights
    occluded, gradients = (np.abs(analysis.maps[m]).mean(axis=0) for m in ("occlusion", "integrated_gradients"))
    rows = tuple(
        (name, f"{occluded[k]:.3g}", f"{gradients[k]:.3g}", ABSENT if weights is None else f"{weights[k]:.3g}")
        for k, name in _largest(analysis, occluded, MOST_COLUMNS)
    )
    caption = f"Most important columns, means of absolute values over {len(analysis.rows)} test examples"
    return Table(caption, ("column", "effect of occlusion", "integrated gradients", "weight in the first layer"), rows)
