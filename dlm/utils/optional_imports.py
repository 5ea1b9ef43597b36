"""Libraries that are not installed with dlm, imported when they are asked for."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from dlm.utils.errors import UsageError


def installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def require(module: str, package: str, what: str) -> None:
    """UsageError that names the pip command, where a module that `what` needs is not installed."""
    if not installed(module):
        raise UsageError(f"{what} needs {package}, which is not installed; run: python -m pip install {package}")


def needed(module: str, package: str, what: str) -> Any:
    """The module that `what` needs. UsageError as by `require`."""
    require(module, package, what)
    return importlib.import_module(module)
