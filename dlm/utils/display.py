"""HTML views of objects in notebooks, and text for output streams whose encoding lacks some characters.

HTML views are made by functions of higher packages that are imported when one is first shown.
"""

from __future__ import annotations

import codecs
import importlib
import sys
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


UNENCODABLE = "dlm"  # name of the error handler that replaces characters that an encoding lacks
_ASCII = {"–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "≈": "~", "≤": "<=", "≥": ">=", "…": "...", "→": "->"}
_ASCII |= {"±": "+-", "─": "-", "│": "|", "\u00a0": " ", "’": "'"}


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error(UNENCODABLE, _replace)


def encodable(text: str, encoding: str = "utf-8") -> str:
    """The text with characters that the encoding lacks replaced; lone surrogates in UTF-8."""
    try:
        return text.encode(encoding, UNENCODABLE).decode(encoding)
    except LookupError:
        return text.encode("ascii", UNENCODABLE).decode()


def replace_unencodable() -> None:
    """Let standard output and standard error replace characters that their encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=UNENCODABLE)
