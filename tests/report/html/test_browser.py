"""The page as a browser shows it: nothing asked of a network, no complaint, and every control at work."""

import dataclasses
import itertools
import os
import shutil

import pytest
from rich.console import Console
from small import ROW

from dlm.curves.from_records import learning_curves
from dlm.curves.summary import summarize
from dlm.report.comparison import report_compare
from dlm.report.html.page import page_html
from dlm.report.sections import SECTIONS, ReportContext
from dlm.report.study_report import page_of
from dlm.storage import record_log

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed; it is in requirements-dev.txt"
)

pytestmark = pytest.mark.slow
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def html_of(rows, folder):
    """The page of some records."""
    summary = summarize(learning_curves(rows))
    context = ReportContext(summary, folder, records=rows)
    return page_html(page_of(summary, [section(context) for section in SECTIONS]))


CURVES = 'div.chart[data-chart="learning-curves"]'


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no chromium is installed; Debian's package is `chromium`, or name one with CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser, file):
    """The page open, its first chart drawn; at the end there must have been no complaint and no request."""
    yield from opened(browser, file)


def opened(browser, path, **options):
    context = browser.new_context(**options)
    tab = context.new_page()
    told, asked = [], []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(path.as_uri())
    tab.locator("#curves").scroll_into_view_if_needed()
    tab.wait_for_selector(f"{CURVES} .main-svg")
    yield tab
    context.close()
    assert told == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]


def test_a_page_of_several_studies_is_drawn(browser, workdir, tmp_path):
    console = Console(quiet=True)
    copy = shutil.copytree(workdir, tmp_path / "copy")
    report_compare([workdir, copy], console, folder=tmp_path / "out")
    tabs = opened(browser, tmp_path / "out/compare.html")
    tab = next(tabs)
    for name in ("data-requirement", "error-ratio"):
        chart = f'div.chart[data-chart="{name}"]'
        tab.locator(chart).scroll_into_view_if_needed()
        tab.wait_for_selector(f"{chart} .main-svg")
    assert next(tabs, None) is None


def visible(tab):
    """Learners of which some trace is shown in the learning curves."""
    return tab.evaluate(
        "selector => [...new Set(document.querySelector(selector)._fullData.filter(one => one.visible === true)"
        ".map(one => one.meta.learner))].filter(Boolean).sort()",
        CURVES,
    )


def axis_type(tab, axis):
    return tab.evaluate("([selector, axis]) => document.querySelector(selector)._fullLayout[axis].type", [CURVES, axis])


def test_learners_are_shown_and_hidden_by_the_keyboard_alone(tab):
    assert visible(tab) == ["logreg", "net"]
    box = tab.locator('#page-learners input[data-learner="net"]')
    box.focus()
    tab.keyboard.press("Space")
    assert visible(tab) == ["logreg"]
    tab.keyboard.press("Space")
    assert visible(tab) == ["logreg", "net"]


def test_axes_change_between_logarithmic_and_linear(tab):
    for axis in "xy":
        button = tab.locator(f'button[data-chart="learning-curves"][data-axis="{axis}"]')
        assert (axis_type(tab, f"{axis}axis"), button.get_attribute("aria-pressed")) == ("log", "true")
        button.focus()
        tab.keyboard.press("Enter")
        assert (axis_type(tab, f"{axis}axis"), button.get_attribute("aria-pressed")) == ("linear", "false")
        button.click()
        assert axis_type(tab, f"{axis}axis") == "log"


def test_hovering_tells_n_seed_value_trial_and_subset(tab):
    trace, about = tab.evaluate(
        "selector => {const data = document.querySelector(selector)._fullData;"
        "const at = data.findIndex(one => one.meta.role === 'seed'); return [at, data[at].customdata[0]];}",
        CURVES,
    )
    tab.evaluate(
        "([chart, curveNumber]) => Plotly.Fx.hover(document.querySelector(chart), [{curveNumber, pointNumber: 0}])",
        [CURVES, trace],
    )
    text = tab.locator(f"{CURVES} .hoverlayer").text_content()
    for part in ("n=32", f"seed {about[0]}", f"trial {about[1]}", f"subset {about[2]}", "%"):
        assert part in text


def test_one_size_is_shown_at_a_time_and_the_choice_is_drawn(tab):
    tab.locator("#calibration").scroll_into_view_if_needed()
    options = tab.locator("#calibration-size > .option")
    assert [options.nth(k).is_visible() for k in range(options.count())] == [False, False, True]
    tab.locator('select[data-choice="calibration-size"]').select_option("32")
    assert [options.nth(k).is_visible() for k in range(options.count())] == [True, False, False]
    tab.locator('div.chart[data-chart="reliability-32"]').scroll_into_view_if_needed()
    tab.wait_for_selector('div.chart[data-chart="reliability-32"] .main-svg')


def test_who_does_not_see_is_told_what_is_shown(tab):
    for chart in tab.locator("div.chart").all():
        assert chart.get_attribute("role") == "group"
        assert len(chart.get_attribute("aria-label")) > 20
    assert all(image.get_attribute("alt") for image in tab.locator("img").all())
    headings = tab.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_a_phone_shows_it_whole_in_light_and_dark(browser, file, scheme, bright):
    tabs = opened(browser, file, viewport={"width": 390, "height": 800}, color_scheme=scheme)
    tab = next(tabs)
    for _ in range(12):
        tab.mouse.wheel(0, 900)
        tab.wait_for_timeout(30)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (min(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) > 128) == bright
    assert next(tabs, None) is None


def test_printing_leaves_out_what_paper_cannot_do(tab):
    tab.emulate_media(media="print")
    assert not tab.locator("nav").is_visible()
    assert not tab.locator("#page-learners").is_visible()
    assert tab.locator("#answer").is_visible()
    assert len(tab.pdf()) > 20_000
    tab.emulate_media(media="screen")


def test_of_very_many_seeds_a_few_are_drawn_until_all_are_asked_for(browser, tmp_path):
    rows = [
        dataclasses.replace(
            ROW, trial_id=f"{size}-{seed}", train_size=size, subset_seed=seed, value=0.5 / size + seed / 1e5
        )
        for size in (100, 200, 400)
        for seed in range(1000)
    ]
    path = tmp_path / "many.html"
    path.write_text(html_of(rows, tmp_path), encoding="utf-8")
    tabs = opened(browser, path)
    tab = next(tabs)
    dots = "document.querySelectorAll('div.chart[data-chart=\"learning-curves\"] .points path').length"
    few = tab.evaluate(dots)
    tab.get_by_role("button", name="all 3,000 seeds").click()
    assert few < 2100 < 3000 <= tab.evaluate(dots)
    assert next(tabs, None) is None


def test_without_scripts_the_curves_are_a_picture_and_nothing_waits_for_a_click(browser, workdir, page, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/learning_curve.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    rows = record_log.rows(workdir)
    path = tmp_path / "report.html"
    path.write_text(html_of(rows, tmp_path), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    assert tab.locator(f"{CURVES} .still").is_visible()
    assert not tab.locator(".tools").first.is_visible()
    assert all(option.is_visible() for option in tab.locator(".option").all())
    context.close()
