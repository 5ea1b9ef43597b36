"""The backtest: reading archives, asking, scoring, the command line, and coverage on real curves."""

import pathlib

import numpy as np
import pytest

from dlm.curves.asking import scored
from dlm.curves.backtest.calibration import tasks
from dlm.curves.backtest.setting import Setting
from dlm.curves.scores import coverage

CURVES = pathlib.Path(__file__).parents[3] / "shared" / "curves"
needs_curves = pytest.mark.skipif(not (CURVES / "lcdb10.csv.gz").exists(), reason="needs ../shared/curves")


@needs_curves
def test_coverage_on_real_curves():
    """Bands wide enough for one forecaster or another; a law's textbook interval covers a fifth."""
    rows = scored([task for task in tasks(Setting(CURVES, limit=8)) if task.seeds != 5][::3])
    assert len(rows) > 40
    pits = [row.pit for row in rows]
    assert coverage(pits, 0.95) > 0.75
    assert coverage(pits, 0.8) > 0.55
    assert np.median([row.half_width for row in rows]) < 0.12
    assert not any(row.refused for row in rows)
