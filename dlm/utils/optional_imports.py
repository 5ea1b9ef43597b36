"""Imports optional libraries; a missing one is reported with the command that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from dlm.utils.errors import UsageError

_CHECKOUT = Path(__file__).resolve().parents[2]
_EXTRAS = {  # module -> the extra of pyproject.toml that installs it
    "fairlearn": "fairness",
    "grain": "stream",
    "lightgbm": "lightgbm",
    "mlflow": "mlflow",
    "optuna": "optuna",
    "pandas": "pandas",
    "polars": "polars",
    "tensorboardX": "tensorboard",
    "tensorflow_datasets": "tfds",
    "trackio": "trackio",
    "wandb": "wandb",
}


def installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def install_command(module: str) -> str:
    """The pip command that installs a module's extra, for an installed dlm or a clone of its repository."""
    extra = _EXTRAS[module]
    if (_CHECKOUT / "pyproject.toml").is_file():
        return f'python -m pip install -e "{_CHECKOUT}[{extra}]"'
    return f'python -m pip install "dlm[{extra}]"'


def require(module: str, feature: str) -> None:
    """Raise UsageError with the install command if a module that `feature` needs is missing."""
    if not installed(module):
        raise UsageError(f"{feature} needs {module}, which is not installed; run: {install_command(module)}")


def import_optional(module: str, feature: str) -> Any:
    """Import the module that `feature` needs. UsageError with the install command if it is missing."""
    require(module, feature)
    return importlib.import_module(module)
