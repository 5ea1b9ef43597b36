"""Data sets that scikit-learn carries inside itself: no download, no folder."""

from __future__ import annotations

import dataclasses
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlm.data.dataset import Dataset, Split, hold_out
from dlm.data.text_blocks import blocks, split_documents
from dlm.utils.errors import UsageError, at_least

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

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Tokens uint8 [N, length], 0 … 255; targets are the inputs one byte on."""
        folder = Path(sysconfig.get_path("stdlib"))
        shares = (1 - self.validation - self.test, self.validation, self.test)
        parts = split_documents(list(_documents(folder)), shares, self.most_bytes)
        if not all(parts):
            raise UsageError(f"the standard library in {folder} has too few .py files; use a Python that has them")
        train, validation, test = (Split(*blocks(part, self.length)) for part in parts)
        return Dataset(f"stdlib_text/{platform.python_version()}", train, validation, test, vocabulary=256)


def _documents(folder: Path) -> Iterator[bytes]:
    """Source files below a folder, their lines ended as everywhere."""
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder)
        if LEFT_OUT.isdisjoint(inside.parts) and not inside.name.startswith(OF_THE_HOST):
            yield path.read_bytes().replace(b"\r\n", b"\n")


@dataclasses.dataclass(frozen=True)
class Digits:
    """1,797 scans of handwritten digits, 8×8 pixels of 0 … 16, ten classes (Alpaydin & Kaynak 1998, UCI).

    `test` and `validation` examples are held out, stratified and chosen by content; the rest is the pool.
    """

    test: int = 360
    validation: int = 180

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Images uint8 [N, 8, 8, 1], seen as 0 … 1."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        everything = Split(images.reshape(-1, 8, 8, 1).astype(np.uint8), labels.astype(np.int32))
        test, rest = hold_out(everything, self.test, "data.test")
        validation, pool = hold_out(rest, self.validation, "data.validation")
        return Dataset("digits", pool, validation, test, num_classes=10, scale=1 / 16)


@dataclasses.dataclass(frozen=True)
class BreastCancer:
    """569 breast masses, 30 numbers that describe the cell nuclei of each, malignant (212) or benign (357).

    Wolberg, Street & Mangasarian 1995, UCI. `test` and `validation` examples are held out, stratified and chosen by
    content; the rest is the pool.
    """

    test: int = 170
    validation: int = 80

    def load(self, data_dir: Path | None = None) -> Dataset:
        """Numbers float32 [N, 30], standardized by the training subset."""
        from sklearn.datasets import load_breast_cancer

        told = load_breast_cancer()
        everything = Split(told.data.astype(np.float32), told.target.astype(np.int32))
        test, rest = hold_out(everything, self.test, "data.test")
        validation, pool = hold_out(rest, self.validation, "data.validation")
        return Dataset(
            "breast_cancer",
            pool,
            validation,
            test,
            num_classes=2,
            standardize=True,
            class_names=tuple(map(str, told.target_names)),
            feature_names=tuple(map(str, told.feature_names)),
        )
