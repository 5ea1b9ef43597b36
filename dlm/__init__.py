"""How does a model get better with more data, and how much data do I need? Data-scaling studies in JAX.

Public names are imported at first use: `import dlm` imports neither NumPy nor JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dlm.utils import display

if TYPE_CHECKING:
    from dlm.analysis.suggestions import suggest as suggest
    from dlm.baselines import *  # noqa: F403
    from dlm.curves.forecaster import forecast as forecast
    from dlm.curves.forecaster import forecast_many as forecast_many
    from dlm.data import *  # noqa: F403
    from dlm.execution.executor import run as run
    from dlm.execution.planner import plan as plan
    from dlm.execution.preparation import RunOptions as RunOptions
    from dlm.execution.result import Result as Result
    from dlm.execution.result import decide as decide
    from dlm.execution.result import interpret as interpret
    from dlm.execution.result import load as load
    from dlm.execution.result import write_report as write_report
    from dlm.models import *  # noqa: F403
    from dlm.storage import records as records
    from dlm.study import experiment as experiment
    from dlm.study.learner import Budget as Budget
    from dlm.study.learner import Hyper as Hyper
    from dlm.study.learner import Learner as Learner
    from dlm.study.learner import Optax as Optax
    from dlm.study.learner import Optimizer as Optimizer
    from dlm.study.study import Costs as Costs
    from dlm.study.study import Study as Study
    from dlm.study.sweep import Axes as Axes
    from dlm.study.sweep import choice as choice
    from dlm.study.sweep import grid as grid
    from dlm.study.sweep import log_uniform as log_uniform
    from dlm.study.sweep import quasi_random as quasi_random
    from dlm.study.sweep import uniform as uniform
    from dlm.study.sweep import zipped as zipped
    from dlm.tasks import *  # noqa: F403
    from dlm.utils.errors import Interrupted as Interrupted
    from dlm.utils.errors import UsageError as UsageError

_PUBLIC = {
    "dlm.study.study": "Costs Study",
    "dlm.study.learner": "Budget Hyper Learner Optax Optimizer",
    "dlm.study.sweep": "Axes choice grid log_uniform quasi_random uniform zipped",
    "dlm.analysis.suggestions": "suggest",
    "dlm.execution.preparation": "RunOptions",
    "dlm.execution.executor": "run",
    "dlm.execution.result": "Result decide interpret load write_report",
    "dlm.execution.planner": "plan",
    "dlm.curves.forecaster": "forecast forecast_many",
    "dlm.utils.errors": "Interrupted UsageError",
    "dlm.data": "BreastCancer Dataset Digits File NextItems Ratings Series Split StdlibText Tfds TfdsSeries from_items "
    "hold_out",
    "dlm.models": "CNN DLinear FTTransformer MLP MatrixFactorization NNX PatchTST SASRec TabularMLP Transformer ViT",
    "dlm.tasks": "Classification Decisions Forecasting LanguageModelling NextItem RareEvents Regression Task",
    "dlm.baselines": "SVC AlternatingLeastSquares AutoRegressive BiasModel Bicubic GaussianNB HistGradientBoosting "
    "ImplicitALS ItemKNN KNeighbors KneserNey LightGBM LinearSeries LogisticRegression MelCepstrumSVC NextItemKNN "
    "Popularity RandomForest Ridge SeasonalNaive TfidfLogisticRegression",
}
_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names.split()}
_SUBMODULES = {"experiment": "dlm.study.experiment", "records": "dlm.storage.records"} | {
    package: f"dlm.{package}" for package in ("baselines", "data", "models", "tasks")
}

__all__ = sorted([*_MODULE_OF, *_SUBMODULES])

display.register(Study="dlm.report.notebook:study_html", Forecast="dlm.report.notebook:forecast_html")


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(_SUBMODULES[name])
    if name == "__version__":
        return importlib.import_module("dlm.storage.description").version()
    raise AttributeError(f"module 'dlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
