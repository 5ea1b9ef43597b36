"""Measures the forecaster on real learning curves, compared with baselines and published numbers.

    python -m benchmarks.forecasting.backtest --curves=../shared/curves \
        [--half=report] [--limit=300] [--out=FOLDER] [--only=PART]

The folder contains the published archives or other tables that `archives` reads. Datasets are split in two halves by a
hash of their id: constants were selected on --half=choose; the default --half=report evaluates the other half.
"""

from benchmarks.forecasting.backtest.settings import Part, Setting, Table

__all__ = ["Part", "Setting", "Table"]
