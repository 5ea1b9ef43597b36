"""Measures the forecaster on real learning curves, beside rivals and published numbers.

    python -m benchmarks.forecasting.backtest --curves=../shared/curves \
        [--half=report] [--limit=300] [--out=FOLDER] [--only=PART]

The folder holds the published archives, or any tables that `archives` reads, such as a
user's own history. Data sets are split in two by a hash of their id: constants were chosen on
--half=choose, the default --half=report shows the others.
"""

from benchmarks.forecasting.backtest.settings import Part, Setting, Table

__all__ = ["Part", "Setting", "Table"]
