"""How does a model get better with more data, and how much data do I need? Data-scaling studies in JAX."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlm.study.learner import Budget, Hyper, Learner, Optimizer
from dlm.study.study import Study
from dlm.study.sweep import Axes, choice, drawn, grid, log_uniform, uniform, zipped
from dlm.utils.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from dlm.analysis.suggestions import suggested
    from dlm.curves.forecaster import forecast, forecast_many
    from dlm.execution.result import Result, load, run
    from dlm.storage import records

__version__ = "0.1.0"

__all__ = [
    "Axes",
    "Budget",
    "Hyper",
    "Interrupted",
    "Learner",
    "Optimizer",
    "Result",
    "Study",
    "UsageError",
    "choice",
    "drawn",
    "forecast",
    "forecast_many",
    "grid",
    "load",
    "log_uniform",
    "records",
    "run",
    "suggested",
    "uniform",
    "zipped",
]

# Imported at first use: declaring a study needs no NumPy, and forecasting no JAX.
_LAZY = {
    "forecast": ("dlm.curves.forecaster", "forecast"),
    "forecast_many": ("dlm.curves.forecaster", "forecast_many"),
    "records": ("dlm.storage.records", ""),
    "Result": ("dlm.execution.result", "Result"),
    "load": ("dlm.execution.result", "load"),
    "run": ("dlm.execution.result", "run"),
    "suggested": ("dlm.analysis.suggestions", "suggested"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dlm' has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    if name in ("forecast", "forecast_many"):
        setattr(module.Forecast, "_repr_html_", _html_by("forecast_html"))  # noqa: B010
    return getattr(module, attribute) if attribute else module


def _html_by(function: str) -> Callable[[Any], str]:
    """A `_repr_html_` that loads `dlm.report.notebook` at first use, so that lower packages do not import it."""

    def _repr_html_(self: Any) -> str:
        html: str = getattr(importlib.import_module("dlm.report.notebook"), function)(self)
        return html

    return _repr_html_


setattr(Study, "_repr_html_", _html_by("study_html"))  # noqa: B010
