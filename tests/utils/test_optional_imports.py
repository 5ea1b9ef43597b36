"""A missing optional library is reported with the command that installs it."""

import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dlm import UsageError
from dlm.data.dataset import Dataset, Split
from dlm.execution.preparation import is_streamed
from dlm.utils import optional_imports
from dlm.utils.optional_imports import import_optional, install_command

ROOT = Path(__file__).resolve().parents[2]


def test_an_installed_library_is_imported():
    assert import_optional("json", "reading") is sys.modules["json"]


def test_a_missing_library_is_reported_with_the_command_for_a_clone(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    command = re.escape(f'python -m pip install -e "{ROOT}[polars]"')
    with pytest.raises(UsageError, match=f"tables needs polars, which is not installed; run: {command}"):
        import_optional("polars", "tables")


def test_an_installed_dlm_names_its_own_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(optional_imports, "_CHECKOUT", tmp_path)
    assert install_command("tensorflow_datasets") == 'python -m pip install "dlm[tfds]"'


def test_every_extra_is_declared_in_pyproject():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(optional_imports._EXTRAS.values()) <= set(extras)


def test_streaming_without_grain_is_refused_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    split = Split(np.zeros((4, 2), np.float32), np.zeros(4, np.int32))
    dataset = Dataset("four", split, split, split, num_classes=2)
    assert not is_streamed("device", dataset)
    with pytest.raises(UsageError, match=r"needs grain.*\[stream\]"):
        is_streamed("stream", dataset)
