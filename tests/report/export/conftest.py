"""A workdir made by hand."""

import pytest
from cells import ERRORS, cell

from dlm.storage import record_log


@pytest.fixture
def workdir(tmp_path):
    """A finished workdir without study.json, to be changed at will."""
    folder = tmp_path / "work"
    folder.mkdir()
    for (learner, size), errors in ERRORS.items():
        for seed, error in enumerate(errors):
            record_log.append(folder, cell(learner, size, seed, error))
    return folder
