"""The page of a study: whole in one file, safe against what a study holds, and all that a reader asks of it."""

import dataclasses
import json
import re

import numpy as np
import pytest
from small import ROW

from dlm.analysis.predictions import hardest_examples, suspicious_labels
from dlm.curves.from_records import learning_curves, selected_rows
from dlm.curves.summary import summarize
from dlm.report.html.elements import charts
from dlm.report.html.page import page_html, png
from dlm.report.sections import SECTIONS, ReportContext
from dlm.report.study_report import page_of
from dlm.storage import record_log


def test_every_part_is_there(page):
    assert [section.id for section in page.sections] == [
        "curves",
        "caveats",
        "learner-comparison",
        "measures",
        "tuning",
        "training",
        "calibration",
        "examples",
        "ensembles",
        "cost",
        "reproducibility",
    ]


def test_each_seed_can_be_traced_to_its_trial_and_subset(page, workdir):
    found = {}
    for trace in next(chart for chart in charts(page) if chart.id == "learning-curves").traces:
        if trace["meta"]["role"] == "seed":
            for size, about, text in zip(trace["x"], trace["customdata"], trace["text"], strict=True):
                found[about[1]] = (size, about[0], about[2], text)
    shown = [
        row for by_size in selected_rows(record_log.rows(workdir)).values() for rows in by_size.values() for row in rows
    ]
    assert set(found) == {row.trial_id for row in shown}
    assert len(shown) == 12
    for row in shown:
        assert found[row.trial_id][:3] == (row.train_size, row.subset_seed, row.subset_hash)
        assert float(found[row.trial_id][3].strip(" %")) == pytest.approx(100 * row.value, abs=0.06)


def test_a_best_value_at_the_boundary_is_a_warning(page):
    section = next(section for section in page.sections if section.id == "tuning")
    assert section.blocks[0].style == "alarm"
    assert re.search(
        r"net: the best lr, 0.01, is the largest value tried at .* try larger values", section.blocks[0].lines[0]
    )


def test_numbers_carry_their_n(page):
    text = json.dumps(dataclasses.asdict(page), default=list)
    assert "median of 2" in text
    assert "(2)" in text


def test_the_file_asks_nothing_of_a_network_and_names_no_other_file(file):
    html = file.read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    outside = re.sub(r'<script type="text/plain" id="page-plotly">.*?</script>', "", html, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!data:|#)', outside)
    assert "@import" not in outside


def test_no_two_elements_have_one_name(file):
    html = re.sub(r"<script.*?>.*?</script>", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    names = re.findall(r' id="([^"]+)"', html)
    assert len(set(names)) == len(names) > 10
    assert not {"page-data", "page-plotly"} & set(names)


def test_what_a_study_holds_cannot_leave_its_place(page):
    bad = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    evil = dataclasses.replace(page, title=bad, question=bad, summary=(bad,), learners=(bad,))
    html = page_html(evil)
    assert bad not in html
    assert html.count("</script>") == page_html(page).count("</script>")


def test_ten_thousand_cells_stay_below_fifteen_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        dataclasses.replace(
            ROW,
            trial_id=f"{rng.integers(2**63):016x}",
            learner=f"net{learner}",
            train_size=100 * 2**size,
            subset_seed=seed,
            subset_hash=f"{rng.integers(2**63):016x}",
            value=float((0.01 + 2 * (100 * 2**size) ** -0.5) * np.exp(rng.normal(0, 0.1))),
        )
        for learner in range(5)
        for size in range(20)
        for seed in range(100)
    ]
    told = summarize(learning_curves(rows))
    context = ReportContext(told, tmp_path, records=rows)
    html = page_html(page_of(told, [section(context) for section in SECTIONS]))
    assert len(rows) == 10_000
    assert 1e6 < len(html.encode()) < 15e6
    assert html.count(rows[-1].trial_id) == 1
    assert "all 10,000 seeds" in html


def test_hardest_examples_and_suspicious_labels():
    y = np.array([0, 1, 2, 0])
    sure = np.full((4, 3), 0.02)
    sure[[0, 1, 2], y[:3]] = 0.96
    sure[3] = [0.05, 0.9, 0.05]  # labelled 0, taken for 1 by everybody
    half = sure.copy()
    half[1] = [0.45, 0.30, 0.25]  # wrong, but by less than half
    loss = [-np.log(each[np.arange(4), y]) for each in (sure, half)]
    kept = {name: [{"probabilities": p, "loss": nats}] for name, p, nats in zip("ab", (sure, half), loss)}
    assert [one.row for one in hardest_examples(kept, y, 2)] == [3, 1]
    (found,) = suspicious_labels(kept, y)
    assert (found.row, found.label) == (3, 0)
    assert found.predicted["a"] == pytest.approx((1, 0.9, 0.05))
    assert suspicious_labels({"a": [{"loss": loss[0]}]}, y) == []


def test_a_sound_can_be_heard_as_it_was():
    import base64
    import io
    import wave

    from dlm.analysis.predictions import TestSet
    from dlm.report.sections.examples import sound

    heard = np.array([[5, -300, 32_767, 0, 0]], np.int16)
    data = sound(TestSet({"sounds": heard, "rate": np.array(8000)}), 0).removeprefix("data:audio/wav;base64,")
    with wave.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 3)
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [5, -300, 32_767]
    assert sound(TestSet({}), 0) == ""


def test_pictures_keep_their_pixels():
    import base64
    import io

    from PIL import Image

    values = np.array([[0, 8], [16, 4]], np.uint8)
    data = png(values).removeprefix("data:image/png;base64,")
    assert np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).tolist() == [[0, 128], [255, 64]]
