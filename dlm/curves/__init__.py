"""Learning curves: calibrated forecasts, required training-set sizes, and crossovers between learners.

Works on any table of (train_size, error). Needs NumPy, and SciPy to fit laws.
"""

from dlm.curves.crossover import crossover
from dlm.curves.forecaster import Forecast, RequiredSizeEstimate, forecast, forecast_many
from dlm.curves.summary import summarize
from dlm.curves.types import Crossover, Curve, LearnerSummary, Prediction, RequiredSize, StudySummary

__all__ = [
    "Crossover",
    "Curve",
    "Forecast",
    "LearnerSummary",
    "Prediction",
    "RequiredSize",
    "RequiredSizeEstimate",
    "StudySummary",
    "crossover",
    "forecast",
    "forecast_many",
    "summarize",
]
