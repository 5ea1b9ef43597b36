"""A workdir made without training."""

import pytest
from cells import ERRORS, cell
from small import ROW

from dlm.storage import description as descriptions
from dlm.storage import record_log


@pytest.fixture
def workdir(tmp_path):
    """A finished workdir."""
    folder = tmp_path / "work"
    folder.mkdir()
    study = {
        "name": ROW.study,
        "learners": {"mlp": {}, "a_b & 50%": {}},
        "precision": ROW.precision,
        "targets": [],
        "level": 0.95,
    }
    description = descriptions.StudyDescription(
        question="", study=study, data={}, provenance={}, versions={}, command="", format=descriptions.FORMAT
    )
    descriptions.write(folder, description)
    for (learner, size), errors in ERRORS.items():
        for seed, error in enumerate(errors):
            record_log.append(folder, cell(learner, size, seed, error))
    return folder
