"""The source code of Python's standard library as a text to learn: on every host, no download, no folder."""

from __future__ import annotations

import dataclasses
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from dlm.data.arrays import Arrays, Split
from dlm.data.text_blocks import blocks, split_documents
from dlm.errors import UsageError, at_least

# Folders of other packages, of tests, and of tables that are no code and resemble each other.
LEFT_OUT = frozenset(
    ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3")
    + ("encodings", "pydoc_data", "_bundled")
)
OF_THE_HOST = ("_sysconfigdata", "sitecustomize", "usercustomize", "python-config")  # files that differ between builds


@dataclasses.dataclass(frozen=True)
class StdlibText:
    """Bytes of the standard library's .py files of the Python that runs, in blocks of `length`.

    About `most_bytes` of it (0: all, near 10 MB), whole files chosen and dealt out to train, validation and test by
    their content, so that no file is in two. Another release of Python has other files, and another fingerprint.
    """

    length: int = 128
    most_bytes: int = 2_000_000
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        at_least(1, length=self.length)

    def load(self, data_dir: Path | None = None) -> Arrays:
        """Tokens uint8 [N, length], 0 … 255; targets are the inputs one byte on."""
        folder = Path(sysconfig.get_path("stdlib"))
        shares = (1 - self.validation - self.test, self.validation, self.test)
        parts = split_documents(list(_documents(folder)), shares, self.most_bytes)
        if not all(parts):
            raise UsageError(f"the standard library in {folder} has too few .py files; use a Python that has them")
        train, validation, test = (Split(*blocks(part, self.length)) for part in parts)
        return Arrays(f"stdlib_text/{platform.python_version()}", train, validation, test, vocabulary=256)


def _documents(folder: Path) -> Iterator[bytes]:
    """Source files below a folder, their lines ended as everywhere."""
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder)
        if LEFT_OUT.isdisjoint(inside.parts) and not inside.name.startswith(OF_THE_HOST):
            yield path.read_bytes().replace(b"\r\n", b"\n")
