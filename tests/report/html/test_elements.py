"""Elements of the page: Plotly interprets no name as HTML or as a template."""

import json

import pytest

from dlm.curves.summary import summarize
from dlm.curves.types import Curve
from dlm.report.html.elements import axis, horizontal_line, trace
from dlm.report.sections.learning_curve import better_block, curve_chart

NAME = "<b>a</b><img src=x>%{x}"


def test_texts_of_a_trace_are_escaped():
    made = trace([NAME, "b"], [1.0, 2.0], "cnn", hover="%{text}", text=[NAME], customdata=[[NAME, 1]], legend=NAME)
    assert "<" not in json.dumps({key: made[key] for key in ("x", "text", "customdata", "name")})
    assert "<" not in axis(NAME)["title"]["text"] + horizontal_line(1.0, NAME)["label"]["text"]
    assert made["y"] == [1.0, 2.0]


@pytest.mark.parametrize("plain", [False, True])
def test_names_of_learners_are_escaped_in_charts(plain):
    curves = [Curve(name, (10, 20, 40), ((0.3,), (0.2,), (0.1,)), "error rate") for name in (NAME, "other")]
    summary = summarize(curves)
    charts = [curve_chart(summary, {}, "curves", "Curves", plain=plain), better_block(summary)]
    for chart in charts:
        for each in chart.traces:
            shown = json.dumps([each.get(key) for key in ("hovertemplate", "text", "name")])
            assert "<img" not in shown
            assert "</b>%{x}" not in shown
        assert "<" not in json.dumps(chart.layout)
