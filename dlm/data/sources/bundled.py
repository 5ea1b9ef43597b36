"""Data sets that come with scikit-learn and Python: no download, no folder."""

from __future__ import annotations

import dataclasses
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlm.data.dataset import Dataset, Split, hold_out_both
from dlm.data.media import byte_blocks, split_documents
from dlm.utils.errors import UsageError, at_least

# Other packages, tests, and tables of data in the form of code.
EXCLUDED_FOLDERS = frozenset(
    ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3")
    + ("encodings", "pydoc_data", "_bundled")
)
EXCLUDED_FILES = ("_sysconfigdata", "sitecustomize", "usercustomize", "python-config")  # differ between builds


@dataclasses.dataclass(frozen=True)
class StdlibText:
    """Source code of the running Python's standard library, as bytes in blocks of `length`.

    About `max_bytes` of it (0: all, near 10 MB). Whole files are selected and assigned to the splits by a hash of their
    content, so no file is in two splits. Another release of Python gives another dataset fingerprint.
    """

    length: int = 128
    max_bytes: int = 2_000_000
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        at_least(1, length=self.length)

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Inputs uint8 [N, length], 0 … 255; targets are the inputs shifted by one byte."""
        folder = Path(sysconfig.get_path("stdlib"))
        shares = (1 - self.validation - self.test, self.validation, self.test)
        parts = split_documents(list(_documents(folder)), shares, self.max_bytes)
        if not all(parts):
            raise UsageError(f"the standard library in {folder} has too few .py files; use a complete installation")
        train, validation, test = (Split(*byte_blocks(part, self.length)) for part in parts)
        name = f"stdlib_text/{platform.python_version()}"
        return Dataset(name, train, validation, test, vocabulary=256, split_by="file")


def _documents(folder: Path) -> Iterator[bytes]:
    """Source files below a folder, with Unix line ends."""
    for path in folder.rglob("*.py"):
        relative = path.relative_to(folder)
        if EXCLUDED_FOLDERS.isdisjoint(relative.parts) and not relative.name.startswith(EXCLUDED_FILES):
            yield path.read_bytes().replace(b"\r\n", b"\n")


@dataclasses.dataclass(frozen=True)
class Digits:
    """1,797 scans of handwritten digits, 8×8 pixels of 0 … 16, ten classes (Alpaydin & Kaynak 1998, UCI).

    `test` and `validation` examples are held out, stratified and selected by content; the rest is the training pool.
    """

    test: int = 360
    validation: int = 180

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Images uint8 [N, 8, 8, 1], scaled to 0 … 1 for the learner."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        examples = Split(images.reshape(-1, 8, 8, 1).astype(np.uint8), labels.astype(np.int32))
        splits = hold_out_both(examples, self.validation, self.test)
        return Dataset("digits", *splits, num_classes=10, scale=1 / 16)


@dataclasses.dataclass(frozen=True)
class BreastCancer:
    """569 breast masses, 30 features of the cell nuclei, malignant (212) or benign (357).

    Wolberg, Street & Mangasarian 1995, UCI. `test` and `validation` examples are held out, stratified and selected by
    content; the rest is the training pool.
    """

    test: int = 170
    validation: int = 80

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Features float32 [N, 30], standardized by the training subset."""
        from sklearn.datasets import load_breast_cancer

        bunch = load_breast_cancer()
        examples = Split(bunch.data.astype(np.float32), bunch.target.astype(np.int32))
        splits = hold_out_both(examples, self.validation, self.test)
        return Dataset(
            "breast_cancer",
            *splits,
            num_classes=2,
            standardize=True,
            class_names=tuple(map(str, bunch.target_names)),
            feature_names=tuple(map(str, bunch.feature_names)),
        )
