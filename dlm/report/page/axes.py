"""Axes of charts: examples, errors in their unit, logarithmic at first."""

from __future__ import annotations

from typing import Any

from dlm.report.phrases import is_rate


def size_axis(title: str = "training examples") -> dict[str, Any]:
    """Sizes, logarithmic; ticks as 1k, 10k."""
    return {"title": {"text": title}, "type": "log", "tickformat": "~s", "dtick": "D2"}


def error_axis(unit: str, *, positive_only: bool = True, title: str = "") -> dict[str, Any]:
    """Errors; rates in per cent. Linear where there is nothing above zero."""
    text = title or f"test {unit}"
    form = ".2~%" if is_rate(unit) else ".4~g"
    kind = {"type": "log", "dtick": "D2"} if positive_only else {"type": "linear"}
    return {"title": {"text": text}, "tickformat": form, **kind}
