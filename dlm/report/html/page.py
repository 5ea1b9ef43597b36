"""Renders a page as one offline HTML file with template, style, script, Plotly and data inside, and images as PNG."""

from __future__ import annotations

import base64
import functools
import importlib.resources
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from dlm.report.html.elements import Page, charts

_HERE = Path(__file__).parent


def page_html(page: Page) -> str:
    """The text of the file. Numbers are rounded to six digits, which is not visible."""
    data = {
        "learners": list(page.learners),
        "charts": {chart.id: {"data": list(chart.traces), "layout": dict(chart.layout)} for chart in charts(page)},
    }
    text = json.dumps(data, allow_nan=False)
    short = json.loads(text, parse_float=lambda number: float(f"{float(number):.6g}"))
    return template("page.html.j2").render(
        page=page,
        style=_read("page.css"),
        script=_script(_read("page.js")),
        plotly=_script(_plotly()) if data["charts"] else "",
        data=_script(json.dumps(short, separators=(",", ":"))),
    )


@functools.cache
def template(name: str) -> Any:
    """A Jinja template of this folder, which escapes what it is given."""
    import jinja2

    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unbroken"] = lambda text: str(text).replace(" %", "\u00a0%")
    return environment.get_template(name)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    """Plotly's script from its package."""
    return importlib.resources.files("plotly").joinpath("package_data/plotly.min.js").read_text("utf-8")


def _script(text: str) -> Any:
    """Text escaped so that nothing in it ends a script element."""
    import markupsafe

    return markupsafe.Markup(text.replace("</", "<\\/").replace("<!--", "<\\!--"))


def png(values: np.ndarray) -> str:
    """Numbers [H, W] or [H, W, 3] as a PNG data URI, from the minimum (black) to the maximum (white)."""
    values = np.asarray(values, np.float32)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return png_of(255 * np.nan_to_num((values - low) / ((high - low) or 1.0)))


def png_of(values: np.ndarray) -> str:
    """Brightness 0 to 255, [H, W] or [H, W, 3], as a PNG data URI."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.round(values).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def signed_png(values: np.ndarray) -> str:
    """Signed numbers [H, W] or [H, W, C] as a PNG data URI: blue above zero, red below, white at zero."""
    values = np.asarray(values, np.float32)
    values = values.sum(axis=2) if values.ndim == 3 else values
    share = np.clip(np.nan_to_num(values) / (float(np.nanmax(np.abs(values))) or 1.0), -1, 1)
    blue, red = np.array([0.0, 114.0, 178.0]), np.array([213.0, 94.0, 0.0])
    ends = np.where(share[..., None] > 0, blue, red)
    return png_of(255 + np.abs(share)[..., None] * (ends - 255))
