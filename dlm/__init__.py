"""How does a model get better with more data, and how much data do I need? Data-scaling studies in JAX."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dlm.axes import Axes, grid, zipped
from dlm.errors import Interrupted, UsageError
from dlm.learner import Budget, Hyper, Learner, Optimizer
from dlm.ranges import choice, drawn, log_uniform, uniform
from dlm.study import Study

if TYPE_CHECKING:
    from dlm import records
    from dlm.curves.forecast import forecast, forecast_many
    from dlm.result import Result, load, run
    from dlm.suggestions import suggested

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
    "forecast": ("dlm.curves.forecast", "forecast"),
    "forecast_many": ("dlm.curves.forecast", "forecast_many"),
    "records": ("dlm.records", ""),
    "Result": ("dlm.result", "Result"),
    "load": ("dlm.result", "load"),
    "run": ("dlm.result", "run"),
    "suggested": ("dlm.suggestions", "suggested"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dlm' has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    return getattr(module, attribute) if attribute else module
