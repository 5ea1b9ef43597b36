"""Learning curves: laws, forecasts with calibrated intervals, and which learner overtakes which.

Works on any table of (size, error); knows nothing of how the errors came about. Needs numpy, and scipy for
the last step of a fit.
"""

from dlm.curves.crossover import overtake
from dlm.curves.forecaster import Forecast, SizeAnswer, forecast, forecast_many
from dlm.curves.summary import answer
from dlm.curves.types import Answer, Curve, LearnerAnswer, Need, Overtake, Prediction

__all__ = [
    "Answer",
    "Curve",
    "Forecast",
    "LearnerAnswer",
    "Need",
    "Overtake",
    "Prediction",
    "SizeAnswer",
    "answer",
    "forecast",
    "forecast_many",
    "overtake",
]
