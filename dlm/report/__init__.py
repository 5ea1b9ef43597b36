"""What a study found, for people: terminal tables, sentences, figures, JSON, and progress while it runs.

Names are loaded when first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlm.report.figures import learning_curve
    from dlm.report.progress import Progress
    from dlm.report.tables import from_json, to_json
    from dlm.report.terminal import print_answer
    from dlm.report.words import sentences

__all__ = ["Progress", "from_json", "learning_curve", "print_answer", "sentences", "to_json"]

_HOMES = {
    "Progress": "progress",
    "from_json": "tables",
    "learning_curve": "figures",
    "print_answer": "terminal",
    "sentences": "words",
    "to_json": "tables",
}


def __getattr__(name: str) -> object:
    """Loads an exported name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    value: object = getattr(module, name)
    return value
