"""A line below a notebook's cell, in plain text, where standard error would look like a failure."""

from __future__ import annotations

import sys
from typing import Any


class NotebookLine:
    """A line of a cell's output that each text replaces."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Put the text in place of the one before."""
        from IPython.display import display

        told = {"text/plain": text}
        if self._handle is None:
            self._handle = display(told, raw=True, display_id=True)
        else:
            self._handle.update(told, raw=True)


def announce(text: str) -> None:
    """Say something beside the answer: below the cell of a notebook, else on standard error."""
    from rich.console import Console

    if Console(stderr=True).is_jupyter:
        NotebookLine().show(text)
    else:
        print(text, file=sys.stderr, flush=True)
