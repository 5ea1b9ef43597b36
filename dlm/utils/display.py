"""HTML views of objects in notebooks, by functions of higher packages that are imported when one is first shown."""

from __future__ import annotations

import importlib
from typing import Any

_RENDERERS: dict[str, str] = {}


def register(**renderers: str) -> None:
    """Set the HTML renderer of classes: a class's name and `module:function`, which takes the object."""
    _RENDERERS.update(renderers)


class HtmlDisplay:
    """Base of classes that a notebook shows as HTML, or by their repr if no renderer is registered."""

    def _repr_html_(self) -> Any:
        renderer = _RENDERERS.get(type(self).__name__)
        if renderer is None:
            return None
        module, function = renderer.split(":")
        return getattr(importlib.import_module(module), function)(self)
