"""Learning curves: laws, forecasts with calibrated intervals, and which learner overtakes which.

Works on any table of (size, error); knows nothing of how the errors came about. Needs numpy, and scipy for
the last step of a fit.
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
