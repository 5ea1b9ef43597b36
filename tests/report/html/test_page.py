"""Sections that only some workdirs have (interpretability, groups); every chart is valid for Plotly."""

import dataclasses

import numpy as np
import pytest
from small import ROW

from dlm.analysis.fairness.analysis import analyze_groups
from dlm.analysis.interpretability.results import Attribution, NetworkAnalysis, NetworkError, Probe, Similarity
from dlm.report.html.elements import Page, charts
from dlm.report.html.page import page_html, signed_png
from dlm.report.sections.fairness import group_content
from dlm.report.sections.interpretability import analysis_content
from dlm.storage import artifacts, record_log


def analysis(kind, **changes):
    """What a survey of a small network may have found."""
    shape = {"image": (2, 4, 4, 1), "table": (2, 3), "text": (2, 5)}[kind]
    rng = np.random.default_rng(0)
    found = NetworkAnalysis(
        trial_id=f"id-{kind}",
        learner="net",
        train_size=64,
        seed=0,
        kind=kind,
        unit="error rate",
        layers=("input", "last hidden"),
        probes=tuple(Probe(layer, n, 0.2, 8, "estimator") for layer in ("input", "last hidden") for n in (32, 64)),
        networks=(NetworkError(32, 0.3, 0.5), NetworkError(64, 0.1, 1.0)),
        missing=(),
        num_probe=64,
        num_test=2,
        similarities=(Similarity("train_size", (32, 64), ("last hidden",), np.array([[[1, 0.7], [0.7, 1]]]), (0.01,)),),
        attributions=(Attribution("occlusion", 0.1, 0.0), Attribution("integrated_gradients", 0.2, 0.0, 1e-3)),
        examples=np.frombuffer(b"hi <b", np.uint8)[None].repeat(2, 0) if kind == "text" else rng.normal(size=shape),
        rows=np.array([3, 7]),
        targets=np.array([0, 1]),
        predicted=np.array([0, 0]),
        maps={name: rng.normal(size=shape) for name in ("occlusion", "integrated_gradients")},
        filters={"image": rng.normal(size=(3, 4, 4, 1)), "table": rng.normal(size=(8, 3)), "text": None}[kind],
        class_names=(),
        feature_names=("age", "height", "<weight>") if kind == "table" else (),
        seconds=1.0,
    )
    return dataclasses.replace(found, **changes)


def test_what_was_found_inside_is_shown_for_images_tables_and_texts():
    section = analysis_content([analysis(kind) for kind in ("image", "table", "text")]).page
    html = page_html(Page("t", "q", (), (), (section,)))
    assert html.count("linear probe") >= 6
    assert "label 1, predicted 0" in html
    assert html.count('<img src="data:image/png') == 2 * 3 + 3  # two examples with two maps each, three filters
    assert "&lt;weight&gt;" in html
    assert html.count('class="marked"') == 4
    assert "0.70" in html
    assert analysis_content([]).page is None


def test_a_map_is_blue_for_and_red_against():
    import base64
    import io

    from PIL import Image

    data = signed_png(np.array([[1.0, -1.0, 0.0]])).removeprefix("data:image/png;base64,")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert pixels[0].tolist() == [[0, 114, 178], [213, 94, 0], [255, 255, 255]]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """Records and predictions of two sizes, in which one group errs much more."""
    folder = tmp_path_factory.mktemp("grouped")
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 300)
    artifacts.write_test_set(
        folder,
        {
            "y": np.zeros(600, np.int32),
            "class_names": np.array(["no", "yes"]),
            "feature_names": np.array([], np.str_),
            "vocabulary": np.array(0),
            "pool_classes": np.array([500, 500]),
            "groups": group[:, None].astype(np.int32),
            "group_columns": np.array(["sex"]),
            "group_names_0": np.array(["f", "m"]),
            "group_pool_0": np.array([400, 600]),
        },
    )
    rows = []
    for size in (100, 200, 400, 800):
        for seed in range(3):
            wrong = (rng.random(600) < np.where(group == 0, 0.4, 0.1)).astype(np.float32)
            row = dataclasses.replace(
                ROW,
                trial_id=f"{size}{seed}",
                train_size=size,
                subset_seed=seed,
                value=float(wrong.mean()),
                num_examples=600,
            )
            rows.append(row)
            said = np.stack([1 - wrong, wrong], axis=1)
            artifacts.write_predictions(folder, row.trial_id, {"error": wrong, "loss": wrong, "probabilities": said})
    record_log.append(folder, rows)
    return folder


def test_groups_have_curves_gaps_and_what_would_close_them(grouped):
    rows = record_log.rows(grouped)
    report = analyze_groups(grouped, rows)
    section = group_content(report).page
    html = page_html(Page("t", "q", (), (), (section,)))
    assert "sex=f has an error" in html
    assert "pool examples" in html
    assert ">400<" in html
    assert group_content(None).page is None


def test_every_chart_is_one_that_plotly_knows_and_has_a_name_of_its_own(page, grouped):
    import plotly.graph_objects as go

    rows = record_log.rows(grouped)
    report = analyze_groups(grouped, rows)
    pages = [page, Page("t", "q", (), (), (group_content(report).page, analysis_content([analysis("image")]).page))]
    for one in pages:
        found = charts(one)
        assert len({chart.id for chart in found}) == len(found) >= 3
        for chart in found:
            go.Figure(
                data=[dict(trace) for trace in chart.traces], layout=dict(chart.layout)
            )  # raises for what it does not know
            assert chart.summary
